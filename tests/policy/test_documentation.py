"""The commands of docs/policy.md, run unchanged by a consumer, except for the repository's URL."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from harness.root import copy_project
from sandbox import overrides
from tools.policy_scan import PROJECT, PYTHON

PAGE = (PROJECT / "docs/policy.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
CONSOLE = [text for language, text in BLOCKS if language == "console"]
YAML = [text for language, text in BLOCKS if language == "yaml"]
URL = "https://github.com/<you>/lambda_container_api.git"
(TAG,) = set(re.findall(r"--branch (v[\d.]+)", PAGE))
BAD = """
resource "aws_ecr_repository" "more" {
  name = "more"
}
"""


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a repository with the working tree under the tag that the page names."""
    folder = copy_project(
        PROJECT,
        tmp_path_factory.mktemp("published") / "api",
        ["policies", "modules", "policy-skips.yaml", "pyproject.toml", ".pre-commit-hooks.yaml"],
    )
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    for command in (["init", "--quiet"], ["add", "."], [*identity, "commit", "--quiet", "-m", "all"], ["tag", TAG]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return f"file://{folder}"


@pytest.fixture
def consumer(tmp_path: Path) -> Path:
    """A project with a root module `infra` that calls the module in the clone `.policy`."""
    source = (PROJECT / "examples/minimal/main.tf").read_text()
    infra = tmp_path / "infra"
    copy_project(PROJECT / "examples/minimal", tmp_path, ["app"])
    copy_project(PROJECT / "examples/minimal", infra, ["versions.tf"])
    source = source.replace("../../modules", "../.policy/modules").replace('context = "app"', 'context = "../app"')
    (infra / "main.tf").write_text(source)
    (infra / overrides.NAME).write_text(overrides.planned(infra))
    return tmp_path


@pytest.fixture(scope="session")
def environment(
    terraform_environment: Mapping[str, str], terraform_binary: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    # The page runs `terraform`, even if the tests run OpenTofu.
    programs = tmp_path_factory.mktemp("programs")
    (programs / "terraform").symlink_to(str(shutil.which(terraform_binary)))
    return os.environ | terraform_environment | {"PATH": f"{programs}:{PYTHON.parent}:{os.environ['PATH']}"}


def run(script: str, published: str, folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    assert URL in script or "git clone" not in script
    script = script.replace(URL, published)
    return subprocess.run(
        ["bash", "-ec", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("number", [0, 1], ids=["cloned", "fetched by checkov"])
def test_pack_without_the_gate(number: int, published: str, consumer: Path, environment: dict[str, str]) -> None:
    (consumer / "infra/more.tf").write_text(BAD)
    result = run(CONSOLE[number], published, consumer, environment)
    assert result.returncode == 1, result.stderr
    assert "CKV_LCA_6" in result.stdout
    assert "fixtures" not in result.stdout


def test_pre_commit_hooks_fail_on_a_finding_and_pass_without(
    published: str, consumer: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In a git repository, with the real pre-commit, which installs the hooks from the published repository."""
    (config,) = yaml.safe_load(YAML[0])["repos"]
    assert (config["repo"], config["rev"]) == (URL, TAG)
    hooks = [*config["hooks"], {"id": "policy-pack", "args": ["--directory", "infra", "--framework", "terraform"]}]
    text = yaml.safe_dump({"repos": [config | {"repo": published, "hooks": hooks}]})
    (consumer / ".pre-commit-config.yaml").write_text(text)
    subprocess.run(["git", "init", "--quiet"], cwd=consumer, check=True)
    subprocess.run(["git", "add", "."], cwd=consumer, check=True)
    programs = environment["PATH"] + f":{Path(sys.executable).parent}"
    environment = environment | {"PATH": programs, "PRE_COMMIT_HOME": str(tmp_path_factory.mktemp("hooks"))}

    result = run(CONSOLE[2], published, consumer, environment)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr
    assert result.stdout.count("Passed") == 2

    (consumer / "infra/more.tf").write_text(BAD)
    subprocess.run(["git", "add", "."], cwd=consumer, check=True)
    result = run(CONSOLE[2], published, consumer, environment)
    assert result.returncode == 1
    assert result.stdout.count("Failed\n") == 2
    assert "infra/more.tf:2: CKV_LCA_6" in result.stdout


def test_hooks_install_the_checkov_that_the_tests_use() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == [f"checkov=={installed()}"]


def test_gate_passes_fails_and_accepts(published: str, consumer: Path, environment: dict[str, str]) -> None:
    result = run(CONSOLE[3], published, consumer, environment)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr
    assert (consumer / "reports/junit.xml").exists()
    assert (consumer / "reports/plans.sarif").exists()

    (consumer / "infra/more.tf").write_text(BAD)
    skip = next(text for language, text in BLOCKS if language == "hcl")
    body = '  function_name = "more"\n  role          = "arn:aws:iam::111122223333:role/more"\n}\n'
    with (consumer / "infra/main.tf").open("a") as main:
        main.write(skip + body)
    (consumer / "policy-skips.yaml").write_text(YAML[2])
    gate = CONSOLE[3].splitlines()[-1]
    result = run(f"{gate} --register policy-skips.yaml", published, consumer, environment)
    assert result.returncode == 1
    assert "infra/more.tf:2: CKV_LCA_6" in result.stdout
    assert "CKV_AWS_116" in result.stdout  # the function has other findings
    assert "CKV_AWS_50" not in result.stdout
    assert "register:" not in result.stdout


def test_github_actions_job_runs_the_documented_commands() -> None:
    steps = yaml.safe_load(YAML[1])["jobs"]["policy"]["steps"]
    install, *scripts = [step["run"].strip() for step in steps if "run" in step]
    # The other steps (checkout, Python, Terraform, upload) are actions; checkov is already installed here.
    assert install == f"pip install checkov=={installed()}"
    assert "\n".join(scripts) == CONSOLE[3].strip()


def installed() -> str:
    return subprocess.run(
        [str(PYTHON), "-c", "import importlib.metadata; print(importlib.metadata.version('checkov'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
