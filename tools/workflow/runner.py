"""Run the jobs of a workflow: `run` steps in bash as on a hosted runner, and composite actions of this repository.

All other actions need a stand-in. What a step writes to GITHUB_ENV, GITHUB_OUTPUT, GITHUB_PATH and GITHUB_STEP_SUMMARY counts,
::add-mask:: masks the log, a failed step skips the others unless their `if` asks for the status, and defaults and
`working-directory` apply. A key that is not known here is an error.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .expressions import evaluate, interpolate, uses_status

STEP_KEYS = {"env", "id", "if", "name", "run", "shell", "uses", "with", "working-directory"}
JOB_KEYS = {
    *(
        "concurrency",
        "defaults",
        "environment",
        "if",
        "name",
        "needs",
        "outputs",
        "permissions",
        "runs-on",
        "steps",
        "strategy",
        "timeout-minutes",
    )
}
# As a hosted runner calls bash, without and with `shell: bash`.
SHELLS = {None: ["bash", "-e"], "bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"]}
# An action of the workflow's own repository.
OWN = "$/"
SECONDS = 900


class WorkflowError(Exception):
    """The workflow cannot be run here: an unknown key, a missing input, an action without a stand-in."""


@dataclass
class Step:
    """A step that ran, or did not: `outcome` is success, failure or skipped. `log` has its output, masked."""

    name: str
    uses: str | None = None
    outcome: str = "skipped"
    log: str = ""
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class JobResult:
    """A job: its result, steps in order, outputs, and the text of its summary page."""

    result: str = "success"
    steps: list[Step] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""

    @property
    def log(self) -> str:
        """The output of all steps."""
        return "".join(f"--- {step.name}: {step.outcome}\n{step.log}" for step in self.steps)


@dataclass
class Job:
    """A job while it runs, as stand-ins see it. `environment` is that of later steps, and `path` precedes its PATH."""

    name: str
    workspace: Path
    temp: Path
    permissions: Mapping[str, str]
    github: Mapping[str, Any]
    environment: dict[str, str]
    path: list[str] = field(default_factory=list)
    masks: set[str] = field(default_factory=set)


StandIn = Callable[[Job, Mapping[str, str]], Mapping[str, str] | None]


@dataclass
class Run:
    """One run of a workflow of `repository`, whose jobs get folders of their own in `folder`.

    `github` is the context of that name; `environment` is the runner's own; `stand_ins` are called, by the action's name without its
    version, with the job and the step's inputs, and may return outputs. They raise subprocess.CalledProcessError or OSError to fail.
    """

    repository: Path
    folder: Path
    stand_ins: Mapping[str, StandIn]
    github: Mapping[str, Any]
    environment: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict)
    matrix: Mapping[str, Any] = field(default_factory=dict)
    jobs: dict[str, JobResult] = field(default_factory=dict)

    def workflow(self, name: str, inputs: Mapping[str, Any] | None = None) -> Run:
        """Run all jobs of a workflow in their order; `name` is the file's without `.yml`."""
        document = load(self.repository / ".github/workflows" / f"{name}.yml")
        values = workflow_inputs(document, inputs or {})
        for job in document["jobs"]:
            self.job(document, job, values)
        return self

    def job(self, document: Mapping[str, Any], name: str, inputs: Mapping[str, Any]) -> JobResult:
        """Run one job. The jobs that it needs must have run."""
        declared = document["jobs"][name]
        _known(declared, JOB_KEYS, f"job {name}")
        result = self.jobs[name] = JobResult()
        needs = [declared["needs"]] if isinstance(declared.get("needs"), str) else declared.get("needs", [])
        needed = {need: {"outputs": self.jobs[need].outputs, "result": self.jobs[need].result} for need in needs}
        failed = any(need["result"] != "success" for need in needed.values())
        contexts: dict[str, Any] = {
            "github": self.github,
            "inputs": inputs,
            "matrix": self.matrix,
            "needs": needed,
            "secrets": self.secrets,
            "steps": {},
        }
        if failed or not _holds(declared.get("if"), contexts, "success"):
            result.result = "skipped"
            return result
        workspace, temp = self.folder / name / "workspace", self.folder / name / "temp"
        for folder in (workspace, temp):
            folder.mkdir(parents=True)
        permissions = declared.get("permissions", document.get("permissions", {}))
        token = ",".join(f"{scope}={access}" for scope, access in permissions.items()) or "none"
        contexts["github"] = {**self.github, "token": token}
        contexts["runner"] = {"temp": str(temp)}
        job = Job(name, workspace, temp, permissions, contexts["github"], self._environment(workspace, temp))
        job.masks.update(value for value in self.secrets.values() if value)
        defaults = declared.get("defaults", {}).get("run", {})
        for step in declared["steps"]:
            self._step(step, job, contexts, result, defaults)
        result.outputs = {key: interpolate(value, contexts) for key, value in declared.get("outputs", {}).items()}
        return result

    def _environment(self, workspace: Path, temp: Path) -> dict[str, str]:
        given = {
            f"GITHUB_{key.upper()}": str(value) for key, value in self.github.items() if isinstance(value, str | int)
        }
        return {
            **self.environment,
            **given,
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(workspace),
            "RUNNER_TEMP": str(temp),
        }

    def _step(
        self,
        declared: Mapping[str, Any],
        job: Job,
        contexts: dict[str, Any],
        result: JobResult,
        defaults: Mapping[str, str],
        action_path: Path | None = None,
    ) -> None:
        name = declared.get("name") or declared.get("id") or declared.get("uses") or declared["run"].splitlines()[0]
        _known(declared, STEP_KEYS, f"step {name}")
        step = Step(interpolate(name, contexts), declared.get("uses"))
        contexts = {**contexts, "env": job.environment}
        if _holds(declared.get("if"), contexts, result.result):
            if step.uses and step.uses.startswith(OWN):
                self._composite(step, declared, job, contexts, result)
                return
            if step.uses:
                self._uses(step, declared, job, contexts)
            else:
                self._bash(step, declared, job, contexts, result, defaults, action_path)
            if step.outcome == "failure":
                result.result = "failure"
        result.steps.append(step)
        if "id" in declared:
            contexts["steps"][declared["id"]] = {
                "outputs": step.outputs,
                "outcome": step.outcome,
                "conclusion": step.outcome,
            }

    def _composite(
        self, step: Step, declared: Mapping[str, Any], job: Job, contexts: Mapping[str, Any], result: JobResult
    ) -> None:
        folder = self.repository / str(step.uses).removeprefix(OWN)
        action = load(folder / "action.yml")
        given = {key: interpolate(value, contexts) for key, value in declared.get("with", {}).items()}
        inner = {
            "github": contexts["github"],
            "runner": contexts["runner"],
            "inputs": action_inputs(action, given),
            "steps": {},
        }
        for inside in action["runs"]["steps"]:
            self._step(inside, job, inner, result, {}, folder)

    def _uses(self, step: Step, declared: Mapping[str, Any], job: Job, contexts: Mapping[str, Any]) -> None:
        action = str(step.uses).partition("@")[0]
        if action not in self.stand_ins:
            raise WorkflowError(f"the action {action} has no stand-in")
        given = {key: interpolate(value, contexts) for key, value in declared.get("with", {}).items()}
        try:
            step.outputs = dict(self.stand_ins[action](job, given) or {})
            step.outcome = "success"
        except (OSError, subprocess.CalledProcessError) as error:
            step.outcome, step.log = "failure", f"{error}\n{getattr(error, 'stderr', '') or ''}\n"

    def _bash(
        self,
        step: Step,
        declared: Mapping[str, Any],
        job: Job,
        contexts: Mapping[str, Any],
        result: JobResult,
        defaults: Mapping[str, str],
        action_path: Path | None,
    ) -> None:
        number = len(result.steps)
        files = {name: job.temp / f"_{name.lower()}_{number}" for name in ("ENV", "OUTPUT", "PATH", "STEP_SUMMARY")}
        for file in files.values():
            file.touch()
        script = job.temp / f"_step_{number}.sh"
        script.write_text(interpolate(declared["run"], contexts))
        environment = {**job.environment, **{f"GITHUB_{name}": str(file) for name, file in files.items()}}
        environment |= {key: interpolate(value, contexts) for key, value in declared.get("env", {}).items()}
        if action_path:
            environment["GITHUB_ACTION_PATH"] = str(action_path)
        environment["PATH"] = os.pathsep.join([*reversed(job.path), environment["PATH"]])
        folder = interpolate(declared.get("working-directory", defaults.get("working-directory", ".")), contexts)
        done = subprocess.run(
            [*SHELLS[declared.get("shell", defaults.get("shell"))], str(script)],
            cwd=job.workspace / folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        step.outcome = "failure" if done.returncode else "success"
        job.masks.update(re.findall(r"^::add-mask::(.+)$", done.stdout, re.MULTILINE))
        step.log = _masked(re.sub(r"^::add-mask::.*\n", "", done.stdout, flags=re.MULTILINE), job.masks)
        step.outputs = assignments(files["OUTPUT"].read_text())
        job.environment |= assignments(files["ENV"].read_text())
        job.path += files["PATH"].read_text().splitlines()
        result.summary += files["STEP_SUMMARY"].read_text()


def load(file: Path) -> dict[str, Any]:
    """Read a workflow or an action."""
    document: dict[Any, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    if True in document:  # YAML 1.1 reads the key `on` as a boolean
        document["on"] = document.pop(True)
    return document


def workflow_inputs(document: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of a workflow with defaults; WorkflowError on an unknown, missing or mistyped one."""
    events = document["on"] if isinstance(document["on"], Mapping) else {}
    declared: Mapping[str, Any] = next(
        (events[e].get("inputs", {}) for e in ("workflow_call", "workflow_dispatch") if events.get(e)), {}
    )
    types = {"string": str, "boolean": bool, "number": int}
    values = action_inputs({"inputs": declared}, given)
    for name, value in values.items():
        if not isinstance(value, types[declared[name]["type"]]):
            raise WorkflowError(f"input {name} must be a {declared[name]['type']}")
    return values


def action_inputs(action: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of an action with defaults; WorkflowError on an unknown or missing one."""
    declared = action.get("inputs", {})
    if unknown := given.keys() - declared.keys():
        raise WorkflowError(f"unknown inputs: {', '.join(sorted(unknown))}")
    if missing := [name for name, one in declared.items() if one.get("required") and name not in given]:
        raise WorkflowError(f"missing inputs: {', '.join(missing)}")
    return {name: given.get(name, one.get("default", "")) for name, one in declared.items()}


def assignments(text: str) -> dict[str, str]:
    """Read what a step wrote to GITHUB_ENV or GITHUB_OUTPUT: name=value, or name<<END with lines up to END."""
    values: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, separator, value = line.partition("=")
        if "<<" in name or (not separator and "<<" in line):
            name, _, end = line.partition("<<")
            block = []
            for inside in lines:
                if inside == end:
                    break
                block.append(inside)
            values[name] = "\n".join(block)
        elif separator:
            values[name] = value
        elif line.strip():
            raise WorkflowError(f"{line!r} is not name=value")
    return values


def _holds(condition: Any, contexts: Mapping[str, Any], status: str) -> bool:
    if condition is None:
        return status == "success"
    text = str(condition).strip()
    text = text[3:-2] if text.startswith("${{") and text.endswith("}}") else text
    if not uses_status(text) and status != "success":
        return False
    return bool(evaluate(text, contexts, status))


def _known(declared: Mapping[str, Any], keys: set[str], where: str) -> None:
    if unknown := declared.keys() - keys:
        raise WorkflowError(f"{where} has keys that this runner does not know: {', '.join(sorted(unknown))}")


def _masked(text: str, masks: set[str]) -> str:
    for mask in sorted(masks, key=len, reverse=True):
        text = text.replace(mask, "***")
    return text
