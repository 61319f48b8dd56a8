"""Which changes of a saved plan are part of a step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from delivery import RefusedError, Rollout, Terraform
from delivery.aws import Request, Routing, Target
from delivery.errors import DeliveryError
from delivery.plans import Plan

TARGET = Target("eu-central-1", "orders", "live")


def change(kind: str, values: dict[str, Any], *actions: str, unknown: dict[str, Any] | None = None) -> dict[str, Any]:
    before = None if actions[0] == "create" else values
    after = None if actions == ("delete",) else values
    changed = {"actions": list(actions), "before": before, "after": after, "after_unknown": unknown or {}}
    return {"address": f"{kind}.this", "mode": "managed", "type": kind, "change": changed}


def plan(*changes: dict[str, Any]) -> Plan:
    return Plan(Path("saved.tfplan"), {"resource_changes": list(changes)})


ALIAS = {"name": "live", "function_name": "orders", "function_version": "7", "routing_config": []}
PART = {
    "the alias": change("aws_lambda_alias", ALIAS, "update"),
    "a new smoke invocation": change("aws_lambda_invocation", {"function_name": "orders"}, "create"),
    "a removed smoke invocation": change("aws_lambda_invocation", {"function_name": "orders"}, "delete"),
    "provisioned concurrency": change(
        "aws_lambda_provisioned_concurrency_config", {"function_name": "orders", "qualifier": "8"}, "create", "delete"
    ),
    "scaling": change("aws_appautoscaling_target", {"resource_id": "function:orders:8"}, "create", "delete"),
    "nothing": change("aws_dynamodb_table", {"name": "people"}, "no-op"),
}
OTHER = {
    "another alias": change("aws_lambda_alias", {**ALIAS, "name": "test"}, "update"),
    "another function's alias": change("aws_lambda_alias", {**ALIAS, "function_name": "users"}, "update"),
    "the function": change("aws_lambda_function", {"function_name": "orders"}, "update"),
    "another function's invocation": change("aws_lambda_invocation", {"function_name": "users"}, "create"),
    "another function's scaling": change("aws_appautoscaling_target", {"resource_id": "function:orders-2:8"}, "update"),
    "a table": change("aws_dynamodb_table", {"name": "people"}, "delete"),
    "an alarm": change("aws_cloudwatch_metric_alarm", {"alarm_name": "orders-errors"}, "update"),
}


@pytest.mark.parametrize("name", PART)
def test_change_is_part_of_a_step(name: str) -> None:
    assert plan(PART[name]).others(TARGET) == []


@pytest.mark.parametrize("name", OTHER)
def test_change_is_no_part_of_a_step(name: str) -> None:
    assert plan(*PART.values(), OTHER[name]).others(TARGET) == [OTHER[name]["address"]]


def test_routing_of_the_alias_after_the_plan() -> None:
    weights = [{"additional_version_weights": {"8": 0.1}}]
    canary = change("aws_lambda_alias", {**ALIAS, "routing_config": weights}, "update")
    assert plan(OTHER["another alias"], canary).routing(TARGET) == Routing("7", "8", 10)
    assert plan(PART["the alias"]).routing(TARGET) == Routing("7")


UNTOLD = {
    "the root does not manage the alias": plan(OTHER["another alias"]),
    "does not tell which version": plan(
        change("aws_lambda_alias", ALIAS, "update", unknown={"function_version": True})
    ),
    "the plan deletes the alias": plan(change("aws_lambda_alias", ALIAS, "delete")),
}


@pytest.mark.parametrize("message", UNTOLD)
def test_plan_that_does_not_tell_the_routing_is_an_error(message: str) -> None:
    with pytest.raises(DeliveryError, match=message):
        UNTOLD[message].routing(TARGET)


def test_plan_that_builds_needs_a_docker_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builds = plan(change("docker_registry_image", {"name": "orders"}, "delete", "create"))
    rollout = Rollout(Terraform(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    with pytest.raises(RefusedError, match=r"no Docker daemon is reachable.*docker.sock: No such file"):
        rollout._require_docker(builds)
    rollout._require_docker(plan(*PART.values()))
    # The provider's own host may be another one.
    builds.raw["configuration"] = {"provider_config": {"docker": {"expressions": {"host": {}}}}}
    rollout._require_docker(builds)


def test_request_is_an_event_of_api_gateway() -> None:
    request = Request.of("POST /users?dry_run=1 201")
    event = request.event()
    assert (event["rawPath"], event["rawQueryString"], request.status) == ("/users", "dry_run=1", 201)
    assert event["requestContext"]["http"]["method"] == "POST"
