"""Remove a sandbox, even a partial one, and nothing else."""

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
    """What was removed: whether the emulator was running, counts of containers and images, whether the engine was stopped."""

    emulator: bool
    containers: int
    images: int
    engine: bool


def remove(home: Path, port: int | None) -> Removed:
    """Remove the sandbox with this folder and port, and the engine if a sandbox started it and no other uses it.

    `port` is None if no emulator ever ran there.
    """
    stopped = emulator.stop(home)
    containers = images = 0
    if port is not None and engine.find() is not None:
        containers = engine.remove_containers(Emulator(port, home).instance)
        images = engine.remove_images(f"localhost:{port}/")
    released = engine.release(home)
    shutil.rmtree(home, ignore_errors=True)
    remaining = engine.find()
    # If a sandbox's engine still runs, another sandbox uses it, with the base image. Clones share both.
    if remaining is not None and remaining.home is None and not emulator.any_running():
        images += base_image.remove()
    if not any(f.is_dir() for f in SANDBOXES.glob("*")):
        shutil.rmtree(SANDBOXES, ignore_errors=True)
    return Removed(stopped, containers, images, released)


def running() -> list[Path]:
    """Return the folders of this clone's sandboxes, test runs included, whose emulator is running."""
    return [folder for folder in SANDBOXES.glob("*") if emulator.running(folder) is not None]


def port_of(home: Path) -> int | None:
    """Return the last port of the sandbox in this folder, running or not."""
    with suppress(OSError, ValueError, IndexError):
        return int((home / "emulator.pid").read_text().split()[1])
    return None
