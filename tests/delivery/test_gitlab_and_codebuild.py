"""The jobs of delivery/gitlab and delivery/codebuild, run on the sandbox: from a merge request to a rollback.

Every script line is executed as it is written. ci.py has what stands in for the products; the ID token's text stands in for a
JWT, since the emulator does not verify one.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness import copy_project
from sandbox.base_image import BaseImage
from sandbox.emulator import Emulator
from sandbox.engine import Engine
from sandbox.paths import ROOT, environment
from tests.delivery import ci
from tests.delivery.ci import BUILDSPECS, JOBS, GitLab, Result
from tests.e2e.conftest import gateway
from tools.workflow.stand_ins import BUCKET as OTHER_BUCKET
from tools.workflow.stand_ins import EXAMPLE, git, make_repository, runner_environment

pytestmark = pytest.mark.engine

BUCKET = "terraform-state-shipments"
API = "shipments-dev"
VERSION = "1.11.4"
PASSPHRASE = "only for these tests, not a secret"
JOURNAL = f"s3://{BUCKET}/journals/dev.json"
SETTINGS = {
    "DELIVERY_COMMIT": "HEAD",
    "JOURNAL": JOURNAL,
    "PLAN_PASSPHRASE": PASSPHRASE,
    "POLICY": "false",  # most of a plan's time
    "ROLLOUT_MINUTES": "0.03",
    "ROLLOUT_STEPS": "50 100",
}
MEMORY = {"VARIABLES": "memory_mb=768"}
# What a CodeBuild project's environment variables hold.
PROJECT = {
    "ROOT": EXAMPLE,
    "ENVIRONMENT": "dev",
    "BACKEND_CONFIG": "environments/dev.s3.tfbackend",
    "VAR_FILE": "environments/dev.tfvars",
    "SOURCE": "examples/minimal/app",
}
SHARED = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_S3_USE_PATH_STYLE")


@dataclass
class Team:
    """A team's repository, and what its jobs run with."""

    repository: Path
    folder: Path
    gitlab: GitLab
    runner: Mapping[str, str]
    aws: Mapping[str, str]
    jobs: int = 0
    logs: list[str] = field(default_factory=list)

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text in a file, and commit that."""
        text = (self.repository / path).read_text()
        assert old in text
        (self.repository / path).write_text(text.replace(old, new))
        git(self.repository, "commit", "--quiet", "--all", "--message", f"change {path}")

    def gitlab_job(self, name: str, *needed: Result, **variables: str) -> Result:
        """Run a job of the example, in a runner without AWS credentials."""
        shared = {key: value for key, value in self.aws.items() if key in SHARED or "ENDPOINT" in key}
        # The emulator's account.
        shared["AWS_ROLE_ARN"] = str(JOBS[name]["variables"]["AWS_ROLE_ARN"]).replace("111111111111", "000000000000")
        predefined = {"CI_PROJECT_ID": "1", "CI_API_V4_URL": f"{self.gitlab.url}/api/v4", "CI_JOB_ID": "9"}
        shared["AWS_ENDPOINT_URL_STS"] = self.aws["AWS_ENDPOINT_URL"]  # for the state's backend
        given = {**self.runner, **shared, **predefined, **SETTINGS, **variables}
        return self._done(ci.run_gitlab(JOBS[name], self._clone(), given, needed[0].kept if needed else {}))

    def codebuild(self, name: str, *needed: Result, **variables: str) -> Result:
        """Run a build, with the credentials of the project's role."""
        given = {**self.runner, **self.aws, **SETTINGS, **PROJECT, **variables}
        del given["PLAN_PASSPHRASE"]
        if needed:
            given["CODEBUILD_SRC_DIR_plan"] = str(self.folder / f"input-{self.jobs}")
            ci.write(Path(given["CODEBUILD_SRC_DIR_plan"]), needed[0].kept)
        secrets = {"delivery/plan-passphrase": PASSPHRASE}
        return self._done(ci.run_codebuild(BUILDSPECS[name], self._clone(), given, secrets))

    def _clone(self) -> Path:
        self.jobs += 1
        workspace = self.folder / f"job-{self.jobs}"
        git(self.folder, "clone", "--quiet", str(self.repository), str(workspace))
        work = workspace / ".delivery/work"
        work.mkdir(parents=True)
        # Its requirements are installed already, from the same file.
        (work / "policy").symlink_to(environment("policy").parent)
        if self.jobs > 1:  # the first job makes its own
            (work / "venv").symlink_to(self.folder / "job-1/.delivery/work/venv")
            (work / "bin").symlink_to(self.folder / "job-1/.delivery/work/bin")
        return workspace

    def _done(self, result: Result) -> Result:
        self.logs.append(result.log)
        return result


def succeeded(result: Result) -> Result:
    assert result.code == 0, result.log
    return result


