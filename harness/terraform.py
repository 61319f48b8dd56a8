"""python-terraform's `Terraform`, mended for Terraform 1.9 and newer. Each mend says what it mends."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import python_terraform
from python_terraform import IsFlagged

from .errors import BinaryError, CommandTimeoutError, TerraformError
from .isolation import without_another_state

GRACE_SECONDS = 20.0
"""How long an interrupted Terraform may take to stop its providers and write its state."""

PROGRESS_SECONDS = 10.0
"""How often a command that takes longer than this says how far it is."""

LEAST_VERSION = (1, 9)
"""The oldest Terraform or OpenTofu that the harness knows; both count from one fork, and add to it at their own pace."""

# A data directory remembers a selected workspace; copies that share one must not.
OWN_ENVIRONMENT = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_WORKSPACE": "default"}

VERBS = frozenset({"fmt", "get", "graph", "providers", "refresh", "show", "state", "test", "validate", "version"})
UNDECLARED = ("Value for undeclared variable", "Values for undeclared variables")


@dataclass(frozen=True)
class Diagnostic:
    """An error or a warning of Terraform's.

    `where` is `file:line`, empty when it concerns no place; `test` is the file of tests whose run it is from, if any.
    """

    severity: str
    summary: str
    detail: str
    where: str = ""
    test: str = ""

    def __str__(self) -> str:
        text = " ".join(f"{self.summary}: {self.detail}".split())
        return f"{text} ({self.where})" if self.where else text

    @property
    def undeclared_variable(self) -> bool:
        """Whether it says that a value was given for a variable that the root does not declare."""
        return self.summary in UNDECLARED


@dataclass(frozen=True)
class Result:
    """How a command ended: exit code, standard output and error, and the diagnostics among `-json` events."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines of a `-json` run as objects."""
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """Errors and warnings of a `-json` run, in its order."""
        found = (event for event in self.events if event.get("type") == "diagnostic")
        return [_diagnostic(event["diagnostic"], event.get("@testfile", "")) for event in found]

    @property
    def outputs(self) -> dict[str, Any] | None:
        """Values by name, as an `apply -json` tells them at its end; None when it tells none, or keeps one to itself."""
        told = [event["outputs"] for event in self.events if event.get("type") == "outputs"]
        if not told or any("value" not in output for output in told[-1].values()):
            return None
        return {name: output["value"] for name, output in told[-1].items()}

    @property
    def imports(self) -> list[str]:
        """Addresses of what a `plan -json` would import."""
        planned = [event["change"] for event in self.events if event.get("type") == "planned_change"]
        return [change["resource"]["addr"] for change in planned if change.get("importing")]


def _diagnostic(stated: Mapping[str, Any], test: str) -> Diagnostic:
    place = stated.get("range")
    where = f"{place['filename']}:{place['start']['line']}" if place else ""
    return Diagnostic(stated["severity"], stated["summary"], stated.get("detail", ""), where, test)


