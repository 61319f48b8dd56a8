"""Where Terraform's providers come from: the real ones wherever they can be had, the stand-in for Docker's only where not."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sandbox import docker_provider
from sandbox.emulator import ROOT
from sandbox.errors import SandboxError

REGISTRY = "registry.terraform.io"
AWS = f"{REGISTRY}/hashicorp/aws"
DOCKER = f"{REGISTRY}/kreuzwerker/docker"
PROBE_SECONDS = 300  # a first download of the AWS provider is several hundred megabytes
# Terraform's own implied mirrors first, then places where images and packages commonly put one.
MIRRORS = ["~/.terraform.d/plugins", "~/.local/share/terraform/plugins", "/usr/local/share/terraform/plugins"]
MIRRORS += [
    "/usr/share/terraform/plugins",
    "/usr/share/terraform",
    "/usr/local/share/terraform",
    "/opt/terraform",
]


@dataclass(frozen=True)
class Providers:
    """A decision: the CLI configuration to use (None leaves the user's own in place), and what serves `docker`."""

    config: Path | None
    docker: str

    @property
    def stand_in(self) -> bool:
        """Whether the Docker provider is the stand-in."""
        return self.docker.startswith("stand-in")

    def environment(self) -> dict[str, str]:
        """Return the variables that Terraform needs for it."""
        return {"TF_CLI_CONFIG_FILE": str(self.config)} if self.config else {}


def configure(home: Path, mirrors: Iterable[Path] | None = None) -> Providers:
    """Decide where the providers come from, and keep the CLI configuration, if one is needed, in `home`.

    What Terraform finds by itself wins: the user's own CLI configuration, its implied local mirrors, the registry. Failing
    that, any folder laid out as a mirror under the usual roots; and for the Docker provider, at last, the stand-in.
    Raises SandboxError when the AWS provider cannot be had at all.
    """
    home.mkdir(parents=True, exist_ok=True)
    refusal = _probe(home, {})
    if refusal is None:
        return Providers(None, f"real {_installed_version(home)}, found by Terraform itself")
    found = list(_usual_mirrors() if mirrors is None else mirrors)
    aws = next((m for m in found if (m / AWS).is_dir()), None)
    if aws is None:
        raise SandboxError(
            f"Terraform cannot get the provider {AWS}: its registry does not answer, and no folder laid out as a mirror holds it.\n"
            f"Let this machine reach the registry, or put a mirror (terraform providers mirror) into {MIRRORS[0]}.\n"
            f"Terraform says: {refusal}"
        )
    docker = next((m for m in found if (m / DOCKER).is_dir()), None)
    source = docker or home / "mirror"
    if docker is None:
        docker_provider.install(source)
    config = home / "terraform.rc"
    config.write_text(_configuration({"hashicorp/*": aws, "kreuzwerker/*": source}))
    described = f"real, from {docker}" if docker else f"stand-in for {docker_provider.VERSION}"
    providers = Providers(config, described)
    if refusal := _probe(home, providers.environment()):
        raise SandboxError(f"Terraform cannot use the providers found under {aws} and {source}: {refusal}")
    return providers


def _configuration(sources: dict[str, Path]) -> str:
    """Return a CLI configuration. Terraform follows no links inside a mirror, so each source is a mirror of its own."""
    blocks = "".join(
        f'  filesystem_mirror {{\n    path    = "{path}"\n    include = ["{REGISTRY}/{pattern}"]\n  }}\n'
        for pattern, path in sources.items()
    )
    return f"provider_installation {{\n{blocks}}}\n"


def _usual_mirrors() -> Iterable[Path]:
    for mirror in MIRRORS:
        yield Path(mirror).expanduser()
    # One level down at most: a search, not a walk over the whole disk.
    for root in (Path("/opt"), Path("/usr/local"), Path("/srv"), Path.home()):
        for folder in sorted(root.glob(f"*/{REGISTRY}")):
            yield folder.parent


def _probe(home: Path, environment: dict[str, str]) -> str | None:
    """Return why `terraform init` with the project's version ranges fails, None when it works."""
    folder = home / "probe"
    folder.mkdir(exist_ok=True)
    shutil.copy(ROOT / "versions.tf", folder)
    quick = {"TF_REGISTRY_CLIENT_TIMEOUT": "5", "TF_REGISTRY_DISCOVERY_RETRY": "0", "CHECKPOINT_DISABLE": "1"}
    try:
        result = subprocess.run(
            ["terraform", "init", "-input=false", "-no-color", "-backend=false"],
            cwd=folder,
            env=os.environ | quick | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PROBE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {PROBE_SECONDS} s"
    return None if result.returncode == 0 else " ".join(result.stderr.split())[-600:]


def _installed_version(home: Path) -> str:
    versions = sorted(p.name for p in (home / "probe/.terraform/providers" / DOCKER).glob("*"))
    return versions[-1] if versions else ""
