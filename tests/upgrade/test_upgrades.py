"""Every example of the last release, upgraded to the working tree's module; and modules that must not be upgraded to."""

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
from tests.e2e.conftest import load, zip_function
from tests.upgrade.conftest import CLAIMED, PROJECT, RELEASE, Deployment, Planned, Released, Setting
from tools.release.changes import Level
from tools.release.records import MODULE

# Replaced by every build or release, since they hold nothing: the build's id, the push (its image stays), the smoke event, the
# environments of a version.
HOLDS_NOTHING = {
    "aws_lambda_invocation",
    "aws_lambda_provisioned_concurrency_config",
    "docker_registry_image",
    "terraform_data",
}
# Where callers need a token or a signature: a route without, to be asked all the time.
OPEN = '  routes = { "GET /healthz" = { auth = { public = { reason = "Asked while the module is upgraded" } } } }\n'
# Application Auto Scaling answers 400 on the emulator, so nothing scales when it is applied; what would is planned below.
UNSCALED = "  provisioned_concurrency = { min = 2 }\n"
# The provider waits half a minute for each of its DNS records.
SLOWEST = {"custom-domain"}
# The emulator describes an egress rule to a prefix list without its list, at which the provider's next plan stops.
# The rule is the example's own, and no part of the module.
NO_RULE = 'resource "aws_vpc_security_group_egress_rule" "dynamodb" {\n  count = 0\n}\n'


def lost(plan: Plan) -> list[str]:
    """Return what a plan would destroy or replace of all that holds state or an address."""
    return [address for address in plan.destroyed if plan.resources[address].type not in HOLDS_NOTHING]


def told(address: str) -> bool:
    """Whether UPGRADING.md says of a resource that it is destroyed: in a heading of what is not released yet, or beside it."""
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


def unasked(plan: Plan) -> set[str]:
    """Return the types of which there was nothing and would be something: whoever applies may lack the permission."""
    had = {change.type for change in plan.resources.values() if change.before}
    return {change.type for change in plan.resources.values() if change.actions == ("create",)} - had


@pytest.fixture
def setting(request: pytest.FixtureRequest, hello: str, base_image: BaseImage) -> Callable[[str], Setting]:
    """What an example needs to be applied here."""

    def of(example: str) -> Setting:
        match example:
            case "complete":
                issuer = request.getfixturevalue("issuer")
                asked = {"jwt_issuer": issuer.url, "jwt_audience": issuer.audience}
                return Setting(OPEN, {"base_image": base_image.reference, **asked}, overrides.UNPROTECTED)
            case "custom-domain":
                return Setting(hello, {"zone_id": request.getfixturevalue("zone"), "domain": "upgraded.example.com"})
            case "migrate-from-lambdas":
                return Setting(hello, {"legacy_routes": request.getfixturevalue("legacy_routes")})
            case "private-vpc":
                return Setting(hello + OPEN, root=NO_RULE)
            case "promote-by-digest":
                return Setting(OPEN, {"image_uri": request.getfixturevalue("proved_image")})
            case "provisioned-concurrency":
                return Setting(hello + UNSCALED)
            case _:
                return Setting(hello)

    return of


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
def proved_image(release: Path, emulator: Emulator, base_image: BaseImage, aws: Callable[[str], Any]) -> Iterator[str]:
    """An image by digest, as another environment has built and proved it."""
    aws("ecr").create_repository(repositoryName="proved")
    tag = f"{emulator.registry}/proved:1"
    context = release / "examples/minimal/app"
    engines.docker("build", "--build-arg", f"BASE_IMAGE={base_image.reference}", "--tag", tag, str(context))
    digest = re.search(r"sha256:[0-9a-f]{64}", engines.docker("push", tag))
    assert digest
    yield f"{emulator.registry}/proved@{digest[0]}"
    engines.docker("image", "rm", tag)
    aws("ecr").delete_repository(repositoryName="proved", force=True)


