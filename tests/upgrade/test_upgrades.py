"""Upgrades every example of the last release to the working tree's module, and detects modules that lose resources."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import Plan
from sandbox import engine as engines
from sandbox import overrides
from sandbox.base_image import BaseImage
from sandbox.deployment import synchronise
from sandbox.emulator import Emulator
from sandbox.paths import EXAMPLE_SOURCES
from tests.e2e.conftest import CLOUDFRONT, load, zip_function
from tests.upgrade.conftest import CLAIMED, PROJECT, RELEASE, Deployment, ExampleInputs, Planned, Released
from tools.release.changes import Level
from tools.release.records import MODULE

# Replaced by every build or release, and stateless: the build's ID, the push (its image stays), the smoke request, a
# version's environments.
STATELESS = {
    "aws_lambda_invocation",
    "aws_lambda_provisioned_concurrency_config",
    "docker_registry_image",
    "terraform_data",
}
# A public route for the probe, where callers need a token or a signature.
PUBLIC_ROUTE = '  routes = { "GET /healthz" = { auth = { public = { reason = "Probed during the upgrade" } } } }\n'
# Application Auto Scaling returns 400 on the emulator, so it is not applied. A test below plans it.
UNSCALED = "  provisioned_concurrency = { min = 2 }\n"
# The provider waits half a minute for each DNS record, and for the distribution's end.
SLOWEST = {"cloudfront-and-waf", "custom-domain"}
# They differ from `minimal` in their image only, which the sandbox replaces with the small application's.
SAME_AS_MINIMAL = {"large-dependencies", "private-index", "uv"}
EXAMPLES = sorted(set(RELEASE.examples) - SAME_AS_MINIMAL, key=lambda example: (example not in SLOWEST, example))
# An example's output for requests, where clients do not use the API's own endpoint.
ENDPOINTS = {"cloudfront-and-waf": "origin_endpoint"}
CERTIFICATE = "arn:aws:acm:eu-central-1:000000000000:certificate/12345678-1234-1234-1234-123456789012"
# The emulator returns an egress rule without its prefix list, and the provider's next plan fails.
# The rule belongs to the example, not to the module.
NO_EGRESS_RULE = 'resource "aws_vpc_security_group_egress_rule" "dynamodb" {\n  count = 0\n}\n'


def lost_resources(plan: Plan) -> list[str]:
    """Return addresses that a plan would destroy or replace, stateless ones excepted."""
    return [address for address in plan.destroyed if plan.resources[address].type not in STATELESS]


def announced(address: str) -> bool:
    """Whether UPGRADING.md announces a resource's destruction under Unreleased: in a heading, or as an address."""
    upgrading = (PROJECT / "UPGRADING.md").read_text(encoding="utf-8")
    unreleased = re.search(r"^## Unreleased\n(.*?)(?=^## |\Z)", upgrading, re.MULTILINE | re.DOTALL)
    resource = re.sub(r"\[[^]]*\]$", "", address.removeprefix("module.api."))
    return (
        unreleased is not None
        and re.search(
            rf"^###.*`{re.escape(resource)}`|'module\.api\.{re.escape(resource)}'", unreleased[1], re.MULTILINE
        )
        is not None
    )


def new_types(plan: Plan) -> set[str]:
    """Return resource types that the plan creates and that did not exist: the applying principal may lack the permission."""
    existing = {change.type for change in plan.resources.values() if change.before}
    return {change.type for change in plan.resources.values() if change.actions == ("create",)} - existing


