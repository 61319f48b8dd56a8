"""A team's repository with examples/environments, a state bucket, and what stands in for GitHub: its API, and the actions."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sandbox.base_image import BaseImage
from sandbox.emulator import REGION, Emulator
from sandbox.engine import Engine
from sandbox.paths import environment
from tests.delivery.github_api import GitHub, serve
from tools.workflow import Run
from tools.workflow.runner import Job, load
from tools.workflow.stand_ins import (
    EXAMPLE,
    Machine,
    git,
    make_repository,
    make_tools,
    prepare_account,
    runner_environment,
)

HERE = Path(__file__).parent
ENGINE = {"test_workflows.py"}
SECRETS = {"plan-passphrase": "only for these tests, not a secret", "secret-variables": ""}
# Passes the module's conditions; a destroy does not pull it.
IMAGE = f"111111111111.dkr.ecr.{REGION}.amazonaws.com/parcels-dev@sha256:{'0' * 64}"
# The team's register of accepted findings: it has none.
REGISTER = "policy-skips.yaml"


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.path.parent == HERE and item.path.name in ENGINE:
        item.add_marker(pytest.mark.engine)


@dataclass
class Recorded(Run):
    """A run that remembers which run steps were executed."""

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


@dataclass
class Team(Machine):
    """A team's repository, and the recorded runs of its workflows."""

    executed: set[tuple[str, str]] = field(default_factory=set)

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
        secrets: Mapping[str, str] | None = None,
        matrix: Mapping[str, Any] | None = None,
    ) -> Run:
        run = super().start(event, SECRETS if secrets is None else secrets, matrix)
        return Recorded(**vars(run), executed=self.executed)

    def pull_request(self, number: int, action: str = "synchronize") -> dict[str, Any]:
        """Return the event of a pull request from a branch of the repository."""
        head = {"sha": git(self.repository, "rev-parse", "HEAD"), "repo": {"full_name": "team/parcels"}}
        return {"action": action, "pull_request": {"number": number, "head": head}}

    def destroy(self, name: str) -> None:
        """Destroy an environment, if it was applied."""
        environment = {**self.environment, **self.credentials, "TF_VAR_image_uri": IMAGE}
        init = ["init", "-input=false", "-reconfigure", f"-backend-config=environments/{name}.s3.tfbackend"]
        for arguments in (init, ["destroy", "-auto-approve", "-input=false", f"-var-file=environments/{name}.tfvars"]):
            command = [str(self.tools / "terraform"), *arguments]
            folder = self.repository / EXAMPLE
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{name} was not destroyed: {done.stderr}"


def step_key(declared: Mapping[str, Any]) -> tuple[str, str]:
    """Return what identifies a run step: its name, if any, and its script."""
    return str(declared.get("name", "")), str(declared["run"])


def run_steps(file: Path) -> Iterator[Mapping[str, Any]]:
    """Return the run steps of a workflow or of a composite action."""
    document = load(file)
    for job in document.get("jobs", {"": document.get("runs", {})}).values():
        yield from (step for step in job.get("steps", []) if "run" in step)


@pytest.fixture(scope="module")
def github() -> Iterator[GitHub]:
    """The stand-in for GitHub's API."""
    with serve() as running:
        yield running


@pytest.fixture(scope="module")
def team(
    tmp_path_factory: pytest.TempPathFactory,
    emulator: Emulator,
    engine: Engine,
    base_image: BaseImage,
    github: GitHub,
    terraform_environment: Mapping[str, str],
    terraform_binary: str,
) -> Iterator[Team]:
    """The team's repository, whose applied environments are destroyed after the file's last test."""
    folder = tmp_path_factory.mktemp("team")
    repository = make_repository(folder / "repository", emulator.registry, base_image.reference)
    (repository / REGISTER).write_text("[]\n")
    (folder / "home").mkdir()
    runner = runner_environment(terraform_environment, folder / "home")
    tools = make_tools(folder / "tools", terraform_binary)
    prepare_account(emulator)
    made = Team(repository, folder, runner, emulator.environment(), tools, github.url)
    made.commit("a register of accepted findings")
    yield made
    for name in ("stage", "dev"):
        made.destroy(name)
