"""Each folder of examples/ is a root module that plans unchanged, apart from the AWS endpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import Plan, PlanError, assert_every_condition_is_tested, conditions, states
from harness.pytest_plugin import RootFactory
from sandbox import overrides, paths

IMAGE = f"111122223333.dkr.ecr.eu-central-1.amazonaws.com/parcels-dev@sha256:{'0' * 64}"
# Example → beginning of the error message → inputs that it refuses.
REFUSED: dict[str, dict[str, dict[str, Any]]] = {
    "cloudfront-and-waf": {
        "certificate_arn must name an ACM certificate in us-east-1": {
            "certificate_arn": "arn:aws:acm:eu-central-1:111122223333:certificate/12345678"
        },
        "origin_secrets must hold one value, or two": {"origin_secrets": []},
        "origin_secrets must hold values of 32 to 256 letters and digits": {"origin_secrets": ["guessable"]},
    },
    "environments": {
        "environment must be dev, stage or prod": {"environment": "test"},
        "image_uri is required outside dev": {"environment": "prod"},
        "preview is for dev only": {"environment": "stage", "image_uri": IMAGE, "preview": 12},
    },
    "migrate-from-lambdas": {
        "data_phase must be old, copy, switched or new": {"data_phase": "switch"},
        "moved must name keys of routes or legacy_routes": {"moved": ["GET /user"]},
    },
    "private-vpc": {"availability_zones must name two zones": {"availability_zones": ["eu-central-1a"]}},
}
EXAMPLES = paths.examples()
APIS = [example for example in EXAMPLES if example != "deployer"]


@pytest.mark.parametrize("example", APIS)
def test_example_plans_an_api(example: str, example_plan: Callable[[str], Plan]) -> None:
    plan = example_plan(example)

    assert plan.within("module.api").counts["aws_apigatewayv2_api"] == 1
    assert "endpoint" in plan.outputs.keys() | plan.unknown_outputs


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_plans_without_warnings(example: str, example_plan: Callable[[str], Plan]) -> None:
    plan = example_plan(example)

    assert {change.actions for change in plan.resources.values()} == {("create",)}
    assert [str(warning) for warning in plan.warnings] == []


@pytest.mark.parametrize("example", REFUSED)
def test_example_refuses_invalid_inputs(example: str, terraform_root: RootFactory) -> None:
    override = overrides.planned(paths.ROOT / "examples" / example)
    root = terraform_root(f"examples/{example}", files={overrides.NAME: override})

    for message, inputs in REFUSED[example].items():
        with pytest.raises(PlanError) as refusal:
            root.check(inputs)
        assert any(states(message, diagnostic.detail) for diagnostic in refusal.value.diagnostics)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_condition_of_an_example_is_tested(example: str, terraform_project: Path) -> None:
    assert_every_condition_is_tested(conditions(terraform_project / "examples" / example), REFUSED.get(example, {}))


def test_preview_has_the_boundary_of_the_role_that_applies_it(terraform_root: RootFactory) -> None:
    root = terraform_root(
        "examples/environments", files={overrides.NAME: overrides.planned(paths.ROOT / "examples/environments")}
    )
    own, previews = (f"arn:aws:iam::111122223333:policy/{name}" for name in ("deployer", "previews"))
    given = {"permissions_boundary_arn": own, "preview_permissions_boundary_arn": previews}

    for preview, boundary in ((None, own), (12, previews)):
        plan = root.plan(given, preview=preview)
        roles = [change for change in plan.resources.values() if change.type == "aws_iam_role"]
        assert [role.after["permissions_boundary"] for role in roles] == [boundary]


def test_examples_can_be_applied_in_one_account(example_plan: Callable[[str], Plan]) -> None:
    names = [
        change.after["function_name"]
        for example in APIS
        for change in example_plan(example).resources.values()
        if change.type == "aws_lambda_function"
    ]
    assert len(names) > len(APIS)
    assert sorted(names) == sorted(set(names))


def test_moved_routes_leave_their_functions_and_the_phase_reaches_the_application(terraform_root: RootFactory) -> None:
    override = overrides.planned(paths.ROOT / "examples/migrate-from-lambdas")
    root = terraform_root("examples/migrate-from-lambdas", files={overrides.NAME: override})

    plan = root.plan(moved=["POST /users"], data_phase="copy").within("module.api")

    assert plan.values["aws_lambda_function.this"]["environment"][0]["variables"]["DATA_PHASE"] == "copy"
    routes = {each["route_key"] for name, each in plan.values.items() if name.startswith("aws_apigatewayv2_route.")}
    assert routes == {"$default", "DELETE /users/{id}"}
    assert plan.counts["aws_lambda_permission"] == 2  # the container's, and that of the function that still serves


def test_legacy_lambdas_has_a_function_role_log_group_package_and_route_for_each_operation(
    terraform_root: RootFactory,
) -> None:
    override = overrides.planned(paths.ROOT / paths.LEGACY)
    plan = terraform_root(paths.LEGACY, files={overrides.NAME: override}).plan(issuer="https://login.example.com")

    packages = {address for address in plan.resources if address.startswith("terraform_data.")}
    assert len(packages) == 10
    for kind in ("aws_lambda_function", "aws_iam_role", "aws_cloudwatch_log_group", "aws_api_gateway_method"):
        assert plan.counts[kind] == 10, kind
    assert "module." not in " ".join(plan.resources)


def test_examples_are_found() -> None:
    folders = {path.parent.name for path in (paths.ROOT / "examples").glob("*/versions.tf")}
    assert folders - set(EXAMPLES) == {Path(paths.LEGACY).name}
