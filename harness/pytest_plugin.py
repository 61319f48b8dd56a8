"""Fixtures. pip registers them; for a copy in a project, set `pytest_plugins = ["harness.pytest_plugin"]` in the top conftest.py.

Override `terraform_binary`, `terraform_environment`, `terraform_project` and `terraform_retry` for your project; the other
fixtures use them. pytest-xdist workers share one init.
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
    """Returns the root module at a path of the project, copied and initialised; `files` are written into it before init."""

    def __call__(self, path: str, *, files: Mapping[str, str] | None = None) -> Root: ...


class Apply(Protocol):
    """Returns such a root, applied with variables from a file, a mapping and keywords; later sources win."""

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
    parser.getgroup("terraform").addoption(
        "--keep",
        action="store_true",
        help="keep what `apply` created, and reuse it in the next run (same as SKIP_DESTROY=1)",
    )


@pytest.fixture(scope="session")
def terraform_binary() -> str:
    """The Terraform or OpenTofu binary: the environment variable TERRAFORM (`tofu`, a path), or else `terraform`.

    A missing binary, or one older than 1.9, fails each test that uses it with a one-line message.
    """
    try:
        return usable(default_binary())
    except BinaryError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def terraform_environment() -> Mapping[str, str]:
    """Environment variables of every Terraform command. Override it with those of your account or emulator."""
    return {}


@pytest.fixture(scope="session")
def terraform_project(pytestconfig: pytest.Config) -> Path:
    """The project of the roots under test. Each test copies all of it; override this fixture to copy less."""
    return pytestconfig.rootpath


@pytest.fixture(scope="session")
def terraform_retry() -> Retry:
    """Which failures are retried. Override it with your own error patterns."""
    return Retry()


@pytest.fixture(scope="session")
def terraform_progress(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Called with a progress line of a long-running command; prints it despite pytest's capture. Override it for silence."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def show(line: str) -> None:
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            sys.stderr.write(f"\n{line}\n")
            sys.stderr.flush()

    return show


@pytest.fixture(scope="session")
def stage(pytestconfig: pytest.Config) -> Callable[[str], bool]:
    """`stage(name)`: whether a stage of a test runs. The environment variable `SKIP_<NAME>` skips it.

    The fixtures use the stages `apply` and `destroy`; a test may add its own: `if stage("load"): …`.
    """

    def runs(name: str) -> bool:
        keep = name == "destroy" and bool(pytestconfig.getoption("--keep"))
        return not keep and not os.environ.get(f"SKIP_{name.upper()}")

    return runs


@pytest.fixture(scope="session")
def unique_name(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """`unique_name("orders")` returns a name such as `orders-3f9a1c`, for names that must be unique in an account.

    The suffix belongs to the checkout and is stable: two people or CI jobs do not collide, and `--keep` finds its resources
    again. Without pytest's cache it belongs to the run.
    """
    cache = getattr(pytestconfig, "cache", None)
    folder = cache.mkdir("terraform-name") if cache else _run_folder(tmp_path_factory) / "terraform-name"
    with locked(folder):
        suffix = folder / "suffix"
        if not suffix.exists():
            suffix.write_text(uuid.uuid4().hex[:6], encoding="utf-8")
        text = suffix.read_text(encoding="utf-8")
    return lambda name: f"{name}-{text}"


def _run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all workers of this run share."""
    base = tmp_path_factory.getbasetemp()
    # Under pytest-xdist, each worker's base folder is inside that of the run.
    return base.parent if base.name.startswith("popen-") else base


@pytest.fixture(scope="session")
def terraform_init_cache(tmp_path_factory: pytest.TempPathFactory) -> InitCache:
    """One `terraform init` per root for the whole run, shared by all workers."""
    return InitCache(_run_folder(tmp_path_factory) / "terraform-init")


@pytest.fixture(scope="session")
def once_per_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[], Any]], Any]:
    """`once_per_run(name, make)`: the JSON result of `make`, which runs in one worker only; for plans that many tests read."""

    def once(name: str, make: Callable[[], Any]) -> Any:
        folder = _run_folder(tmp_path_factory) / "once" / name
        with locked(folder):
            value = folder / "value.json"
            if not value.exists():
                value.write_text(json.dumps(make()), encoding="utf-8")
            return json.loads(value.read_text(encoding="utf-8"))

    return once


