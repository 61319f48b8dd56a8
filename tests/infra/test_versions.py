"""The versions that the project supports are stated once, at its top, and everything else agrees."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sandbox.deployment import LEAST_TERRAFORM

PROJECT = Path(__file__).parents[2]
SOURCES = sorted([*PROJECT.glob("modules/**/*.tf"), *PROJECT.glob("examples/**/*.tf")])
SOURCES = [path for path in SOURCES if ".terraform" not in path.parts]
FOLDERS = sorted({path.parent.relative_to(PROJECT).as_posix() for path in SOURCES})


def test_there_is_something_to_compare() -> None:
    assert "modules/lambda_container_api" in FOLDERS
    assert "examples/complete" in FOLDERS


@pytest.mark.parametrize("folder", FOLDERS)
def test_versions_are_those_of_the_project(folder: str) -> None:
    assert (PROJECT / folder / "versions.tf").read_text() == (PROJECT / "versions.tf").read_text()


def test_versions_are_stated_nowhere_else() -> None:
    stated = re.compile(r"^\s*(required_version|required_providers)\b", re.MULTILINE)
    assert [str(p) for p in SOURCES if p.name != "versions.tf" and stated.search(p.read_text())] == []


def test_the_module_has_no_provider_block_so_that_its_callers_can_use_count_and_for_each() -> None:
    block = re.compile(r'^\s*provider\s+"', re.MULTILINE)
    modules = [path for path in SOURCES if "modules" in path.relative_to(PROJECT).parts]
    assert [str(p) for p in modules if block.search(p.read_text())] == []


def test_the_sandbox_asks_for_the_same_terraform() -> None:
    least = ".".join(map(str, LEAST_TERRAFORM))
    assert f'required_version = ">= {least}"' in (PROJECT / "versions.tf").read_text()


def test_ci_runs_a_terraform_that_the_project_supports() -> None:
    named = re.findall(r'terraform_version: "(\d+)\.(\d+)', (PROJECT / ".github/workflows/ci.yml").read_text())
    assert named
    assert all((int(major), int(minor)) >= LEAST_TERRAFORM for major, minor in named)
