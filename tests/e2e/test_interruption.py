"""Applies that end halfway, and the applies after them: each step of a release refused once, on examples/canary-and-rollback."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from harness.errors import PlanError, TerraformError
from harness.root import Root
from sandbox.emulator import Emulator
from tests.e2e.conftest import Deployable, gateway

NAME = "interrupted-e2e"
MODULE = f"""  name = "{NAME}"
  function = {{
    environment          = {{ STEP = var.step }}
    reserved_concurrency = var.reserved_concurrency
    timeout_seconds      = 15
  }}
"""
VARIABLES = """
variable "step" {
  default = "none"
}
variable "reserved_concurrency" {
  type    = number
  default = 10
}
"""


@pytest.fixture(scope="module")
def root(example: Deployable, hello: str, emulator: Emulator) -> Root:
    made = example("canary-and-rollback", module=MODULE + hello)
    made.write("steps.tf", VARIABLES)
    made.apply()
    return made


@pytest.fixture
def served_step(aws: Callable[[str], Any]) -> Callable[[], str]:
    """Ask for the configuration of the version that serves."""

    def ask() -> str:
        answer = aws("lambda").get_function_configuration(FunctionName=NAME, Qualifier="live")
        step: str = answer["Environment"]["Variables"]["STEP"]
        return step

    return ask


# What is refused once, beside another configuration: that a step after it was taken is told by the plan or mended by an apply.
MENDED: dict[str, dict[str, Any]] = {
    "lambda.UpdateFunctionConfiguration": {},
    "lambda.Invoke": {},
    "lambda.UpdateAlias": {},
}
TOLD: dict[str, dict[str, Any]] = {
    "lambda.PutFunctionConcurrency": {"reserved_concurrency": 20},
    "lambda.PublishVersion": {},
}


@pytest.mark.parametrize("operation", [*MENDED, *TOLD])
def test_the_apply_after_an_interrupted_one_releases_or_says_what_to_do(
    operation: str,
    root: Root,
    emulator: Emulator,
    aws: Callable[[str], Any],
    served_step: Callable[[], str],
) -> None:
    before = served_step()
    inputs = {"step": operation} | (MENDED | TOLD)[operation]
    with (
        emulator.refusing(operation, containing=NAME),
        pytest.raises(TerraformError, match="refused by the test"),
    ):
        root.apply(inputs)
    assert served_step() == before

    if operation in TOLD:
        with pytest.raises(PlanError) as told:
            root.plan(inputs)
        assert "does not run what this configuration says (environment)" in str(told.value)
        command = re.search(r"aws lambda publish-version --region (\S+) --function-name (\S+)", str(told.value))
        assert command
        # Meanwhile a rollback works.
        root.plan(inputs | {"release_version": 1})
        aws("lambda").publish_version(FunctionName=command[2])

    root.apply(inputs)
    assert served_step() == operation
    root.assert_idempotent()


def test_a_function_that_is_stopped_is_released_when_it_may_run_again(
    root: Root, emulator: Emulator, served_step: Callable[[], str]
) -> None:
    before, version = served_step(), root.output("version", str)
    # Whatever were asked now would be throttled, and the provider would ask for an hour.
    root.apply(step="stopped", reserved_concurrency=0)
    assert (served_step(), root.output("version", str)) == (before, version)
    root.assert_idempotent()

    root.apply(step="stopped", reserved_concurrency=10)
    assert served_step() == "stopped"
    with gateway(emulator, root.output("endpoint", str)) as api:
        api.get("/").raise_for_status()
