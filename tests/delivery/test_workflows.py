"""The workflows in .github/workflows, run step by step on the sandbox: from a pull request to a rollback, and a release.

Every `run` step is executed as it is written, in the workflow's order. What GitHub's own actions do has stand-ins in conftest.py.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.emulator import Emulator
from sandbox.paths import ROOT, environment
from tests.delivery.conftest import REGISTER, SECRETS, Team, run_steps, step_key
from tests.e2e.conftest import gateway
from tests.service.documented import link_environments
from tools.workflow import JobResult, Run
from tools.workflow.runner import load, workflow_inputs
from tools.workflow.stand_ins import ALARM, BUCKET, EXAMPLE, git

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
CALLERS = sorted((ROOT / EXAMPLE / ".github/workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github/actions").glob("*/action.yml"))
# Action → what does its work in these tests.
STAND_INS = {
    "actions/checkout": "git clone of the team's repository",
    "actions/setup-python": "a virtual environment of this machine's Python on PATH",
    "hashicorp/setup-terraform": "this machine's Terraform on PATH",
    "opentofu/setup-opentofu": "this machine's Terraform on PATH",
    "aws-actions/configure-aws-credentials": "the emulator's credentials, if the job may request an OIDC token",
    "actions/upload-artifact": "a dictionary",
    "actions/download-artifact": "the same dictionary",
    "terraform-linters/setup-tflint": "nothing: no test executes its job",
}


def script(workflow: str, name: str) -> str:
    """Return the script of a workflow's run step."""
    (step,) = (s for s in run_steps(ROOT / f".github/workflows/{workflow}.yml") if s.get("name") == name)
    return str(step["run"]).strip()


# Run steps that no test executes, by script → why.
NOT_EXECUTED = {
    script("ci", "tflint"): "tflint is not on PyPI",
    script("ci", "terraform-docs writes the tables of the READMEs"): "Go builds the program in minutes",
    script("ci", "Renovate accepts its configuration"): "npm installs 500 MB",
    script("plan", "Install the policy gate"): "it installs, in a minute, what `make` has installed from the same file",
    'make check TERRAFORM="$TOOL"': "it runs these tests",
    'make test TERRAFORM="$TOOL"': "it runs these tests",
    "make test": "it runs these tests",
    "make .venvs/dev/.ready .venvs/emulator/.ready .venvs/client/.ready": "it made the environments that run these tests",
    ".venvs/dev/bin/pytest -n auto tests/service": "it runs other tests of this run",
}
ROLE = "arn:aws:iam::111111111111:role/deployer"
API = "parcels"


def inputs(name: str, *roles: str, **more: Any) -> dict[str, Any]:
    """Return the inputs of a call for an environment."""
    return {
        "root": EXAMPLE,
        "environment": name,
        "region": "eu-central-1",
        "backend-config": f"environments/{name}.s3.tfbackend",
        "var-file": f"environments/{name}.tfvars",
        **{f"{role}-role-arn": ROLE for role in roles},
        **more,
    }


def succeeded(run: Run, *jobs: str) -> Run:
    """Assert that these jobs ran to their end, and all others were skipped."""
    for name, job in run.jobs.items():
        assert job.result == ("success" if name in jobs else "skipped"), f"{name}\n{job.log}"
    return run


def failed_step(run: Run, job: str) -> str:
    """Return the log of the step that failed."""
    (step,) = (step for step in run.jobs[job].steps if step.outcome == "failure")
    return step.log


def message(emulator: Emulator, endpoint: str) -> str:
    with gateway(emulator, endpoint) as api:
        text: str = api.get("/").raise_for_status().json()["message"]
        return text


def endpoint(emulator: Emulator, name: str) -> str:
    """Return the endpoint of the API with this name."""
    (api,) = (api for api in emulator.client("apigatewayv2").get_apis()["Items"] if api["Name"] == name)
    return str(api["ApiEndpoint"])


def versions(emulator: Emulator, name: str) -> tuple[str, str]:
    """Return the version that serves and the newest one."""
    aws = emulator.client("lambda")
    newest = aws.list_versions_by_function(FunctionName=name)["Versions"][-1]["Version"]
    return aws.get_alias(FunctionName=name, Name="live")["FunctionVersion"], newest


def apply(team: Team, name: str, **more: Any) -> Run:
    return team.start().workflow("apply", inputs(name, "plan", "apply", **more))


@pytest.fixture(scope="module")
def dev(team: Team) -> Run:
    """The first apply of dev, which builds."""
    return succeeded(apply(team, "dev", **{"keep-version": False}), "plan", "apply")


