"""python-terraform's `Terraform`, fixed for Terraform 1.9 and newer. `Fix:` marks each difference from the original."""

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
from .isolation import without_state_variables

GRACE_SECONDS = 20.0
"""How long an interrupted Terraform may take to stop its providers and save its state."""

PROGRESS_SECONDS = 10.0
"""Interval of the progress lines of a long-running command."""

MINIMUM_VERSION = (1, 9)
"""The oldest supported version, of Terraform and of OpenTofu."""

# A data directory stores the selected workspace, and copies share one.
OWN_ENVIRONMENT = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_WORKSPACE": "default"}

VERBS = frozenset({"fmt", "get", "graph", "providers", "refresh", "show", "state", "test", "validate", "version"})
UNDECLARED = ("Value for undeclared variable", "Values for undeclared variables")


@dataclass(frozen=True)
class Diagnostic:
    """An error or a warning from Terraform.

    `where` is `file:line`, or empty; `test` is the test file of the run that it comes from, if any.
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
        """Whether it reports a value for a variable that the root does not declare."""
        return self.summary in UNDECLARED


@dataclass(frozen=True)
class Result:
    """The result of a command: exit code, standard output and error, and the diagnostics among `-json` events."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of a `-json` run."""
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """Errors and warnings of a `-json` run, in order."""
        found = (event for event in self.events if event.get("type") == "diagnostic")
        return [_diagnostic(event["diagnostic"], event.get("@testfile", "")) for event in found]

    @property
    def outputs(self) -> dict[str, Any] | None:
        """Output values by name from `apply -json`; None when it prints none, or omits a sensitive one."""
        printed = [event["outputs"] for event in self.events if event.get("type") == "outputs"]
        if not printed or any("value" not in output for output in printed[-1].values()):
            return None
        return {name: output["value"] for name, output in printed[-1].items()}

    @property
    def imports(self) -> list[str]:
        """Addresses that a `plan -json` would import."""
        planned = [event["change"] for event in self.events if event.get("type") == "planned_change"]
        return [change["resource"]["addr"] for change in planned if change.get("importing")]


def _diagnostic(event: Mapping[str, Any], test: str) -> Diagnostic:
    place = event.get("range")
    where = f"{place['filename']}:{place['start']['line']}" if place else ""
    return Diagnostic(event["severity"], event["summary"], event.get("detail", ""), where, test)


class Terraform(python_terraform.Terraform):  # type: ignore[misc]  # python-terraform has no types
    """Terraform or OpenTofu in one folder, with its own environment and time limit.

    `binary` is a name on PATH or a path; the default is the environment variable TERRAFORM. `environment` is added to this
    process's environment, without the variables that set a state, arguments or inputs (`TF_WORKSPACE`, `TF_CLI_ARGS`,
    `TF_VAR_…`). `timeout` is the limit of each command in seconds, which a call may override. `progress` is called with a
    line every PROGRESS_SECONDS: what is done, and what the command waits for. Threads may share an instance. Methods
    return a `Result`, whatever the exit code, unless documented. CommandTimeoutError when a command exceeds its limit,
    BinaryError when there is no such binary.
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
        # Fix: the original passes its `state`, `parallelism`, `targets`, `variables` and `var_file` defaults to every
        # command, including init, which rejects some and ignores others. Here each command gets only its own flags.
        super().__init__(working_dir=str(working_dir), terraform_bin_path=binary or default_binary())
        self.environment = dict(environment or {})
        self.timeout = timeout
        self.progress = progress

    def __getattr__(self, item: str) -> Any:
        # Fix: the original turns any unknown attribute into a command, so a typo, a copy or a debugger runs Terraform.
        if item.removesuffix("_cmd") in VERBS:
            return super().__getattr__(item)
        raise AttributeError(f"{type(self).__name__} has no {item!r}; commands that it passes through: {sorted(VERBS)}")

    def read_state_file(self, file_path: str | None = None) -> None:
        """Do nothing.

        Fix: the original reads the state file after each command. Its format is internal to Terraform, and a remote backend
        keeps it elsewhere; `show -json` is the interface.
        """

    def cmd(self, cmd: str, *args: str, timeout: float | None = None, **options: Any) -> Result:
        """Run a command. Options as in python-terraform (`no_color=IsFlagged`), `var` and `var_file` included.

        CommandTimeoutError after `timeout` seconds, or the instance's.
        """
        variables = options.pop("var", None)
        files = options.pop("var_file", None)
        with tempfile.TemporaryDirectory(prefix="terraform-variables-") as folder:
            # Fix: the original keeps the names of variable files in the instance, so that one thread deletes another's
            # file. It also lets var_file override variables.
            given = [str(file) for file in _as_list(files)]
            if variables:
                path = Path(folder) / "given.tfvars.json"
                path.write_text(json.dumps(variables), encoding="utf-8")
                given.append(str(path))
            # Flags precede positional arguments, and later files win.
            command = self.generate_cmd_string(cmd, **options)
            command += [f"-var-file={file}" for file in given] + list(args)
            return self._run(cmd, command, self.timeout if timeout is None else timeout)

    def _run(self, name: str, command: Sequence[str], timeout: float) -> Result:
        if shutil.which(command[0]) is None:
            raise BinaryError(missing(command[0]))
        # Fix: `env=` and `timeout=` became CLI flags, and is_env_vars_included=False dropped even PATH.
        with subprocess.Popen(
            command,
            cwd=self.working_dir,
            env=without_state_variables(os.environ) | OWN_ENVIRONMENT | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Its own process group, so that providers and provisioners can be killed too.
            start_new_session=True,
        ) as process:
            try:
                out, err = self._output(name, process, timeout)
            except subprocess.TimeoutExpired:
                graceful, output = _stop(process)
                raise CommandTimeoutError(name, timeout, graceful=graceful, rest=output) from None
            except BaseException:
                # Such as Ctrl-C: resources created so far must be in state, or nothing can destroy them.
                _stop(process)
                raise
        # Fix: exit code 2 of `plan -detailed-exitcode` was logged as an error, and raised with raise_on_error.
        return Result(process.returncode, out, err)

    def _output(self, name: str, process: subprocess.Popen[str], timeout: float) -> tuple[str, str]:
        """Return a command's output, and report its progress meanwhile; subprocess.TimeoutExpired after `timeout` seconds."""
        begin = time.monotonic()
        while True:
            left = begin + timeout - time.monotonic()
            try:
                # It may be called again without losing output. After a timeout, partial output is bytes, even in text mode.
                return process.communicate(timeout=min(left, PROGRESS_SECONDS))
            except subprocess.TimeoutExpired as expired:
                if left <= PROGRESS_SECONDS:
                    raise
                if self.progress:
                    self.progress(
                        _progress(name, time.monotonic() - begin, (expired.stdout or b"").decode(errors="replace"))
                    )

    def init(self, **options: Any) -> Result:
        """Run `terraform init`; TerraformError when it fails."""
        result = self.cmd("init", **({"input": False, "no_color": IsFlagged} | options))
        if result.code:
            raise TerraformError("init", (), result.err)
        return result

    def plan(self, **options: Any) -> Result:
        """Run `terraform plan -json`. Exit code 0 is no changes, 1 an error, 2 changes."""
        return self.cmd("plan", json=IsFlagged, input=False, detailed_exitcode=IsFlagged, **options)

    def apply(self, plan: str | None = None, **options: Any) -> Result:
        """Run `terraform apply -json`, of a saved plan or with variables. It never prompts.

        Fix: the original waits for approval unless skip_plan is set, and passes variables along with a saved plan, which
        Terraform rejects.
        """
        if plan is not None:
            return self.cmd("apply", plan, json=IsFlagged, input=False, **options)
        return self.cmd("apply", json=IsFlagged, input=False, auto_approve=IsFlagged, **options)

    def destroy(self, **options: Any) -> Result:
        """Run `terraform destroy -json`. Fix: the original passes `-force`, which Terraform has removed."""
        return self.cmd("destroy", json=IsFlagged, input=False, auto_approve=IsFlagged, **options)

    def output(self, name: str | None = None) -> Any:
        """Return the value of an output, or all values by name.

        Fix: the original expects a wrapper object that `output -json NAME` no longer prints. TerraformError when the command
        fails, where the original returned None. KeyError when there is no such output.
        """
        result = self.cmd("output", json=IsFlagged, no_color=IsFlagged)
        if result.code:
            raise TerraformError("output", (), result.err)
        values = {key: output["value"] for key, output in json.loads(result.out).items()}
        return values if name is None else values[name]


