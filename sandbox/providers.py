"""Where Terraform's providers come from: the real ones wherever they can be had, the stand-in for Docker's only where not."""

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
# The implied mirrors of Terraform and of OpenTofu first, then places where images and packages commonly put one.
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
    tool = terraform.find()
    own = home / "providers" / "own"
    refusal = _probe(own, tool, {})
    if refusal is None:
        found_by_itself = f"real {_version(own, tool)}, found by {tool.product.name} itself"
        return Providers(None, found_by_itself, _downloads(own))
    found = list(_usual_mirrors() if mirrors is None else mirrors)
    of_aws = _mirrors_of(AWS, found, tool, home)
    if not of_aws:
        raise SandboxError(
            f"{tool.product.name} cannot get the provider {tool.product.registry}/{AWS}: its registry does not answer, "
            "and no folder laid out as a mirror holds it.\n"
            f"Let this machine reach the registry, or put a mirror (terraform providers mirror) into {MIRRORS[0]}.\n"
            f"{tool.product.name} says: {refusal}"
        )
    stand_in = home / "mirror"
    # A mirror may hold a version that the module does not take; the next one is tried then.
    for docker in [*_mirrors_of(DOCKER, found, tool, home), stand_in]:
        if docker == stand_in:
            docker_provider.install(stand_in, f"{tool.product.registry}/{DOCKER}")
        for aws in of_aws:
            config = home / "terraform.rc"
            config.write_text(_configuration(tool.product.registry, {"hashicorp/*": aws, "kreuzwerker/*": docker}))
            candidate = home / "providers" / "found"
            refusal = _probe(candidate, tool, {"TF_CLI_CONFIG_FILE": str(config)})
            if refusal is None:
                version = _version(candidate, tool)
                return Providers(
                    config, f"stand-in for {version}" if docker == stand_in else f"real {version}, from {docker}"
                )
    raise SandboxError(
        f"{tool.product.name} cannot use the providers found under {', '.join(map(str, of_aws))}, "
        f"with none of its Docker providers: {refusal}"
    )


def _configuration(registry: str, sources: dict[str, Path]) -> str:
    """Return a CLI configuration. Terraform follows no links to folders in a mirror, so each source is a mirror of its own."""
    blocks = "".join(
        f'  filesystem_mirror {{\n    path    = "{path}"\n    include = ["{registry}/{pattern}"]\n  }}\n'
        for pattern, path in sources.items()
    )
    return f"provider_installation {{\n{blocks}}}\n"


def _mirrors_of(provider: str, mirrors: Iterable[Path], tool: Terraform, home: Path) -> list[Path]:
    """Return the mirrors that hold a provider.

    Terraform's registry and OpenTofu's have the same packages: what a mirror holds under the one's name only is linked to under
    the other's, in a mirror of our own.
    """
    found = []
    for number, mirror in enumerate(mirrors):
        if (mirror / tool.product.registry / provider).is_dir():
            found.append(mirror)
            continue
        for other in REGISTRIES:
            if (mirror / other / provider).is_dir():
                links = home / "providers" / "linked" / f"{provider.replace('/', '-')}-{number}"
                _link(mirror / other / provider, links / tool.product.registry / provider)
                found.append(links)
    return found


def _link(packages: Path, into: Path) -> None:
    """Link to a provider's packages, one by one: `VERSION/PLATFORM` when unpacked, else archives."""
    shutil.rmtree(into, ignore_errors=True)
    for package in [*packages.glob("*/*"), *packages.glob("*.zip")]:
        link = into / package.relative_to(packages)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(package)


def _usual_mirrors() -> Iterable[Path]:
    yield from _own_mirrors()
    for mirror in MIRRORS:
        yield Path(mirror).expanduser()
    # One level down at most: a search, not a walk over the whole disk.
    for root in (Path("/opt"), Path("/usr/local"), Path("/srv"), Path.home()):
        for registry in REGISTRIES:
            for folder in sorted(root.glob(f"*/{registry}")):
                yield folder.parent


def _own_mirrors() -> Iterable[Path]:
    """Yield the mirrors of the user's own CLI configuration: good for one provider where not for both."""
    named = os.environ.get("TF_CLI_CONFIG_FILE")
    for config in [Path(named)] if named else [Path.home() / name for name in (".tofurc", ".terraformrc")]:
        if config.is_file():
            for path in re.findall(r'^\s*path\s*=\s*"([^"$]+)"', config.read_text(errors="replace"), re.MULTILINE):
                yield Path(path).expanduser()


def _probe(folder: Path, tool: Terraform, environment: dict[str, str]) -> str | None:
    """Return why `terraform init` with the project's version ranges fails, None when it works."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "versions.tf", folder)
    quick = {"TF_REGISTRY_CLIENT_TIMEOUT": "5", "TF_REGISTRY_DISCOVERY_RETRY": "0", "CHECKPOINT_DISABLE": "1"}
    try:
        result = subprocess.run(
            [tool.program, "init", "-input=false", "-no-color", "-backend=false"],
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


def _version(probe: Path, tool: Terraform) -> str:
    packages = probe / ".terraform" / "providers" / tool.product.registry / DOCKER
    versions = sorted(folder.name for folder in packages.glob("*"))
    return versions[-1] if versions else ""