def delivery_repository(folder: Path) -> Path:
    """Make a repository of this project's working tree, which jobs fetch."""
    names = ["delivery", "modules", "policies", "policy-skips.yaml", "requirements"]
    copy_project(ROOT, folder, names)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "all")
    return folder


def releases(folder: Path, terraform: str) -> Path:
    """Make a release of this machine's Terraform, as its publisher's site has it."""
    folder.mkdir()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    archive = folder / f"terraform_{VERSION}_linux_{machine}.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(terraform, "terraform")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    (folder / f"terraform_{VERSION}_SHA256SUMS").write_text(f"{digest}  {archive.name}\n")
    return folder


@pytest.fixture(scope="module")
def team(
    tmp_path_factory: pytest.TempPathFactory,
    emulator: Emulator,
    engine: Engine,
    base_image: BaseImage,
    terraform_environment: Mapping[str, str],
    terraform_binary: str,
) -> Iterator[Team]:
    """The team's repository, whose environment is destroyed after the last test."""
    folder = tmp_path_factory.mktemp("shipments")
    repository = make_repository(folder / "repository", emulator.registry, base_image.reference)
    (folder / "home").mkdir()
    runner = runner_environment(terraform_environment, folder / "home")
    for file in [repository / EXAMPLE / "main.tf", *(repository / EXAMPLE).glob("environments/*.s3.tfbackend")]:
        text = file.read_text().replace("parcels", "shipments").replace(OTHER_BUCKET, BUCKET)
        file.write_text(text)
    (repository / ".gitignore").write_text((repository / ".gitignore").read_text() + ".delivery/\n.cache/\n")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "names of these tests")
    location = {"LocationConstraint": "eu-central-1"}
    emulator.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
    gitlab = GitLab()
    path = ci.image_programs(folder / "image", runner["PATH"], str(Path(sys.executable).resolve()))
    terraform = str(Path(str(shutil.which(terraform_binary))).resolve())
    with ci.serving(gitlab, releases(folder / "releases", terraform)):
        given = {
            **runner,
            "PATH": str(path),
            "TERRAFORM_RELEASES": f"{gitlab.url}/terraform",
            "DELIVERY_REPOSITORY": str(delivery_repository(folder / "delivery")),
        }
        # This machine's daemon instead of the service's; tests/docker_provider has daemons with TLS.
        for name in ("DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"):
            given.setdefault(name, "")
        made = Team(repository, folder, gitlab, given, emulator.environment())
        yield made
        destroy(made, terraform)


def destroy(team: Team, terraform: str) -> None:
    root = team.repository / EXAMPLE
    variables = os.environ | dict(team.runner) | dict(team.aws) | {"PATH": os.environ["PATH"]}
    init = ["init", "-input=false", "-reconfigure", f"-backend-config={PROJECT['BACKEND_CONFIG']}"]
    for arguments in (init, ["destroy", "-auto-approve", "-input=false", f"-var-file={PROJECT['VAR_FILE']}"]):
        subprocess.run([terraform, *arguments], cwd=root, env=variables, check=True, capture_output=True)


@pytest.fixture(scope="module")
def deployed(team: Team) -> Result:
    """The first apply, by GitLab's jobs."""
    plan = succeeded(team.gitlab_job("plan"))
    return succeeded(team.gitlab_job("apply", plan))


def message(emulator: Emulator, name: str = API) -> str:
    (api,) = (api for api in emulator.client("apigatewayv2").get_apis()["Items"] if api["Name"] == name)
    with gateway(emulator, api["ApiEndpoint"]) as client:
        text: str = client.get("/").raise_for_status().json()["message"]
        return text


def live(emulator: Emulator) -> str:
    return str(emulator.client("lambda").get_alias(FunctionName=API, Name="live")["FunctionVersion"])


def test_apply_of_the_saved_plan_with_an_assumed_role_serves(team: Team, deployed: Result, emulator: Emulator) -> None:
    assert message(emulator) == "hello"


def test_merge_request_gets_one_comment_and_a_widget(team: Team, deployed: Result) -> None:
    secret = "1827"  # a value that the variable may have
    for variables in ({"VARIABLES": "memory_mb=640"}, {"SECRET_VARIABLES": f"memory_mb={secret}"}):
        given = {"CI_MERGE_REQUEST_IID": "3", "GITLAB_TOKEN": ci.TOKEN, **variables}
        result = succeeded(team.gitlab_job("plan", **given))
    (note,) = team.gitlab.notes
    assert re.search(r"^### Plan of dev: \d+ to change", note["body"], re.MULTILINE)
    assert "***" in note["body"]
    assert secret not in note["body"]
    assert json.loads(result.kept[".delivery/work/widget.json"])["update"] > 0
    assert ".delivery/work/plan.tfplan.gpg" in result.kept
    assert not any(name.endswith(("plan.tfplan", "plan.json")) for name in result.kept)


