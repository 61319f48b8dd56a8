"""How the module's parts hang together: who refers to whom, who waits for whom, and what makes another image."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from harness import Plan, Root

ALIAS = "aws_lambda_alias.live"
FUNCTION = "aws_lambda_function.this"


@pytest.fixture(scope="module")
def graph(module: Root) -> Mapping[str, frozenset[str]]:
    return module.dependencies()


@pytest.mark.parametrize(
    ("caller", "attribute", "door"),
    [
        ("aws_apigatewayv2_integration.live", "integration_uri", f"{ALIAS}.invoke_arn"),
        ("aws_lambda_permission.api", "qualifier", f"{ALIAS}.name"),
        ("aws_lambda_function_event_invoke_config.live[0]", "qualifier", f"{ALIAS}.name"),
    ],
)
def test_the_alias_is_the_only_door(caller: str, attribute: str, door: str, orders: Plan) -> None:
    assert door in orders.references(caller, attribute)


@pytest.mark.parametrize(
    ("address", "attribute", "source"),
    [
        (FUNCTION, "role", "aws_iam_role.execution.arn"),
        (FUNCTION, "logging_config.log_group", "aws_cloudwatch_log_group.function.name"),
        ("aws_apigatewayv2_route.default", "target", "aws_apigatewayv2_integration.live.id"),
        (
            "aws_apigatewayv2_stage.default",
            "access_log_settings.destination_arn",
            "aws_cloudwatch_log_group.access.arn",
        ),
        ("aws_lambda_permission.api", "source_arn", "aws_apigatewayv2_api.this.execution_arn"),
        ("aws_iam_role_policy.execution", "role", "aws_iam_role.execution.name"),
        ("aws_ecr_lifecycle_policy.this[0]", "repository", "aws_ecr_repository.this[0].name"),
    ],
)
def test_parts_are_wired_by_reference(address: str, attribute: str, source: str, orders: Plan) -> None:
    assert source in orders.references(address, attribute)


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        pytest.param(
            "docker_registry_image.this", "aws_ecr_lifecycle_policy.this", id="retention before the first push"
        ),
        pytest.param(
            "docker_registry_image.this", "aws_ecr_repository_policy.this", id="pull right before the first push"
        ),
        pytest.param(FUNCTION, "docker_registry_image.this", id="image before function"),
        pytest.param(FUNCTION, "aws_cloudwatch_log_group.function", id="log group before its writer"),
        pytest.param(FUNCTION, "aws_iam_role_policy.execution", id="permissions before function"),
        pytest.param(FUNCTION, "aws_iam_role_policy.network_interfaces", id="network permissions before function"),
        pytest.param(FUNCTION, "aws_iam_role_policy_attachment.managed", id="AWS's own policies before function"),
        pytest.param("aws_lambda_invocation.smoke", FUNCTION, id="version before it is asked"),
        pytest.param(ALIAS, "aws_lambda_invocation.smoke", id="answer before alias"),
        pytest.param("aws_apigatewayv2_integration.live", ALIAS, id="alias before gateway"),
        pytest.param(
            "aws_apigatewayv2_route.this", "aws_lambda_permission.legacy", id="permission before legacy route"
        ),
        pytest.param(
            "aws_apigatewayv2_integration.legacy", "aws_lambda_permission.legacy", id="permission before legacy call"
        ),
        pytest.param(
            "aws_apigatewayv2_authorizer.lambda", "aws_lambda_permission.authorizer", id="permission before authorizer"
        ),
        pytest.param("aws_apigatewayv2_route.default", "aws_apigatewayv2_authorizer.jwt", id="authorizer before route"),
        pytest.param("aws_apigatewayv2_stage.default", "aws_apigatewayv2_route.default", id="route before stage"),
        pytest.param("aws_apigatewayv2_api_mapping.this", "aws_apigatewayv2_stage.default", id="stage before domain"),
        pytest.param(
            "aws_lambda_provisioned_concurrency_config.live",
            "aws_lambda_invocation.smoke",
            id="answer before warmth",
        ),
        pytest.param(
            "aws_appautoscaling_target.version",
            "aws_lambda_provisioned_concurrency_config.live",
            id="warmth before its scaler",
        ),
        pytest.param(ALIAS, "aws_appautoscaling_policy.version", id="scaler before alias"),
        pytest.param(ALIAS, "aws_lambda_provisioned_concurrency_config.canary", id="a canary's warmth before alias"),
        pytest.param(ALIAS, "aws_lambda_provisioned_concurrency_config.fixed", id="all of the warmth before alias"),
    ],
)
def test_order_of_an_apply(later: str, earlier: str, graph: Mapping[str, frozenset[str]]) -> None:
    assert earlier in graph[later]


def test_a_rollback_waits_for_nothing_of_the_gateway_but_its_name(graph: Mapping[str, frozenset[str]]) -> None:
    assert {address for address in graph[ALIAS] if "apigateway" in address} == {"aws_apigatewayv2_api.this"}


def test_the_function_runs_the_digest_that_the_registry_answered(orders: Plan) -> None:
    # The scenario image-by-digest shows the other way: a digest that is given is known.
    assert "image_uri" in orders.unknown[FUNCTION]
    assert "sha256_digest" in orders.unknown["docker_registry_image.this[0]"]


def test_the_plan_says_which_source_it_builds_and_the_build_is_told(orders: Plan) -> None:
    hash_ = orders.outputs["source_hash"]

    assert orders.values["docker_registry_image.this[0]"]["triggers"] == {"source_hash": hash_}
    assert orders.values["docker_registry_image.this[0]"]["build"][0]["build_args"] == {"SOURCE_HASH": hash_}


def test_an_edit_changes_the_functions_image_and_nothing_else_of_it(orders: Plan) -> None:
    # Each further attribute would be a second update of the function, which takes as long as the first.
    assert orders.outputs["source_hash"] not in json.dumps(orders.values[FUNCTION])


def test_policies_are_known_at_plan_so_that_scanners_can_read_them(orders: Plan) -> None:
    assert "policy" in orders.values["aws_iam_role_policy.execution"]
    assert "policy" in orders.values["aws_ecr_repository_policy.this[0]"]
    assert "assume_role_policy" in orders.values["aws_iam_role.execution"]