@pytest.fixture(scope="module")
def stage(team: Team, dev: Run) -> Run:
    """The first apply of stage: dev's image, promoted."""
    image = dev.jobs["apply"].outputs["image-uri"]
    return succeeded(apply(team, "stage", variables=f"image_uri={image}"), "plan", "apply")


def test_every_action_has_a_stand_in_and_is_pinned() -> None:
    used = {
        match
        for file in (*WORKFLOWS, *ACTIONS)
        for match in re.findall(r"^ +(?:- )?uses: (\S+.*)$", file.read_text(), re.MULTILINE)
        if not match.startswith("$/")
    }
    assert {one.partition("@")[0] for one in used} == STAND_INS.keys()
    assert [one for one in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one)] == []


def test_one_version_of_each_action_is_used_everywhere() -> None:
    texts = [file.read_text() for file in (*WORKFLOWS, *ACTIONS, ROOT / "docs/policy.md")]
    pins = set(re.findall(r"uses: ([\w/-]+@\S+)", "\n".join(texts)))
    assert len(pins) == len({pin.partition("@")[0] for pin in pins})


@pytest.mark.parametrize("caller", CALLERS, ids=lambda path: path.stem)
def test_caller_gives_inputs_secrets_and_rights_that_the_workflow_takes(caller: Path) -> None:
    document = load(caller)
    assert document["permissions"] == {}
    for job in document["jobs"].values():
        name = re.fullmatch(
            r"your-org/lambda_container_api/.github/workflows/([a-z]+)\.yml@v\d+\.\d+\.\d+", job["uses"]
        )
        assert name, job["uses"]
        called = load(ROOT / f".github/workflows/{name[1]}.yml")
        workflow_inputs(called, job["with"])
        accepted = called["on"]["workflow_call"]["secrets"]
        given = job.get("secrets", {})
        assert given.keys() <= accepted.keys()
        assert {secret for secret, one in accepted.items() if one["required"]} <= given.keys()
        needed = [one["permissions"] for one in called["jobs"].values()]
        assert job["permissions"] == {scope: access for one in needed for scope, access in one.items()}


def test_pull_request_gets_one_comment_with_the_plan(team: Team, github: Any) -> None:
    secret = "a-secret-that-is-not-declared-sensitive"
    secrets = SECRETS | {"secret-variables": f"release_name={secret}"}
    team.edit(
        f"{EXAMPLE}/main.tf",
        "environment = var.environment }",
        "environment = var.environment, release = var.release_name }",
    )
    (team.repository / EXAMPLE / "release.tf").write_text('variable "release_name" {\n  default = "none"\n}\n')
    team.commit("a variable")
    for expected in ("create", "create"):
        run = team.start(team.pull_request(12), secrets)
        succeeded(
            run.workflow("plan", inputs("dev", "plan", source="examples/minimal/app", **{"policy-register": REGISTER})),
            "plan",
        )
        (comment,) = (one for one in github.comments if one["issue"] == 12)
        assert re.search(rf"^### Plan of dev: \d+ to {expected}, \d+ outputs to change$", comment["body"], re.MULTILINE)
    assert "module.api.aws_lambda_function.this will be created" in comment["body"]
    assert "variables: release_name, source_hash\n" in run.jobs["plan"].log
    assert secret not in comment["body"] + run.jobs["plan"].log + run.jobs["plan"].summary
    assert '"***"' in comment["body"]
    assert "policy-dev/junit.xml" in team.artifacts
    assert not any(name.startswith("plan-") for name in team.artifacts)


def test_failed_plan_replaces_the_comment(team: Team, github: Any) -> None:
    run = team.start(team.pull_request(12))
    run.workflow("plan", inputs("dev", "plan", variables="memory_mb=much"))
    assert run.jobs["plan"].result == "failure"
    (comment,) = (one for one in github.comments if one["issue"] == 12)
    assert "### Plan of dev: failed" in comment["body"]
    assert "https://github.com/team/parcels/actions/runs/" in comment["body"]


def test_plan_of_a_fork_is_skipped(team: Team) -> None:
    event = team.pull_request(13)
    event["pull_request"]["head"]["repo"]["full_name"] = "other/parcels"
    succeeded(team.start(event).workflow("plan", inputs("dev", "plan")))


def test_merge_applies_the_saved_plan(team: Team, dev: Run, emulator: Emulator) -> None:
    assert message(emulator, endpoint(emulator, f"{API}-dev")) == "hello"
    assert dev.jobs["apply"].outputs["image-uri"].startswith(f"{emulator.registry}/{API}-dev@sha256:")
    assert endpoint(emulator, f"{API}-dev") in dev.jobs["apply"].summary
    (encrypted,) = (content for name, content in team.artifacts.items() if name == "plan-dev/plan.tfplan.gpg")
    assert b"PK" not in encrypted[:4]  # a plan is a zip archive


