"""References and dependencies between the module's resources."""

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
    ("caller", "attribute", "reference"),
    [
        ("aws_apigatewayv2_integration.live", "integration_uri", f"{ALIAS}.invoke_arn"),
        ("aws_lambda_permission.api", "qualifier", f"{ALIAS}.name"),
        ("aws_lambda_function_event_invoke_config.live[0]", "qualifier", f"{ALIAS}.name"),
    ],
)
def test_callers_invoke_the_alias(caller: str, attribute: str, reference: str, minimal_plan: Plan) -> None:
    assert reference in minimal_plan.references(caller, attribute)


@pytest.mark.parametrize(
    ("address", "attribute", "source"),
    [
        (FUNCTION, "role", "local.role_arn"),
        (FUNCTION, "logging_config.log_group", "aws_cloudwatch_log_group.function.name"),
        ("aws_apigatewayv2_route.default", "target", "aws_apigatewayv2_integration.live.id"),
        (
            "aws_apigatewayv2_stage.default",
            "access_log_settings.destination_arn",
            "aws_cloudwatch_log_group.access.arn",
        ),
        ("aws_lambda_permission.api", "source_arn", "aws_apigatewayv2_api.this.execution_arn"),
        ("aws_iam_role_policy.execution[0]", "role", "aws_iam_role.execution[0].name"),
        ("aws_ecr_lifecycle_policy.this[0]", "repository", "aws_ecr_repository.this[0].name"),
    ],
)
def test_resources_are_connected_by_reference(address: str, attribute: str, source: str, minimal_plan: Plan) -> None:
    assert source in minimal_plan.references(address, attribute)


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        pytest.param(
            "docker_registry_image.this", "aws_ecr_lifecycle_policy.this", id="retention before the first push"
        ),
        pytest.param(
            "docker_registry_image.this", "aws_ecr_repository_policy.this", id="pull permission before the first push"
        ),
        pytest.param(FUNCTION, "docker_registry_image.this", id="image before function"),
        pytest.param(FUNCTION, "aws_cloudwatch_log_group.function", id="log group before function"),
        pytest.param(FUNCTION, "aws_iam_role_policy.execution", id="permissions before function"),
        pytest.param(FUNCTION, "aws_iam_role_policy.network_interfaces", id="network permissions before function"),
        pytest.param(FUNCTION, "aws_iam_role_policy_attachment.managed", id="managed policies before function"),
        pytest.param("aws_lambda_invocation.smoke", FUNCTION, id="version before its smoke test"),
        pytest.param(ALIAS, "aws_lambda_invocation.smoke", id="smoke test before alias"),
        pytest.param("aws_apigatewayv2_integration.live", ALIAS, id="alias before gateway"),
        pytest.param(
            "aws_apigatewayv2_route.this", "aws_lambda_permission.legacy", id="permission before legacy route"
        ),
        pytest.param(
            "aws_apigatewayv2_integration.legacy",
            "aws_lambda_permission.legacy",
            id="permission before legacy integration",
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
            id="smoke test before provisioned concurrency",
        ),
        pytest.param(
            "aws_appautoscaling_target.version",
            "aws_lambda_provisioned_concurrency_config.live",
            id="provisioned concurrency before Auto Scaling",
        ),
        pytest.param(ALIAS, "aws_appautoscaling_policy.version", id="Auto Scaling before alias"),
        pytest.param(
            ALIAS,
            "aws_lambda_provisioned_concurrency_config.canary",
            id="a canary's provisioned concurrency before alias",
        ),
        pytest.param(
            ALIAS, "aws_lambda_provisioned_concurrency_config.fixed", id="fixed provisioned concurrency before alias"
        ),
    ],
)
def test_apply_order(later: str, earlier: str, graph: Mapping[str, frozenset[str]]) -> None:
    assert earlier in graph[later]


def test_alias_depends_on_no_gateway_resource_except_the_api(graph: Mapping[str, frozenset[str]]) -> None:
    assert {address for address in graph[ALIAS] if "apigateway" in address} == {"aws_apigatewayv2_api.this"}


def test_function_uses_the_digest_from_the_registry(minimal_plan: Plan) -> None:
    # With image.uri the digest is known at plan: see the scenario image-by-digest.
    assert "image_uri" in minimal_plan.unknown[FUNCTION]
    assert "sha256_digest" in minimal_plan.unknown["docker_registry_image.this[0]"]


def test_source_hash_is_known_at_plan_and_a_build_argument(minimal_plan: Plan) -> None:
    hash_ = minimal_plan.outputs["source_hash"]

    assert minimal_plan.values["docker_registry_image.this[0]"]["triggers"] == {"source_hash": hash_}
    assert minimal_plan.values["docker_registry_image.this[0]"]["build"][0]["build_args"] == {"SOURCE_HASH": hash_}


def test_source_hash_is_in_no_attribute_of_the_function(minimal_plan: Plan) -> None:
    # A changed attribute besides the image would be a second update of the function, as long as the first.
    assert minimal_plan.outputs["source_hash"] not in json.dumps(minimal_plan.values[FUNCTION])


def test_policies_are_known_at_plan(minimal_plan: Plan) -> None:
    assert "policy" in minimal_plan.values["aws_iam_role_policy.execution[0]"]
    assert "policy" in minimal_plan.values["aws_ecr_repository_policy.this[0]"]
    assert "assume_role_policy" in minimal_plan.values["aws_iam_role.execution[0]"]
