"""Taking a sandbox away: whatever there is of it, and nothing of anybody else's."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox import base_image, emulator, engine
from sandbox.emulator import Emulator
from sandbox.paths import SANDBOXES


@dataclass(frozen=True)
class Removed:
    """What there was of a sandbox: whether its emulator ran, how many containers and images, whether the engine went, too."""

    emulator: bool
    containers: int
    images: int
    engine: bool


def remove(home: Path, port: int | None) -> Removed:
    """Remove the sandbox with this folder and port; the engine with it, if a sandbox started that and no other uses it.

    Without a port, no emulator ever ran there.
    """
    stopped = emulator.stop(home)
    containers = images = 0
    if port is not None and engine.find() is not None:
        containers = engine.remove_containers(Emulator(port, home).instance)
        images = engine.remove_images(f"localhost:{port}/")
    released = engine.release(home)
    shutil.rmtree(home, ignore_errors=True)
    left = engine.find()
    # In an engine of a sandbox's own, which still runs for another one, they are that one's, too.
    if left is not None and left.home is None and not running():
        images += base_image.remove()
    if not any(f.is_dir() for f in SANDBOXES.glob("*")):
        shutil.rmtree(SANDBOXES, ignore_errors=True)
    return Removed(stopped, containers, images, released)


def running() -> list[Path]:
    """Return the folders of this clone's sandboxes, those of test runs included, whose emulators run."""
    return [folder for folder in SANDBOXES.glob("*") if emulator.running(folder) is not None]


def port_of(home: Path) -> int | None:
    """Return the port that the sandbox with this folder had last, running or not."""
    with suppress(OSError, ValueError, IndexError):
        return int((home / "emulator.pid").read_text().split()[1])
    return None
