"""A team's repository with examples/environments, a state bucket, and what stands in for GitHub: its API, and the actions."""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness import copy_project
from sandbox import overrides
from sandbox.base_image import BaseImage
from sandbox.emulator import Emulator
from sandbox.engine import Engine
from sandbox.paths import EXAMPLE_SOURCES, ROOT, environment
from tests.delivery.github_api import GitHub, serve
from tools.workflow import Run
from tools.workflow.runner import Job, load

HERE = Path(__file__).parent
ENGINE = {"test_workflows.py"}
BUCKET = "terraform-state-pipelines"
EXAMPLE = "examples/environments"
IDENTITY = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
# Settings of the S3 backend for the emulator, which has no STS check and no virtual hosts.
BACKEND = "use_path_style = true\nskip_credentials_validation = true\nskip_requesting_account_id = true\n"
IGNORED = ".terraform/\n*.tfplan\nbuild.log\n.policy/\n"
# Passes the module's conditions; a destroy does not pull it.
IMAGE = f"111111111111.dkr.ecr.eu-central-1.amazonaws.com/parcels-dev@sha256:{'0' * 64}"
SECRETS = {"plan-passphrase": "only for these tests, not a secret", "secret-variables": ""}


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.path.parent == HERE and item.path.name in ENGINE:
        item.add_marker(pytest.mark.engine)


