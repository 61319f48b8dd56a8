"""A root module under test: a copy of the project of its own, one shared `terraform init`, and the verbs of a test."""

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
    "pytest-cache-files-*",  # such as become .pytest_cache a moment later
    "__pycache__",
    "node_modules",
    ".terraform",
    f"{STATE}*",
    f".{STATE}*",
    "*.tfplan",
)
"""What a copy leaves behind: state, what Terraform keeps beside it, and what tools keep in a project."""

PLAN_FILE = "harness.tfplan"
CHANGES = 2  # exit code of a plan that would change something
# `terraform graph` shows resources alone. OpenTofu's shows everything: a box is a resource, and the rest leads from one to another.
_IN_QUOTES = r'"(?:\[root\] )?((?:[^"\\]|\\.)+?)(?: \(expand\))?"'
NODE = re.compile(rf'^\s*{_IN_QUOTES} \[label ?= ?"[^"]+"(?:, shape = "box")?\];?$', re.MULTILINE)
EDGE = re.compile(rf"^\s*{_IN_QUOTES} -> {_IN_QUOTES};?$", re.MULTILINE)
# Terraform reads each provider whole for them, before every command: half a second for AWS's. One init has checked them.
CHECKSUMS = re.compile(r"\n  hashes = \[[^\]]*\]")
T = TypeVar("T")


def copy_project(project: Path, into: Path, only: Iterable[str] = ()) -> Path:
    """Copy a project, or `only` some of its files and folders, so that relative paths between them go on working.

    Returns `into`. FileNotFoundError when one of `only` is not there: a typo must not leave a test without its sources.
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
    """One `terraform init` for all copies of a root, in a folder that any number of processes may share.

    Copies use Terraform's data directory (`TF_DATA_DIR`) in common. Plan and apply only read it; it is a whole init and
    not a plugin cache, which Terraform does not lock. The providers' checksums are checked by that init, and not again by
    each command: a copy's lock file names versions alone, unless the root came with a lock file of its own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self, root: Path, terraform: Terraform, *, pinned: bool = False) -> None:
        """Initialise `root`, or let it use the init of an equal one. TerraformError when init fails, for the next one too.

        `pinned` as for `init`.
        """
        data = self.folder / _init_key(root, terraform)
        terraform.environment["TF_DATA_DIR"] = str(data)
        lock_file, kept = root / LOCK, data / "lock.hcl"
        with locked(self.folder):
            if not kept.exists():
                data.mkdir(parents=True, exist_ok=True)
                init(terraform, pinned=pinned)
                # A root without providers has no lock file.
                lock = lock_file.read_text(encoding="utf-8") if lock_file.exists() else ""
                kept.write_text(lock if pinned else CHECKSUMS.sub("", lock), encoding="utf-8")
        if content := kept.read_text(encoding="utf-8"):
            lock_file.write_text(content, encoding="utf-8")


def init(terraform: Terraform, *, pinned: bool) -> None:
    """Run `terraform init`; for a root that is `pinned` by a lock file of its own with those providers, and no change of it.

    TerraformError when it fails, and when a pinned version is not to be had.
    """
    if not pinned:
        terraform.init()
        return
    try:
        terraform.init(lockfile="readonly")
    except TerraformError as error:
        remedy = f"the providers are those that {LOCK} pins: make them available here, or renew it (init -upgrade, providers lock)"
        raise TerraformError("init", (), f"{remedy}. {error.reasons}") from error