@pytest.fixture(scope="session")
def terraform_root_at(
    terraform_binary: str,
    terraform_environment: Mapping[str, str],
    terraform_init_cache: InitCache,
    terraform_retry: Retry,
    terraform_progress: Callable[[str], None],
) -> Callable[[Path, Mapping[str, str] | None], Root]:
    """`terraform_root_at(folder, files)`: the root module in a folder, initialised in place, for fixtures that make the copies.

    `files`, text by name, are written into it first. Errors as `terraform_root`.
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
    """`terraform_roots(path, files)`: as `terraform_root`, for fixtures of a wider scope. It does not destroy."""

    def make(path: str, files: Mapping[str, str] | None = None) -> Root:
        copy = copy_project(terraform_project, tmp_path_factory.mktemp("root"))
        return terraform_root_at(copied_root(copy, path), files)

    return make


@pytest.fixture
def terraform_root(
    terraform_roots: Callable[[str, Mapping[str, str] | None], Root],
) -> Iterator[RootFactory]:
    """`terraform_root(path, files={…})`: a `Root` of the project, copied for this test, initialised, and destroyed at its end.

    `path` is relative to the project; `files`, text by path relative to the root, are written into the copy before init.
    FileNotFoundError when there is no such folder, TerraformError when init fails, IsolationError when the root cannot be
    isolated from the real state.
    """
    with ExitStack() as stack:

        def make(path: str, *, files: Mapping[str, str] | None = None) -> Root:
            root = terraform_roots(path, files)
            stack.callback(root.destroy)
            return root

        yield make


def _apply_factory(request: pytest.FixtureRequest) -> Iterator[Apply]:
    new_root: Callable[..., Root] = request.getfixturevalue("terraform_roots")
    root_at: Callable[..., Root] = request.getfixturevalue("terraform_root_at")
    project: Path = request.getfixturevalue("terraform_project")
    progress: Callable[[str], None] = request.getfixturevalue("terraform_progress")
    runs: Callable[[str], bool] = request.getfixturevalue("stage")
    number = 0
    with ExitStack() as stack:

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
                root = kept.load(root_at)
            elif kept and (kept.exists or not runs("destroy")):
                # An earlier run's root is updated, so that it is destroyed in the end and the apply is quick.
                root = kept.refresh(project, lambda folder: root_at(folder, files))
            else:
                root = new_root(path, files)
            stack.callback(_finish, root, kept, runs, progress)
            if runs("apply"):
                root.apply(merged, var_file=var_file)
            return root

        yield make


def _name(node: pytest.Item) -> str:
    """Return a test's or a file's stable name. A node id is not: pytest-xdist adds its group to it."""
    return "::".join(part.name for part in node.listchain()[1:])


def _finish(root: Root, kept: Kept | None, runs: Callable[[str], bool], progress: Callable[[str], None]) -> None:
    if runs("destroy"):
        root.destroy()
        if kept:
            kept.remove()
    elif kept:
        kept.save(root)
        progress(f"kept: {root.path}. A run without --keep destroys it; SKIP_APPLY=1 tests it unchanged")


@pytest.fixture
def apply(request: pytest.FixtureRequest) -> Iterator[Apply]:
    """`apply(path, **variables)`: a `Root` of the project, copied and applied, and always destroyed at the test's end.

    Variables may also come as a mapping after the path, or from a `var_file`; `files` are written into the copy before init.

    With `--keep` it is not destroyed, and the next run of the same test reuses it: with the project's current files, or
    unchanged when SKIP_APPLY is set. PlanError when the plan fails, TerraformError when the apply fails, LookupError when
    SKIP_APPLY is set and nothing is kept.
    """
    yield from _apply_factory(request)


@pytest.fixture(scope="module")
def module_apply(request: pytest.FixtureRequest) -> Iterator[Apply]:
    """`apply` for module-scoped fixtures: applied once for all tests of a file, and destroyed at its end."""
    yield from _apply_factory(request)