@pytest.fixture
def inputs(
    request: pytest.FixtureRequest, hello: str, base_image: BaseImage, emulator: Emulator
) -> Callable[[str], ExampleInputs]:
    """Returns an example's additions for the sandbox, by its name."""

    def inputs_of(example: str) -> ExampleInputs:
        match example:
            case "cloudfront-and-waf":
                # The small application, so without the header that this example's own one requires.
                variables = {"zone_id": None, "waf_log_retention_days": None, "origin_secrets": ["0" * 32]}
                return ExampleInputs(hello + "  release = {}\n", variables, CLOUDFRONT)
            case "complete":
                issuer = request.getfixturevalue("issuer")
                jwt = {"jwt_issuer": issuer.url, "jwt_audience": issuer.audience}
                return ExampleInputs(PUBLIC_ROUTE, {"base_image": base_image.reference, **jwt}, overrides.UNPROTECTED)
            case "custom-domain":
                return ExampleInputs(
                    hello, {"zone_id": request.getfixturevalue("zone"), "domain": "upgraded.example.com"}
                )
            case "migrate-from-lambdas":
                return ExampleInputs(hello, {"legacy_routes": request.getfixturevalue("legacy_routes")})
            case "private-vpc":
                return ExampleInputs(hello + PUBLIC_ROUTE, root=NO_EGRESS_RULE)
            case "promote-by-digest":
                return ExampleInputs(PUBLIC_ROUTE, {"image_uri": request.getfixturevalue("tested_image")})
            case "provisioned-concurrency":
                return ExampleInputs(hello + UNSCALED)
            case "shared-domain":
                joined = overrides.module_call(emulator.registry, overrides.NO_ALARMS + hello, "orders")
                domain = {"domain": "upgraded-shared.example.com", "zone_id": None}
                # 0.2.0 has the name of `minimal` here.
                named = '  name = "upgraded-shared"\n' + hello
                return ExampleInputs(named, {"certificate_arn": CERTIFICATE, **domain}, joined)
            case _:
                return ExampleInputs(hello)

    return inputs_of


@pytest.fixture
def zone(aws: Callable[[str], Any]) -> Iterator[str]:
    made = aws("route53").create_hosted_zone(Name="example.com", CallerReference="upgrade")["HostedZone"]["Id"]
    yield made.removeprefix("/hostedzone/")
    aws("route53").delete_hosted_zone(Id=made)


@pytest.fixture
def legacy_routes(aws: Callable[[str], Any]) -> Iterator[dict[str, str]]:
    code = 'def handler(event, context):\n    return {"statusCode": 200, "body": "old"}\n'
    made = {
        route: zip_function(aws("lambda"), name, code)
        for route, name in (("POST /users", "AddUser"), ("DELETE /users/{id}", "DeleteUser"))
    }
    yield made
    for arn in made.values():
        aws("lambda").delete_function(FunctionName=arn)


@pytest.fixture
def tested_image(release: Path, emulator: Emulator, base_image: BaseImage, aws: Callable[[str], Any]) -> Iterator[str]:
    """An image by digest, as built and tested in another environment."""
    aws("ecr").create_repository(repositoryName="tested")
    tag = f"{emulator.registry}/tested:1"
    context = release / "examples/minimal/app"
    engines.docker("build", "--build-arg", f"BASE_IMAGE={base_image.reference}", "--tag", tag, str(context))
    digest = re.search(r"sha256:[0-9a-f]{64}", engines.docker("push", tag))
    assert digest
    yield f"{emulator.registry}/tested@{digest[0]}"
    engines.docker("image", "rm", tag)
    aws("ecr").delete_repository(repositoryName="tested", force=True)


@pytest.mark.parametrize("example", EXAMPLES)
def test_upgrade_loses_no_resource_and_no_request(
    example: str,
    released: Released,
    inputs: Callable[[str], ExampleInputs],
    emulator: Emulator,
    note: Callable[[str], None],
) -> None:
    with released(example, inputs(example)) as deployment:
        root, variables = deployment.root, deployment.variables
        output = ENDPOINTS.get(example, "endpoint")
        endpoint = root.output(output, str)

        deployment.upgrade()
        plan = root.plan(variables)
        assert [address for address in lost_resources(plan) if not announced(address)] == []
        assert CLAIMED is Level.BREAKING or new_types(plan) == set()

        with load(emulator, endpoint, "/healthz", clients=2) as total:
            outputs = root.apply_planned()
        assert outputs[output] == endpoint
        assert total.failed == []
        assert total.sent > 0
    note(f"{example}, upgraded from {RELEASE.version}: {total.sent} requests, {len(total.failed)} failed")


