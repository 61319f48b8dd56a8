"""The base image of the build: AWS's own where its registry answers, else a stand-in made from Debian's packages."""

from __future__ import annotations

import hashlib
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sandbox import packages
from sandbox.emulator import ROOT
from sandbox.engine import PACKAGES, docker
from sandbox.errors import SandboxError
from sandbox.progress import Step

REAL = "public.ecr.aws/lambda/python:3.13"
STAND_IN = "lambda-python-stand-in:3.13"
PYTHON = "3.13"
SUITE = "trixie"  # the Debian release whose python3 is PYTHON
RECIPE_LABEL = "lambda-container-sandbox.recipe"
REQUIREMENTS = ROOT / "requirements"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
ANSWER_SECONDS = 5

# As in AWS's image: without a Runtime API to talk to, the emulator provides one.
ENTRYPOINT = """#!/bin/sh
if [ -z "$AWS_LAMBDA_RUNTIME_API" ]; then
  exec /usr/local/bin/aws-lambda-rie /usr/bin/python3 -m awslambdaric "$@"
fi
exec /usr/bin/python3 -m awslambdaric "$@"
"""
CHANGES = [
    'ENTRYPOINT ["/lambda-entrypoint.sh"]',
    "ENV LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime LANG=en_US.UTF-8 TZ=:/etc/localtime",
    "ENV PATH=/usr/local/bin:/usr/bin:/bin",
    "WORKDIR /var/task",
]


@dataclass(frozen=True)
class BaseImage:
    """A base image that the engine can build from."""

    reference: str
    kind: Literal["real", "stand-in"]


def ensure(step: Step) -> BaseImage:
    """Return AWS's image if the engine has it or its registry answers, else the stand-in, made now where it is missing.

    Raises SandboxError where neither can be had.
    """
    if _present(REAL) or (_answers(REAL) and _pull(REAL)):
        return BaseImage(REAL, "real")
    recipe = _recipe()
    if _label(STAND_IN) != recipe:
        step.say(f"{REAL.partition('/')[0]} does not answer: making a stand-in from Debian's packages, about a minute")
        _make(recipe, step)
    return BaseImage(STAND_IN, "stand-in")


def _present(reference: str) -> bool:
    found = subprocess.run(["docker", "image", "inspect", reference], capture_output=True, check=False)
    return found.returncode == 0


def _label(reference: str) -> str | None:
    if not _present(reference):
        return None
    return docker("image", "inspect", "--format", f'{{{{index .Config.Labels "{RECIPE_LABEL}"}}}}', reference).strip()


def _answers(reference: str) -> bool:
    """Tell whether the registry can be reached at all; a pull without a network may hang for minutes."""
    try:
        socket.create_connection((reference.partition("/")[0], 443), timeout=ANSWER_SECONDS).close()
    except OSError:
        return False
    return True


def _pull(reference: str) -> bool:
    return subprocess.run(["docker", "pull", "--quiet", reference], capture_output=True, check=False).returncode == 0


def _recipe() -> str:
    """Return a hash over all that the stand-in is made from, so that it is made again when that changes."""
    parts = [Path(__file__), REQUIREMENTS / "base-image.txt", REQUIREMENTS / "base-image-emulator.txt"]
    if CERTIFICATES.exists():
        parts.append(CERTIFICATES)
    return hashlib.sha256(b"".join(part.read_bytes() for part in parts) + _pip_index().encode()).hexdigest()


def _make(recipe: str, step: Step) -> None:
    if not packages.may_install():
        raise SandboxError(
            f"{REAL} cannot be pulled, and the stand-in for it is made with debootstrap, as root on Debian or Ubuntu.\n"
            f"Let the engine reach {REAL.partition('/')[0]}, or load the image into it: docker load, docker pull."
        )
    packages.install(["debootstrap", "debian-archive-keyring"], PACKAGES, step)
    with tempfile.TemporaryDirectory(prefix="lambda-base-image-") as folder:
        root = Path(folder) / "root"
        runtime = Path(folder) / "runtime"
        with ThreadPoolExecutor() as pool:
            system = pool.submit(_debian, root)
            pool.submit(_runtime, runtime).result()
            system.result()
        _assemble(root, runtime)
        changes = [*CHANGES, f"LABEL {RECIPE_LABEL}={recipe}"]
        with subprocess.Popen(["tar", "--directory", str(root), "--create", "."], stdout=subprocess.PIPE) as archive:
            subprocess.run(
                ["docker", "import", *(word for c in changes for word in ("--change", c)), "-", STAND_IN],
                stdin=archive.stdout,
                stdout=subprocess.DEVNULL,
                check=True,
            )


