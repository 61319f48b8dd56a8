"""The build's base image: AWS's if its registry is reachable, or else a stand-in built from Debian packages."""

from __future__ import annotations

import hashlib
import http.client
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sandbox import engine, packages
from sandbox.engine import PACKAGES, docker
from sandbox.errors import SandboxError
from sandbox.lock import machine_lock
from sandbox.paths import ROOT, SANDBOXES
from sandbox.progress import Step

REAL = "public.ecr.aws/lambda/python:3.13"
STAND_IN = "lambda-python-stand-in:3.13"
PYTHON = "3.13"
SUITE = "trixie"  # the Debian release whose python3 is PYTHON
# Roughly the content of AWS's image: a shell, the libraries that wheels link against, and Python with its dependencies.
CONTENT = (
    *("base-files", "base-passwd", "bash", "coreutils", "dash", "grep", "gzip", "libc-bin", "sed", "tar"),
    *("libgcc-s1", "libstdc++6", "zlib1g", "python3"),
)
RECIPE_LABEL = "lambda-container-sandbox.recipe"
REQUIREMENTS = ROOT / "requirements"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# Exists if the sandbox pulled AWS's image, and so must remove it.
PULLED = SANDBOXES / "pulled"
TIMEOUT_SECONDS = 5

# As in AWS's image: without a Runtime API, the Runtime Interface Emulator provides one.
ENTRYPOINT = """#!/bin/sh
if [ -z "$AWS_LAMBDA_RUNTIME_API" ]; then
  exec /usr/local/bin/aws-lambda-rie /usr/bin/python3 -m awslambdaric "$@"
fi
exec /usr/bin/python3 -m awslambdaric "$@"
"""
PIP = """#!/bin/sh
exec /usr/bin/python3 -m pip "$@"
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
    """Return AWS's image if the engine has it or can pull it, or else the stand-in, built if needed.

    Raises SandboxError when neither is available.
    """
    with machine_lock():
        if _present(REAL) or _pull(REAL, step):
            return BaseImage(REAL, "real")
        recipe = _recipe()
        if _label(STAND_IN) != recipe:
            step.say(f"{REAL} is not available: building a stand-in from Debian packages, about 30 s")
            _build(recipe, step)
        return BaseImage(STAND_IN, "stand-in")


def remove() -> int:
    """Remove the images that `ensure` pulled or built, and return how many."""
    with machine_lock():
        count = engine.remove_images(STAND_IN.partition(":")[0])
        engine.remove_unnamed_images(RECIPE_LABEL)
        if PULLED.exists():
            count += engine.remove_images(REAL.partition(":")[0])
            PULLED.unlink()
        return count


def _present(reference: str) -> bool:
    result = subprocess.run(["docker", "image", "inspect", reference], capture_output=True, check=False)
    return result.returncode == 0


def _label(reference: str) -> str | None:
    if not _present(reference):
        return None
    return docker("image", "inspect", "--format", f'{{{{index .Config.Labels "{RECIPE_LABEL}"}}}}', reference).strip()


def _pull(reference: str, step: Step) -> bool:
    registry = reference.partition("/")[0]
    if not _reachable(registry):
        return False
    step.say(f"pulling {reference}")
    result = subprocess.run(["docker", "pull", "--quiet", reference], capture_output=True, text=True, check=False)
    if result.returncode:
        step.say(f"{registry} is reachable, but the engine cannot pull from it: {result.stderr.strip()}")
        return False
    PULLED.parent.mkdir(parents=True, exist_ok=True)
    PULLED.touch()
    return True


def _reachable(registry: str) -> bool:
    """Whether a registry is reachable. Without a network, a pull, and even a DNS lookup, may hang."""
    reachable = threading.Event()

    def request() -> None:
        try:
            urllib.request.urlopen(f"https://{registry}/v2/", timeout=TIMEOUT_SECONDS).close()
        except urllib.error.HTTPError:
            reachable.set()  # such as 401: it is reachable
        except (OSError, http.client.HTTPException):
            pass
        else:
            reachable.set()

    thread = threading.Thread(target=request, daemon=True)
    thread.start()
    thread.join(TIMEOUT_SECONDS)
    return reachable.is_set()


def _recipe() -> str:
    """Return a hash of the stand-in's inputs, so that a change rebuilds it."""
    parts = [Path(__file__), REQUIREMENTS / "base-image.txt", REQUIREMENTS / "base-image-emulator.txt"]
    if _certificates().exists():
        parts.append(_certificates())
    return hashlib.sha256(b"".join(part.read_bytes() for part in parts) + _pip_index().encode()).hexdigest()


