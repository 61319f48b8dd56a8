"""Where Terraform's providers come from: the real ones if available, or else a stand-in for the Docker provider."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sandbox import docker_provider, terraform
from sandbox.emulator import neutral_environment
from sandbox.errors import SandboxError
from sandbox.paths import ROOT
from sandbox.terraform import PRODUCTS, Terraform

AWS = "hashicorp/aws"
DOCKER = "kreuzwerker/docker"
REGISTRIES = [product.registry for product in PRODUCTS.values()]
PROBE_SECONDS = 300  # a first download of the AWS provider is several hundred megabytes
# The implied mirrors of Terraform and OpenTofu, then common locations in images and packages.
MIRRORS = (
    "~/.terraform.d/plugins",
    "~/.local/share/terraform/plugins",
    "~/.local/share/opentofu/plugins",
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
    "/usr/share/terraform",
    "/usr/local/share/terraform",
    "/opt/terraform",
)


@dataclass(frozen=True)
class Providers:
    """The selected sources: the CLI configuration (None for the user's own), and a description of the Docker provider."""

    config: Path | None
    docker: str
    downloads: Path | None = None  # plugin cache with what was downloaded

    @property
    def stand_in(self) -> bool:
        """Whether the Docker provider is the stand-in."""
        return self.docker.startswith("stand-in")

    def environment(self) -> dict[str, str]:
        """Return the environment variables for Terraform."""
        variables = {"TF_CLI_CONFIG_FILE": str(self.config)} if self.config else {}
        if self.downloads and "TF_PLUGIN_CACHE_DIR" not in os.environ:
            variables["TF_PLUGIN_CACHE_DIR"] = str(self.downloads)
            variables["TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE"] = "1"
        return variables


def configure(home: Path, mirrors: Iterable[Path] | None = None) -> Providers:
    """Select the sources of the providers, and write a CLI configuration to `home` if one is needed.

    In order: what Terraform finds by itself (the user's CLI configuration, implied local mirrors, the registry), then mirrors
    in the usual folders, and last, for the Docker provider only, the stand-in. SandboxError when the AWS provider is not
    available.
    """
    tool = terraform.find()
    own = home / "providers" / "own"
    reason = _probe(own, tool, {})
    if reason is None:
        description = f"real {_version(own, tool)}, found by {tool.product.name} itself"
        return Providers(None, description, _downloads(own))
    candidates = list(_usual_mirrors() if mirrors is None else mirrors)
    aws_mirrors = _mirrors_of(AWS, candidates, tool, home)
    if not aws_mirrors:
        raise SandboxError(
            f"{tool.product.name} cannot get the provider {tool.product.registry}/{AWS}: its registry is unreachable, "
            "and no mirror has it.\n"
            f"Give this machine access to the registry, or create a mirror (terraform providers mirror) in {MIRRORS[0]}.\n"
            f"{tool.product.name} printed: {reason}"
        )
    stand_in = home / "mirror"
    # A mirror may have only versions that the module does not support; then try the next one.
    for docker in [*_mirrors_of(DOCKER, candidates, tool, home), stand_in]:
        if docker == stand_in:
            docker_provider.install(stand_in, f"{tool.product.registry}/{DOCKER}")
        for aws in aws_mirrors:
            config = home / "terraform.rc"
            config.write_text(_configuration(tool.product.registry, {"hashicorp/*": aws, "kreuzwerker/*": docker}))
            root = home / "providers" / "found"
            reason = _probe(root, tool, {"TF_CLI_CONFIG_FILE": str(config)})
            if reason is None:
                version = _version(root, tool)
                return Providers(
                    config, f"stand-in for {version}" if docker == stand_in else f"real {version}, from {docker}"
                )
    raise SandboxError(
        f"{tool.product.name} cannot use the AWS provider in {', '.join(map(str, aws_mirrors))} "
        f"with any of the Docker providers: {reason}"
    )


def _configuration(registry: str, sources: dict[str, Path]) -> str:
    """Return a CLI configuration with one mirror per source: Terraform does not follow symlinks to folders in a mirror."""
    blocks = "".join(
        f'  filesystem_mirror {{\n    path    = "{path}"\n    include = ["{registry}/{pattern}"]\n  }}\n'
        for pattern, path in sources.items()
    )
    return f"provider_installation {{\n{blocks}}}\n"


def _mirrors_of(provider: str, mirrors: Iterable[Path], tool: Terraform, home: Path) -> list[Path]:
    """Return the mirrors that have a provider.

    The registries of Terraform and OpenTofu have the same packages. A mirror that has them only under the other registry's
    host name is linked into a mirror of our own, under the right one.
    """
    matching = []
    for number, mirror in enumerate(mirrors):
        if (mirror / tool.product.registry / provider).is_dir():
            matching.append(mirror)
            continue
        for other in REGISTRIES:
            if (mirror / other / provider).is_dir():
                links = home / "providers" / "linked" / f"{provider.replace('/', '-')}-{number}"
                _link(mirror / other / provider, links / tool.product.registry / provider)
                matching.append(links)
    return matching


def _link(packages: Path, into: Path) -> None:
    """Symlink each of a provider's packages: `VERSION/PLATFORM` when unpacked, or archives."""
    shutil.rmtree(into, ignore_errors=True)
    for package in [*packages.glob("*/*"), *packages.glob("*.zip")]:
        link = into / package.relative_to(packages)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(package)


def _usual_mirrors() -> Iterable[Path]:
    yield from _own_mirrors()
    for mirror in MIRRORS:
        yield Path(mirror).expanduser()
    # One level deep only, so as not to walk the whole disk.
    for root in (Path("/opt"), Path("/usr/local"), Path("/srv"), Path.home()):
        for registry in REGISTRIES:
            for folder in sorted(root.glob(f"*/{registry}")):
                yield folder.parent


def _own_mirrors() -> Iterable[Path]:
    """Yield the mirrors in the user's CLI configuration, which may have only one of the providers."""
    configured = os.environ.get("TF_CLI_CONFIG_FILE")
    for config in [Path(configured)] if configured else [Path.home() / name for name in (".tofurc", ".terraformrc")]:
        if config.is_file():
            for path in re.findall(r'^\s*path\s*=\s*"([^"$]+)"', config.read_text(errors="replace"), re.MULTILINE):
                yield Path(path).expanduser()


def _probe(folder: Path, tool: Terraform, environment: dict[str, str]) -> str | None:
    """Return why `terraform init` fails with the project's version constraints, or None if it succeeds."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "versions.tf", folder)
    limits = {"TF_REGISTRY_CLIENT_TIMEOUT": "5", "TF_REGISTRY_DISCOVERY_RETRY": "0", "CHECKPOINT_DISABLE": "1"}
    try:
        result = subprocess.run(
            [tool.program, "init", "-input=false", "-no-color", "-backend=false"],
            cwd=folder,
            env=neutral_environment() | limits | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PROBE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"timed out after {PROBE_SECONDS} s"
    return None if result.returncode == 0 else " ".join(result.stderr.split())[-600:]


def _downloads(probe: Path) -> Path | None:
    """Return the folder of the providers that a probe downloaded, or None if it only linked to a mirror."""
    folder = probe / ".terraform" / "providers"
    return folder if any(not package.is_symlink() for package in folder.glob("*/*/*/*/*")) else None


def _version(probe: Path, tool: Terraform) -> str:
    packages = probe / ".terraform" / "providers" / tool.product.registry / DOCKER
    versions = sorted(folder.name for folder in packages.glob("*"))
    return versions[-1] if versions else ""
