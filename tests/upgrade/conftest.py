"""The last release's examples, applied on the sandbox as they were then, to be upgraded to another module."""

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
    """All of these tests need an engine."""
    if item.path.is_relative_to(HERE):
        item.add_marker(pytest.mark.engine)


@dataclass(frozen=True)
class Setting:
    """What an example needs to be applied here: arguments of its module call, its variables, and blocks of the root."""

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
        """Exchange the module for a project's, as raising `ref` does; nothing is planned or applied.

        Where a breaking change is claimed, callers must change their configuration, and so the example is exchanged as well.
        """
        folder = self.root.path.parents[1]
        synchronise(project / "modules", folder / "modules")
        if CLAIMED is Level.BREAKING:
            apart = (self.root.path / OVERRIDE).read_text(encoding="utf-8")  # no file of the example's: it would go
            for name in EXAMPLE_SOURCES:
                synchronise(project / name, folder / name)
            (self.root.path / OVERRIDE).write_text(apart, encoding="utf-8")
        add_native(self.root)
        self.root.init(self.cache)


def add_native(root: Root) -> None:
    """Have the root's copy of the module build and run what this machine can run."""
    for name, text in overrides.native().items():
        root.write(name, text)


Planned = Callable[[str, Setting], Deployment]
Released = Callable[[str, Setting], AbstractContextManager[Deployment]]


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
    """Makes an example of the last release, initialised: ready to plan, and nothing applied."""

    def made(example: str, setting: Setting) -> Deployment:
        folder = copy_project(release, tmp_path_factory.mktemp(example))
        root = Root(folder / "examples" / example, environment=terraform_environment)
        root.write(overrides.NAME, overrides.applied(emulator.registry, setting.module, setting.root))
        add_native(root)
        root.init(terraform_init_cache)
        return Deployment(root, setting.variables, terraform_init_cache)

    return made


@pytest.fixture(scope="session")
def released(planned: Planned, engine: Engine) -> Released:
    """Applies an example of the last release, and destroys it at the end of the block."""

    @contextmanager
    def applied(example: str, setting: Setting) -> Iterator[Deployment]:
        deployment = planned(example, setting)
        try:
            deployment.root.apply(deployment.variables)
            yield deployment
        finally:
            deployment.root.destroy()

    return applied
