"""Where Terraform's providers come from: the real ones wherever they can be had, the stand-in for Docker's only where not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sandbox import docker_provider
from sandbox.emulator import ROOT, neutral_environment
from sandbox.errors import SandboxError

REGISTRY = "registry.terraform.io"
AWS = f"{REGISTRY}/hashicorp/aws"
DOCKER = f"{REGISTRY}/kreuzwerker/docker"
PROBE_SECONDS = 300  # a first download of the AWS provider is several hundred megabytes
# Terraform's own implied mirrors first, then places where images and packages commonly put one.
MIRRORS = (
    "~/.terraform.d/plugins",
    "~/.local/share/terraform/plugins",
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
    "/usr/share/terraform",
    "/usr/local/share/terraform",
    "/opt/terraform",
)


@dataclass(frozen=True)
class Providers:
    """A decision: the CLI configuration to use (None leaves the user's own in place), and what serves `docker`."""

    config: Path | None
    docker: str
    downloads: Path | None = None  # what the decision downloaded, for every root to link to

    @property
    def stand_in(self) -> bool:
        """Whether the Docker provider is the stand-in."""
        return self.docker.startswith("stand-in")

    def environment(self) -> dict[str, str]:
        """Return the variables that Terraform needs for it."""
        variables = {"TF_CLI_CONFIG_FILE": str(self.config)} if self.config else {}
        if self.downloads and "TF_PLUGIN_CACHE_DIR" not in os.environ:
            variables["TF_PLUGIN_CACHE_DIR"] = str(self.downloads)
            variables["TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE"] = "1"
        return variables


def configure(home: Path, mirrors: Iterable[Path] | None = None) -> Providers:
    """Decide where the providers come from, and keep the CLI configuration, if one is needed, in `home`.

    What Terraform finds by itself wins: the user's own CLI configuration, its implied local mirrors, the registry. Failing
    that, any folder laid out as a mirror under the usual roots; and for the Docker provider, at last, the stand-in.
    Raises SandboxError when the AWS provider cannot be had at all.
    """
    own = home / "providers" / "own"
    refusal = _probe(own, {})
    if refusal is None:
        return Providers(None, f"real {_version(own)}, found by Terraform itself", _downloads(own))
    found = list(_usual_mirrors() if mirrors is None else mirrors)
    of_aws = [mirror for mirror in found if (mirror / AWS).is_dir()]
    if not of_aws:
        raise SandboxError(
            f"Terraform cannot get the provider {AWS}: its registry does not answer, and no folder laid out as a mirror holds it.\n"
            f"Let this machine reach the registry, or put a mirror (terraform providers mirror) into {MIRRORS[0]}.\n"
            f"Terraform says: {refusal}"
        )
    stand_in = home / "mirror"
    # A mirror may hold a version that the module does not take; the next one is tried then.
    for docker in [*(mirror for mirror in found if (mirror / DOCKER).is_dir()), stand_in]:
        if docker == stand_in:
            docker_provider.install(stand_in)
        for aws in of_aws:
            config = home / "terraform.rc"
            config.write_text(_configuration({"hashicorp/*": aws, "kreuzwerker/*": docker}))
            candidate = home / "providers" / "found"
            refusal = _probe(candidate, {"TF_CLI_CONFIG_FILE": str(config)})
            if refusal is None:
                version = _version(candidate)
                return Providers(
                    config, f"stand-in for {version}" if docker == stand_in else f"real {version}, from {docker}"
                )
    raise SandboxError(
        f"Terraform cannot use the providers found under {', '.join(map(str, of_aws))}, with none of its Docker providers: {refusal}"
    )


def _configuration(sources: dict[str, Path]) -> str:
    """Return a CLI configuration. Terraform follows no links inside a mirror, so each source is a mirror of its own."""
    blocks = "".join(
        f'  filesystem_mirror {{\n    path    = "{path}"\n    include = ["{REGISTRY}/{pattern}"]\n  }}\n'
        for pattern, path in sources.items()
    )
    return f"provider_installation {{\n{blocks}}}\n"


def _usual_mirrors() -> Iterable[Path]:
    yield from _own_mirrors()
    for mirror in MIRRORS:
        yield Path(mirror).expanduser()
    # One level down at most: a search, not a walk over the whole disk.
    for root in (Path("/opt"), Path("/usr/local"), Path("/srv"), Path.home()):
        for folder in sorted(root.glob(f"*/{REGISTRY}")):
            yield folder.parent


def _own_mirrors() -> Iterable[Path]:
    """Yield the mirrors of the user's own CLI configuration: good for one provider where not for both."""
    named = os.environ.get("TF_CLI_CONFIG_FILE")
    config = Path(named) if named else Path.home() / ".terraformrc"
    if config.is_file():
        for path in re.findall(r'^\s*path\s*=\s*"([^"$]+)"', config.read_text(errors="replace"), re.MULTILINE):
            yield Path(path).expanduser()


def _probe(folder: Path, environment: dict[str, str]) -> str | None:
    """Return why `terraform init` with the project's version ranges fails, None when it works."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "versions.tf", folder)
    quick = {"TF_REGISTRY_CLIENT_TIMEOUT": "5", "TF_REGISTRY_DISCOVERY_RETRY": "0", "CHECKPOINT_DISABLE": "1"}
    try:
        result = subprocess.run(
            ["terraform", "init", "-input=false", "-no-color", "-backend=false"],
            cwd=folder,
            env=neutral_environment() | quick | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PROBE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {PROBE_SECONDS} s"
    return None if result.returncode == 0 else " ".join(result.stderr.split())[-600:]


def _downloads(probe: Path) -> Path | None:
    """Return the folder of the providers that a probe downloaded; None where it only linked to a mirror's."""
    folder = probe / ".terraform" / "providers"
    return folder if any(not package.is_symlink() for package in folder.glob("*/*/*/*/*")) else None


def _version(probe: Path) -> str:
    versions = sorted(folder.name for folder in (probe / ".terraform" / "providers" / DOCKER).glob("*"))
    return versions[-1] if versions else ""