class Terraform(python_terraform.Terraform):  # type: ignore[misc]  # python-terraform has no types
    """Terraform, or OpenTofu, in one folder, with an environment and a time limit of its own.

    `binary` is a name on PATH or a path; by default what the environment variable TERRAFORM names. `environment` is added to
    this process's own, of which everything that would choose a state, arguments or inputs (`TF_WORKSPACE`, `TF_CLI_ARGS`,
    `TF_VAR_…`) is left out. `timeout` is the limit of every command in seconds; a command may state another. `progress` is
    given a line every PROGRESS_SECONDS of a command: what is done, what it waits for. Any number of threads may share an
    instance. Methods return `Result`, whatever the exit code, unless they say otherwise. CommandTimeoutError when a command
    outlives its limit, BinaryError when there is no such binary.
    """

    def __init__(
        self,
        working_dir: Path,
        *,
        environment: Mapping[str, str] | None = None,
        timeout: float = 600,
        binary: str | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        # Mended: the original's `state`, `parallelism`, `targets`, `variables` and `var_file` defaults go to every verb,
        # init among them, which refuses some and ignores others. Each verb is told what it takes instead.
        super().__init__(working_dir=str(working_dir), terraform_bin_path=binary or default_binary())
        self.environment = dict(environment or {})
        self.timeout = timeout
        self.progress = progress

    def __getattr__(self, item: str) -> Any:
        # Mended: the original makes a command of any unknown attribute, so that a typo, a copy or a debugger runs Terraform.
        if item.removesuffix("_cmd") in VERBS:
            return super().__getattr__(item)
        raise AttributeError(
            f"{type(self).__name__} has no {item!r}; the further commands it passes on: {sorted(VERBS)}"
        )

    def read_state_file(self, file_path: str | None = None) -> None:
        """Do nothing.

        Mended: the original reads the state file after each command. Its form is Terraform's private affair, a remote
        backend's is elsewhere, and `show -json` is the interface.
        """

    def cmd(self, cmd: str, *args: str, timeout: float | None = None, **options: Any) -> Result:
        """Run a command; options as python-terraform spells them (`no_color=IsFlagged`), `var` and `var_file` included.

        CommandTimeoutError after `timeout` seconds, or the instance's.
        """
        variables = options.pop("var", None)
        files = options.pop("var_file", None)
        with tempfile.TemporaryDirectory(prefix="terraform-variables-") as folder:
            # Mended: the original keeps the names of variable files in the instance, so that one thread deletes another's;
            # and it lets var_file win over variables.
            given = [str(file) for file in _as_list(files)]
            if variables:
                path = Path(folder) / "given.tfvars.json"
                path.write_text(json.dumps(variables), encoding="utf-8")
                given.append(str(path))
            # Terraform's flags come before its positional arguments, and later files win.
            command = self.generate_cmd_string(cmd, **options)
            command += [f"-var-file={file}" for file in given] + list(args)
            return self._run(cmd, command, self.timeout if timeout is None else timeout)

    def _run(self, name: str, command: Sequence[str], timeout: float) -> Result:
        if shutil.which(command[0]) is None:
            raise BinaryError(missing(command[0]))
        # Mended: `env=` and `timeout=` became CLI flags, and is_env_vars_included=False lost even PATH.
        with subprocess.Popen(
            command,
            cwd=self.working_dir,
            env=without_another_state(os.environ) | OWN_ENVIRONMENT | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A process group of its own, so that all of it, providers and provisioners too, can be ended.
            start_new_session=True,
        ) as process:
            try:
                out, err = self._output(name, process, timeout)
            except subprocess.TimeoutExpired:
                graceful, said = _end(process)
                raise CommandTimeoutError(name, timeout, graceful=graceful, rest=said) from None
            except BaseException:
                # A person's Ctrl-C for one: what is made until now must be in the state, or nothing can destroy it.
                _end(process)
                raise
        # Mended: exit code 2 of `plan -detailed-exitcode` was logged as an error and raised with raise_on_error.
        return Result(process.returncode, out, err)

    def _output(self, name: str, process: subprocess.Popen[str], timeout: float) -> tuple[str, str]:
        """Wait for a command's output and tell how far it is meanwhile; subprocess.TimeoutExpired after `timeout` seconds."""
        begin = time.monotonic()
        while True:
            left = begin + timeout - time.monotonic()
            try:
                # It may be called again and loses nothing. What there is so far comes as bytes, in text mode too.
                return process.communicate(timeout=min(left, PROGRESS_SECONDS))
            except subprocess.TimeoutExpired as waited:
                if left <= PROGRESS_SECONDS:
                    raise
                if self.progress:
                    self.progress(
                        _progress(name, time.monotonic() - begin, (waited.stdout or b"").decode(errors="replace"))
                    )

    def init(self, **options: Any) -> Result:
        """Run `terraform init`; TerraformError when it fails."""
        result = self.cmd("init", **({"input": False, "no_color": IsFlagged} | options))
        if result.code:
            raise TerraformError("init", (), result.err)
        return result

    def plan(self, **options: Any) -> Result:
        """Run `terraform plan -json`; exit code 0 is no change, 2 is changes, 1 is an error."""
        return self.cmd("plan", json=IsFlagged, input=False, detailed_exitcode=IsFlagged, **options)

    def apply(self, plan: str | None = None, **options: Any) -> Result:
        """Run `terraform apply -json`: a saved plan, or plan and apply at once with variables. It never waits for a person.

        Mended: the original waits for approval unless told to skip the plan, and adds variables to a saved plan, which
        Terraform refuses.
        """
        if plan is not None:
            return self.cmd("apply", plan, json=IsFlagged, input=False, **options)
        return self.cmd("apply", json=IsFlagged, input=False, auto_approve=IsFlagged, **options)

    def destroy(self, **options: Any) -> Result:
        """Run `terraform destroy -json`. Mended: the original sends `-force`, which Terraform no longer knows."""
        return self.cmd("destroy", json=IsFlagged, input=False, auto_approve=IsFlagged, **options)

    def output(self, name: str | None = None) -> Any:
        """Return the value of an output, or all values by name.

        Mended: the original reads the envelope that `output -json NAME` lost long ago. TerraformError when there are none,
        where the original returned None. KeyError when there is no such output.
        """
        result = self.cmd("output", json=IsFlagged, no_color=IsFlagged)
        if result.code:
            raise TerraformError("output", (), result.err)
        values = {key: stated["value"] for key, stated in json.loads(result.out).items()}
        return values if name is None else values[name]


def default_binary() -> str:
    """Return what the environment variable TERRAFORM names (`tofu`, a path), else `terraform`."""
    return os.environ.get("TERRAFORM") or "terraform"


def usable(binary: str) -> str:
    """Return the binary if it is a Terraform or an OpenTofu that is new enough; BinaryError says what to do otherwise."""
    if shutil.which(binary) is None:
        raise BinaryError(missing(binary))
    said = Terraform(Path.cwd(), binary=binary).version(json=IsFlagged).out
    try:
        version = str(json.loads(said)["terraform_version"])  # OpenTofu's key, too
    except (ValueError, KeyError) as error:
        raise BinaryError(
            f"`{binary} version -json` tells no version, so it is no Terraform: {said.strip()!r}"
        ) from error
    if tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < LEAST_VERSION:
        least = ".".join(map(str, LEAST_VERSION))
        raise BinaryError(
            f"{binary} {version} is too old: the harness needs {least} or newer. Name another: TERRAFORM=…"
        )
    return binary


def missing(binary: str) -> str:
    """Return the sentence about a binary that is not there."""
    return f"{binary} is not on PATH: install Terraform or OpenTofu, or name another binary: TERRAFORM=tofu"


def _progress(name: str, seconds: float, out: str) -> str:
    """Return a line on a command that runs, from its `-json` events so far."""
    whole_lines = out[: out.rfind("\n") + 1]
    done, busy = 0, dict[str, None]()
    for event in Result(0, whole_lines, "").events:
        # What `show -json` prints is one object, and no event.
        kind = event.get("type")
        if kind == "apply_start":
            busy[event["hook"]["resource"]["addr"]] = None
        elif kind in {"apply_complete", "apply_errored"}:
            busy.pop(event["hook"]["resource"]["addr"], None)
            done += 1
    told = f": {done} done" if done or busy else ""
    waits = f", waits for {', '.join(busy)}" if busy else ""
    return f"terraform {name}, {seconds:.0f} s{told}{waits}"


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _end(process: subprocess.Popen[str]) -> tuple[bool, str]:
    """Interrupt Terraform as a person would, give it time to save its state, then end whatever is left of its group.

    Returns whether it ended by itself, and what it said.
    """
    try:
        # To Terraform alone: it stops its providers and provisioners itself.
        process.send_signal(signal.SIGINT)
        graceful = True
        try:
            out, err = process.communicate(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            # Terraform itself may be gone, and a child that it left behind hold its output open.
            graceful = process.poll() is not None
            _kill_group(process)
            out, err = process.communicate()
    finally:
        _kill_group(process)
    return graceful, "; ".join(str(d) for d in Result(0, out or "", "").diagnostics) or (err or "").strip()


def _kill_group(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
