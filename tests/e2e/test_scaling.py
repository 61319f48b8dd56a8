"""Provisioned concurrency that moves with releases and that Application Auto Scaling moves: examples/provisioned-concurrency, applied.

The emulator has no Application Auto Scaling, so that one service is moto's server; everything else is the emulator's.
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
# What the test changes, beside the example's own arguments.
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

    It knows no tags of scalable targets, which the provider reads after each change: it is answered for it that there are none. And
    a request that the provider's client sends again is answered with the response that there was, as sandbox/emulator_server does.
    """

    def __init__(self) -> None:
        self.moto: WSGIApplication = DomainDispatcherApplication(create_backend_app)
        self.answered: dict[str, Response] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        call = environ.get("HTTP_AMZ_SDK_INVOCATION_ID", "")
        if environ.get("HTTP_X_AMZ_TARGET", "").endswith(".ListTagsForResource"):
            response = Response(b'{"Tags": {}}', content_type="application/x-amz-json-1.1")
        else:
            response = self.answered.get(call) or Response.from_app(self.moto, environ)
        if response.status_code == 200:
            self.answered[call] = response
        return response(environ, start_response)


@pytest.fixture(scope="module")
def auto_scaling() -> Iterator[Any]:
    """Start moto's Application Auto Scaling and return a client of it."""
    with make_server("127.0.0.1", 0, AutoScaling(), threaded=True) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield client("application-autoscaling", f"http://127.0.0.1:{server.port}")
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def root(auto_scaling: Any, example: Deployable, hello: str) -> Root:
    made = example("provisioned-concurrency", module=MODULE + hello)
    made.write("released.tf", VARIABLES)
    made.terraform.environment["AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING"] = auto_scaling.meta.endpoint_url
    made.apply(alarm_topic_arn=TOPIC)
    return made


def provisioned(aws: Callable[[str], Any]) -> dict[str, int]:
    """Return how many environments each version has."""
    versions = [v["Version"] for v in aws("lambda").list_versions_by_function(FunctionName=NAME)["Versions"][1:]]
    found = {}
    for version in versions:
        try:
            answer = aws("lambda").get_provisioned_concurrency_config(FunctionName=NAME, Qualifier=version)
        except aws("lambda").exceptions.ProvisionedConcurrencyConfigNotFoundException:
            continue
        found[version] = answer["RequestedProvisionedConcurrentExecutions"]
    return found


def asked_of_lambda(emulator: Emulator, since: float) -> list[str]:
    """Return what Terraform has asked of the function, in order."""
    found = emulator.operations(client="terraform-provider-aws/", containing=NAME, since=since)
    return [name.removeprefix("lambda.") for name in found]


def last(names: list[str], name: str) -> int:
    return len(names) - 1 - names[::-1].index(name)


def targets(auto_scaling: Any) -> list[str]:
    found = auto_scaling.describe_scalable_targets(ServiceNamespace="lambda")["ScalableTargets"]
    return [target["ResourceId"] for target in found]


def test_the_scaler_gets_the_version_its_limits_and_its_target(root: Root, auto_scaling: Any) -> None:
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


def test_a_number_that_the_scaler_has_moved_stays_as_it_moved_it(root: Root, aws: Callable[[str], Any]) -> None:
    assert provisioned(aws) == {"1": 2}
    aws("lambda").put_provisioned_concurrency_config(
        FunctionName=NAME, Qualifier="1", ProvisionedConcurrentExecutions=7
    )
    root.assert_idempotent()
    assert provisioned(aws) == {"1": 7}


LIVE = "module.api.aws_lambda_provisioned_concurrency_config.live[0]"
CANARY = "module.api.aws_lambda_provisioned_concurrency_config.canary[0]"
# What one apply changes, how many environments each version has afterwards, and which the scaler has.
STEPS: dict[str, tuple[dict[str, Any], dict[str, int], list[str]]] = {
    "a release, without the scaler and with another number": (
        {"memory_mb": 256, "provisioned_concurrency": {"min": 3}},
        {"2": 3},
        [],
    ),
    "a rollback, and another number": ({"release_version": 1, "provisioned_concurrency": {"min": 4}}, {"1": 4}, []),
    "a canary": ({"release_version": 1, "canary_percent": 10}, {"1": 4, "2": 4}, []),
    "the canary's release, with the scaler again": (
        {"release_version": None, "canary_percent": 0, "provisioned_concurrency": SCALED},
        {"2": 4},
        ["2"],
    ),
}
# What Lambda is asked for in a release, in this order.
RELEASE = [
    "PublishVersion",
    "Invoke",
    "PutProvisionedConcurrencyConfig",
    "UpdateAlias",
    "DeleteProvisionedConcurrencyConfig",
]


def test_no_version_serves_without_its_environments(
    root: Root,
    emulator: Emulator,
    auto_scaling: Any,
    aws: Callable[[str], Any],
    note: Callable[[str], None],
) -> None:
    inputs: dict[str, Any] = {"alarm_topic_arn": TOPIC}
    with load(emulator, root.output("endpoint", str), "/", clients=2) as total:
        for step, (changes, environments, scaled) in STEPS.items():
            inputs |= changes
            begin = time.time()
            root.apply(inputs)
            assert (step, provisioned(aws)) == (step, environments)
            assert targets(auto_scaling) == [f"function:{NAME}:{version}" for version in scaled]
            if "PublishVersion" in (asked := asked_of_lambda(emulator, begin)):
                # The last time of each but for the environments, which are there from the first one on.
                moments = [asked.index(name) if name.startswith("Put") else last(asked, name) for name in RELEASE]
                assert moments == sorted(moments), asked
            if step == "a canary":
                given_up = root.plan(inputs | {"canary_percent": 0}).resources[CANARY]
                assert given_up.destroys
                # Destroyed with what the state holds of it: the canary's version, whose environments are deleted.
                assert (given_up.before["qualifier"], given_up.before["skip_destroy"]) == ("2", False)
    # Another function of the same name would have a version of the same number, and none of its environments.
    replaced = root.terraform.plan(var=inputs, replace="module.api.aws_lambda_function.this")
    assert f"{LIVE}: Plan to replace" in replaced.out
    root.assert_idempotent()
    # The gate notes each alias that moves to a version whose environments are not ready, and each version that serves and loses its own.
    assert emulator.notes(NAME) == []
    note(f"provisioned concurrency under load: {total.sent} requests, {total.failures} failed")
    total.assert_none_failed(least=100)


def test_destroying_takes_the_scaler_away(root: Root, auto_scaling: Any) -> None:
    root.destroy()
    assert auto_scaling.describe_scalable_targets(ServiceNamespace="lambda")["ScalableTargets"] == []
    assert auto_scaling.describe_scaling_policies(ServiceNamespace="lambda")["ScalingPolicies"] == []
