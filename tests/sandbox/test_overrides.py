"""Override files cover what a root declares, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from harness import Root
from sandbox import overrides, paths


def blocks(text: str) -> list[str]:
    return re.findall(r'^(\w+ "\w+"(?: "\w+")?) \{', text, re.MULTILINE)


@pytest.mark.parametrize(
    ("source", "overridden"),
    [
        pytest.param('provider "aws" {}\n\nprovider "docker" {}\n', ['provider "aws"', 'provider "docker"'], id="both"),
        pytest.param(
            'provider "aws" {}\n\nvariable "jwt_issuer" {\n  type = string\n}\n',
            ['provider "aws"', 'variable "jwt_issuer"'],
            id="required variable",
        ),
        pytest.param(
            'provider "aws" {}\n\nprovider "aws" {\n  alias  = "us_east_1"\n  region = "us-east-1"\n}\n',
            ['provider "aws"', 'provider "aws"'],
            id="aliased provider",
        ),
        pytest.param('provider "aws" {}\n# provider "docker" is the pipeline\'s\n', ['provider "aws"'], id="AWS only"),
    ],
)
def test_planned_overrides_only_declared_blocks(tmp_path: Path, source: str, overridden: list[str]) -> None:
    (tmp_path / "providers.tf").write_text(source)
    assert blocks(overrides.planned(tmp_path)) == overridden


def test_applied_adds_module_and_root_blocks() -> None:
    text = overrides.applied("localhost:4700", overrides.NO_ALARMS, overrides.UNPROTECTED)
    assert blocks(text) == [
        'provider "aws"',
        'provider "docker"',
        'module "api"',
        'resource "aws_dynamodb_table" "this"',
    ]
    assert 'address       = "http://localhost:4700"' in text
    assert re.search(r'^module "api" \{\n(  .*\n)*  alarms = null\n\}', text, re.MULTILINE)


def test_arm64_machine_builds_and_runs_arm64(
    terraform_roots: Callable[[str, Mapping[str, str] | None], Root],
) -> None:
    override = {overrides.NAME: overrides.planned(paths.ROOT / "examples/minimal")}

    planned = terraform_roots("examples/minimal", override | overrides.native("aarch64")).plan().within("module.api")

    assert planned.values["aws_lambda_function.this"]["architectures"] == ["arm64"]
    assert planned.values["docker_registry_image.this[0]"]["build"][0]["platform"] == "linux/arm64"
    assert overrides.native("x86_64") == {}
