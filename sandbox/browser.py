"""A Chromium for the tests that look at a page: the one that is installed, or Debian's."""

from __future__ import annotations

import shutil

from sandbox import packages
from sandbox.engine import PACKAGES
from sandbox.errors import SandboxError
from sandbox.lock import alone
from sandbox.progress import Step

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def ensure(step: Step) -> str:
    """Return the path of a Chromium, installing Debian's where there is none and it may; SandboxError otherwise."""
    with alone():
        if find() is None and packages.may_install():
            packages.install(["chromium"], PACKAGES, step)
        path = find()
    if path is None:
        raise SandboxError(
            f"no Chromium is on PATH (looked for {', '.join(NAMES)}), and the browser tests need one: install it."
        )
    return path


def find() -> str | None:
    """Return the path of the first Chromium on PATH, None when there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)
