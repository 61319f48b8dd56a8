"""What a root needs to run here is added by one override file, and only for what the root declares."""

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
            id="what it asks its user for",
        ),
        pytest.param('provider "aws" {}\n# provider "docker" is the pipeline\'s\n', ['provider "aws"'], id="AWS alone"),
    ],
)
def test_a_plan_overrides_what_the_root_declares_and_no_more(
    tmp_path: Path, source: str, overridden: list[str]
) -> None:
    (tmp_path / "providers.tf").write_text(source)
    assert blocks(overrides.planned(tmp_path)) == overridden


def test_an_applied_example_gets_what_it_is_told_to_beside_the_emulators_own() -> None:
    text = overrides.applied("localhost:4700", overrides.NO_ALARMS, overrides.UNPROTECTED)
    assert blocks(text) == [
        'provider "aws"',
        'provider "docker"',
        'module "api"',
        'resource "aws_dynamodb_table" "this"',
    ]
    assert 'address       = "http://localhost:4700"' in text
    assert re.search(r'^module "api" \{\n(  .*\n)*  alarms = null\n\}', text, re.MULTILINE)


def test_on_an_arm64_machine_the_module_builds_and_runs_arm64(
    terraform_roots: Callable[[str, Mapping[str, str] | None], Root],
) -> None:
    override = {overrides.NAME: overrides.planned(paths.ROOT / "examples/minimal")}

    planned = terraform_roots("examples/minimal", override | overrides.native("aarch64")).plan().within("module.api")

    assert planned.values["aws_lambda_function.this"]["architectures"] == ["arm64"]
    assert planned.values["docker_registry_image.this[0]"]["build"][0]["platform"] == "linux/arm64"
    assert overrides.native("x86_64") == {}
