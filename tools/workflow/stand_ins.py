"""A team's repository on the sandbox, and stand-ins for the actions that only GitHub can run."""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import copy_project
from sandbox import overrides
from sandbox.emulator import REGION, Emulator
from sandbox.paths import EXAMPLE_SOURCES, ROOT

from .runner import Job, Run, StandIn

EXAMPLE = "examples/environments"
BUCKET = "terraform-state-pipelines"
REPOSITORY = "team/parcels"
ALARM = "parcels-errors"
IDENTITY = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
# Settings of the S3 backend for the emulator, which has no virtual hosts; the credentials are checked by its gate.
BACKEND = "use_path_style = true\nskip_credentials_validation = true\nskip_requesting_account_id = true\n"
IGNORED = ".terraform/\n.terraform.lock.hcl\n*.tfplan\nbuild.log\n.policy-inherited.yaml\n"
# The image of examples/minimal, on the sandbox's base image; and a timeout for slow machines.
IMAGE = """  function = {{ memory_mb = var.memory_mb, timeout_seconds = 29 }}
  image = {{
    build = local.builds ? {{
      context     = "../minimal/app"
      source_hash = var.source_hash
      log_file    = "build.log"
      args        = {{ BASE_IMAGE = "{base}" }}
    }} : null
    uri = local.builds ? null : var.image_uri
  }}
"""


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return its output."""
    command = ["git", *IDENTITY, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def make_repository(folder: Path, registry: str, base: str) -> Path:
    """Make a team's repository with the example and the sandbox's override files, and return its folder."""
    copy_project(ROOT, folder, EXAMPLE_SOURCES)
    root = folder / EXAMPLE
    (root / overrides.NAME).write_text(overrides.applied(registry, overrides.NO_ALARMS + IMAGE.format(base=base)))
    for name, text in overrides.native().items():
        (root / name).write_text(text)
    for file in root.glob("environments/*.s3.tfbackend"):
        lines = [line for line in file.read_text().splitlines() if not line.startswith("bucket")]
        file.write_text("\n".join([f'bucket = "{BUCKET}"', *lines, BACKEND]))
    (folder / ".gitignore").write_text(IGNORED)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "all")
    return folder


def prepare_account(emulator: Emulator) -> None:
    """Make what an account has before the first run: the state's bucket, and an alarm for rollouts to watch."""
    location = {"LocationConstraint": REGION}
    emulator.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
    emulator.client("cloudwatch").put_metric_alarm(
        AlarmName=ALARM,
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )


def make_tools(folder: Path, terraform: str) -> Path:
    """Make the programs that setup-python and setup-terraform put on a runner's PATH, and return their folder."""
    venv.create(folder, with_pip=True)
    (folder / "bin/terraform").symlink_to(str(shutil.which(terraform)))
    return folder / "bin"


def runner_environment(terraform_environment: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return the environment of a runner: without credentials, and only with what its image would have."""
    kept = {name: value for name, value in terraform_environment.items() if not name.startswith("AWS_")}
    docker = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
    kept |= {name: os.environ[name] for name in docker if name in os.environ}
    return kept | {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}


@dataclass
class Machine:
    """A machine that runs the workflows of this project for a team's repository.

    `environment` is the runner's, `credentials` what assuming a role gives, `tools` the folder of programs. Artifacts are kept by
    name and file.
    """

    repository: Path
    folder: Path
    environment: Mapping[str, str]
    credentials: Mapping[str, str]
    tools: Path
    api_url: str = "http://127.0.0.1:9"
    artifacts: dict[str, bytes] = field(default_factory=dict)
    runs: int = 0

    def stand_ins(self) -> dict[str, StandIn]:
        """Return the stand-ins by the action's name."""
        return {
            "actions/checkout": self._checkout,
            "actions/setup-python": self._use_tools,
            "hashicorp/setup-terraform": self._use_tools,
            "opentofu/setup-opentofu": self._use_tools,
            "aws-actions/configure-aws-credentials": self._assume_role,
            "actions/upload-artifact": self._upload,
            "actions/download-artifact": self._download,
        }

    def start(
        self,
        event: Mapping[str, Any] | None = None,
        secrets: Mapping[str, str] | None = None,
        matrix: Mapping[str, Any] | None = None,
    ) -> Run:
        """Return a run on the repository's head: of a pull request's event, or of a push to main."""
        self.runs += 1
        github = {
            "event_name": "pull_request" if event else "push",
            "event": event or {},
            "ref": "refs/heads/main",
            "repository": REPOSITORY,
            "run_id": str(self.runs),
            "server_url": "https://github.com",
            "api_url": self.api_url,
            "sha": git(self.repository, "rev-parse", "HEAD"),
        }
        folder = self.folder / f"run-{self.runs}"
        return Run(ROOT, folder, self.stand_ins(), github, self.environment, secrets or {}, matrix or {})

    def _checkout(self, job: Job, _: Mapping[str, str]) -> None:
        command = ["git", "clone", "--quiet", str(self.repository), str(job.workspace)]
        subprocess.run(command, check=True, capture_output=True, text=True)
        git(job.workspace, "checkout", "--quiet", "-B", "main", str(job.github["sha"]))

    def _use_tools(self, job: Job, _: Mapping[str, str]) -> None:
        job.path.append(str(self.tools))

    def _assume_role(self, job: Job, given: Mapping[str, str]) -> None:
        if job.permissions.get("id-token") != "write":
            raise OSError("the job may not request an OIDC token: it needs the permission id-token: write")
        if not given["role-to-assume"].startswith("arn:aws:iam::") or not given["aws-region"]:
            raise OSError("role-to-assume and aws-region are required")
        job.environment |= self.credentials

    def _upload(self, _: Job, given: Mapping[str, str]) -> None:
        path = Path(given["path"])
        found = [path] if path.is_file() else sorted(file for file in path.glob("**/*") if file.is_file())
        if not found and given.get("if-no-files-found") == "error":
            raise OSError(f"no files were found at {path}")
        for file in found:
            self.artifacts[f"{given['name']}/{file.name}"] = file.read_bytes()

    def _download(self, _: Job, given: Mapping[str, str]) -> None:
        found = {name: content for name, content in self.artifacts.items() if name.startswith(f"{given['name']}/")}
        if not found:
            raise OSError(f"Unable to download artifact(s): Artifact not found for name: {given['name']}")
        for name, content in found.items():
            (Path(given["path"]) / name.partition("/")[2]).write_bytes(content)
