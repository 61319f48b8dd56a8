"""A root module under test: a copy of the project, one shared `terraform init`, and plan, apply and destroy."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError
from python_terraform import IsFlagged

from .errors import IsolationError, PlanError, TerraformError
from .isolation import LOCK, STATE, assert_isolated, isolate
from .plan import Plan
from .retry import Retry
from .terraform import Result, Terraform

NOT_COPIED = (
    ".git",
    ".sandbox",
    ".venv*",
    ".*_cache",
    "pytest-cache-files-*",  # temporary; pytest renames it to .pytest_cache
    "__pycache__",
    "node_modules",
    ".terraform",
    f"{STATE}*",
    f".{STATE}*",
    "*.tfplan",
)
"""Not copied: state, Terraform's working files, and the caches of tools."""

PLAN_FILE = "harness.tfplan"
CHANGES = 2  # exit code of `plan -detailed-exitcode` when there are changes
# `terraform graph` shows only resources. OpenTofu's shows every node: boxes are resources, the others connect them.
_IN_QUOTES = r'"(?:\[root\] )?((?:[^"\\]|\\.)+?)(?: \(expand\))?"'
NODE = re.compile(rf'^\s*{_IN_QUOTES} \[label ?= ?"[^"]+"(?:, shape = "box")?\];?$', re.MULTILINE)
EDGE = re.compile(rf"^\s*{_IN_QUOTES} -> {_IN_QUOTES};?$", re.MULTILINE)
# To verify them, Terraform reads each provider's binary before every command: 0.5 s for AWS's. The shared init has done so.
CHECKSUMS = re.compile(r"\n  hashes = \[[^\]]*\]")
T = TypeVar("T")