def _build(recipe: str, step: Step) -> None:
    if not packages.may_install():
        raise SandboxError(
            f"{REAL} cannot be pulled, and building a stand-in needs mmdebstrap and root on Debian or Ubuntu.\n"
            f"Give the engine access to {REAL.partition('/')[0]}, or load the image into it: docker load, docker pull."
        )
    packages.install(["debian-archive-keyring", "mmdebstrap"], PACKAGES, step)
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
    """Unpack Debian's Python and a shell, from the mirror that this machine's apt uses.

    Packages are only extracted, which is enough for an image; configuring them takes ten times as long.
    """
    result = subprocess.run(
        [
            "mmdebstrap",
            "--mode=root",
            "--variant=extract",
            f"--include={','.join(CONTENT)}",
            SUITE,
            str(root),
            *_mirror(),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise SandboxError(f"mmdebstrap failed:\n{(result.stdout + result.stderr)[-2000:]}")
    for name in ("group", "passwd"):
        shutil.copy(root / f"usr/share/base-passwd/{name}.master", root / f"etc/{name}")


def _mirror() -> list[str]:
    """Return apt's mirror for this Debian release, or nothing, for mmdebstrap's default."""
    system = platform.freedesktop_os_release()
    if system["ID"] != "debian":
        return []
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    own = f"{system.get('VERSION_CODENAME')} main "
    return [target.removeprefix(own) for target in targets if target.startswith(own)][:1]


def _runtime(folder: Path) -> None:
    """Download AWS's runtime client, pip and the Runtime Interface Emulator from PyPI, pinned by hash."""
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
        "--no-compile",
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
    """Return the package index that pip is configured with, empty for the default."""
    if index := os.environ.get("PIP_INDEX_URL"):
        return index
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _certificates() -> Path:
    """Return this machine's CA bundle."""
    bundle = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    return Path(bundle) if bundle else CERTIFICATES


def _assemble(root: Path, runtime: Path) -> None:
    """Arrange the files as in AWS's image. Adds this machine's CA bundle, since its network may intercept TLS."""
    for unneeded in ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt"):
        shutil.rmtree(root / unneeded, ignore_errors=True)
    for folder in ("usr/local/bin", "var/runtime", "var/task"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    shutil.copytree(runtime / "packages", root / f"usr/local/lib/python{PYTHON}/dist-packages", dirs_exist_ok=True)
    shutil.copy(runtime / "aws-lambda-rie", root / "usr/local/bin/aws-lambda-rie")
    (root / "usr/local/bin/aws-lambda-rie").chmod(0o755)
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    for path, script in (("lambda-entrypoint.sh", ENTRYPOINT), ("usr/local/bin/pip", PIP)):
        (root / path).write_text(script)
        (root / path).chmod(0o755)
    # Debian's marker against pip, which installs the packages in this image.
    (root / f"usr/lib/python{PYTHON}/EXTERNALLY-MANAGED").unlink(missing_ok=True)
    settings = ["[global]"]
    if _certificates().exists():
        inside = root / CERTIFICATES.relative_to("/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(_certificates(), inside)
        settings.append(f"cert = {CERTIFICATES}")
    if index := _pip_index():
        settings.append(f"index-url = {index}")
    (root / "etc/pip.conf").write_text("\n".join(settings) + "\n")
    # A function's user cannot write bytecode, so every start would compile the library again.
    libraries = [f"/usr/lib/python{PYTHON}", f"/usr/local/lib/python{PYTHON}"]
    compiling = ["/usr/bin/python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", *libraries]
    subprocess.run(["chroot", str(root), *compiling], capture_output=True, check=True)
