"""What the tests share: one emulator on a port of its own, one engine, one base image, one decision about providers.

They belong to the whole run, pytest-xdist's workers included: the first process sets up and takes down, the others find.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox import base_image as base_images
from sandbox import browser as browsers
from sandbox import emulator as emulators
from sandbox import engine as engines
from sandbox import providers as provider_sources
from sandbox.base_image import BaseImage
from sandbox.emulator import ROOT, Emulator
from sandbox.engine import Engine
from sandbox.progress import Step
from sandbox.providers import Providers

pytest_plugins = ["tests.harness.pytest_plugin"]

HOME = "LAMBDA_CONTAINER_API_TESTS"


def _home() -> Path:
    return Path(os.environ[HOME])


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    """Start the emulator, a second's work, and let the workers inherit where it is."""
    if not _is_worker(config) and not config.option.collectonly:
        home = ROOT / ".sandbox" / f"tests-{os.getpid()}"
        emulators.start(home, emulators.free_port())
        os.environ[HOME] = str(home)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind, after failures and interruptions too."""
    if _is_worker(config) or HOME not in os.environ:
        return
    home = _home()
    port = emulators.running(home)
    emulators.stop(home)
    if engines.find() is not None and port is not None:
        engines.remove_containers(Emulator(port, home).instance)
        engines.remove_images(f"localhost:{port}/")
    engines.release(home)
    shutil.rmtree(home, ignore_errors=True)
    del os.environ[HOME]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which parts were real, which stood in for something, and what tests have noted."""
    notes = _home() / "notes" if HOME in os.environ else None
    if notes and notes.exists():
        terminalreporter.section("what the tests ran on, and what they counted")
        for line in sorted(set(notes.read_text().splitlines())):
            terminalreporter.line(line)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with (_home() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _note(text: str) -> None:
    with (_home() / "notes").open("a") as notes:
        notes.write(f"{text}\n")


@pytest.fixture(scope="session")
def emulator() -> Emulator:
    """The run's emulator of AWS."""
    home = _home()
    port = emulators.running(home)
    assert port is not None, f"the emulator is gone; its log: {home / 'emulator.log'}"
    return Emulator(port, home)


@pytest.fixture(scope="session")
def engine(emulator: Emulator) -> Engine:
    """The Docker engine: the one that runs, or one started for the run. Without any, the tests that need one fail."""
    if os.environ.get("SKIP_ENGINE"):
        pytest.skip("SKIP_ENGINE is set")
    with _one_at_a_time():
        found = engines.ensure(emulator.home, Step("Docker engine"))
    _note(f"Docker engine: {found.version}")
    return found


@pytest.fixture(scope="session")
def base_image(engine: Engine) -> BaseImage:
    """The base image: AWS's, or the stand-in for it."""
    with _one_at_a_time():
        image = base_images.ensure(Step("Base image"))
    _note(f"base image: {image.reference} ({image.kind})")
    return image


@pytest.fixture(scope="session")
def providers(emulator: Emulator) -> Providers:
    """Where Terraform's providers come from."""
    with _one_at_a_time():
        found = provider_sources.configure(emulator.home)
    _note(f"Docker provider: {found.docker}")
    return found


@pytest.fixture(scope="session")
def terraform_environment(emulator: Emulator, providers: Providers) -> Mapping[str, str]:
    """What every Terraform command of the harness gets."""
    return emulator.environment() | providers.environment()


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium: the one that is installed, or Debian's, installed now."""
    with _one_at_a_time():
        return browsers.ensure(Step("Chromium"))


@pytest.fixture(scope="session")
def note(emulator: Emulator) -> Callable[[str], None]:
    """Put a line, a count for one, under the run's summary."""
    return _note
