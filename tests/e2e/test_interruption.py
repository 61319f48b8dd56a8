"""Recovery from applies that fail halfway, at each step of a release, and releases of a stopped function."""

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
    """A root whose first apply failed after the function was created, recovered as the README says."""
    root = example("canary-and-rollback", module=MODULE + hello)
    root.write("variables_e2e.tf", VARIABLES)
    failure = emulator.refusing("lambda.PutFunctionConcurrency", containing=NAME, message="below its minimum value")
    with failure, pytest.raises(TerraformError, match="below its minimum value"):
        root.apply()
    # Terraform would replace the tainted function, and create the new one first, although its name is taken.
    root.terraform.cmd("untaint", "module.api.aws_lambda_function.this")
    root.apply()
    return root


@pytest.fixture
def serving(aws: Callable[[str], Any]) -> Callable[[], str]:
    """Return a function that reads the variable STEP of the version that serves."""

    def read() -> str:
        configuration = aws("lambda").get_function_configuration(FunctionName=NAME, Qualifier="live")
        step: str = configuration["Environment"]["Variables"]["STEP"]
        return step

    return read


def publish_as_suggested(root: Root, aws: Callable[[str], Any], inputs: dict[str, Any]) -> None:
    """Check the error of the plan, and run the command that it suggests."""
    with pytest.raises(PlanError) as error:
        root.check(inputs)
    assert "it does not match this configuration (environment" in str(error.value)
    (name,) = re.findall(r"aws lambda publish-version --region \S+ --function-name (\S+)", str(error.value))
    aws("lambda").publish_version(FunctionName=name)


def test_untainted_function_of_a_failed_first_apply_is_kept(root: Root, emulator: Emulator) -> None:
    creates = emulator.operations(client="terraform-provider-aws/", containing=NAME).count("lambda.CreateFunction")
    assert creates == 1
    with gateway(emulator, root.output("endpoint", str)) as api:
        assert api.get("/").raise_for_status().json()["message"] == "hello"
    root.assert_idempotent()


# The steps of a release in order, and whether a failure there leaves an update that nothing publishes.
STEPS = {
    "UpdateFunctionConfiguration": False,
    "UpdateFunctionCode": False,
    "PutFunctionConcurrency": True,
    "Invoke": False,
    "PutProvisionedConcurrencyConfig": False,
    "UpdateAlias": False,
}


def test_release_recovers_from_a_failure_at_each_step(
    root: Root, emulator: Emulator, aws: Callable[[str], Any], serving: Callable[[], str]
) -> None:
    app: Path = root.path.parent / "minimal/app/hello.py"
    app.write_text(app.read_text().replace('"hello"', '"hello after all"', 1))
    inputs = {"step": "second", "reserved_concurrency": 20}
    for operation, unpublished in STEPS.items():
        failure = emulator.refusing(f"lambda.{operation}", containing=NAME, message=f"no {operation} now")
        with failure, pytest.raises(TerraformError, match=f"no {operation} now"):
            root.apply(inputs)
        assert serving() == "first"
        if unpublished:
            # A rollback is still possible.
            root.check(inputs | {"release_version": 1})
            publish_as_suggested(root, aws, inputs)

    root.apply(inputs)
    assert serving() == "second"
    with gateway(emulator, root.output("endpoint", str)) as api:
        assert api.get("/").raise_for_status().json()["message"] == "hello after all"
    root.assert_idempotent()


def test_stopped_function_is_released_once_it_can_run(
    root: Root, emulator: Emulator, aws: Callable[[str], Any], serving: Callable[[], str]
) -> None:
    before = serving()
    # Lambda rejects a reservation below the provisioned concurrency, so that is removed first.
    root.apply({"step": before, "warm": False, "reserved_concurrency": 20})
    version = root.output("version", str)
    stopped = {"step": "third", "warm": False, "reserved_concurrency": 0}
    with emulator.refusing("lambda.Invoke", containing=NAME, times=None, status=429, code="TooManyRequestsException"):
        # A smoke test would be throttled, and the provider would retry it for an hour.
        root.apply(stopped)
        with pytest.raises(ClientError, match="TooManyRequestsException"):
            aws("lambda").invoke(FunctionName=NAME, Qualifier="live")
    assert (serving(), root.output("version", str)) == (before, version)

    restarted = stopped | {"reserved_concurrency": 10}
    failure = emulator.refusing("lambda.PublishVersion", containing=NAME, message="no PublishVersion now")
    with failure, pytest.raises(TerraformError, match="no PublishVersion now"):
        root.apply(restarted)
    publish_as_suggested(root, aws, restarted)
    root.apply(restarted)
    assert serving() == "third"