def default_binary() -> str:
    """Return the environment variable TERRAFORM (`tofu`, a path), or else `terraform`."""
    return os.environ.get("TERRAFORM") or "terraform"


def usable(binary: str) -> str:
    """Return the binary if it is a supported Terraform or OpenTofu; raise BinaryError, with the fix, if not."""
    if shutil.which(binary) is None:
        raise BinaryError(missing(binary))
    out = Terraform(Path.cwd(), binary=binary).version(json=IsFlagged).out
    try:
        version = str(json.loads(out)["terraform_version"])  # OpenTofu uses the same key
    except (ValueError, KeyError) as error:
        raise BinaryError(
            f"`{binary} version -json` printed no version, so it is not Terraform: {out.strip()!r}"
        ) from error
    if tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < MINIMUM_VERSION:
        minimum = ".".join(map(str, MINIMUM_VERSION))
        raise BinaryError(
            f"{binary} {version} is too old: the harness needs {minimum} or newer. Set TERRAFORM to another binary"
        )
    return binary


def missing(binary: str) -> str:
    return f"{binary} is not on PATH: install Terraform or OpenTofu, or set TERRAFORM to another binary, such as tofu"


def _progress(name: str, seconds: float, out: str) -> str:
    """Return a progress line for a running command, from its `-json` events so far."""
    complete_lines = out[: out.rfind("\n") + 1]
    done, busy = 0, dict[str, None]()
    for event in Result(0, complete_lines, "").events:
        # `show -json` prints one object, which is not an event.
        kind = event.get("type")
        if kind == "apply_start":
            busy[event["hook"]["resource"]["addr"]] = None
        elif kind in {"apply_complete", "apply_errored"}:
            busy.pop(event["hook"]["resource"]["addr"], None)
            done += 1
    finished = f": {done} done" if done or busy else ""
    waiting = f", waiting for {', '.join(busy)}" if busy else ""
    return f"terraform {name}, {seconds:.0f} s{finished}{waiting}"


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _stop(process: subprocess.Popen[str]) -> tuple[bool, str]:
    """Send Terraform SIGINT, give it time to save its state, then kill the rest of its process group.

    Returns whether it exited by itself, and its errors.
    """
    try:
        # Only to Terraform, which stops its providers and provisioners itself.
        process.send_signal(signal.SIGINT)
        graceful = True
        try:
            out, err = process.communicate(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            # Terraform may have exited while an orphaned child holds its output open.
            graceful = process.poll() is not None
            _kill_group(process)
            out, err = process.communicate()
    finally:
        _kill_group(process)
    return graceful, "; ".join(str(d) for d in Result(0, out or "", "").diagnostics) or (err or "").strip()


def _kill_group(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