def test_apply_without_changes_asks_nobody(team: Team, dev: Run) -> None:
    run = succeeded(apply(team, "dev"), "plan")
    assert run.jobs["plan"].outputs["image-uri"] == dev.jobs["apply"].outputs["image-uri"]


def test_promoted_image_is_kept_by_later_plans(team: Team, stage: Run, dev: Run, emulator: Emulator) -> None:
    assert message(emulator, endpoint(emulator, f"{API}-stage")) == "hello"
    run = succeeded(apply(team, "stage", keep="image_uri"), "plan")
    assert run.jobs["plan"].outputs["image-uri"] == dev.jobs["apply"].outputs["image-uri"]


def test_promotion_without_an_image_is_refused_before_anything_changes(team: Team) -> None:
    run = apply(team, "prod")
    assert run.jobs["plan"].result == "failure"
    assert run.jobs["apply"].result == "skipped"
    assert "image_uri is required outside dev" in failed_step(run, "plan")


def test_stale_plan_is_refused_with_one_sentence(team: Team, stage: Run) -> None:
    document = load(ROOT / ".github/workflows/apply.yml")
    more = {"keep": "image_uri", "keep-version": True, "terraform-version": "1.11.4", "source": "", "variables": ""}
    given = inputs("stage", "plan", "apply", **more | {"variables": "memory_mb=640"})
    late = team.start()
    late.job(document, "plan", given)
    succeeded(apply(team, "stage", keep="image_uri", variables="memory_mb=768"), "plan", "apply")
    late.job(document, "apply", given)
    assert late.jobs["apply"].result == "failure"
    assert failed_step(late, "apply").splitlines()[-1] == (
        "error: the plan is stale: another apply changed the state after it was made. Nothing was applied: run the workflow again."
    )


def test_altered_plan_is_refused(team: Team, stage: Run) -> None:
    document = load(ROOT / ".github/workflows/apply.yml")
    run = team.start()
    run.jobs["plan"] = JobResult(outputs={"changes": "true"})
    name = "plan-stage/plan.tfplan.gpg"
    content = bytearray(team.artifacts[name])
    content[len(content) // 2] ^= 1
    team.artifacts[name] = bytes(content)
    more = {"keep": "image_uri", "keep-version": True, "terraform-version": "1.11.4", "source": "", "variables": ""}
    run.job(document, "apply", inputs("stage", "plan", "apply", **more))
    assert failed_step(run, "apply").startswith(
        "error: gpg failed, with a different PLAN_PASSPHRASE or a file that was altered"
    )


def test_rollout_serves_the_next_version_and_rollback_returns(team: Team, dev: Run, emulator: Emulator) -> None:
    name = f"{API}-dev"
    old, _ = versions(emulator, name)
    team.edit("examples/minimal/app/hello.py", '{"message": "hello"}', '{"message": "hello again"}')
    journal = f"s3://{BUCKET}/journals/dev.json"
    steps = {"steps": "50 100", "minutes": "0.03", "alarms": ALARM, "journal": journal}

    rollout = succeeded(team.start().workflow("rollout", inputs("dev", "apply", **steps)), "rollout")
    assert message(emulator, endpoint(emulator, name)) == "hello again"
    live, newest = versions(emulator, name)
    assert (live, int(live)) == (newest, int(old) + 1)
    assert rollout.jobs["rollout"].summary

    succeeded(team.start().workflow("rollback", inputs("dev", "apply", version=old, journal=journal)), "rollback")
    assert message(emulator, endpoint(emulator, name)) == "hello"
    assert versions(emulator, name) == (old, newest)
    # The pin stays: a later apply does not move back to the version that was left.
    succeeded(apply(team, "dev"), "plan")


def test_drift_opens_updates_and_closes_one_issue(team: Team, stage: Run, github: Any, emulator: Emulator) -> None:
    aws = emulator.client("lambda")
    name = f"{API}-stage"
    memory = aws.get_function_configuration(FunctionName=name)["MemorySize"]  # another test may have changed it

    def drift(**more: Any) -> Run:
        return team.start().workflow(
            "drift", inputs("stage", "plan", keep="image_uri", variables=f"memory_mb={memory}", **more)
        )

    aws.update_function_configuration(FunctionName=name, MemorySize=1536)
    for _ in range(2):
        succeeded(drift(), "drift")
    (issue,) = github.issues
    assert issue["title"] == "stage differs from its configuration"
    assert "1536" in issue["body"]
    run = drift(issue=False)
    assert failed_step(run, "drift").startswith("::error::stage differs from its configuration")

    aws.update_function_configuration(FunctionName=name, MemorySize=memory)
    succeeded(drift(), "drift")
    assert issue["state"] == "closed"


def test_preview_has_its_own_name_and_state_and_goes_with_the_pull_request(
    team: Team, github: Any, emulator: Emulator
) -> None:
    given = inputs("dev", "apply")
    del given["environment"]
    name = f"pr-14-{API}-dev"
    succeeded(team.start(team.pull_request(14, "opened")).workflow("preview", given), "up")
    url = endpoint(emulator, name)
    assert message(emulator, url)
    (comment,) = (one for one in github.comments if one["issue"] == 14)
    assert url in comment["body"]
    keys = {one["Key"] for one in emulator.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]}
    assert "previews/pr-14.tfstate" in keys

    succeeded(team.start(team.pull_request(14, "closed")).workflow("preview", given), "down")
    assert "It was destroyed." in comment["body"]
    names = {one["FunctionName"] for one in emulator.client("lambda").list_functions()["Functions"]}
    assert name not in names


