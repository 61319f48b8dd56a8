"""The last release's examples, applied on the sandbox as released, ready for an upgrade of the module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness import InitCache, Root, copy_project
from harness.isolation import OVERRIDE
from sandbox import overrides
from sandbox.deployment import synchronise
from sandbox.emulator import Emulator
from sandbox.engine import Engine
from sandbox.paths import EXAMPLE_SOURCES, ROOT
from tests.e2e.conftest import aws, hello, issuer
from tools.release.changelog import claim
from tools.release.changes import Level
from tools.release.errors import ReleaseError
from tools.release.records import last, sources

__all__ = ["aws", "hello", "issuer"]

HERE = Path(__file__).parent
PROJECT = ROOT
RELEASE = last(PROJECT)
CLAIMED = claim((PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")).level


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark all of these tests: they need an engine."""
    if item.path.is_relative_to(HERE):
        item.add_marker(pytest.mark.engine)


@dataclass(frozen=True)
class ExampleInputs:
    """Additions to an example for the sandbox: module arguments, variables, and blocks of the root module."""

    module: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    root: str = ""


@dataclass(frozen=True)
class Deployment:
    """An example of the last release, in a copy of that release's sources."""

    root: Root
    variables: Mapping[str, Any]
    cache: InitCache

    def upgrade(self, project: Path = PROJECT) -> None:
        """Replace the module with a project's, as raising `ref` does, without a plan or apply.

        If CHANGELOG.md claims a breaking change, callers must change their configuration, so the example is replaced as well.
        """
        folder = self.root.path.parents[1]
        synchronise(project / "modules", folder / "modules")
        if CLAIMED is Level.BREAKING:
            override = (self.root.path / OVERRIDE).read_text(encoding="utf-8")  # deleted below: not in the example
            for name in EXAMPLE_SOURCES:
                synchronise(project / name, folder / name)
            (self.root.path / OVERRIDE).write_text(override, encoding="utf-8")
        use_native_platform(self.root)
        self.root.init(self.cache)


def use_native_platform(root: Root) -> None:
    """Override the root's copy of the module to build for this machine's platform."""
    for name, text in overrides.native().items():
        root.write(name, text)


Planned = Callable[[str, ExampleInputs], Deployment]
Released = Callable[[str, ExampleInputs], AbstractContextManager[Deployment]]


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of the last release."""
    try:
        return sources(PROJECT, RELEASE.commit, tmp_path_factory.mktemp("release"))
    except ReleaseError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def planned(
    release: Path,
    tmp_path_factory: pytest.TempPathFactory,
    emulator: Emulator,
    terraform_environment: Mapping[str, str],
    terraform_init_cache: InitCache,
) -> Planned:
    """Copies and initialises an example of the last release, without applying it."""

    def initialise(example: str, inputs: ExampleInputs) -> Deployment:
        folder = copy_project(release, tmp_path_factory.mktemp(example))
        root = Root(folder / "examples" / example, environment=terraform_environment)
        root.write(overrides.NAME, overrides.applied(emulator.registry, inputs.module, inputs.root))
        use_native_platform(root)
        root.init(terraform_init_cache)
        return Deployment(root, inputs.variables, terraform_init_cache)

    return initialise


@pytest.fixture(scope="session")
def released(planned: Planned, engine: Engine) -> Released:
    """Context manager: applies an example of the last release, and destroys it on exit."""

    @contextmanager
    def deployed(example: str, inputs: ExampleInputs) -> Iterator[Deployment]:
        deployment = planned(example, inputs)
        try:
            deployment.root.apply(deployment.variables)
            yield deployment
        finally:
            deployment.root.destroy()

    return deployed