def test_token_that_gitlab_refuses_fails_with_one_sentence(team: Team, deployed: Result) -> None:
    result = team.gitlab_job("plan", CI_MERGE_REQUEST_IID="3", GITLAB_TOKEN="wrong")
    assert result.code == 1
    assert result.log.splitlines()[-1].startswith("error: GitLab refused GET /user with 401")


@pytest.fixture(scope="module")
def late(team: Team, deployed: Result) -> Result:
    """A plan of GitLab's job, after which CodeBuild's jobs have applied MEMORY."""
    plan = succeeded(team.gitlab_job("plan", VARIABLES="memory_mb=640"))
    succeeded(team.codebuild("apply", succeeded(team.codebuild("plan", **MEMORY))))
    return plan


def test_stale_plan_is_refused(team: Team, late: Result) -> None:
    result = team.gitlab_job("apply", late)
    assert result.code == 1
    assert result.log.splitlines()[-1].startswith("error: the plan is stale")


def test_plan_without_changes_applies_nothing(team: Team, late: Result) -> None:
    plan = succeeded(team.codebuild("plan", **MEMORY))
    assert "plan.tfplan.gpg" not in plan.kept
    result = succeeded(team.codebuild("apply", plan))
    assert "The plan has no changes: there is nothing to apply." in result.log


@pytest.fixture(scope="module")
def alarm(emulator: Emulator) -> str:
    """An alarm to watch: in the sandbox the module's own are left out."""
    name = f"{API}-errors"
    emulator.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    return name


@pytest.mark.parametrize("product", ["gitlab", "codebuild"])
def test_rollout_and_rollback(team: Team, late: Result, emulator: Emulator, alarm: str, product: str) -> None:
    run = team.gitlab_job if product == "gitlab" else team.codebuild
    old = live(emulator)
    team.edit("examples/minimal/app/hello.py", '{"message": "hello', f'{{"message": "hello {product}')
    given = {**MEMORY, "ALARMS": alarm}
    succeeded(run("rollout", **given))
    assert message(emulator).startswith(f"hello {product}")
    assert int(live(emulator)) > int(old)
    succeeded(run("rollback", **given, ROLLBACK_VERSION=old))
    assert live(emulator) == old


def test_drift_opens_and_closes_one_issue(team: Team, late: Result, emulator: Emulator) -> None:
    given = {**MEMORY, "GITLAB_TOKEN": ci.TOKEN}
    aws = emulator.client("lambda")
    aws.update_function_configuration(FunctionName=API, MemorySize=1536)
    result = team.gitlab_job("drift", **given)
    assert result.code == 1
    assert result.log.splitlines()[-1] == "error: dev differs from its configuration: the plan is above."
    assert team.codebuild("drift", **MEMORY).code == 1
    (issue,) = team.gitlab.issues
    assert "1536" in issue["description"]
    aws.update_function_configuration(FunctionName=API, MemorySize=768)
    succeeded(team.gitlab_job("drift", **given))
    assert issue["state"] == "closed"


def test_preview_has_its_own_state_and_goes(team: Team, deployed: Result, emulator: Emulator) -> None:
    given = {"CI_MERGE_REQUEST_IID": "5", "GITLAB_TOKEN": ci.TOKEN}
    result = succeeded(team.gitlab_job("preview", **given))
    assert message(emulator, f"pr-5-{API}")
    assert result.kept[".delivery/work/preview.env"].startswith(b"PREVIEW_URL=http")
    keys = {one["Key"] for one in emulator.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]}
    assert "previews/mr-5.tfstate" in keys
    succeeded(team.gitlab_job("preview-down", **given))
    names = {one["FunctionName"] for one in emulator.client("lambda").list_functions()["Functions"]}
    assert f"pr-5-{API}" not in names


@pytest.mark.parametrize(
    ("arguments", "changed", "reason"),
    [
        (["plan"], {"ROOT": ""}, "ROOT: is the folder of the root module"),
        (
            ["deploy"],
            {},
            "error: unknown job deploy: use plan, apply, rollout, rollback, drift, preview or preview-down.",
        ),
        (["rollout"], {"JOURNAL": ""}, "JOURNAL: is where the journal is kept, s3://bucket/key"),
    ],
    ids=["no root", "unknown job", "no journal"],
)
def test_missing_setting_is_named_before_anything_changes(
    team: Team, deployed: Result, arguments: list[str], changed: dict[str, str], reason: str
) -> None:
    workspace = team._clone()
    given = {**team.runner, **team.aws, **SETTINGS, **PROJECT, **changed}
    command = ["bash", str(ROOT / "delivery/job.sh"), *arguments]
    result = subprocess.run(command, cwd=workspace, env=given, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert reason in result.stderr
