"""Terraform or OpenTofu in one root module: outputs, saved plans, and applies of saved plans."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import DeliveryError, RefusedError, one_line
from .plans import Plan

NO_CHANGES, CHANGES = 0, 2  # exit codes of `plan -detailed-exitcode`
ENVIRONMENT = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}


class TerraformError(DeliveryError):
    """A command failed; the message is its first error."""


class LockedError(TerraformError):
    """Another run holds the lock of the state."""


class StaleError(TerraformError):
    """The state changed after the plan was saved."""


@dataclass(frozen=True)
class Names:
    """Names of the root's variables and outputs."""

    version_variable: str = "release_version"
    canary_variable: str = "canary_percent"
    alias_output: str = "alias_arn"
    alarms_output: str = "alarm_arns"
    newest_output: str = "newest_version"

    def pins(self, version: str, percent: int = 0) -> dict[str, int]:
        """Return the variables' values that give the newest version `percent` of the requests, and `version` the rest."""
        return {self.version_variable: int(version), self.canary_variable: percent}


# The errors that users meet, and what to do about them. Each message is one sentence; {root} and {detail} are filled in.
KNOWN: tuple[tuple[str, type[TerraformError], str], ...] = (
    (
        "Error acquiring the state lock",
        LockedError,
        "the state is locked by another run{lock}: wait until it ends, or, if it is gone, run `{binary} force-unlock {id}`",
    ),
    (
        "Saved plan is stale",
        StaleError,
        "the saved plan is stale: another apply changed the state after it was made. Make a new plan",
    ),
    ("Value for undeclared variable", TerraformError, "the root {root} lacks a variable: {detail}"),
    (
        "Backend initialization required|Module not installed|Required plugins are not installed|Inconsistent dependency"
        "|Could not load plugin|Missing required provider|please run .*init",
        TerraformError,
        "the root {root} is not initialised: run `{binary} init` there first",
    ),
    (
        "No valid credential sources|InvalidClientTokenId|ExpiredToken|UnrecognizedClientException|security token",
        TerraformError,
        "AWS rejects the credentials, or there are none: {detail}",
    ),
    (
        "Cannot connect to the Docker daemon|[Dd]ocker daemon|failed to ping [Dd]ocker",
        TerraformError,
        "no Docker daemon is reachable, and the image has to be built: {detail}",
    ),
)


@dataclass
class Terraform:
    """Runs commands in `root`. `variables` and `var_files` are given to each plan; the pins of `plan` win over them.

    `lock_timeout` is how long a command waits for the state's lock, as Terraform writes it (`30s`). A command runs in a
    process group of its own, so that Ctrl-C reaches only this program, which decides what happens to it.
    """

    root: Path
    binary: str = field(default_factory=lambda: os.environ.get("TERRAFORM") or "terraform")
    var_files: Sequence[Path] = ()
    variables: Sequence[str] = ()
    lock_timeout: str = "30s"
    _process: subprocess.Popen[str] | None = field(default=None, init=False, repr=False)

    def check(self) -> None:
        """RefusedError when the root or the binary does not exist."""
        if not self.root.is_dir():
            raise RefusedError(f"the root {self.root} is not a folder")
        if (
            not any(self.root.glob("*.tf"))
            and not any(self.root.glob("*.tf.json"))
            and not any(self.root.glob("*.tofu"))
        ):
            raise RefusedError(f"the root {self.root} has no Terraform files")
        if shutil.which(self.binary) is None:
            raise RefusedError(f"{self.binary} is not on PATH: install Terraform or OpenTofu, or set TERRAFORM")
        for file in self.var_files:
            if not file.is_file():
                raise RefusedError(f"the variable file {file} does not exist")

    @property
    def data_dir(self) -> Path:
        """The folder of Terraform's own data, which no repository tracks."""
        return self.root / os.environ.get("TF_DATA_DIR", ".terraform")

    def outputs(self) -> dict[str, Any]:
        """Return the values of the outputs by name; empty before the first apply."""
        printed = json.loads(self._run("output", "-json", "-no-color"))
        return {name: output["value"] for name, output in printed.items()}

    @contextmanager
    def plan(self, pins: Mapping[str, int], *, refresh: bool = True) -> Iterator[Plan]:
        """Save a plan with these values of the variables, and delete it at the end of the context: it may hold secrets."""
        with tempfile.TemporaryDirectory(prefix="delivery-") as folder:
            file = Path(folder) / "saved.tfplan"
            given = [f"-var-file={path.resolve()}" for path in self.var_files]
            given += [f"-var={variable}" for variable in self.variables]
            given += [f"-var={name}={value}" for name, value in pins.items()]
            lock = f"-lock-timeout={self.lock_timeout}"
            self._run("plan", "-json", f"-out={file}", lock, f"-refresh={str(refresh).lower()}", *given)
            yield self.read(file)

    def read(self, file: Path) -> Plan:
        """Read a saved plan."""
        return Plan(file, json.loads(self._run("show", "-json", "-no-color", str(file.resolve()))))

    def apply(self, plan: Plan) -> None:
        """Apply a saved plan, exactly as it was read. StaleError when the state has changed since."""
        self._run("apply", "-json", f"-lock-timeout={self.lock_timeout}", str(plan.file.resolve()))

    def interrupt(self) -> None:
        """Ask the running command to stop after what it is doing, and to save the state."""
        process = self._process
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)

    def _run(self, *arguments: str) -> str:
        command = [self.binary, *arguments]
        try:
            self._process = subprocess.Popen(
                command,
                cwd=self.root,
                env={**os.environ, **ENVIRONMENT},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                process_group=0,
            )
            out, err = self._process.communicate()
            code = self._process.returncode
        except OSError as error:
            raise TerraformError(f"cannot run {self.binary}: {error}") from error
        finally:
            self._process = None
        if code:
            raise self._error(arguments[0], out, err)
        return out

    def _error(self, command: str, out: str, err: str) -> TerraformError:
        text = "\n".join(_diagnostics(out)) or err or out
        plain = one_line(text).removeprefix("Error: ")
        for pattern, kind, message in KNOWN:
            if re.search(pattern, plain):
                facts = {"root": self.root, "binary": self.binary, "detail": plain[:300]}
                return kind(message.format(**facts, **_lock(plain)))
        return TerraformError(f"{self.binary} {command} failed: {plain[:1500]}")


def _diagnostics(out: str) -> list[str]:
    events = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    found = [event["diagnostic"] for event in events if event.get("type") == "diagnostic"]
    return [f"{d['summary']}: {d.get('detail', '')}" for d in found if d["severity"] == "error"]


def _lock(text: str) -> dict[str, str]:
    """Return what an error says of the lock: who holds it since when, and its ID."""
    found = {name: re.search(rf"{name}: +(\S.*?) +(?=[A-Z]\w+:|$)", text) for name in ("ID", "Who", "Created")}
    known = {name: match[1] for name, match in found.items() if match}
    lock = f" ({known['Who']}, since {known['Created'][:19]})" if {"Who", "Created"} <= known.keys() else ""
    return {"lock": lock, "id": known.get("ID", "LOCK_ID")}
