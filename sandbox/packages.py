"""Debian packages that the sandbox needs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.progress import Step

POLICY = Path("/usr/sbin/policy-rc.d")


def may_install() -> bool:
    """Whether this is Debian or a derivative, and we are root."""
    return shutil.which("apt-get") is not None and os.geteuid() == 0


def has_systemd() -> bool:
    """Whether systemd is running: it starts the services of installed packages."""
    return Path("/run/systemd/system").exists()


def install(names: list[str], record: Path, step: Step) -> None:
    """Install the missing packages with apt, and add their names to `record`.

    SandboxError, with the end of apt's output, when that fails.
    """
    missing = [name for name in names if not _installed(name)]
    if not missing:
        return
    step.say(f"installing Debian packages: {' '.join(missing)}")
    with _without_service_start():
        _apt("update", "--quiet=2")
        wait = "DPkg::Lock::Timeout=300"
        _apt("install", "--quiet=2", "--yes", "--no-install-recommends", "--option", wait, *missing)
    record.parent.mkdir(parents=True, exist_ok=True)
    recorded = record.read_text().split() if record.exists() else []
    record.write_text("\n".join(sorted({*recorded, *missing})) + "\n")


def _installed(name: str) -> bool:
    query = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", name],
        capture_output=True,
        text=True,
        check=False,
    )
    return query.stdout == "installed"


def _apt(*arguments: str) -> None:
    result = subprocess.run(
        ["apt-get", *arguments],
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise SandboxError(f"apt-get {' '.join(arguments)} failed:\n{(result.stdout + result.stderr)[-2000:]}")


@contextmanager
def _without_service_start() -> Iterator[None]:
    """Keep packages from starting their services; the sandbox starts its own, with its own folders."""
    if POLICY.exists() or has_systemd():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
