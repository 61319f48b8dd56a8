"""What the tests share: one emulator on a port of its own, one engine, one base image, one decision about providers.

They belong to the whole run, pytest-xdist's workers included: the first process sets up and takes down, the others find.
"""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from harness import Diagnostic, Plan, Root
from sandbox import base_image as base_images
from sandbox import browser as browsers
from sandbox import emulator as emulators
from sandbox import engine as engines
from sandbox import overrides, paths, removal
from sandbox import providers as provider_sources
from sandbox.base_image import BaseImage
from sandbox.emulator import Emulator
from sandbox.engine import Engine
from sandbox.errors import SandboxError
from sandbox.paths import SANDBOXES
from sandbox.progress import Step
from sandbox.providers import Providers

pytest_plugins = ["harness.pytest_plugin"]

HOME = "LAMBDA_CONTAINER_API_TESTS"
APART = ("tests/upgrade/test_upgrades.py::test_an_upgrade_loses_nothing_and_no_request",)
LONGEST_FIRST = ("upgrade", "e2e", "infra", "policy", "release", "docker_provider", "harness", "sandbox", "service")


def _home() -> Path:
    return Path(os.environ[HOME])


def _running() -> Emulator | None:
    """The run's emulator, if a test has started it."""
    port = emulators.running(_home()) if HOME in os.environ else None
    return Emulator(port, _home()) if port else None


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a folder, which the workers inherit, and take away what runs that were killed have left."""
    if _is_worker(config):
        return
    # To be terminated is to be interrupted: what the run started is stopped. A shell without job control has its
    # background processes ignore Control-C, which they then pass on.
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, signal.default_int_handler)
    # No test can reach a person's account, whatever goes wrong.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    for left in SANDBOXES.glob("tests-*"):
        if not Path(f"/proc/{left.name.removeprefix('tests-')}").exists():
            removal.remove(left, removal.port_of(left))
    home = SANDBOXES / f"tests-{os.getpid()}"
    home.mkdir(parents=True)
    os.environ[HOME] = str(home)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes longest first, so that no worker is left alone with an apply at the end (`--no-loadscope-reorder`)."""
    rank = {folder: number for number, folder in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.parent.name, len(rank)))


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """A file's tests go to one worker, since they share what they apply; tests that share nothing are units of their own."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if nodeid.startswith(APART) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """Distribute in that way, whatever `--dist` says."""
    return Scheduling(config, log)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind, after failures and interruptions too."""
    if not _is_worker(config) and HOME in os.environ:
        removal.remove(_home(), removal.port_of(_home()))
        del os.environ[HOME]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in which a request broke AWS's models, even if its client and its test went on."""
    if not _is_worker(session.config) and (emulator := _running()) and emulator.violations():
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which parts were real, which stood in for something, what tests have noted, and which faults were handled."""
    if emulator := _running():
        for fault, count in emulator.handled_faults().items():
            _note(f"emulator {fault}: {count} times")
        violations = emulator.violations()
        _note(f"strict gate: {emulator.gate_summary()}, {len(violations)} violations")
        if violations:
            terminalreporter.section("requests that AWS's models do not allow", red=True)
            for violation in violations:
                terminalreporter.line(f"{violation['text']} ({violation['client'][:60]})")
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


@contextmanager
def _expected_failures() -> Iterator[None]:
    """Show what a person can mend as the sentence that it is."""
    try:
        yield
    except SandboxError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def emulator() -> Emulator:
    """The run's emulator of AWS, started by whoever asks first."""
    with _one_at_a_time(), _expected_failures():
        return emulators.start(_home(), emulators.running(_home()) or emulators.free_port())


@pytest.fixture(scope="session")
def engine(emulator: Emulator) -> Engine:
    """The Docker engine: the one that runs, or one started for the run. Without any, the tests that need one fail."""
    if os.environ.get("SKIP_ENGINE"):
        pytest.skip("SKIP_ENGINE is set")
    with _expected_failures():
        found = engines.ensure(emulator.home, Step("Docker engine"))
    _note(f"Docker engine: {found.version}")
    return found


@pytest.fixture(scope="session")
def base_image(engine: Engine) -> BaseImage:
    """The base image: AWS's, or the stand-in for it."""
    with _expected_failures():
        image = base_images.ensure(Step("Base image"))
    _note(f"base image: {image.reference} ({image.kind})")
    return image


@pytest.fixture(scope="session")
def providers(emulator: Emulator) -> Providers:
    """Where Terraform's providers come from."""
    with _one_at_a_time(), _expected_failures():
        found = provider_sources.configure(emulator.home)
    _note(f"Docker provider: {found.docker}")
    return found


@pytest.fixture(scope="session")
def terraform_environment(emulator: Emulator, providers: Providers) -> Mapping[str, str]:
    """What every Terraform command of the harness gets.

    Terraform and its providers live for seconds, of which collecting garbage is a fifth: they do it from a gibibyte on.
    """
    own = emulator.environment() | providers.environment() | emulators.engine_of_the_client()
    return own | {"GOGC": "off", "GOMEMLIMIT": "1GiB"}


@pytest.fixture(scope="session")
def example_plan(
    once_per_run: Callable[[str, Callable[[], Any]], Any],
    terraform_roots: Callable[[str, Mapping[str, str] | None], Root],
) -> Callable[[str], Plan]:
    """`example_plan(name)`: the plan of an example as it is, made once for all tests of the run that read it."""

    def make(example: str) -> dict[str, Any]:
        override = overrides.planned(paths.ROOT / "examples" / example)
        plan = terraform_roots(f"examples/{example}", {overrides.NAME: override}).plan()
        return {"raw": plan.raw, "changed": plan.changed, "warnings": [asdict(warning) for warning in plan.warnings]}

    def read(example: str) -> Plan:
        kept = once_per_run(f"plan-of-{example}", lambda: make(example))
        return Plan.read(kept["raw"], changed=kept["changed"], warnings=[Diagnostic(**w) for w in kept["warnings"]])

    return read


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium: the one that is installed, or Debian's, installed now."""
    with _expected_failures():
        return browsers.ensure(Step("Chromium"))


@pytest.fixture(scope="session")
def note(emulator: Emulator) -> Callable[[str], None]:
    """Put a line, a count for one, under the run's summary."""
    return _note
