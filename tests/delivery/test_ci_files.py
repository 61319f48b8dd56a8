"""The files in delivery/gitlab and delivery/codebuild, without running them; no Docker engine."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from delivery.docker_context import FILES, store
from delivery.errors import DeliveryError, RefusedError
from delivery.merge_request import widget
from delivery.rollout import Rollout
from sandbox.paths import ROOT, environment
from tests.delivery import ci
from tests.delivery.ci import BUILDSPECS, GITLAB_FILES, JOBS, CiError

LINT = environment("lint")


def lint(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(LINT / program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_job_of_the_script_is_in_both_products() -> None:
    assert {"plan", "apply", "rollout", "rollback", "drift"} == BUILDSPECS.keys()
    assert {*BUILDSPECS, "preview", "preview-down"} == JOBS.keys()
    for name, job in JOBS.items():
        assert job["script"] == [f"bash .delivery/source/delivery/job.sh {name}"]
    for name, spec in BUILDSPECS.items():
        assert spec["phases"]["build"]["commands"] == [f"bash .delivery/source/delivery/job.sh {name}"]


def test_apply_waits_for_a_person_and_no_two_jobs_change_an_environment_at_once() -> None:
    assert [rule.get("when") for rule in JOBS["apply"]["rules"]] == ["manual"]
    assert {JOBS[name]["resource_group"] for name in ("apply", "rollout", "rollback")} == {"terraform-$ENVIRONMENT"}
    assert JOBS["plan"]["variables"]["AWS_ROLE_ARN"] != JOBS["apply"]["variables"]["AWS_ROLE_ARN"]


def test_jobs_that_cannot_build_have_no_docker_daemon() -> None:
    with_daemon = {name for name, job in JOBS.items() if "services" in job}
    assert with_daemon == {"apply", "rollout", "preview"}


def in_schema(*files: Path) -> subprocess.CompletedProcess[str]:
    return lint("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", *files)


def test_files_fit_gitlabs_schema(tmp_path: Path) -> None:
    # The schema accepts everything in a hidden job, so the jobs that extend them are checked as well.
    resolved = tmp_path / "resolved.yml"
    resolved.write_text(yaml.safe_dump(JOBS))
    checked = in_schema(*GITLAB_FILES, resolved)
    assert checked.returncode == 0, checked.stdout


def test_schema_refuses_an_unknown_value(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(yaml.safe_dump(JOBS).replace("when: manual", "when: by hand"))
    assert in_schema(wrong).returncode == 1


def test_buildspec_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "plan.buildspec.yml"
    file.write_text((ROOT / "delivery/codebuild/plan.buildspec.yml").read_text().replace("commands:", "command:"))
    with pytest.raises(CiError, match="unknown keys: command"):
        ci.buildspec(file)


def test_script_has_no_findings_of_shellcheck() -> None:
    checked = lint("shellcheck", ROOT / "delivery/job.sh")
    assert checked.returncode == 0, checked.stdout


def test_page_explains_every_variable_that_the_script_reads() -> None:
    script = (ROOT / "delivery/job.sh").read_text()
    page = (ROOT / "docs/gitlab-and-codebuild.md").read_text()
    # Set by GitLab, by its files, and by these tests.
    others = {"CI_JOB_ID", "CI_MERGE_REQUEST_IID", "AWS_WEB_IDENTITY_TOKEN", "DELIVERY_WORK", "TERRAFORM_RELEASES"}
    names = set(re.findall(r"\$\{([A-Z][A-Z0-9_]+)(?=:)", script)) - others
    assert "ROLLOUT_STEPS" in names
    assert {name for name in names if f"`{name}`" not in page} == set()


def test_context_is_one_that_the_docker_command_reads(tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).write_text(name)
    store("tcp://docker:2376", tmp_path, tmp_path)
    command = ["docker", "--config", str(tmp_path / ".docker"), "context", "inspect", "delivery"]
    inspected = subprocess.run(command, capture_output=True, text=True, check=False)
    if "not found" in inspected.stderr:
        pytest.skip("there is no docker command")
    assert inspected.returncode == 0, inspected.stderr
    assert '"Host": "tcp://docker:2376"' in inspected.stdout
    assert all(f'"{name}"' in inspected.stdout for name in FILES)


def test_missing_certificates_are_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    with pytest.raises(DeliveryError, match=r"has no cert\.pem and no key\.pem: DOCKER_CERT_PATH"):
        store("tcp://docker:2376", tmp_path, tmp_path, seconds=0)


def test_replacement_counts_as_delete_and_create() -> None:
    changes = [["no-op"], ["create"], ["delete", "create"], ["update"]]
    plan = {"resource_changes": [{"change": {"actions": actions}} for actions in changes]}
    assert widget(plan) == {"create": 2, "update": 1, "delete": 1}


COMMAND = "trap 'sleep 0.3; exit 7' TERM; touch started; while :; do sleep 0.1; done"


def test_signal_of_a_cancelled_job_reaches_the_rollout_and_its_exit_code_is_the_jobs(tmp_path: Path) -> None:
    script = f'source {ROOT / "delivery/job.sh"}; run bash -c "$COMMAND"'
    job = subprocess.Popen(["bash", "-c", script], cwd=tmp_path, env={**os.environ, "COMMAND": COMMAND})
    deadline = time.monotonic() + 30
    while not (tmp_path / "started").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    job.terminate()
    assert job.wait(30) == 7


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_exit_code_of_a_rollout_is_the_jobs(tmp_path: Path, code: int) -> None:
    script = f'source {ROOT / "delivery/job.sh"}; run bash -c "exit {code}"'
    assert subprocess.run(["bash", "-c", script], cwd=tmp_path, check=False).returncode == code


def test_altered_terraform_is_not_installed(tmp_path: Path) -> None:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    release = tmp_path / "1.11.4"
    release.mkdir()
    (release / f"terraform_1.11.4_linux_{machine}.zip").write_bytes(b"altered")
    (release / "terraform_1.11.4_SHA256SUMS").write_text(f"{'0' * 64}  terraform_1.11.4_linux_{machine}.zip\n")
    script = f"source {ROOT / 'delivery/job.sh'}; install_terraform 1.11.4"
    given = {**os.environ, "TERRAFORM_RELEASES": tmp_path.as_uri()}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: the checksum of terraform_1.11.4_linux_{machine}.zip is not in")


def test_rollout_looks_for_the_daemon_of_docker_host_and_not_beside_a_context(monkeypatch: pytest.MonkeyPatch) -> None:
    plan: Any = SimpleNamespace(raw={}, builds=lambda: True)
    rollout: Any = None  # it reads the plan and the environment only
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(RefusedError, match="no Docker daemon is reachable"):
        Rollout._require_docker(rollout, plan)
    monkeypatch.setenv("DOCKER_CONTEXT", "delivery")
    Rollout._require_docker(rollout, plan)
