"""The root `versions.tf` declares the supported versions, and everything else agrees."""

from __future__ import annotations

import re

import pytest
import yaml

from sandbox.paths import LEGACY, ROOT
from sandbox.terraform import TERRAFORM

SOURCES = sorted([*ROOT.glob("modules/**/*.tf"), *ROOT.glob("examples/**/*.tf")])
SOURCES = [path for path in SOURCES if ".terraform" not in path.parts]
FOLDERS = sorted({path.parent.relative_to(ROOT).as_posix() for path in SOURCES})


def test_module_and_examples_are_found() -> None:
    assert "modules/lambda_container_api" in FOLDERS
    assert "examples/complete" in FOLDERS


@pytest.mark.parametrize("folder", FOLDERS)
def test_versions_tf_equals_the_projects(folder: str) -> None:
    expected = (ROOT / "versions.tf").read_text()
    if folder == LEGACY:  # builds no image
        expected = re.sub(r"    docker = \{.*?\n    \}\n", "", expected, flags=re.DOTALL)
    assert (ROOT / folder / "versions.tf").read_text() == expected


def test_no_other_file_declares_versions() -> None:
    declaration = re.compile(r"^\s*(required_version|required_providers)\b", re.MULTILINE)
    assert [str(p) for p in SOURCES if p.name != "versions.tf" and declaration.search(p.read_text())] == []


def test_the_module_has_no_provider_block() -> None:
    # With one, callers could not use count, for_each or depends_on.
    block = re.compile(r'^\s*provider\s+"', re.MULTILINE)
    modules = [path for path in SOURCES if "modules" in path.relative_to(ROOT).parts]
    assert [str(p) for p in modules if block.search(p.read_text())] == []


def test_the_sandbox_requires_the_same_terraform() -> None:
    least = ".".join(map(str, TERRAFORM.least))
    assert f'required_version = ">= {least}"' in (ROOT / "versions.tf").read_text()


@pytest.mark.parametrize("job", ["check", "test"])
def test_ci_runs_the_oldest_and_newest_supported_versions(job: str) -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    runs = workflow["jobs"][job]["strategy"]["matrix"]["include"]
    least = ".".join(map(str, TERRAFORM.least))
    versions = (ROOT / "versions.tf").read_text()

    oldest = [run for run in runs if run["version"] != "latest"]
    assert [run["tool"] for run in oldest] == ["terraform"]
    assert oldest[0]["version"].startswith(f"{least}.")
    assert f">= {oldest[0]['aws'].removesuffix('.0')}," in versions
    newest = {(run["tool"], run["aws"]) for run in runs if run["version"] == "latest"}
    assert newest == {("terraform", "newest"), ("tofu", "newest")}
    assert any(run["runner"].endswith("-arm") for run in runs) == (job == "test")
