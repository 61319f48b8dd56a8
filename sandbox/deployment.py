"""The working copy of the example, and Terraform in it: what `terraform apply` needs here is added from outside, never to the example."""

from __future__ import annotations

import filecmp
import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from sandbox.base_image import BaseImage
from sandbox.emulator import ROOT, Emulator
from sandbox.errors import SandboxError
from sandbox.progress import Step
from sandbox.providers import Providers

EXAMPLE = "complete"
SOURCES = ("Dockerfile", "examples", "modules", "service", "versions.tf")
LEAST_TERRAFORM = (1, 9)
# What Terraform and the build keep in a root; everything else in the copy follows its source.
KEPT = re.compile(r"^(\.terraform(\.lock\.hcl)?|terraform\.tfstate.*|build\.log|sandbox_override\.tf)$")
NOT_COPIED = re.compile(r"^(\.terraform(\.lock\.hcl)?|terraform\.tfstate.*|__pycache__|build\.log)$")

OVERRIDE = """# What the sandbox adds to the example: an emulator instead of AWS, its registry instead of ECR's, and no login.
provider "aws" {{
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}}

provider "docker" {{
  registry_auth {{
    address       = "http://{registry}"
    auth_disabled = true
  }}
}}

module "api" {{
  # The emulator describes alarms without most of their attributes, so that every plan would change them.
  alarms     = null
  auth       = {{ public = {{ reason = "Runs on this machine's loopback interface only" }} }}
  repository = {{ force_delete = true, registry_host = "{registry}" }}
}}

resource "aws_dynamodb_table" "this" {{
  deletion_protection_enabled = false
}}
"""


@dataclass(frozen=True)
class Deployment:
    """The example in a sandbox: its working copy, and the environment that Terraform runs in."""

    root: Path
    emulator: Emulator
    variables: dict[str, str]

    def terraform(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Terraform in the example and return its result, whatever it is."""
        return subprocess.run(
            ["terraform", *arguments],
            cwd=self.root,
            env=os.environ | self.variables,
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


def require_terraform() -> str:
    """Return Terraform's version; SandboxError when it is missing or older than the module needs."""
    least = ".".join(map(str, LEAST_TERRAFORM))
    if shutil.which("terraform") is None:
        raise SandboxError(
            f"terraform is not on PATH: install version {least} or newer, https://developer.hashicorp.com/terraform/install"
        )
    answer = subprocess.run(["terraform", "version", "-json"], capture_output=True, text=True, check=False).stdout
    version = str(json.loads(answer)["terraform_version"])
    if tuple(int(part) for part in version.split("-")[0].split(".")[:2]) < LEAST_TERRAFORM:
        raise SandboxError(
            f"Terraform {version} is too old: {least} is the least, since the module's validations look at several variables at once."
        )
    return version


def synchronise(source: Path, copy: Path) -> None:
    """Make `copy` equal to `source`, folders and all, but for what Terraform and the build keep there."""
    if source.is_file():
        if not copy.exists() or not filecmp.cmp(source, copy, shallow=False):
            shutil.copy(source, copy)
        return
    copy.mkdir(parents=True, exist_ok=True)
    wanted = {path.name: path for path in source.iterdir() if not NOT_COPIED.match(path.name)}
    for path in copy.iterdir():
        if path.name not in wanted and not KEPT.match(path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, path in wanted.items():
        synchronise(path, copy / name)


def prepare(home: Path, emulator: Emulator, providers: Providers, base: BaseImage, project: Path = ROOT) -> Deployment:
    """Bring the working copy up to date with the project, and add what the example needs here."""
    work = home / "work"
    work.mkdir(parents=True, exist_ok=True)
    for name in SOURCES:
        synchronise(project / name, work / name)
    root = work / "examples" / EXAMPLE
    (root / "sandbox_override.tf").write_text(OVERRIDE.format(registry=f"localhost:{emulator.port}"))
    variables = emulator.environment() | providers.environment()
    variables |= {"TF_VAR_base_image": base.reference, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
    return Deployment(root, emulator, variables)


def apply(deployment: Deployment, step: Step) -> None:
    """Run `terraform init` and `apply`, showing a line for each resource; SandboxError with Terraform's own words when refused."""
    # The stand-in's checksum is this machine's own: a lock file would hold on to an earlier one.
    (deployment.root / ".terraform.lock.hcl").unlink(missing_ok=True)
    result = deployment.terraform("init", "-input=false", "-no-color")
    if result.returncode:
        raise SandboxError(f"terraform init failed:\n{result.stderr.strip()}")
    command = ["terraform", "apply", "-auto-approve", "-input=false", "-json"]
    problems: list[str] = []
    with subprocess.Popen(
        command, cwd=deployment.root, env=os.environ | deployment.variables, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            problems += _show(line, step)
    if process.returncode:
        raise SandboxError(
            "\n".join(
                [
                    "terraform apply failed; what served before still serves.",
                    *problems,
                    *_build_log(deployment),
                ]
            )
        )


def _show(line: str, step: Step) -> list[str]:
    """Show one of Terraform's events where it is worth a line, and return the text of an error."""
    event = json.loads(line)
    if event["type"] in {"apply_complete", "change_summary"}:
        text = event["@message"]
        if not text.startswith("Plan:") and ": Refresh" not in text:
            step.say(re.sub(r" \[id=.*\]$", "", text))
    if event["type"] == "diagnostic" and event["diagnostic"]["severity"] == "error":
        problem = event["diagnostic"]
        return [f"\n{problem['summary']}\n{problem.get('detail', '')}".rstrip()]
    return []


def _build_log(deployment: Deployment) -> list[str]:
    log = deployment.root / "build.log"
    if not log.exists() or "rror" not in (text := log.read_text(errors="replace")):
        return []
    return [f"\nThe end of the build's log, {log}:", *text.splitlines()[-25:]]


def smoke(deployment: Deployment, seconds: float = 60) -> None:
    """Ask the API through the gateway until it answers 200; SandboxError with the last answer when it does not."""
    endpoint = deployment.output("endpoint")
    # Python's resolver does not know *.localhost, so the name goes into the header instead.
    host = endpoint.removeprefix("http://").removeprefix("https://").rstrip("/")
    request = urllib.request.Request(f"{deployment.emulator.url}/healthz", headers={"Host": host})  # noqa: S310 - our own
    deadline = time.monotonic() + seconds
    last = "no answer"
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(request, timeout=35) as answer:  # noqa: S310
                if answer.status == 200:
                    return
        except urllib.error.HTTPError as error:
            last = f"{error.code} {error.read().decode(errors='replace')[:300]}"
        except OSError as error:
            last = str(error)
        time.sleep(0.5)
    raise SandboxError(f"GET {endpoint}/healthz did not answer 200 within {seconds:.0f} s; the last answer: {last}")
