"""The working copy of the example, and Terraform in it: what `terraform apply` needs here is added from outside, never to the example."""

from __future__ import annotations

import filecmp
import json
import re
import shutil
import subprocess
import time
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
# What Terraform and the build keep in a root; everything else in the copy follows its source.
KEPT = re.compile(rf"^(\.terraform(\.lock\.hcl)?|terraform\.tfstate.*|build\.log|{re.escape(overrides.NAME)})$")
NOT_COPIED = re.compile(r"^(\.terraform(\.lock\.hcl)?|terraform\.tfstate.*|__pycache__|build\.log)$")


@dataclass(frozen=True)
class Deployment:
    """The example in a sandbox: its working copy, and the environment that Terraform runs in."""

    root: Path
    emulator: Emulator
    variables: dict[str, str]

    def terraform(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Terraform in the example and return its result, whatever it is."""
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
            raise SandboxError("nothing is deployed here yet: run `make up`") from error


def synchronise(source: Path, copy: Path) -> None:
    """Make `copy` equal to `source`, folders and all, but for what Terraform and the build keep there."""
    if copy.exists() and copy.is_dir() != source.is_dir():
        _remove(copy)
    if source.is_file():
        if not copy.exists() or not filecmp.cmp(source, copy, shallow=False):
            shutil.copyfile(source, copy)
        shutil.copymode(source, copy)
        return
    copy.mkdir(parents=True, exist_ok=True)
    # A link to nothing, an editor's lock for one, does not exist.
    wanted = {path.name: path for path in source.iterdir() if path.exists() and not NOT_COPIED.match(path.name)}
    for path in copy.iterdir():
        if path.name not in wanted and not KEPT.match(path.name):
            _remove(path)
    for name, path in wanted.items():
        synchronise(path, copy / name)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def prepare(
    home: Path, emulator: Emulator, issuer: Issuer, providers: Providers, base: BaseImage, project: Path = paths.ROOT
) -> Deployment:
    """Bring the working copy up to date with the project, and add what the example needs here."""
    work = home / "work"
    work.mkdir(parents=True, exist_ok=True)
    for name in paths.EXAMPLE_SOURCES:
        synchronise(project / name, work / name)
    root = work / "examples" / EXAMPLE
    (root / overrides.NAME).write_text(overrides.applied(emulator.registry, overrides.NO_ALARMS, overrides.UNPROTECTED))
    for name, text in overrides.native().items():
        (root / name).write_text(text)
    if providers.stand_in:
        # Its checksum is this machine's own: a lock file would hold on to an earlier one.
        (root / ".terraform.lock.hcl").unlink(missing_ok=True)
    variables = emulator.environment() | providers.environment() | engine_of_the_client()
    variables |= {"TF_VAR_jwt_issuer": issuer.url, "TF_VAR_jwt_audience": issuer.audience}
    variables |= {"TF_VAR_base_image": base.reference, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
    return Deployment(root, emulator, variables)


def apply(deployment: Deployment, step: Step) -> None:
    """Run `terraform init` and `apply`, showing a line for each resource; SandboxError with Terraform's own words when refused."""
    _init(deployment, step)
    command = [terraform.program(), "apply", "-auto-approve", "-input=false", "-json"]
    problems: list[str] = []
    log = deployment.root / "build.log"
    earlier = _modified(log)
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
            step.say("Terraform was interrupted, too: waiting until it has written its state")
            process.wait()
            raise
    if process.returncode:
        raise SandboxError(
            "\n".join(
                [
                    "terraform apply failed; what served before still serves.",
                    *problems,
                    *(_build_log(log) if _modified(log) != earlier else ()),
                ]
            )
        )


def _init(deployment: Deployment, step: Step) -> None:
    command = ("init", "-input=false", "-no-color")
    result = deployment.terraform(*command)
    lock = deployment.root / ".terraform.lock.hcl"
    if result.returncode and lock.exists():
        # The copy's own, of an earlier `up`: what it holds on to may no longer be had.
        step.say("terraform init failed with the provider versions of an earlier run: choosing them anew")
        lock.unlink()
        result = deployment.terraform(*command)
    if result.returncode:
        raise SandboxError(f"terraform init failed:\n{result.stderr.strip()}")


def _show(line: str, step: Step) -> list[str]:
    """Show one of Terraform's events where it is worth a line, and return the text of an error."""
    try:
        event = json.loads(line)
    except ValueError:  # a crash, for one
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
    """Return the end of a build's log when it tells of a failure."""
    text = log.read_text(errors="replace")
    return [f"\nThe end of the build's log, {log}:", *text.splitlines()[-25:]] if "error" in text.lower() else []


def smoke(deployment: Deployment, seconds: float = 60) -> None:
    """Ask the API through the gateway until it answers 200; SandboxError with the last answer when it does not."""
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
    raise SandboxError(f"GET {endpoint}/healthz did not answer 200 within {seconds:.0f} s; the last answer: {last}")