def git(folder: Path, *arguments: str) -> str:
    command = ["git", *IDENTITY, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@dataclass
class Team:
    """A team's repository `team/parcels`, and the runs of its workflows."""

    repository: Path
    folder: Path
    github: GitHub
    runner: Mapping[str, str]
    credentials: Mapping[str, str]
    tools: Path
    executed: set[tuple[str, str]]
    artifacts: dict[str, bytes] = field(default_factory=dict)
    runs: int = 0

    @property
    def head(self) -> str:
        return git(self.repository, "rev-parse", "HEAD")

    def commit(self, message: str) -> None:
        git(self.repository, "add", "--all")
        git(self.repository, "commit", "--quiet", "--message", message)

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text in a file, and commit that."""
        text = (self.repository / path).read_text()
        assert old in text
        (self.repository / path).write_text(text.replace(old, new))
        self.commit(f"change {path}")

    def start(
        self,
        event: Mapping[str, Any] | None = None,
        secrets: Mapping[str, str] = SECRETS,
        matrix: Mapping[str, Any] | None = None,
    ) -> Run:
        """Return a run on the repository's head: of a pull request's event, or of a push to main."""
        self.runs += 1
        github = {
            "event_name": "pull_request" if event else "push",
            "event": event or {},
            "ref": "refs/heads/main",
            "repository": "team/parcels",
            "run_id": str(self.runs),
            "server_url": "https://github.test",
            "api_url": self.github.url,
            "sha": self.head,
        }
        stand_ins = {
            "actions/checkout": self._checkout,
            "actions/setup-python": self._tools,
            "hashicorp/setup-terraform": self._tools,
            "opentofu/setup-opentofu": self._tools,
            "aws-actions/configure-aws-credentials": self._credentials,
            "actions/upload-artifact": self._upload,
            "actions/download-artifact": self._download,
        }
        return Recorded(
            ROOT,
            self.folder / f"run-{self.runs}",
            stand_ins,
            github,
            self.runner,
            secrets,
            matrix or {},
            executed=self.executed,
        )

    def pull_request(self, number: int, action: str = "synchronize") -> dict[str, Any]:
        """Return the event of a pull request from a branch of the repository."""
        head = {"sha": self.head, "repo": {"full_name": "team/parcels"}}
        return {"action": action, "pull_request": {"number": number, "head": head}}

    def _checkout(self, job: Job, _: Mapping[str, str]) -> None:
        command = ["git", "clone", "--quiet", str(self.repository), str(job.workspace)]
        subprocess.run(command, check=True, capture_output=True, text=True)
        git(job.workspace, "checkout", "--quiet", "-B", "main", str(job.github["sha"]))

    def _tools(self, job: Job, _: Mapping[str, str]) -> None:
        job.path.append(str(self.tools))

    def _credentials(self, job: Job, given: Mapping[str, str]) -> None:
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


@dataclass
class Recorded(Run):
    """A run that remembers which steps were executed, by file and name."""

    executed: set[tuple[str, str]] = field(default_factory=set)

    def _step(self, declared: Mapping[str, Any], job: Job, contexts: dict[str, Any], *rest: Any) -> None:
        result = rest[0]
        if declared.get("name") == "Install the policy gate":
            # Installed already, from the same file.
            (job.temp / "policy").symlink_to(environment("policy").parent)
            return
        before = len(result.steps)
        super()._step(declared, job, contexts, *rest)
        if "run" in declared and result.steps[before].outcome != "skipped":
            self.executed.add(step_key(declared))


def step_key(declared: Mapping[str, Any]) -> tuple[str, str]:
    """Return what identifies a run step: its name, if any, and its script."""
    return str(declared.get("name", "")), str(declared["run"])


def run_steps(file: Path) -> Iterator[Mapping[str, Any]]:
    """Return the run steps of a workflow or of a composite action."""
    document = load(file)
    for job in document.get("jobs", {"": document.get("runs", {})}).values():
        yield from (step for step in job.get("steps", []) if "run" in step)


@pytest.fixture(scope="session")
def tools(terraform_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs that setup-python and setup-terraform put on a runner's PATH."""
    folder = tmp_path_factory.mktemp("tools")
    venv.create(folder, with_pip=True)
    (folder / "bin/terraform").symlink_to(str(shutil.which(terraform_binary)))
    return folder / "bin"


@pytest.fixture(scope="session")
def executed() -> set[tuple[str, str]]:
    """Steps that were executed, by name and script."""
    return set()


@pytest.fixture(scope="module")
def github() -> Iterator[GitHub]:
    """The stand-in for GitHub's API."""
    with serve() as running:
        yield running


@pytest.fixture(scope="session")
def runner(terraform_environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a runner: no credentials, and only what its image would have."""
    kept = {name: value for name, value in terraform_environment.items() if not name.startswith("AWS_")}
    home = tmp_path_factory.mktemp("home")
    docker = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("DOCKER_") and name != "DOCKER_PROVIDER_SCHEMA"
    }
    return (
        kept
        | docker
        | {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PIP_CACHE_DIR": str(ROOT / ".sandbox/pip"),
        }
    )


def sources(folder: Path, registry: str, base: str) -> Path:
    """Copy what the example needs, with the override files of the sandbox, and return the folder."""
    copy_project(ROOT, folder, EXAMPLE_SOURCES)
    image = (
        '  image = {\n    build = local.builds ? { context = "../minimal/app", source_hash = var.source_hash, log_file = "build.log", '
        f'args = {{ BASE_IMAGE = "{base}" }} }} : null\n    uri   = local.builds ? null : var.image_uri\n  }}\n'
    )
    (folder / EXAMPLE / overrides.NAME).write_text(overrides.applied(registry, overrides.NO_ALARMS + image))
    for name, text in overrides.native().items():
        (folder / EXAMPLE / name).write_text(text)
    for file in (folder / EXAMPLE).glob("environments/*.s3.tfbackend"):
        lines = [line for line in file.read_text().splitlines() if not line.startswith("bucket")]
        file.write_text("\n".join([f'bucket = "{BUCKET}"', *lines, BACKEND]))
    (folder / ".gitignore").write_text(IGNORED)
    return folder


@pytest.fixture(scope="module")
def team(
    tmp_path_factory: pytest.TempPathFactory,
    emulator: Emulator,
    engine: Engine,
    base_image: BaseImage,
    github: GitHub,
    runner: Mapping[str, str],
    tools: Path,
    executed: set[tuple[str, str]],
) -> Iterator[Team]:
    """The team's repository, whose applied environments are destroyed after the file's last test."""
    folder = tmp_path_factory.mktemp("team")
    repository = sources(folder / "repository", emulator.registry, base_image.reference)
    git(repository, "init", "--quiet", "--initial-branch", "main")
    location = {"LocationConstraint": "eu-central-1"}
    emulator.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
    made = Team(repository, folder, github, runner, emulator.environment(), tools, executed)
    made.commit("all")
    yield made
    for environment_name in ("prod", "stage", "dev"):
        destroy(made, environment_name)


def destroy(team: Team, name: str) -> None:
    """Destroy an environment, if it was applied."""
    root = team.repository / EXAMPLE
    variables = (
        os.environ | team.runner | team.credentials | {"TF_VAR_image_uri": f"localhost/parcels@sha256:{'0' * 64}"}
    )
    init = ["init", "-input=false", "-reconfigure", f"-backend-config=environments/{name}.s3.tfbackend"]
    for arguments in (init, ["destroy", "-auto-approve", "-input=false", f"-var-file=environments/{name}.tfvars"]):
        subprocess.run([team.tools / "terraform", *arguments], cwd=root, env=variables, check=True, capture_output=True)
