"""Provisioned concurrency that Application Auto Scaling moves: examples/provisioned-concurrency, applied.

The emulator has no Application Auto Scaling, so that one service is moto's server; everything else is the emulator's.
Moto knows no tags of scalable targets, which the provider reads after each change, so that is answered in front of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from harness.root import Root
from sandbox.emulator import REGION, client
from tests.e2e.conftest import Deployable

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

NAME = "scaling-e2e"
RESOURCE = f"function:{NAME}:live"
TOPIC = f"arn:aws:sns:{REGION}:000000000000:alarms"


def without_tags(app: WSGIApplication) -> WSGIApplication:
    """Answer for Moto that a scalable target has no tags."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not environ.get("HTTP_X_AMZ_TARGET", "").endswith(".ListTagsForResource"):
            return app(environ, start_response)
        start_response("200 OK", [("content-type", "application/x-amz-json-1.1")])
        return [b'{"Tags": {}}']

    return answer


@pytest.fixture(scope="module")
def auto_scaling() -> Iterator[Any]:
    """Start moto's Application Auto Scaling and return a client of it."""
    moto = without_tags(DomainDispatcherApplication(create_backend_app))
    with make_server("127.0.0.1", 0, moto, threaded=True) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield client("application-autoscaling", f"http://127.0.0.1:{server.port}")
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def root(example: Deployable, hello: str, auto_scaling: Any) -> Root:
    made = example("provisioned-concurrency", module=f'  name = "{NAME}"\n{hello}')
    made.terraform.environment["AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING"] = auto_scaling.meta.endpoint_url
    made.apply(alarm_topic_arn=TOPIC)
    return made


def provisioned(aws: Callable[[str], Any]) -> int:
    answer = aws("lambda").get_provisioned_concurrency_config(FunctionName=NAME, Qualifier="live")
    number: int = answer["RequestedProvisionedConcurrentExecutions"]
    return number


def test_the_scaler_gets_the_alias_its_limits_and_its_target(root: Root, auto_scaling: Any) -> None:
    (target,) = auto_scaling.describe_scalable_targets(ServiceNamespace="lambda", ResourceIds=[RESOURCE])[
        "ScalableTargets"
    ]
    assert target["ScalableDimension"] == "lambda:function:ProvisionedConcurrency"
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 20)
    (policy,) = auto_scaling.describe_scaling_policies(ServiceNamespace="lambda", ResourceId=RESOURCE)[
        "ScalingPolicies"
    ]
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == 0.7
    assert tracking["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization"
    }


def test_a_number_that_the_scaler_has_moved_stays_as_it_moved_it(root: Root, aws: Callable[[str], Any]) -> None:
    assert provisioned(aws) == 2
    aws("lambda").put_provisioned_concurrency_config(
        FunctionName=NAME, Qualifier="live", ProvisionedConcurrentExecutions=7
    )
    root.assert_idempotent()
    root.apply(alarm_topic_arn=TOPIC)
    assert provisioned(aws) == 7


def test_destroying_takes_the_scaler_away(root: Root, auto_scaling: Any) -> None:
    root.destroy()
    assert auto_scaling.describe_scalable_targets(ServiceNamespace="lambda")["ScalableTargets"] == []
    assert auto_scaling.describe_scaling_policies(ServiceNamespace="lambda")["ScalingPolicies"] == []
