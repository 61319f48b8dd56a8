"""docs/policy.md, run as it stands by a consumer: only the repository's URL is that of a local clone."""

from __future__ import annotations

import os
import re
import subprocess
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
URL, TAG = "https://github.com/<you>/lambda_container_api.git", "v0.1.0"
BAD = """
resource "aws_ecr_repository" "more" {
  name = "more"
}
"""


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a repository with the project as it is, under the tag that the page names."""
    folder = copy_project(
        PROJECT, tmp_path_factory.mktemp("published") / "api", ["policies", "modules", "policy-skips.yaml"]
    )
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    for command in (["init", "--quiet"], ["add", "."], [*identity, "commit", "--quiet", "-m", "all"], ["tag", TAG]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return f"file://{folder}"


@pytest.fixture
def consumer(tmp_path: Path) -> Path:
    """A project with a root `infra` that calls the module of its clone `.policy`."""
    source = (PROJECT / "examples/minimal/main.tf").read_text()
    infra = tmp_path / "infra"
    copy_project(PROJECT / "examples/minimal", tmp_path, ["app"])
    copy_project(PROJECT / "examples/minimal", infra, ["versions.tf"])
    source = source.replace("../../modules", "../.policy/modules").replace('context = "app"', 'context = "../app"')
    (infra / "main.tf").write_text(source)
    (infra / overrides.NAME).write_text(overrides.planned(infra))
    return tmp_path


@pytest.fixture(scope="session")
def environment(terraform_environment: Mapping[str, str]) -> dict[str, str]:
    return os.environ | terraform_environment | {"PATH": f"{PYTHON.parent}:{os.environ['PATH']}"}


def run(script: str, published: str, folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    assert URL in script or "git clone" not in script
    script = script.replace(URL, published)
    return subprocess.run(
        ["bash", "-ec", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("number", [0, 1], ids=["cloned", "fetched by checkov"])
def test_the_pack_by_itself(number: int, published: str, consumer: Path, environment: dict[str, str]) -> None:
    (consumer / "infra/more.tf").write_text(BAD)
    result = run(CONSOLE[number], published, consumer, environment)
    assert result.returncode == 1, result.stderr
    assert "CKV_LCA_6" in result.stdout
    assert "fixtures" not in result.stdout


def test_the_pre_commit_hook(published: str, consumer: Path, environment: dict[str, str]) -> None:
    hook = yaml.safe_load(YAML[0])["repos"][0]["hooks"][0]
    clone = CONSOLE[0].splitlines()[0]
    assert run(f"{clone}\n{hook['entry']}", published, consumer, environment).returncode == 0
    (consumer / "infra/more.tf").write_text(BAD)
    assert re.search(hook["files"], "infra/more.tf")
    assert run(hook["entry"], published, consumer, environment).returncode == 1


def test_the_gate(published: str, consumer: Path, environment: dict[str, str]) -> None:
    result = run(CONSOLE[2], published, consumer, environment)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr
    assert (consumer / "reports/junit.xml").exists()
    (consumer / "infra/more.tf").write_text(BAD)
    again = CONSOLE[2].partition("\n")[2]
    result = run(again, published, consumer, environment)
    assert result.returncode == 1
    assert "infra/more.tf:2: CKV_LCA_6" in result.stdout


def test_the_github_actions_job(published: str, consumer: Path, environment: dict[str, str]) -> None:
    steps = yaml.safe_load(YAML[1])["jobs"]["policy"]["steps"]
    scripts = [step["run"] for step in steps if "run" in step]
    # The runner's own steps (checkout, Python, Terraform, upload) are GitHub's; checkov is installed here already.
    assert scripts[0] == f"pip install checkov=={installed()}"
    for script in scripts[1:]:
        result = run(script, published, consumer, environment)
        assert result.returncode == 0, result.stdout[-2000:] + result.stderr
    assert (consumer / "reports/plans.sarif").exists()


def test_a_finding_is_accepted_as_the_page_says(published: str, consumer: Path, environment: dict[str, str]) -> None:
    skip = next(text for language, text in BLOCKS if language == "hcl")
    body = '  function_name = "more"\n  role          = "arn:aws:iam::111122223333:role/more"\n}\n'
    (consumer / "infra/main.tf").write_text(skip + body)
    (consumer / "policy-skips.yaml").write_text(YAML[2])
    clone = CONSOLE[0].splitlines()[0]
    gate = "python .policy/policies/gate . --only infra --register policy-skips.yaml"
    result = run(f"{clone}\n{gate}", published, consumer, environment)
    assert "CKV_AWS_116" in result.stdout  # of the bare function other findings remain
    assert "CKV_AWS_50" not in result.stdout
    assert "register:" not in result.stdout


def installed() -> str:
    return subprocess.run(
        [str(PYTHON), "-c", "import importlib.metadata; print(importlib.metadata.version('checkov'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
