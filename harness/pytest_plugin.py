"""Fixtures. pip registers them; a copy in a project does so in the top conftest.py: `pytest_plugins = ["harness.pytest_plugin"]`.

Override `terraform_binary`, `terraform_environment`, `terraform_project` and `terraform_retry` for your project; everything
else follows from them. Tests may run under pytest-xdist: the workers share one init.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any, Protocol

import pytest

from .errors import BinaryError
from .kept import Kept
from .retry import Retry
from .root import InitCache, Root, copied_root, copy_project, locked
from .terraform import default_binary, usable


class RootFactory(Protocol):
    """Makes the root module at a path of the project, copied and initialised; `files` are written into it before init."""

    def __call__(self, path: str, *, files: Mapping[str, str] | None = None) -> Root: ...


class Apply(Protocol):
    """Makes such a root and applies it with variables: from a file, a mapping and keywords, of which the last wins."""

    def __call__(
        self,
        path: str,
        given: Mapping[str, Any] | None = None,
        /,
        *,
        files: Mapping[str, str] | None = None,
        var_file: Path | None = None,
        **variables: Any,
    ) -> Root: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--keep`."""
    parser.getgroup("terraform").addoption(
        "--keep",
        action="store_true",
        help="destroy nothing of what `apply` made, and go on with it in the next run (as SKIP_DESTROY=1)",
    )


@pytest.fixture(scope="session")
def terraform_binary() -> str:
    """Terraform or OpenTofu: what the environment variable TERRAFORM names (`tofu`, a path), else `terraform`.

    Every test that asks for it fails, in one sentence, when it is missing or older than 1.9.
    """
    try:
        return usable(default_binary())
    except BinaryError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def terraform_environment() -> Mapping[str, str]:
    """Variables that every Terraform command gets; override it with your emulator's, or your account's."""
    return {}


@pytest.fixture(scope="session")
def terraform_project(pytestconfig: pytest.Config) -> Path:
    """The project that roots under test are in; all of it is copied. Override it where that is too much."""
    return pytestconfig.rootpath


@pytest.fixture(scope="session")
def terraform_retry() -> Retry:
    """Which failures are worth another attempt; override it with error patterns of your own."""
    return Retry()


