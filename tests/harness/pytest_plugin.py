"""Fixtures. Register them in the top conftest.py: `pytest_plugins = ["tests.harness.pytest_plugin"]`, or import them there.

Override `terraform_environment` and `terraform_project` for your project; everything else follows from them. Tests may run
under pytest-xdist: the workers share one init.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

from .root import InitCache, Root, copy_project, locked


class RootFactory(Protocol):
    """Makes the root module at a path of the project, copied and initialised; `files` are written into it before init."""

    def __call__(self, path: str, *, files: Mapping[str, str] | None = None) -> Root: ...


@pytest.fixture(scope="session")
def terraform_environment() -> Mapping[str, str]:
    """Variables that every Terraform command gets; override it with your emulator's, or your account's."""
    return {}


@pytest.fixture(scope="session")
def terraform_project(pytestconfig: pytest.Config) -> Path:
    """The project that roots under test are in; all of it is copied. Override it where that is too much."""
    return pytestconfig.rootpath


def _run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all workers of this run have in common."""
    base = tmp_path_factory.getbasetemp()
    # Under pytest-xdist each worker has a folder of its own in that of the run.
    return base.parent if base.name.startswith("popen-") else base


@pytest.fixture(scope="session")
def terraform_init_cache(tmp_path_factory: pytest.TempPathFactory) -> InitCache:
    """One `terraform init` per root for the whole run, shared by all workers."""
    return InitCache(_run_folder(tmp_path_factory) / "terraform-init")


@pytest.fixture(scope="session")
def once_per_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[], Any]], Any]:
    """`once_per_run(name, make)`: what `make` returned in the first worker to ask, as JSON; for plans that many tests read."""

    def once(name: str, make: Callable[[], Any]) -> Any:
        folder = _run_folder(tmp_path_factory) / "once" / name
        with locked(folder):
            kept = folder / "value.json"
            if not kept.exists():
                kept.write_text(json.dumps(make()), encoding="utf-8")
            return json.loads(kept.read_text(encoding="utf-8"))

    return once


@pytest.fixture(scope="session")
def terraform_roots(
    tmp_path_factory: pytest.TempPathFactory,
    terraform_project: Path,
    terraform_environment: Mapping[str, str],
    terraform_init_cache: InitCache,
) -> Callable[[str, Mapping[str, str] | None], Root]:
    """The function behind `terraform_root`, for fixtures of a wider scope; whoever applies with it destroys."""

    def make(path: str, files: Mapping[str, str] | None = None) -> Root:
        copy = copy_project(terraform_project, tmp_path_factory.mktemp("root"))
        root = Root(copy / path, environment=terraform_environment)
        for name, text in (files or {}).items():
            root.write(name, text)
        root.init(terraform_init_cache)
        return root

    return make


@pytest.fixture
def terraform_root(
    terraform_roots: Callable[[str, Mapping[str, str] | None], Root],
) -> Iterator[RootFactory]:
    """Roots of this test: copied, initialised, and destroyed at its end if it applied them."""
    made: list[Root] = []

    def make(path: str, *, files: Mapping[str, str] | None = None) -> Root:
        made.append(terraform_roots(path, files))
        return made[-1]

    yield make
    for root in reversed(made):
        root.destroy()