def copy_project(project: Path, into: Path, only: Iterable[str] = ()) -> Path:
    """Copy a project, or `only` some of its files and folders. Relative paths between them stay valid.

    Returns `into`. FileNotFoundError when one of `only` does not exist.
    """
    ignore = shutil.ignore_patterns(*NOT_COPIED)
    names = list(only) or [path.name for path in project.iterdir()]
    skipped = ignore(str(project), names)
    for name in names:
        source, copy = project / name, into / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if name in skipped:
            continue
        if source.is_dir():
            shutil.copytree(source, copy, ignore=ignore, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy(source, copy)
    return into


class InitCache:
    """One `terraform init` for all copies of a root, in a folder that processes may share.

    The copies share a data directory (`TF_DATA_DIR`), which plan and apply only read. A plugin cache would not do:
    Terraform does not lock it. Only that init verifies the providers' checksums: a copy's lock file has only versions,
    unless the root came with its own lock file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self, root: Path, terraform: Terraform, *, pinned: bool = False) -> None:
        """Initialise `root`, or reuse the init of an equal root. TerraformError when init fails; a failure is not cached.

        `pinned` as for `init`.
        """
        data = self.folder / _init_key(root, terraform)
        terraform.environment["TF_DATA_DIR"] = str(data)
        lock_file, cached = root / LOCK, data / "lock.hcl"
        with locked(self.folder):
            if not cached.exists():
                data.mkdir(parents=True, exist_ok=True)
                init(terraform, pinned=pinned)
                # A root without providers has no lock file.
                lock = lock_file.read_text(encoding="utf-8") if lock_file.exists() else ""
                cached.write_text(lock if pinned else CHECKSUMS.sub("", lock), encoding="utf-8")
        if content := cached.read_text(encoding="utf-8"):
            lock_file.write_text(content, encoding="utf-8")


def init(terraform: Terraform, *, pinned: bool) -> None:
    """Run `terraform init`. For a `pinned` root, which has its own lock file, do so with `-lockfile=readonly`.

    TerraformError when it fails, or when a pinned version is not available.
    """
    if not pinned:
        terraform.init()
        return
    try:
        terraform.init(lockfile="readonly")
    except TerraformError as error:
        remedy = (
            f"{LOCK} pins the providers: make those versions available, or update it (init -upgrade, providers lock)"
        )
        raise TerraformError("init", (), f"{remedy}. {error.reasons}") from error


def _init_key(root: Path, terraform: Terraform) -> str:
    """Return a key that roots share only when their init is the same."""
    context = [terraform.terraform_bin_path, sorted(terraform.environment.items())]
    digest = hashlib.sha256(json.dumps(context).encode())
    seen: set[Path] = set()
    todo = [root.resolve()]
    while todo:
        folder = todo.pop()
        if folder in seen:
            continue
        seen.add(folder)
        names = ("*.tf", "*.tf.json", "*.tofu", "*.tofu.json", LOCK)
        for path in sorted(path for name in names for path in folder.glob(name)):
            text = path.read_text(encoding="utf-8")
            digest.update(f"{path.name}\0{text}\0".encode())
            sources = re.findall(r'"?source"?\s*[=:]\s*"(\.{1,2}/[^"]+)"', text)
            todo += [(folder / source).resolve() for source in sources]
    return digest.hexdigest()[:16]


def copied_root(copy: Path, path: str) -> Path:
    """Return the folder of a root in a copy of a project; IsolationError when a symlink leads out of the copy."""
    folder = copy / path
    if not folder.resolve().is_relative_to(copy.resolve()):
        raise IsolationError(folder, f"{path} is a symlink to {folder.resolve()}, which is not in the copy")
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on a folder, which is created if needed."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Root:
    """A root module in a folder that the test may change. Its state is local, whatever backend it declares.

    `environment` is added to the environment of every command (see `Terraform`); `binary` is Terraform or OpenTofu;
    `timeout` is the limit of each command in seconds; `retry` decides which failures are retried; `progress` is called with
    a line about a long-running command and about each retry. `applied` holds the variables and the variable file of the
    last apply, for `destroy` and `assert_idempotent`; None when there is nothing to destroy.

    `imports_allowed` is for tests of `import` blocks in an account or emulator of their own, since `destroy` deletes
    imported resources too. Without it such an apply is an error.
    """

    def __init__(
        self,
        path: Path,
        *,
        environment: Mapping[str, str] | None = None,
        binary: str | None = None,
        timeout: float = 600,
        retry: Retry | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        if not path.is_dir():
            raise FileNotFoundError(f"{path} is not a directory: there is no root module to test")
        self.path = path
        self.terraform = Terraform(path, environment=environment, binary=binary, timeout=timeout, progress=progress)
        self.retry = retry or Retry()
        self.initialised = False
        self.pinned = False
        self.imports_allowed = False
        self.applied: tuple[dict[str, Any], Path | None] | None = None
        self._planned: tuple[dict[str, Any], Path | None, list[str]] | None = None

    def write(self, name: str, text: str) -> Path:
        """Write a file into the copy, by its path relative to the root module, and return its full path.

        A symlink of that name is replaced. IsolationError when a parent folder is a symlink: its target is not in the copy.
        """
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(os.path.normpath(self.path.resolve() / name)).parent
        if folder != folder.resolve():
            raise IsolationError(
                self.path, f"{name} is behind a symlink to {folder.resolve()}, which is not in the copy"
            )
        if path.is_symlink():
            path.unlink()
        path.write_text(text, encoding="utf-8")
        return path

    def init(self, cache: InitCache | None = None) -> None:
        """Run `terraform init` with local state, or reuse the cache's. The other commands call it when needed.

        IsolationError, before anything runs, when the root cannot be isolated from the state that it declares.
        TerraformError when init fails, or when a provider that the root's lock file pins is not available.
        """
        isolate(self.path, self.terraform.environment)
        if not self.initialised:
            # Checked now, because init writes one.
            self.pinned = (self.path / LOCK).exists()
        if cache is None:
            self._with_retries(lambda: init(self.terraform, pinned=self.pinned))
        else:
            self._with_retries(lambda: cache.prepare(self.path, self.terraform, pinned=self.pinned))
        assert_isolated(self.path, Path(self.terraform.environment.get("TF_DATA_DIR", self.path / ".terraform")))
        self.initialised = True

    def _initialise(self) -> None:
        if not self.initialised:
            self.init()

    def plan(
        self, given: Mapping[str, Any] | None = None, /, *, var_file: Path | None = None, **variables: Any
    ) -> Plan:
        """Plan with variables from a file, a mapping and keywords; later sources win.

        PlanError, with Terraform's diagnostics, when the plan fails or a variable is not declared. Terraform itself only
        warns of the latter.
        """
        return self._read_plan(
            self._with_retries(lambda: self._plan(_merged(given, variables), var_file, out=PLAN_FILE))
        )

    def _read_plan(self, result: Result) -> Plan:
        """Read the saved plan. This takes two fifths of the time of `plan`."""
        shown = self.terraform.show(PLAN_FILE, json=IsFlagged)
        if shown.code:
            raise PlanError("show", (), shown.err)
        warnings = [d for d in result.diagnostics if d.severity == "warning"]
        return Plan.read(json.loads(shown.out), changed=result.code == CHANGES, warnings=warnings)

    def check(
        self, given: Mapping[str, Any] | None = None, /, *, var_file: Path | None = None, **variables: Any
    ) -> None:
        """Plan without reading the result, in about half the time, for tests of refusals. Arguments and errors as `plan`."""
        self._with_retries(lambda: self._plan(_merged(given, variables), var_file))

    def _plan(self, variables: dict[str, Any], var_file: Path | None, out: str | None = None) -> Result:
        # A failed plan leaves the previous file or an incomplete one, which `show` and `apply` would read.
        self._initialise()
        file, self._planned = self.path / PLAN_FILE, None
        file.unlink(missing_ok=True)
        result = self.terraform.plan(out=out, var=variables, var_file=var_file)
        failed = result.code not in {0, CHANGES}
        if failed or any(d.undeclared_variable for d in result.diagnostics):
            file.unlink(missing_ok=True)
            # Terraform reports an undeclared variable as a warning only.
            diagnostics = [replace(d, severity="error") if d.undeclared_variable else d for d in result.diagnostics]
            raise PlanError("plan", diagnostics, result.err)
        if out == PLAN_FILE:
            self._planned = variables, var_file, result.imports
        return result

    def apply(
        self, given: Mapping[str, Any] | None = None, /, *, var_file: Path | None = None, **variables: Any
    ) -> dict[str, Any]:
        """Apply, and return the outputs.

        PlanError before anything is created, as `plan`. TerraformError, with the diagnostics, when the apply fails; resources
        created until then are in state, for `destroy`.
        """
        merged = _merged(given, variables)
        # Each attempt makes a new plan: a saved plan is stale after a partial apply.
        return self._with_retries(lambda: self._apply(merged, var_file))

    def apply_planned(self) -> dict[str, Any]:
        """Apply the plan of the last call of `plan`, exactly as it was read, and return the outputs.

        Errors as `apply`, but without retries, since the plan is stale then. AssertionError when there is no plan: none was
        made, the last one failed, or it is already applied.
        """
        if self._planned is None:
            raise AssertionError("there is no plan to apply: call Root.plan first")
        variables, var_file, imports = self._planned
        if imports and not self.imports_allowed:
            addresses = ", ".join(imports)
            raise PlanError(
                "apply", (), f"it would import {addresses}, which destroy would then delete: see Root.imports_allowed"
            )
        self.resume(variables, var_file=var_file)
        self._planned = None
        result = self.terraform.apply(PLAN_FILE)
        if result.code:
            raise TerraformError("apply", result.diagnostics, result.err)
        outputs = result.outputs
        return self.outputs() if outputs is None else outputs

    def _apply(self, variables: dict[str, Any], var_file: Path | None) -> dict[str, Any]:
        self._plan(variables, var_file, out=PLAN_FILE)
        return self.apply_planned()

    def resume(self, given: Mapping[str, Any], *, var_file: Path | None = None) -> None:
        """Let `destroy` use these variables for state that an earlier run applied."""
        self.applied = (dict(given), var_file)

    def destroy(self) -> None:
        """Destroy what the last `apply` created, with its variables. A second call does nothing.

        A failed destroy is retried after any error, since the remaining resources cost money. TerraformError, with the
        location of the state, when resources remain.
        """
        if self.applied is None:
            return
        variables, var_file = self.applied
        try:
            self._with_retries(
                lambda: self._destroy(variables, var_file), whatever="the remaining resources cost money"
            )
        except TerraformError as error:
            error.add_note(f"The remaining resources are in the state in {self.path}")
            raise
        self.applied = None

    def _destroy(self, variables: dict[str, Any], var_file: Path | None) -> None:
        self._initialise()
        result = self.terraform.destroy(var=variables, var_file=var_file)
        if result.code:
            raise TerraformError("destroy", result.diagnostics, result.err)

    def _with_retries(self, command: Callable[[], T], whatever: str | None = None) -> T:
        return self.retry.run(command, whatever=whatever, told=self.terraform.progress)

    def outputs(self) -> dict[str, Any]:
        """Return the applied outputs' values by name."""
        self._initialise()
        values: dict[str, Any] = self.terraform.output()
        return values

    def output(self, name: str, kind: type[T]) -> T:
        """Return an applied output as a type: `str`, `int`, `list[str]`, `dict[str, int]`, a TypedDict, a pydantic model.

        Values are not converted ("1" is not an int, true is not 1), except for types that JSON lacks, such as a set.
        TypeError has the actual value; KeyError lists the outputs.
        """
        outputs = self.outputs()
        if name not in outputs:
            raise KeyError(f"no output {name}; outputs are {sorted(outputs)}")
        try:
            # From JSON, so that a set, which JSON writes as a list, is accepted.
            return TypeAdapter(kind).validate_json(json.dumps(outputs[name]), strict=True)
        except ValidationError as error:
            expected = kind if get_args(kind) else kind.__name__
            raise TypeError(
                f"output {name} is {outputs[name]!r}, not a {expected}: {error.errors()[0]['msg']}"
            ) from None

    def assert_idempotent(self) -> None:
        """Plan with the variables of the last apply, and fail, with each resource and attribute, if there are changes.

        Outputs count. AssertionError also when nothing is applied.
        """
        if self.applied is None:
            raise AssertionError("nothing is applied: call Root.apply first")
        variables, var_file = self.applied
        result = self._with_retries(lambda: self._plan(variables, var_file, out=PLAN_FILE))
        if result.code == CHANGES:
            raise AssertionError("\n".join(["a second apply would change:", *self._read_plan(result).described()]))

    def dependencies(self) -> Mapping[str, frozenset[str]]:
        """Return each resource's transitive dependencies: addresses without index, resolved through locals and modules.

        Read from `terraform graph` or OpenTofu's.
        """
        self._initialise()
        result = self.terraform.graph()
        if result.code:
            raise TerraformError("graph", (), result.err)
        resources = frozenset(NODE.findall(result.out))
        direct: dict[str, set[str]] = {}
        for name, dependency in EDGE.findall(result.out):
            direct.setdefault(name, set()).add(dependency)
        return {name: _transitive(name, direct) & resources for name in sorted(resources)}


def _transitive(name: str, direct: Mapping[str, set[str]]) -> frozenset[str]:
    found: set[str] = set()
    todo = [name]
    while todo:
        new = direct.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return frozenset(found)


def _merged(given: Mapping[str, Any] | None, variables: Mapping[str, Any]) -> dict[str, Any]:
    return {**(given or {}), **variables}