def _init_key(root: Path, terraform: Terraform) -> str:
    """Return a name that two roots share only when init would do the same for both."""
    told = [terraform.terraform_bin_path, sorted(terraform.environment.items())]
    digest = hashlib.sha256(json.dumps(told).encode())
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
    """Return the folder of a root in a copy of a project; IsolationError when a link leads from there out of the copy."""
    folder = copy / path
    if not folder.resolve().is_relative_to(copy.resolve()):
        raise IsolationError(folder, f"{path} is a link to {folder.resolve()}, which is no copy")
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only process in a folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Root:
    """A root module in a folder that the test may change. Its state is local, in that folder, whatever backend it declares.

    `environment` is added for every command to this process's own (see `Terraform`); `binary` names Terraform or OpenTofu;
    `timeout` limits each command, in seconds; `retry` says which failures are worth another attempt; `progress` is given a
    line about a command that takes long, and about each retry. `applied` holds the variables and the variable file of the
    last apply, for `destroy` and `assert_idempotent`; None when there is nothing to destroy.

    `imports_allowed` is for tests of `import` blocks in an account, or an emulator, of their own: what is imported is
    destroyed with the rest. Without it such an apply is refused.
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
            raise FileNotFoundError(f"{path} is not a folder: there is no root module to test")
        self.path = path
        self.terraform = Terraform(path, environment=environment, binary=binary, timeout=timeout, progress=progress)
        self.retry = retry or Retry()
        self.initialised = False
        self.pinned = False
        self.imports_allowed = False
        self.applied: tuple[dict[str, Any], Path | None] | None = None
        self._planned: tuple[dict[str, Any], Path | None, list[str]] | None = None

    def write(self, name: str, text: str) -> Path:
        """Write a file of the copy, named relative to the root module, and return its path.

        A link of that name is replaced. IsolationError when a folder on the way is a link: what it leads to is no copy.
        """
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(os.path.normpath(self.path.resolve() / name)).parent
        if folder != folder.resolve():
            raise IsolationError(self.path, f"{name} lies behind a link to {folder.resolve()}, which is no copy")
        if path.is_symlink():
            path.unlink()
        path.write_text(text, encoding="utf-8")
        return path

    def init(self, cache: InitCache | None = None) -> None:
        """Run `terraform init`, or use the cache's, with local state; the other verbs call it where nobody has.

        IsolationError, before anything runs, when the root cannot be kept apart from the state that it declares;
        TerraformError when init fails, and when a provider that the root's lock file pins is not to be had.
        """
        isolate(self.path, self.terraform.environment)
        if not self.initialised:
            # Later there is one in any case: that of this init.
            self.pinned = (self.path / LOCK).exists()
        if cache is None:
            self._retried(lambda: init(self.terraform, pinned=self.pinned))
        else:
            self._retried(lambda: cache.prepare(self.path, self.terraform, pinned=self.pinned))
        assert_isolated(self.path, Path(self.terraform.environment.get("TF_DATA_DIR", self.path / ".terraform")))
        self.initialised = True

    def _initialise(self) -> None:
        if not self.initialised:
            self.init()

    def plan(
        self, given: Mapping[str, Any] | None = None, /, *, var_file: Path | None = None, **variables: Any
    ) -> Plan:
        """Plan with variables from a file, a mapping and keywords; of one name, the last of these wins.

        PlanError with Terraform's diagnostics when it is refused, and when a variable is not declared, which Terraform
        itself only warns of.
        """
        return self._shown(self._retried(lambda: self._plan(_merged(given, variables), var_file, out=PLAN_FILE)))

    def _shown(self, result: Result) -> Plan:
        """Read the plan that a command has just made: of the time that both take, this is two fifths."""
        shown = self.terraform.show(PLAN_FILE, json=IsFlagged)
        if shown.code:
            raise PlanError("show", (), shown.err)
        warnings = [d for d in result.diagnostics if d.severity == "warning"]
        return Plan.read(json.loads(shown.out), changed=result.code == CHANGES, warnings=warnings)

    def check(
        self, given: Mapping[str, Any] | None = None, /, *, var_file: Path | None = None, **variables: Any
    ) -> None:
        """Plan without reading the plan, for half the time: where only a refusal matters. Arguments and errors as `plan`."""
        self._retried(lambda: self._plan(_merged(given, variables), var_file))

    def _plan(self, variables: dict[str, Any], var_file: Path | None, out: str | None = None) -> Result:
        # A failed plan leaves the file of the one before, or a file of its own half: `show` and `apply` would read it.
        self._initialise()
        file, self._planned = self.path / PLAN_FILE, None
        file.unlink(missing_ok=True)
        result = self.terraform.plan(out=out, var=variables, var_file=var_file)
        refused = result.code not in {0, CHANGES}
        if refused or any(d.undeclared_variable for d in result.diagnostics):
            file.unlink(missing_ok=True)
            # An undeclared variable is a warning of Terraform's, and here the reason of the failure.
            stated = [replace(d, severity="error") if d.undeclared_variable else d for d in result.diagnostics]
            raise PlanError("plan", stated, result.err)
        if out == PLAN_FILE:
            self._planned = variables, var_file, result.imports
        return result

    def apply(
        self, given: Mapping[str, Any] | None = None, /, *, var_file: Path | None = None, **variables: Any
    ) -> dict[str, Any]:
        """Apply, and return the outputs.

        PlanError before anything is made, as `plan`; TerraformError with the diagnostics when the apply fails: what it made
        until then stays in state, for `destroy`.
        """
        merged = _merged(given, variables)
        # Each attempt plans anew: a saved plan is stale as soon as an apply of it has made something.
        return self._retried(lambda: self._apply(merged, var_file))

    def apply_planned(self) -> dict[str, Any]:
        """Apply the plan that `plan` has just made, so that what was read is what is done, and return the outputs.

        Errors as `apply`, but nothing is tried again, since the plan is stale then. AssertionError when there is no plan: none
        was made, the last one was refused, or it is applied already.
        """
        if self._planned is None:
            raise AssertionError("nothing is planned, so nothing can be applied: see Root.plan")
        variables, var_file, imports = self._planned
        if imports and not self.imports_allowed:
            what = ", ".join(imports)
            raise PlanError(
                "apply", (), f"it would import {what}, which destroy would then delete: see Root.imports_allowed"
            )
        self.resume(variables, var_file=var_file)
        self._planned = None
        result = self.terraform.apply(PLAN_FILE)
        if result.code:
            raise TerraformError("apply", result.diagnostics, result.err)
        told = result.outputs
        return self.outputs() if told is None else told

    def _apply(self, variables: dict[str, Any], var_file: Path | None) -> dict[str, Any]:
        self._plan(variables, var_file, out=PLAN_FILE)
        return self.apply_planned()

    def resume(self, given: Mapping[str, Any], *, var_file: Path | None = None) -> None:
        """Have `destroy` take away what is in this root's state, with these variables: an earlier run has applied it."""
        self.applied = (dict(given), var_file)

    def destroy(self) -> None:
        """Destroy all that the last `apply` made, with its variables; twice is no error.

        A failed destroy is tried again whatever the reason, since what is left costs money. TerraformError, with the place of
        the state, when something is left in the end.
        """
        if self.applied is None:
            return
        variables, var_file = self.applied
        try:
            self._retried(lambda: self._destroy(variables, var_file), whatever="what is left costs money")
        except TerraformError as error:
            error.add_note(f"What is left is in the state in {self.path}")
            raise
        self.applied = None

    def _destroy(self, variables: dict[str, Any], var_file: Path | None) -> None:
        self._initialise()
        result = self.terraform.destroy(var=variables, var_file=var_file)
        if result.code:
            raise TerraformError("destroy", result.diagnostics, result.err)

    def _retried(self, command: Callable[[], T], whatever: str | None = None) -> T:
        return self.retry.run(command, whatever=whatever, told=self.terraform.progress)

    def outputs(self) -> dict[str, Any]:
        """Return the applied outputs' values by name."""
        self._initialise()
        values: dict[str, Any] = self.terraform.output()
        return values

    def output(self, name: str, kind: type[T]) -> T:
        """Return an applied output as a type: `str`, `int`, `list[str]`, `dict[str, int]`, a TypedDict, a pydantic model.

        Nothing is converted but what JSON has no form for, such as a set: "1" is no int and true is no 1. TypeError says what
        the output is instead; KeyError names the outputs that there are.
        """
        outputs = self.outputs()
        if name not in outputs:
            raise KeyError(f"there is no output {name}; the outputs are {sorted(outputs)}")
        try:
            # As JSON, in which Terraform gave it: a set is a list there, and so it is taken.
            return TypeAdapter(kind).validate_json(json.dumps(outputs[name]), strict=True)
        except ValidationError as error:
            wanted = kind if get_args(kind) else kind.__name__
            raise TypeError(f"output {name} is {outputs[name]!r}, not a {wanted}: {error.errors()[0]['msg']}") from None

    def assert_idempotent(self) -> None:
        """Plan again with the variables of the last apply, and fail, naming each resource and attribute, on any change.

        Outputs count. AssertionError also when nothing is applied.
        """
        if self.applied is None:
            raise AssertionError("nothing is applied, so nothing can be applied a second time")
        variables, var_file = self.applied
        result = self._retried(lambda: self._plan(variables, var_file, out=PLAN_FILE))
        if result.code == CHANGES:
            raise AssertionError("\n".join(["a second apply would change:", *self._shown(result).described()]))

    def dependencies(self) -> Mapping[str, frozenset[str]]:
        """Return for each resource all that must be there before it: addresses without index, through locals and modules.

        From `terraform graph`, or OpenTofu's, so it is their own order.
        """
        self._initialise()
        result = self.terraform.graph()
        if result.code:
            raise TerraformError("graph", (), result.err)
        resources = frozenset(NODE.findall(result.out))
        direct: dict[str, set[str]] = {}
        for name, needed in EDGE.findall(result.out):
            direct.setdefault(name, set()).add(needed)
        return {name: _all_before(name, direct) & resources for name in sorted(resources)}


def _all_before(name: str, direct: Mapping[str, set[str]]) -> frozenset[str]:
    found: set[str] = set()
    todo = [name]
    while todo:
        new = direct.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return frozenset(found)


def _merged(given: Mapping[str, Any] | None, variables: Mapping[str, Any]) -> dict[str, Any]:
    return {**(given or {}), **variables}
