"""Chromium for the browser tests: the installed one, or Debian's."""

from __future__ import annotations

import shutil

from sandbox import packages
from sandbox.engine import PACKAGES
from sandbox.errors import SandboxError
from sandbox.lock import machine_lock
from sandbox.progress import Step

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def ensure(step: Step) -> str:
    """Return the path of Chromium, and install Debian's if needed and permitted. SandboxError when there is none."""
    with machine_lock():
        if find() is None and packages.may_install():
            packages.install(["chromium"], PACKAGES, step)
        path = find()
    if path is None:
        raise SandboxError(f"the browser tests need Chromium, and none is on PATH ({', '.join(NAMES)}): install it.")
    return path


def find() -> str | None:
    """Return the path of the first Chromium on PATH, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)
