"""A working copy of the example, with the override files that it needs here. The example itself is never changed."""

from __future__ import annotations

import filecmp
import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from sandbox import overrides, paths, terraform
from sandbox.base_image import BaseImage
from sandbox.emulator import Emulator, engine_of_the_client, neutral_environment
from sandbox.errors import SandboxError
from sandbox.issuer import Issuer
from sandbox.progress import Step
from sandbox.providers import Providers

EXAMPLE = "complete"
# Files of Terraform and of the build; every other file in the copy follows its source.
KEPT = re.compile(rf"^(\.terraform(\.lock\.hcl)?|terraform\.tfstate.*|build\.log|{re.escape(overrides.NAME)})$")
NOT_COPIED = re.compile(r"^(\.terraform(\.lock\.hcl)?|terraform\.tfstate.*|__pycache__|build\.log)$")


@dataclass(frozen=True)
class Deployment:
    """The example in a sandbox: its working copy, and Terraform's environment."""

    root: Path
    emulator: Emulator
    variables: dict[str, str]

    def terraform(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Terraform in the example and return its result, whatever the exit code."""
        return subprocess.run(
            [terraform.program(), *arguments],
            cwd=self.root,
            env=neutral_environment() | self.variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def output(self, name: str) -> str:
        """Return an output of the applied example; SandboxError when there is none."""
        result = self.terraform("output", "-json", "-no-color")
        try:
            return str(json.loads(result.stdout)[name]["value"])
        except (ValueError, KeyError) as error:
            raise SandboxError("nothing is deployed yet: run `make up`") from error


def synchronise(source: Path, copy: Path) -> None:
    """Make `copy` equal to `source`, recursively, except for the files of Terraform and of the build."""
    if copy.exists() and copy.is_dir() != source.is_dir():
        _remove(copy)
    if source.is_file():
        if not copy.exists() or not filecmp.cmp(source, copy, shallow=False):
            shutil.copyfile(source, copy)
        shutil.copymode(source, copy)
        return
    copy.mkdir(parents=True, exist_ok=True)
    # Broken symlinks, such as an editor's lock file, are skipped.
    sources = {path.name: path for path in source.iterdir() if path.exists() and not NOT_COPIED.match(path.name)}
    for path in copy.iterdir():
        if path.name not in sources and not KEPT.match(path.name):
            _remove(path)
    for name, path in sources.items():
        synchronise(path, copy / name)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def prepare(
    home: Path, emulator: Emulator, issuer: Issuer, providers: Providers, base: BaseImage, project: Path = paths.ROOT
) -> Deployment:
    """Update the working copy from the project, and add the override files."""
    work = home / "work"
    work.mkdir(parents=True, exist_ok=True)
    for name in paths.EXAMPLE_SOURCES:
        synchronise(project / name, work / name)
    root = work / "examples" / EXAMPLE
    (root / overrides.NAME).write_text(overrides.applied(emulator.registry, overrides.NO_ALARMS, overrides.UNPROTECTED))
    for name, text in overrides.native().items():
        (root / name).write_text(text)
    if providers.stand_in:
        # Its checksum differs by machine and build, so an old lock file would not match.
        (root / ".terraform.lock.hcl").unlink(missing_ok=True)
    variables = emulator.environment() | providers.environment() | engine_of_the_client()
    variables |= {"TF_VAR_jwt_issuer": issuer.url, "TF_VAR_jwt_audience": issuer.audience}
    variables |= {"TF_VAR_base_image": base.reference, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
    (home / "environment").write_text(exports(variables))
    return Deployment(root, emulator, variables)


def exports(variables: Mapping[str, str]) -> str:
    """Return shell code that sets the variables, and unsets all others of AWS and of Terraform's inputs."""
    unset = "unset $(env | sed -n -E 's/^((AWS|TF_VAR)_[A-Za-z0-9_]*)=.*/\\1/p')\n"
    return unset + "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items()))


def prepare_plan(home: Path, example: str, emulator: Emulator, providers: Providers) -> Deployment:
    """Update the working copy for plans, which has no state, and add the override file of an example."""
    work = home / "plans"
    work.mkdir(parents=True, exist_ok=True)
    for name in paths.EXAMPLE_SOURCES:
        synchronise(paths.ROOT / name, work / name)
    root = work / "examples" / example
    (root / overrides.NAME).write_text(overrides.planned(root))
    (root / ".terraform.lock.hcl").unlink(missing_ok=True)
    variables = emulator.environment() | providers.environment() | engine_of_the_client()
    return Deployment(root, emulator, variables | {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"})


def plan(deployment: Deployment) -> None:
    """Run `terraform init` and print the plan. SandboxError when one of them fails."""
    _init(deployment)
    command = [terraform.program(), "plan", "-input=false", *([] if sys.stdout.isatty() else ["-no-color"])]
    environment = neutral_environment() | deployment.variables
    if subprocess.run(command, cwd=deployment.root, env=environment, check=False).returncode:
        raise SandboxError("terraform plan failed: see above")


def apply(deployment: Deployment, step: Step) -> None:
    """Run `terraform init` and `apply`, with a line per resource. SandboxError with Terraform's errors on failure."""
    _init(deployment, step.say)
    command = [terraform.program(), "apply", "-auto-approve", "-input=false", "-json"]
    problems: list[str] = []
    log = deployment.root / "build.log"
    before = _modified(log)
    with subprocess.Popen(
        command,
        cwd=deployment.root,
        env=neutral_environment() | deployment.variables,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            for line in process.stdout or ():
                problems += _show(line, step)
        except KeyboardInterrupt:
            step.say("interrupted: waiting for Terraform to save its state")
            process.wait()
            raise
    if process.returncode:
        raise SandboxError(
            "\n".join(
                [
                    "terraform apply failed; the previous version is still live.",
                    *problems,
                    *(_build_log(log) if _modified(log) != before else ()),
                ]
            )
        )


def _init(deployment: Deployment, say: Callable[[str], None] = print) -> None:
    command = ("init", "-input=false", "-no-color")
    result = deployment.terraform(*command)
    lock = deployment.root / ".terraform.lock.hcl"
    if result.returncode and lock.exists():
        # The copy's lock file, from an earlier `up`: its versions may no longer be available.
        say("terraform init failed with the provider versions of an earlier run: selecting new ones")
        lock.unlink()
        result = deployment.terraform(*command)
    if result.returncode:
        raise SandboxError(f"terraform init failed:\n{result.stderr.strip()}")


def _show(line: str, step: Step) -> list[str]:
    """Print a line for some of Terraform's events, and return the text of an error."""
    try:
        event = json.loads(line)
    except ValueError:  # such as a crash
        return [line.rstrip()]
    if event["type"] in {"apply_complete", "change_summary"}:
        text = event["@message"]
        if not text.startswith("Plan:") and ": Refresh" not in text:
            step.say(re.sub(r" \[id=.*\]$", "", text))
    if event["type"] == "diagnostic" and event["diagnostic"]["severity"] == "error":
        problem = event["diagnostic"]
        return [f"\n{problem['summary']}\n{problem.get('detail', '')}".rstrip()]
    return []


def _modified(log: Path) -> int:
    return log.stat().st_mtime_ns if log.exists() else 0


def _build_log(log: Path) -> list[str]:
    """Return the end of a build's log if it has an error."""
    text = log.read_text(errors="replace")
    return [f"\nEnd of the build log, {log}:", *text.splitlines()[-25:]] if "error" in text.lower() else []


def smoke(deployment: Deployment, seconds: float = 60) -> None:
    """Request /healthz through the gateway until it returns 200. SandboxError with the last response when it does not."""
    endpoint = deployment.output("endpoint")
    host = endpoint.removeprefix("http://").removeprefix("https://").rstrip("/")
    deadline = time.monotonic() + seconds
    last = "none"
    while time.monotonic() < deadline:
        try:
            status, body = deployment.emulator.get("/healthz", host, seconds=35)
        except OSError as error:
            last = str(error)
        else:
            if status == HTTPStatus.OK:
                return
            last = f"{status} {body[:300]}"
        time.sleep(0.5)
    raise SandboxError(f"GET {endpoint}/healthz did not return 200 within {seconds:.0f} s; last response: {last}")
