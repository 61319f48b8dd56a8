"""A test that passes although its request violates AWS's model. test_strict_run.py runs it in a separate run."""

from __future__ import annotations

from contextlib import suppress

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.emulator import REGION, Emulator


def test_that_ignores_the_error(emulator: Emulator) -> None:
    unchecked = Config(parameter_validation=False, retries={"max_attempts": 1})
    credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": REGION}
    client = boto3.client("lambda", endpoint_url=emulator.url, config=unchecked, **credentials)  # type: ignore[call-overload]
    with suppress(ClientError):
        client.get_alias(FunctionName="people", Name="42")