@pytest.mark.parametrize("example", sorted(RELEASE.examples, key=lambda example: example not in SLOWEST))
def test_an_upgrade_loses_nothing_and_no_request(
    example: str,
    released: Released,
    setting: Callable[[str], Setting],
    emulator: Emulator,
    note: Callable[[str], None],
) -> None:
    with released(example, setting(example)) as deployment:
        root, variables = deployment.root, deployment.variables
        endpoint = root.output("endpoint", str)

        deployment.upgrade()
        plan = root.plan(variables)
        assert [address for address in lost(plan) if not told(address)] == []
        assert CLAIMED is Level.BREAKING or unasked(plan) == set()

        with load(emulator, endpoint, "/healthz", clients=2) as total:
            outputs = root.apply_planned()
        assert outputs["endpoint"] == endpoint
        assert total.failed == []
        assert total.sent > 0
    note(f"{example}, upgraded from {RELEASE.version}: {total.sent} requests, {len(total.failed)} failed")


def test_scaling_which_the_emulator_cannot_apply_is_planned_with_its_limits_as_before(planned: Planned) -> None:
    deployment = planned("provisioned-concurrency", Setting())
    kept = ("min_capacity", "max_capacity", "policy_type", "target_tracking_scaling_policy_configuration", "tags")

    def scaling() -> dict[str, Any]:
        found = deployment.root.plan(deployment.variables).resources.values()
        return {c.type: {k: c.after.get(k) for k in kept} for c in found if c.type.startswith("aws_appautoscaling_")}

    before = scaling()
    deployment.upgrade()
    assert len(before) == 2
    assert scaling() == before


@pytest.fixture(scope="module")
def minimal(released: Released, hello: str) -> Iterator[Deployment]:
    with released("minimal", Setting(f'  name = "seeded-api"\n{hello}')) as deployment:
        yield deployment


# Edits of the module's files, by regular expression, and what an upgrade to that module would lose.
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
    "a count that leaves out what was there": (
        [(r'(resource "aws_ecr_lifecycle_policy" "this" \{\n  count = )[^\n]+', r"\g<1>0")],
        ["module.api.aws_ecr_lifecycle_policy.this[0]"],
    ),
}
# What loses nothing, and asks for a permission that nobody had.
HARMLESS = [*RENAMED, (r'(resource "aws_apigatewayv2_stage" "this")', MOVED + r"\1")]
QUEUE = 'resource "aws_sqs_queue" "this" {\n  count = 1\n  name  = "unasked"\n}\n\n'
UNASKED = [(r'(resource "aws_lambda_alias" "live")', QUEUE + r"\1")]


def edited(edits: list[tuple[str, str]], into: Path) -> Path:
    """Return a copy of the project's modules with the edits made, beside its examples; AssertionError when one of them found nothing."""
    shutil.copytree(PROJECT / "modules", into / "modules", ignore=shutil.ignore_patterns(".terraform*", "tests"))
    for name in EXAMPLE_SOURCES:
        synchronise(PROJECT / name, into / name)
    for old, new in edits:
        made = 0
        for path in (into / MODULE).glob("*.tf"):
            text, times = re.subn(old, new, path.read_text())
            path.write_text(text)
            made += times
        assert made, f"the module has no {old}"
    return into


def test_what_an_upgrade_would_lose_is_seen(minimal: Deployment, tmp_path: Path) -> None:
    minimal.upgrade(edited([edit for edits, _ in LOSSES.values() for edit in edits], tmp_path))
    assert lost(minimal.root.plan(minimal.variables)) == sorted(
        loss for _, losses in LOSSES.values() for loss in losses
    )


def test_what_is_moved_is_not_lost_and_a_permission_that_nobody_asked_for_is_seen(
    minimal: Deployment, tmp_path: Path
) -> None:
    minimal.upgrade(edited(HARMLESS + UNASKED, tmp_path))
    plan = minimal.root.plan(minimal.variables)
    assert lost(plan) == []
    assert unasked(plan) == {"aws_sqs_queue"}
