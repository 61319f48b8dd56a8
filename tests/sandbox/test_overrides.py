"""What a root needs to run here is added by one override file, and only for what the root declares."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sandbox import overrides


def blocks(text: str) -> list[str]:
    return re.findall(r'^(\w+ "\w+"(?: "\w+")?) \{', text, re.MULTILINE)


@pytest.mark.parametrize(
    ("source", "overridden"),
    [
        pytest.param('provider "aws" {}\n\nprovider "docker" {}\n', ['provider "aws"', 'provider "docker"'], id="both"),
        pytest.param('provider "aws" {}\n# provider "docker" is the pipeline\'s\n', ['provider "aws"'], id="AWS alone"),
    ],
)
def test_a_plan_overrides_the_docker_provider_where_there_is_one(
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
