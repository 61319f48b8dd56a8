"""Tests can inject AWS errors into their own requests, in every protocol."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator import Emulator


def queue(emulator: Emulator, name: str) -> Any:
    return emulator.client("sqs").create_queue(QueueName=name)


def test_requests_of_another_test_pass(emulator: Emulator) -> None:
    mine, other = uuid.uuid4().hex, uuid.uuid4().hex
    with emulator.refusing("sqs.CreateQueue", containing=mine):
        queue(emulator, other)
        with pytest.raises(ClientError, match="refused by the test") as refused:
            queue(emulator, mine)
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_after_and_times_limit_the_refusals(emulator: Emulator) -> None:
    name = uuid.uuid4().hex
    with emulator.refusing("sqs.*", containing=name, after=1, times=1):
        queue(emulator, name)
        with pytest.raises(ClientError, match="refused by the test"):
            queue(emulator, name)
        queue(emulator, name)
    queue(emulator, name)


def test_unused_refusal_is_an_error(emulator: Emulator) -> None:
    unused = emulator.refusing("sqs.CreateQueue", containing=uuid.uuid4().hex)
    with pytest.raises(AssertionError, match=r"no sqs\.CreateQueue request was refused, of 0 seen"), unused:
        pass


REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("apigatewayv2", "get_api", {"ApiId": "{name}"}),
    ("cloudwatch", "describe_alarms", {"AlarmNames": ["{name}"]}),
    ("ec2", "describe_subnets", {"SubnetIds": ["{name}"]}),
    ("iam", "get_role", {"RoleName": "{name}"}),
    ("lambda", "get_function", {"FunctionName": "{name}"}),
    ("route53", "get_hosted_zone", {"Id": "{name}"}),
    ("s3", "get_object", {"Bucket": "{name}", "Key": "key"}),
]


@pytest.mark.parametrize(("service", "operation", "arguments"), REQUESTS, ids=[request[0] for request in REQUESTS])
def test_error_has_the_format_of_its_protocol(
    service: str, operation: str, arguments: dict[str, Any], emulator: Emulator
) -> None:
    name = uuid.uuid4().hex[:20]
    filled = {
        k: v.format(name=name) if isinstance(v, str) else [i.format(name=name) for i in v] for k, v in arguments.items()
    }
    client = emulator.client(service)
    api_operation = client.meta.method_to_api_mapping[operation]
    busy = emulator.refusing(
        f"{service}.{api_operation}", containing=name, status=409, code="Busy", message="Not <now>"
    )
    with busy, pytest.raises(ClientError) as refused:
        getattr(client, operation)(**filled)
    assert refused.value.response["Error"] | {"Type": None} == {"Code": "Busy", "Message": "Not <now>", "Type": None}
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409
