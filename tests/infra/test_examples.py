"""Each folder of examples/ is a root that plans as it is; only where AWS is comes from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.emulator import AWS_PROVIDER
from tests.harness.pytest_plugin import RootFactory

EXAMPLES = sorted(folder.parent.name for folder in Path(__file__).parents[2].glob("examples/*/main.tf"))


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_plans_an_api_and_nothing_to_complain_about(example: str, terraform_root: RootFactory) -> None:
    root = terraform_root(f"examples/{example}", files={"emulator_override.tf": AWS_PROVIDER})

    plan = root.plan()

    assert plan.within("module.api").counts["aws_apigatewayv2_api"] == 1
    assert "endpoint" in plan.outputs.keys() | plan.unknown_outputs
    assert {change.actions for change in plan.resources.values()} == {("create",)}
    assert [str(warning) for warning in plan.warnings] == []


def test_there_are_examples() -> None:
    assert {"complete", "minimal"} <= set(EXAMPLES)
