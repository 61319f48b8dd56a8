"""Provisioned concurrency takes time to allocate, and an alias with it waits for the new version's."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator import Emulator
from sandbox.emulator_server.strict.provisioning import Provisioning

DELAY = Provisioning.SECONDS


@pytest.fixture
def function(emulator: Emulator) -> tuple[Any, str]:
    """A client, and the name of a function with two versions and an alias on the first."""
    client, name = emulator.client("lambda"), f"provisioned-{uuid.uuid4().hex[:8]}"
    role = f"arn:aws:iam::000000000000:role/{name}"
    image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/people"
    client.create_function(
        FunctionName=name, Role=role, PackageType="Image", Code={"ImageUri": f"{image}:1"}, Publish=True
    )
    client.update_function_code(FunctionName=name, ImageUri=f"{image}:2", Publish=True)
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    return client, name


def put(client: Any, name: str, qualifier: str, number: int = 1) -> Any:
    parameters = {"FunctionName": name, "Qualifier": qualifier, "ProvisionedConcurrentExecutions": number}
    return client.put_provisioned_concurrency_config(**parameters)


def status(client: Any, name: str, qualifier: str) -> Any:
    return client.get_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)["Status"]


def wait(client: Any, name: str, qualifier: str) -> float:
    begin = time.monotonic()
    while status(client, name, qualifier) != "READY":
        time.sleep(0.1)
    return time.monotonic() - begin


def test_allocation_takes_time(function: tuple[Any, str]) -> None:
    client, name = function
    assert put(client, name, "1", 2)["Status"] == "IN_PROGRESS"
    config = client.get_provisioned_concurrency_config(FunctionName=name, Qualifier="1")
    assert (
        config["AvailableProvisionedConcurrentExecutions"],
        config["RequestedProvisionedConcurrentExecutions"],
    ) == (0, 2)
    (listed,) = client.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"]
    assert listed["FunctionArn"].endswith(f":{name}:1")
    assert DELAY / 2 < wait(client, name, "1") < DELAY * 2
    client.delete_provisioned_concurrency_config(FunctionName=name, Qualifier="1")
    assert not client.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"]


def test_provisioned_alias_serves_the_old_version_until_the_new_one_is_ready(function: tuple[Any, str]) -> None:
    client, name = function
    put(client, name, "live")
    moved = client.update_alias(FunctionName=name, Name="live", FunctionVersion="2")
    assert moved["RoutingConfig"] == {"AdditionalVersionWeights": {"1": 1.0}}
    with pytest.raises(ClientError, match="Alias with weights can not be used with Provisioned Concurrency"):
        put(client, name, "live", 2)
    deadline = time.monotonic() + 3 * DELAY
    while "RoutingConfig" in client.get_alias(FunctionName=name, Name="live"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    put(client, name, "live", 2)


def test_alias_with_a_provisioned_version_moves_at_once_and_is_noted_if_too_early(
    function: tuple[Any, str], emulator: Emulator
) -> None:
    client, name = function
    put(client, name, "1")
    put(client, name, "2")
    assert "RoutingConfig" not in client.update_alias(FunctionName=name, Name="live", FunctionVersion="2")
    (note,) = emulator.notes(name)
    assert note["about"] == "alias-moved-to-a-version-without-environments"
    assert "to version 2, whose is IN_PROGRESS" in note["text"]
    wait(client, name, "1")
    client.update_alias(FunctionName=name, Name="live", FunctionVersion="1")
    assert emulator.notes(name) == [note]


def test_deleted_function_has_no_provisioned_concurrency(function: tuple[Any, str], emulator: Emulator) -> None:
    client, name = function
    put(client, name, "1")
    client.delete_function(FunctionName=name)
    assert not client.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"]
