"""Provisioned concurrency that Application Auto Scaling moves: examples/provisioned-concurrency, applied.

The emulator has no Application Auto Scaling, so that one service is moto's server; everything else is the emulator's.
Moto knows no tags of scalable targets, which the provider reads after each change: it is told to answer that there are none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.server import ThreadedMotoServer

from harness.root import Root
from sandbox.emulator import REGION
from tests.e2e.conftest import Deployable

NAME = "scaling-e2e"
RESOURCE = f"function:{NAME}:live"
TOPIC = f"arn:aws:sns:{REGION}:000000000000:alarms"


@pytest.fixture(scope="module")
def auto_scaling() -> Iterator[Any]:
    """Start moto's Application Auto Scaling and return a client of it."""
    ApplicationAutoScalingResponse.list_tags_for_resource = lambda _: '{"Tags": {}}'  # type: ignore[attr-defined]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield boto3.client(
        "application-autoscaling",
        endpoint_url=f"http://{host}:{port}",
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    server.stop()


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
    root.assert_idempotent(alarm_topic_arn=TOPIC)
    root.apply(alarm_topic_arn=TOPIC)
    assert provisioned(aws) == 7


def test_destroying_takes_the_scaler_away(root: Root, auto_scaling: Any) -> None:
    root.destroy()
    assert auto_scaling.describe_scalable_targets(ServiceNamespace="lambda")["ScalableTargets"] == []
    assert auto_scaling.describe_scaling_policies(ServiceNamespace="lambda")["ScalingPolicies"] == []