@pytest.fixture(scope="session")
def terraform_progress(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Called with a line about a command that takes long: shown at once, past pytest's capture. Override it for silence."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def show(line: str) -> None:
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            sys.stderr.write(f"\n{line}\n")
            sys.stderr.flush()

    return show


@pytest.fixture(scope="session")
def stage(pytestconfig: pytest.Config) -> Callable[[str], bool]:
    """`stage(name)`: whether a part of a test runs, which is not when `SKIP_<NAME>` is set in the environment.

    The fixtures ask for `apply` and `destroy`; a test may ask for stages of its own: `if stage("load"): …`.
    """

    def runs(name: str) -> bool:
        kept = name == "destroy" and bool(pytestconfig.getoption("--keep"))
        return not kept and not os.environ.get(f"SKIP_{name.upper()}")

    return runs


@pytest.fixture(scope="session")
def unique_name(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """`unique_name("orders")`: such as `orders-3f9a1c`, for names that an account or an emulator has once.

    The suffix is of this checkout, and stays: two people and two CI jobs do not meet, and what `--keep` left is found again.
    Without pytest's cache it is of this run.
    """
    cache = getattr(pytestconfig, "cache", None)
    folder = cache.mkdir("terraform-name") if cache else _run_folder(tmp_path_factory) / "terraform-name"
    with locked(folder):
        suffix = folder / "suffix"
        if not suffix.exists():
            suffix.write_text(uuid.uuid4().hex[:6], encoding="utf-8")
        own = suffix.read_text(encoding="utf-8")
    return lambda name: f"{name}-{own}"


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
def terraform_root_at(
    terraform_binary: str,
    terraform_environment: Mapping[str, str],
    terraform_init_cache: InitCache,
    terraform_retry: Retry,
    terraform_progress: Callable[[str], None],
) -> Callable[[Path, Mapping[str, str] | None], Root]:
    """The root module in a folder, initialised, where it is; for fixtures that make copies of their own.

    `terraform_root_at(folder, files)`: `files`, text by name, are written into it first. Errors as `terraform_root`.
    """

    def make(path: Path, files: Mapping[str, str] | None = None) -> Root:
        root = Root(
            path,
            environment=terraform_environment,
            binary=terraform_binary,
            retry=terraform_retry,
            progress=terraform_progress,
        )
        for name, text in (files or {}).items():
            root.write(name, text)
        root.init(terraform_init_cache)
        return root

    return make


@pytest.fixture(scope="session")
def terraform_roots(
    tmp_path_factory: pytest.TempPathFactory,
    terraform_project: Path,
    terraform_root_at: Callable[[Path, Mapping[str, str] | None], Root],
) -> Callable[[str, Mapping[str, str] | None], Root]:
    """`terraform_roots(path, files)`: as `terraform_root`, for fixtures of a wider scope; whoever applies with it destroys."""

    def make(path: str, files: Mapping[str, str] | None = None) -> Root:
        copy = copy_project(terraform_project, tmp_path_factory.mktemp("root"))
        return terraform_root_at(copied_root(copy, path), files)

    return make


@pytest.fixture
def terraform_root(
    terraform_roots: Callable[[str, Mapping[str, str] | None], Root],
) -> Iterator[RootFactory]:
    """`terraform_root(path, files={…})`: a `Root` of the project, copied for this test, initialised, and destroyed at its end.

    `path` is relative to the project; `files`, text by name relative to the root, are written into the copy before init.
    FileNotFoundError when there is no such folder, TerraformError when init fails, IsolationError when the root's state
    cannot be kept apart from the real one.
    """
    with ExitStack() as destroyed:

        def make(path: str, *, files: Mapping[str, str] | None = None) -> Root:
            root = terraform_roots(path, files)
            destroyed.callback(root.destroy)
            return root

        yield make


def _applying(request: pytest.FixtureRequest) -> Iterator[Apply]:
    made: Callable[..., Root] = request.getfixturevalue("terraform_roots")
    made_at: Callable[..., Root] = request.getfixturevalue("terraform_root_at")
    project: Path = request.getfixturevalue("terraform_project")
    show: Callable[[str], None] = request.getfixturevalue("terraform_progress")
    runs: Callable[[str], bool] = request.getfixturevalue("stage")
    number = 0
    with ExitStack() as at_the_end:

        def make(
            path: str,
            given: Mapping[str, Any] | None = None,
            /,
            *,
            files: Mapping[str, str] | None = None,
            var_file: Path | None = None,
            **variables: Any,
        ) -> Root:
            nonlocal number
            number += 1
            merged = {**(given or {}), **variables}
            if runs("apply") and runs("destroy") and not hasattr(request.config, "cache"):
                kept = None
            else:
                kept = Kept.of(request.config, f"{_name(request.node)}-{number}", path)
            if kept and not runs("apply"):
                root = kept.take_up(made_at)
            elif kept and (kept.exists or not runs("destroy")):
                # What an earlier run has kept is brought up to date, so that it is not forgotten and the apply is quick.
                root = kept.renew(project, lambda folder: made_at(folder, files))
            else:
                root = made(path, files)
            at_the_end.callback(_leave, root, kept, runs, show)
            if runs("apply"):
                root.apply(merged, var_file=var_file)
            return root

        yield make


def _name(node: pytest.Item) -> str:
    """Return a test's or a file's name for good: pytest-xdist adds its groups to the node id."""
    return "::".join(part.name for part in node.listchain()[1:])


def _leave(root: Root, kept: Kept | None, runs: Callable[[str], bool], show: Callable[[str], None]) -> None:
    if runs("destroy"):
        root.destroy()
        if kept:
            kept.forget()
    elif kept:
        kept.leave(root)
        show(f"kept, applied: {root.path}. A run without --keep destroys it; SKIP_APPLY=1 tests it as it is")


@pytest.fixture
def apply(request: pytest.FixtureRequest) -> Iterator[Apply]:
    """`apply(path, **variables)`: a `Root` of the project, copied and applied; whatever happens, destroyed at the test's end.

    Variables may also come as a mapping after the path, or from a `var_file`; `files` are written into the copy before init.

    With `--keep` it stays, and the next run of the same test goes on with it: with the project's files as they are then, or
    untouched when SKIP_APPLY is set. TerraformError when the apply fails, PlanError before it has made anything, LookupError
    when SKIP_APPLY is set and nothing is kept.
    """
    yield from _applying(request)


@pytest.fixture(scope="module")
def module_apply(request: pytest.FixtureRequest) -> Iterator[Apply]:
    """`apply` for all tests of a file: for fixtures of that scope, which apply once; destroyed at the file's end."""
    yield from _applying(request)
