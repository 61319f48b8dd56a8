"""examples/provisioned-concurrency, applied: provisioned concurrency across releases, scaled by Application Auto Scaling.

The emulator does not support Application Auto Scaling, so moto's server provides that service.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from harness.root import Root
from sandbox.emulator import REGION, Emulator, client
from tests.e2e.conftest import Deployable, load

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

NAME = "scaling-e2e"
TOPIC = f"arn:aws:sns:{REGION}:000000000000:alarms"
SCALED = {"min": 2, "max": 20, "target_utilization": 0.7}
# Arguments that the tests change.
MODULE = f"""  name = "{NAME}"
  provisioned_concurrency = var.provisioned_concurrency
  function = {{ reserved_concurrency = 50, memory_mb = var.memory_mb }}
  release = {{ version = var.release_version, canary_percent = var.canary_percent }}
"""
VARIABLES = """
variable "provisioned_concurrency" {
  type    = object({ max = optional(number), min = number, target_utilization = optional(number) })
  default = { max = 20, min = 2, target_utilization = 0.7 }
}
variable "memory_mb" {
  type    = number
  default = 512
}
variable "release_version" {
  type    = number
  default = null
}
variable "canary_percent" {
  type    = number
  default = 0
}
"""


class AutoScaling:
    """Moto's Application Auto Scaling.

    Moto does not support tags of scalable targets, which the provider reads after each change, so this returns no tags. A retried
    request gets the first response again, as in sandbox/emulator_server.
    """

    def __init__(self) -> None:
        self.moto: WSGIApplication = DomainDispatcherApplication(create_backend_app)
        self.responses: dict[str, Response] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        invocation = environ.get("HTTP_AMZ_SDK_INVOCATION_ID", "")
        if environ.get("HTTP_X_AMZ_TARGET", "").endswith(".ListTagsForResource"):
            response = Response(b'{"Tags": {}}', content_type="application/x-amz-json-1.1")
        else:
            response = self.responses.get(invocation) or Response.from_app(self.moto, environ)
        if response.status_code == 200:
            self.responses[invocation] = response
        return response(environ, start_response)


@pytest.fixture(scope="module")
def auto_scaling() -> Iterator[Any]:
    """Start moto's Application Auto Scaling, and yield a client for it."""
    with make_server("127.0.0.1", 0, AutoScaling(), threaded=True) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield client("application-autoscaling", f"http://127.0.0.1:{server.port}")
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def root(auto_scaling: Any, example: Deployable, hello: str) -> Root:
    root = example("provisioned-concurrency", module=MODULE + hello)
    root.write("variables_e2e.tf", VARIABLES)
    root.terraform.environment["AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING"] = auto_scaling.meta.endpoint_url
    root.apply(alarm_topic_arn=TOPIC)
    return root


def provisioned(aws: Callable[[str], Any]) -> dict[str, int]:
    """Return the requested provisioned concurrency by version."""
    versions = [v["Version"] for v in aws("lambda").list_versions_by_function(FunctionName=NAME)["Versions"][1:]]
    requested = {}
    for version in versions:
        try:
            configuration = aws("lambda").get_provisioned_concurrency_config(FunctionName=NAME, Qualifier=version)
        except aws("lambda").exceptions.ProvisionedConcurrencyConfigNotFoundException:
            continue
        requested[version] = configuration["RequestedProvisionedConcurrentExecutions"]
    return requested


def lambda_operations(emulator: Emulator, since: float) -> list[str]:
    """Return the operations that Terraform called for the function, in order."""
    operations = emulator.operations(client="terraform-provider-aws/", containing=NAME, since=since)
    return [name.removeprefix("lambda.") for name in operations]


def last_index(names: list[str], name: str) -> int:
    return len(names) - 1 - names[::-1].index(name)


def scaled_resources(auto_scaling: Any) -> list[str]:
    targets = auto_scaling.describe_scalable_targets(ServiceNamespace="lambda")["ScalableTargets"]
    return [target["ResourceId"] for target in targets]