def _debian(root: Path) -> None:
    """Unpack the least of a Debian release with its python3, from the mirror that this machine's apt uses."""
    result = subprocess.run(
        ["debootstrap", "--variant=minbase", "--include=python3", SUITE, str(root), *_mirror()],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise SandboxError(f"debootstrap failed:\n{(result.stdout + result.stderr)[-2000:]}")


def _mirror() -> list[str]:
    """Return the first Debian mirror of apt's configuration; none (debootstrap's default) where apt has no Debian's."""
    if "ID=debian" not in Path("/etc/os-release").read_text().splitlines():
        return []
    uris = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return uris[:1]


def _runtime(folder: Path) -> None:
    """Fetch AWS's runtime client, pip and the Runtime Interface Emulator from PyPI, by their hashes."""
    machine = platform.machine()
    _pip(
        "install",
        "--requirement",
        str(REQUIREMENTS / "base-image.txt"),
        "--target",
        str(folder / "packages"),
        "--python-version",
        PYTHON,
        "--only-binary=:all:",
        *(f"--platform={tag}_{machine}" for tag in ("manylinux2014", "manylinux_2_28", "manylinux_2_34")),
    )
    _pip(
        "download",
        "--requirement",
        str(REQUIREMENTS / "base-image-emulator.txt"),
        "--no-deps",
        "--dest",
        str(folder),
    )
    (wheel,) = folder.glob("aws_sam_cli-*.whl")
    binary = {"x86_64": "x86_64", "aarch64": "arm64"}[machine]
    with zipfile.ZipFile(wheel) as archive:
        (folder / "aws-lambda-rie").write_bytes(archive.read(f"samcli/local/rapid/aws-lambda-rie-{binary}"))


def _pip(*arguments: str) -> None:
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            *arguments,
            "--quiet",
            "--require-hashes",
            "--disable-pip-version-check",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise SandboxError(f"pip {arguments[0]} failed:\n{result.stderr[-2000:]}")


def _pip_index() -> str:
    """Return the package index that this machine's pip is set to, empty for the default."""
    result = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout.strip()


def _assemble(root: Path, runtime: Path) -> None:
    """Lay the image out as AWS's is, with this machine's certificates, since its network may intercept TLS."""
    for waste in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(root / waste, ignore_errors=True)
    shutil.copytree(runtime / "packages", root / f"usr/local/lib/python{PYTHON}/dist-packages", dirs_exist_ok=True)
    shutil.copy(runtime / "aws-lambda-rie", root / "usr/local/bin/aws-lambda-rie")
    (root / "usr/local/bin/aws-lambda-rie").chmod(0o755)
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    (root / "lambda-entrypoint.sh").write_text(ENTRYPOINT)
    (root / "lambda-entrypoint.sh").chmod(0o755)
    for folder in ("var/task", "var/runtime"):
        (root / folder).mkdir(parents=True)
    # Debian's mark that pip must keep out; in this image pip is what installs.
    (root / f"usr/lib/python{PYTHON}/EXTERNALLY-MANAGED").unlink(missing_ok=True)
    settings = ["[global]"]
    if CERTIFICATES.exists():
        inside = root / CERTIFICATES.relative_to("/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CERTIFICATES, inside)
        settings.append(f"cert = {CERTIFICATES}")
    if index := _pip_index():
        settings.append(f"index-url = {index}")
    (root / "etc/pip.conf").write_text("\n".join(settings) + "\n")
