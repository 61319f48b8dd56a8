"""Applies that end halfway, and those after them: a release refused once at each of its steps, and a function that is stopped."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness.errors import PlanError, TerraformError
from harness.root import Root
from sandbox.emulator import Emulator
from tests.e2e.conftest import Deployable, gateway

NAME = "interrupted-e2e"
MODULE = f"""  name = "{NAME}"
  provisioned_concurrency = var.warm ? {{ min = 1 }} : null
  function = {{
    environment          = {{ STEP = var.step }}
    reserved_concurrency = var.reserved_concurrency
    timeout_seconds      = 15
  }}
"""
VARIABLES = """
variable "step" {
  default = "first"
}
variable "reserved_concurrency" {
  type    = number
  default = 10
}
variable "warm" {
  default = true
}
"""


@pytest.fixture(scope="module")
def root(example: Deployable, hello: str, emulator: Emulator) -> Root:
    """Applied once in vain, after its function was made, and then in the way that the README says."""
    made = example("canary-and-rollback", module=MODULE + hello)
    made.write("steps.tf", VARIABLES)
    refused = emulator.refusing("lambda.PutFunctionConcurrency", containing=NAME, message="below its minimum value")
    with refused, pytest.raises(TerraformError, match="below its minimum value"):
        made.apply()
    # Terraform means to replace it, and makes the next one first, whose name is taken.
    made.terraform.cmd("untaint", "module.api.aws_lambda_function.this")
    made.apply()
    return made


@pytest.fixture
def serving(aws: Callable[[str], Any]) -> Callable[[], str]:
    """Ask for the configuration of the version that serves."""

    def ask() -> str:
        answer = aws("lambda").get_function_configuration(FunctionName=NAME, Qualifier="live")
        step: str = answer["Environment"]["Variables"]["STEP"]
        return step

    return ask


def publish_as_told(root: Root, aws: Callable[[str], Any], inputs: dict[str, Any]) -> None:
    """See that a plan says what is wrong, and do what it says."""
    with pytest.raises(PlanError) as told:
        root.check(inputs)
    assert "it does not match this configuration (environment" in str(told.value)
    (name,) = re.findall(r"aws lambda publish-version --region \S+ --function-name (\S+)", str(told.value))
    aws("lambda").publish_version(FunctionName=name)


def test_a_first_apply_that_failed_after_the_function_was_made_goes_on_with_that_function(
    root: Root, emulator: Emulator
) -> None:
    made = emulator.operations(client="terraform-provider-aws/", containing=NAME).count("lambda.CreateFunction")
    assert made == 1
    with gateway(emulator, root.output("endpoint", str)) as api:
        assert api.get("/").raise_for_status().json()["message"] == "hello"
    root.assert_idempotent()


# The steps of a release in their order; those at which the function is updated and nothing will publish the update.
STEPS = {
    "UpdateFunctionConfiguration": False,
    "UpdateFunctionCode": False,
    "PutFunctionConcurrency": True,
    "Invoke": False,
    "PutProvisionedConcurrencyConfig": False,
    "UpdateAlias": False,
}


def test_a_release_that_was_interrupted_at_each_step_goes_live_in_the_end(
    root: Root, emulator: Emulator, aws: Callable[[str], Any], serving: Callable[[], str]
) -> None:
    app: Path = root.path.parent / "minimal/app/hello.py"
    app.write_text(app.read_text().replace('"hello"', '"hello after all"', 1))
    inputs = {"step": "second", "reserved_concurrency": 20}
    for operation, unpublished in STEPS.items():
        refused = emulator.refusing(f"lambda.{operation}", containing=NAME, message=f"no {operation} now")
        with refused, pytest.raises(TerraformError, match=f"no {operation} now"):
            root.apply(inputs)
        assert serving() == "first"
        if unpublished:
            # A rollback works meanwhile.
            root.check(inputs | {"release_version": 1})
            publish_as_told(root, aws, inputs)

    root.apply(inputs)
    assert serving() == "second"
    with gateway(emulator, root.output("endpoint", str)) as api:
        assert api.get("/").raise_for_status().json()["message"] == "hello after all"
    root.assert_idempotent()


def test_a_function_that_is_stopped_is_released_once_it_may_run_again(
    root: Root, emulator: Emulator, aws: Callable[[str], Any], serving: Callable[[], str]
) -> None:
    before = serving()
    # Lambda reserves nothing below what is provisioned, so the environments go first.
    root.apply({"step": before, "warm": False, "reserved_concurrency": 20})
    version = root.output("version", str)
    stopped = {"step": "third", "warm": False, "reserved_concurrency": 0}
    with emulator.refusing("lambda.Invoke", containing=NAME, times=None, status=429, code="TooManyRequestsException"):
        # Asked now, Lambda would throttle, and the provider ask again for an hour.
        root.apply(stopped)
        with pytest.raises(ClientError, match="TooManyRequestsException"):
            aws("lambda").invoke(FunctionName=NAME, Qualifier="live")
    assert (serving(), root.output("version", str)) == (before, version)

    again = stopped | {"reserved_concurrency": 10}
    refused = emulator.refusing("lambda.PublishVersion", containing=NAME, message="no PublishVersion now")
    with refused, pytest.raises(TerraformError, match="no PublishVersion now"):
        root.apply(again)
    publish_as_told(root, aws, again)
    root.apply(again)
    assert serving() == "third"