def test_scalable_target_has_the_version_limits_and_policy(root: Root, auto_scaling: Any) -> None:
    (target,) = auto_scaling.describe_scalable_targets(ServiceNamespace="lambda")["ScalableTargets"]
    assert target["ResourceId"] == f"function:{NAME}:1"
    assert target["ScalableDimension"] == "lambda:function:ProvisionedConcurrency"
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 20)
    (policy,) = auto_scaling.describe_scaling_policies(ServiceNamespace="lambda", ResourceId=target["ResourceId"])[
        "ScalingPolicies"
    ]
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == 0.7
    assert tracking["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization"
    }


def test_apply_keeps_the_scaled_value(root: Root, aws: Callable[[str], Any]) -> None:
    assert provisioned(aws) == {"1": 2}
    aws("lambda").put_provisioned_concurrency_config(
        FunctionName=NAME, Qualifier="1", ProvisionedConcurrentExecutions=7
    )
    root.assert_idempotent()
    assert provisioned(aws) == {"1": 7}


LIVE = "module.api.aws_lambda_provisioned_concurrency_config.live[0]"
CANARY = "module.api.aws_lambda_provisioned_concurrency_config.canary[0]"
# Inputs of each apply, the provisioned concurrency by version after it, and the scaled versions.
STEPS: dict[str, tuple[dict[str, Any], dict[str, int], list[str]]] = {
    "a release, without scaling and with a new value": (
        {"memory_mb": 256, "provisioned_concurrency": {"min": 3}},
        {"2": 3},
        [],
    ),
    "a rollback with a new value": ({"release_version": 1, "provisioned_concurrency": {"min": 4}}, {"1": 4}, []),
    "a canary": ({"release_version": 1, "canary_percent": 10}, {"1": 4, "2": 4}, []),
    "the canary's release, with scaling again": (
        {"release_version": None, "canary_percent": 0, "provisioned_concurrency": SCALED},
        {"2": 4},
        ["2"],
    ),
}
# Lambda's operations in a release, in this order.
RELEASE = [
    "PublishVersion",
    "Invoke",
    "PutProvisionedConcurrencyConfig",
    "UpdateAlias",
    "DeleteProvisionedConcurrencyConfig",
]


def test_every_serving_version_has_its_provisioned_concurrency(
    root: Root,
    emulator: Emulator,
    auto_scaling: Any,
    aws: Callable[[str], Any],
    note: Callable[[str], None],
) -> None:
    inputs: dict[str, Any] = {"alarm_topic_arn": TOPIC}
    with load(emulator, root.output("endpoint", str), "/", clients=2) as total:
        for step, (changes, expected, scaled) in STEPS.items():
            inputs |= changes
            start = time.time()
            root.apply(inputs)
            assert (step, provisioned(aws)) == (step, expected)
            assert scaled_resources(auto_scaling) == [f"function:{NAME}:{version}" for version in scaled]
            if "PublishVersion" in (operations := lambda_operations(emulator, start)):
                # The last call of each, except Put: the first one already provisions.
                positions = [
                    operations.index(name) if name.startswith("Put") else last_index(operations, name)
                    for name in RELEASE
                ]
                assert positions == sorted(positions), operations
            if step == "a canary":
                aborted = root.plan(inputs | {"canary_percent": 0}).resources[CANARY]
                assert aborted.destroys
                # Destroyed with the values in the state: the canary's version, whose provisioned concurrency is deleted.
                assert (aborted.before["qualifier"], aborted.before["skip_destroy"]) == ("2", False)
    # A new function with the same name could have the same version number, but no provisioned concurrency.
    replaced = root.terraform.plan(var=inputs, replace="module.api.aws_lambda_function.this")
    assert f"{LIVE}: Plan to replace" in replaced.out
    root.assert_idempotent()
    # The gate reports an alias that moves before provisioning is done, and a serving version that loses its provisioned concurrency.
    assert emulator.notes(NAME) == []
    note(f"provisioned concurrency under load: {total.sent} requests, {total.failures} failed")
    total.assert_none_failed(least=100)


def test_destroy_removes_the_scalable_target(root: Root, auto_scaling: Any) -> None:
    root.destroy()
    assert auto_scaling.describe_scalable_targets(ServiceNamespace="lambda")["ScalableTargets"] == []
    assert auto_scaling.describe_scaling_policies(ServiceNamespace="lambda")["ScalingPolicies"] == []
