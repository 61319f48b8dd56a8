"""Shared fixtures: one emulator on its own port, one engine, one base image, one choice of providers.

All workers of a pytest-xdist run share them. The main process removes them.
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
from tests.deployer import permissions

pytest_plugins = ["harness.pytest_plugin"]

HOME = "LAMBDA_CONTAINER_API_TESTS"
APART = ("tests/upgrade/test_upgrades.py::test_upgrade_loses_no_resource_and_no_request",)
UNPERMITTED = pytest.StashKey[list[str]]()
LONGEST_FIRST = (
    "upgrade",
    "e2e",
    "delivery",
    "infra",
    "policy",
    "release",
    "deployer",
    "docker_provider",
    "harness",
    "sandbox",
    "migration",
    "service",
)


def _home() -> Path:
    return Path(os.environ[HOME])


def _running() -> Emulator | None:
    """Return the run's emulator, if a test has started it."""
    port = emulators.running(_home()) if HOME in os.environ else None
    return Emulator(port, _home()) if port else None


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    """Create the run's folder, which workers inherit, and remove leftovers of killed runs."""
    if _is_worker(config):
        return
    # SIGTERM is handled like SIGINT, so that the run cleans up. A shell without job control starts background
    # processes with SIGINT ignored, which children inherit.
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, signal.default_int_handler)
    # No test can reach a real AWS account.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    for folder in SANDBOXES.glob("tests-*"):
        if not Path(f"/proc/{folder.name.removeprefix('tests-')}").exists():
            removal.remove(folder, removal.port_of(folder))
    home = SANDBOXES / f"tests-{os.getpid()}"
    home.mkdir(parents=True)
    os.environ[HOME] = str(home)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest tests first, so that no worker applies alone at the end (`--no-loadscope-reorder`)."""
    rank = {folder: number for number, folder in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.parent.name, len(rank)))


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Sends a file's tests to one worker, since they share applied roots, except the independent tests in APART."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if nodeid.startswith(APART) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """Use this scheduling, whatever `--dist` says."""
    return Scheduling(config, log)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove everything, also after failures and interruptions."""
    if not _is_worker(config) and HOME in os.environ:
        removal.remove(_home(), removal.port_of(_home()))
        del os.environ[HOME]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if a request violated AWS's models, even if client and test ignored the error.

    Also if Terraform's provider called anything that the apply role of modules/deployer may not.
    """
    if _is_worker(session.config) or not (emulator := _running()):
        return
    unpermitted = permissions.refused(emulator.requests("terraform-provider-aws"), "apply")
    session.config.stash[UNPERMITTED] = unpermitted
    if emulator.violations() or unpermitted:
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report which parts were real or stand-ins, the tests' notes, and the faults that were worked around."""
    if _is_worker(terminalreporter.config):
        return
    if emulator := _running():
        for fault, count in emulator.handled_faults().items():
            _note(f"emulator {fault}: {count} times")
        violations = emulator.violations()
        _note(f"strict gate: {emulator.gate_summary()}, {len(violations)} violations")
        if violations:
            terminalreporter.section("requests that violate AWS's models", red=True)
            for violation in violations:
                terminalreporter.line(f"{violation['text']} ({violation['client'][:60]})")
        if unpermitted := terminalreporter.config.stash.get(UNPERMITTED, []):
            terminalreporter.section("requests outside of modules/deployer's apply role", red=True)
            for line in unpermitted:
                terminalreporter.line(line)
    notes = _home() / "notes" if HOME in os.environ else None
    if notes and notes.exists():
        terminalreporter.section("test environment and counts")
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
    """Report errors that the user can fix without a traceback."""
    try:
        yield
    except SandboxError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def emulator() -> Emulator:
    """The run's AWS emulator, started on first use."""
    with _one_at_a_time(), _expected_failures():
        return emulators.start(_home(), emulators.running(_home()) or emulators.free_port())


@pytest.fixture(scope="session")
def engine(emulator: Emulator) -> Engine:
    """The Docker engine: the running one, or one started for the run. Tests that need it fail without one."""
    if os.environ.get("SKIP_ENGINE"):
        pytest.skip("SKIP_ENGINE is set")
    with _expected_failures():
        docker = engines.ensure(emulator.home, Step("Docker engine"))
    _note(f"Docker engine: {docker.version}")
    return docker


@pytest.fixture(scope="session")
def base_image(engine: Engine) -> BaseImage:
    """The base image: AWS's or the stand-in."""
    with _expected_failures():
        image = base_images.ensure(Step("Base image"))
    _note(f"base image: {image.reference} ({image.kind})")
    return image


@pytest.fixture(scope="session")
def providers(emulator: Emulator) -> Providers:
    """The sources of Terraform's providers."""
    with _one_at_a_time(), _expected_failures():
        selected = provider_sources.configure(emulator.home)
    _note(f"Docker provider: {selected.docker}")
    return selected


@pytest.fixture(scope="session")
def terraform_environment(emulator: Emulator, providers: Providers) -> Mapping[str, str]:
    """The environment of every Terraform command.

    Terraform and its providers run for seconds, a fifth of it in garbage collection: it is off below 1 GiB.
    """
    environment = emulator.environment() | providers.environment() | emulators.engine_of_the_client()
    return environment | {"GOGC": "off", "GOMEMLIMIT": "1GiB"}


@pytest.fixture(scope="session")
def example_plan(
    once_per_run: Callable[[str, Callable[[], Any]], Any],
    terraform_roots: Callable[[str, Mapping[str, str] | None], Root],
) -> Callable[[str], Plan]:
    """`example_plan(name)`: the plan of an example, made once for all tests of the run."""

    def make(example: str) -> dict[str, Any]:
        override = overrides.planned(paths.ROOT / "examples" / example)
        plan = terraform_roots(f"examples/{example}", {overrides.NAME: override}).plan()
        return {"raw": plan.raw, "changed": plan.changed, "warnings": [asdict(warning) for warning in plan.warnings]}

    def read(example: str) -> Plan:
        plan = once_per_run(f"plan-of-{example}", lambda: make(example))
        return Plan.read(plan["raw"], changed=plan["changed"], warnings=[Diagnostic(**w) for w in plan["warnings"]])

    return read


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of Chromium: the installed one, or Debian's, installed now."""
    with _expected_failures():
        return browsers.ensure(Step("Chromium"))


@pytest.fixture(scope="session")
def note(emulator: Emulator) -> Callable[[str], None]:
    """`note(line)` adds a line to the run's summary."""
    return _note