def test_release_is_recorded_tagged_and_published(team: Team, github: Any, tmp_path: Path) -> None:
    origin, copy = tmp_path / "origin.git", tmp_path / "copy"
    git(tmp_path, "clone", "--quiet", "--bare", str(ROOT), str(origin))
    git(origin, "branch", "--force", "main", "HEAD")
    git(tmp_path, "clone", "--quiet", "--branch", "main", str(origin), str(copy))
    project = Team(origin, tmp_path, team.environment, team.credentials, team.tools, github.url, executed=team.executed)

    def checkout(job: Any, given: Any) -> None:
        git(tmp_path, "clone", "--quiet", "--branch", "main", str(origin), str(job.workspace))
        link_environments(job.workspace)

    (changes,) = re.findall(
        r"Next release: at least (\S+)\.",
        subprocess.run(
            [environment("dev") / "python", "-m", "tools.release", "check"],
            cwd=copy,
            capture_output=True,
            text=True,
            check=True,
        ).stdout,
    )
    run = project.start()
    run.stand_ins = {**run.stand_ins, "actions/checkout": checkout}
    document = load(ROOT / ".github/workflows/release.yml")
    run.jobs["test"] = JobResult()
    run.job(document, "release", {"version": changes})
    succeeded(run, "test", "release")

    (release,) = github.releases
    assert release["tag_name"] == f"v{changes}"
    assert release["body"].startswith("### ")
    tagged = git(origin, "rev-parse", f"v{changes}^{{commit}}")
    assert tagged == git(origin, "rev-parse", "main")
    assert git(origin, "show", "--format=%s", "--no-patch", "main") == f"release: {changes}"
    assert f"?ref=v{changes}" in git(origin, "show", "main:README.md")
    assert json.loads(git(origin, "show", "main:policies/interface.json"))[changes]


def test_provider_pin_of_the_checks_is_valid(team: Team, tmp_path: Path, terraform_binary: str) -> None:
    """`terraform providers mirror` needs the registry: a stand-in checks its arguments and the configuration."""
    tool = tmp_path / "tool"
    tool.write_text(
        f'#!/bin/sh\n[ "$1 $2" = "providers mirror" ] && {terraform_binary} fmt -check main.tf && cat main.tf\n'
    )
    tool.chmod(0o755)
    for job in ("check", "test"):
        document = load(ROOT / ".github/workflows/ci.yml")
        steps = [step for step in document["jobs"][job]["steps"] if step.get("name") == "Pin the AWS provider"]
        assert len(steps) == 1
        document["jobs"][job]["steps"] = steps
        run = team.start(matrix={"tool": str(tool), "version": "1.9.8", "aws": "5.100.0", "runner": "ubuntu-24.04"})
        result = run.job(document, job, {})
        assert result.result == "success", result.log
        assert 'version = "5.100.0"' in result.log


def test_every_run_step_was_executed(request: pytest.FixtureRequest, team: Team, note: Callable[[str], None]) -> None:
    """The other tests of this file have executed all run steps, except those with a reason."""
    tests = {name for name in globals() if name.startswith("test_")}
    selected = {item.name.partition("[")[0] for item in request.session.items if item.path == Path(__file__)}
    if tests - selected:
        pytest.skip("only some tests of this file run")
    declared = [(file.stem, step_key(step)) for file in (*WORKFLOWS, *ACTIONS) for step in run_steps(file)]
    skipped = {key for _, key in declared if key[1].strip() in NOT_EXECUTED}
    assert {key[1].strip() for key in skipped} == NOT_EXECUTED.keys()
    assert [where for where in declared if where[1] not in team.executed | skipped] == []
    assert not team.executed & skipped
    note(f"workflows: {len(declared) - len(skipped)} run steps executed, {len(skipped)} named with the reason why not")