def test_upgrade_plans_the_same_scaling_limits(planned: Planned) -> None:
    deployment = planned("provisioned-concurrency", ExampleInputs())
    attributes = ("min_capacity", "max_capacity", "policy_type", "target_tracking_scaling_policy_configuration", "tags")

    def scaling() -> dict[str, Any]:
        changes = deployment.root.plan(deployment.variables).resources.values()
        return {
            c.type: {k: c.after.get(k) for k in attributes} for c in changes if c.type.startswith("aws_appautoscaling_")
        }

    before = scaling()
    deployment.upgrade()
    assert len(before) == 2
    assert scaling() == before


@pytest.fixture(scope="module")
def minimal(released: Released, hello: str) -> Iterator[Deployment]:
    with released("minimal", ExampleInputs(f'  name = "seeded-api"\n{hello}')) as deployment:
        yield deployment


# Edits of the module's files, by regular expression, and what an upgrade to the edited module would lose.
RENAMED = [(r'aws_apigatewayv2_stage("? ?"?\.?)default', r"aws_apigatewayv2_stage\1this")]
MOVED = "moved {\n  from = aws_apigatewayv2_stage.default\n  to   = aws_apigatewayv2_stage.this\n}\n\n"
LOSSES = {
    "a resource renamed without moved": (RENAMED, ["module.api.aws_apigatewayv2_stage.default"]),
    "a value that forces a replacement": (
        [(r'name( +)= "live"', r'name\1= "current"')],
        ["module.api.aws_lambda_alias.live", "module.api.aws_lambda_permission.api"],
    ),
    "a count that became for_each": (
        [(r"count = nonsensitive\(var\.dashboard\) \? 1 : 0", 'for_each = toset(var.dashboard ? ["this"] : [])')],
        ["module.api.aws_cloudwatch_dashboard.this[0]"],
    ),
    "a count of 0": (
        [(r'(resource "aws_ecr_lifecycle_policy" "this" \{\n  count = )[^\n]+', r"\g<1>0")],
        ["module.api.aws_ecr_lifecycle_policy.this[0]"],
    ),
}
# Loses nothing, but needs a new permission.
HARMLESS = [*RENAMED, (r'(resource "aws_apigatewayv2_stage" "this")', MOVED + r"\1")]
QUEUE = 'resource "aws_sqs_queue" "this" {\n  count = 1\n  name  = "new"\n}\n\n'
NEW_TYPE = [(r'(resource "aws_lambda_alias" "live")', QUEUE + r"\1")]


def edited(edits: list[tuple[str, str]], into: Path) -> Path:
    """Return a copy of the project's modules and examples with the edits applied; AssertionError if one matches nothing."""
    shutil.copytree(PROJECT / "modules", into / "modules", ignore=shutil.ignore_patterns(".terraform*", "tests"))
    for name in EXAMPLE_SOURCES:
        synchronise(PROJECT / name, into / name)
    for old, new in edits:
        count = 0
        for path in (into / MODULE).glob("*.tf"):
            text, times = re.subn(old, new, path.read_text())
            path.write_text(text)
            count += times
        assert count, f"the module has no {old}"
    return into


def test_lost_resources_are_detected(minimal: Deployment, tmp_path: Path) -> None:
    minimal.upgrade(edited([edit for edits, _ in LOSSES.values() for edit in edits], tmp_path))
    assert lost_resources(minimal.root.plan(minimal.variables)) == sorted(
        loss for _, losses in LOSSES.values() for loss in losses
    )


def test_moved_resources_are_not_lost_and_new_types_are_detected(minimal: Deployment, tmp_path: Path) -> None:
    minimal.upgrade(edited(HARMLESS + NEW_TYPE, tmp_path))
    plan = minimal.root.plan(minimal.variables)
    assert lost_resources(plan) == []
    assert "aws_sqs_queue" in new_types(plan)
