"""examples/deployer, applied, and an API that is created, changed, rolled back and destroyed within its policies."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from harness import Root
from sandbox import overrides
from sandbox.emulator import Emulator
from tests.deployer import permissions
from tests.e2e.conftest import Deployable

NAME = "people-api-deployed"
PLANS, APPLIES = "deployer-plan", "deployer-apply"
# Arguments of the module, in the order of the applies: together they need every action that has no `without_test`.
STEPS = {
    "create": """
  tags        = { stage = "first" }
  logs        = { retention_days = 30 }
  api         = { cors = { allow_origins = ["https://example.com"] } }
  auth        = { iam = {} }
  function = {
    asynchronous         = { retries = 0 }
    environment          = { STEP = "1" }
    timeout_seconds      = 25
    recursive_loop       = "Allow"
    reserved_concurrency = 4
    tracing              = true
  }
  provisioned_concurrency = { min = 1 }
""",
    "change": """
  tags        = { step = "second" }
  logs        = { retention_days = 60 }
  auth        = { jwt = { issuer = "https://login.example.com", audience = ["people"] } }
  routes      = { "GET /healthz" = { auth = { public = { reason = "Holds no data at all" } } } }
  dashboard   = false
  alarms      = null
  function    = { environment = { STEP = "2" }, timeout_seconds = 25 }
  release     = { version = 1 }
""",
    "canary": """
  auth        = { iam = {} }
  dashboard   = false
  alarms      = null
  function    = { environment = { STEP = "2" }, timeout_seconds = 25 }
  release     = { version = 1, canary_percent = 10 }
""",
    "rollback": """
  auth        = { iam = {} }
  dashboard   = false
  alarms      = null
  function    = { environment = { STEP = "2" }, timeout_seconds = 25 }
  release     = { version = 1 }
""",
}


@pytest.fixture(scope="module")
def deployer(terraform_roots: Callable[[str, Mapping[str, str] | None], Root], emulator: Emulator) -> Iterator[Root]:
    """The account's deployer."""
    root = terraform_roots("examples/deployer", {overrides.NAME: overrides.AWS_PROVIDER})
    try:
        root.apply()
        yield root
    finally:
        root.destroy()


@pytest.fixture(scope="module")
def requests(example: Deployable, deployer: Root, emulator: Emulator, hello: str) -> Mapping[str, list[dict[str, Any]]]:
    """The provider's requests during all plans, and during all applies and the destroy, of one API."""
    boundary = f'  permissions = {{ boundary_arn = "{deployer.output("boundary_arn", str)}" }}\n'
    root = example("minimal")
    since = time.time()
    for arguments in STEPS.values():
        module = f'  name = "{NAME}"\n{hello}{boundary}{arguments}'
        root.write(overrides.NAME, overrides.applied(emulator.registry, module))
        root.terraform.environment["TF_APPEND_USER_AGENT"] = APPLIES
        root.apply()
        root.terraform.environment["TF_APPEND_USER_AGENT"] = PLANS
        root.plan()
    root.terraform.environment["TF_APPEND_USER_AGENT"] = APPLIES
    root.destroy()
    return {client: emulator.requests(client, since) for client in (PLANS, APPLIES)}


def test_a_second_plan_of_the_deployer_is_empty(deployer: Root) -> None:
    assert not deployer.plan().changed


def test_state_bucket_keeps_versions_and_refuses_the_public(deployer: Root, aws: Callable[[str], Any]) -> None:
    bucket = deployer.output("bucket", str)
    s3 = aws("s3")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    assert [(s["Effect"], s["Condition"]) for s in policy["Statement"]] == [
        ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    ]


def test_applies_and_destroy_are_within_the_apply_role(requests: Mapping[str, list[dict[str, Any]]]) -> None:
    assert {"iam.CreateRole", "lambda.UpdateAlias", "apigatewayv2.DeleteApi"} <= {
        r["operation"] for r in requests[APPLIES]
    }
    assert permissions.refused(requests[APPLIES], "apply", [NAME]) == []


def test_plans_are_within_the_plan_role(requests: Mapping[str, list[dict[str, Any]]]) -> None:
    assert {"lambda.GetFunction", "iam.GetRole"} <= {r["operation"] for r in requests[PLANS]}
    assert permissions.refused(requests[PLANS], "plan", [NAME]) == []


def test_roles_are_created_with_the_boundary(requests: Mapping[str, list[dict[str, Any]]], deployer: Root) -> None:
    created = [r["input"] for r in requests[APPLIES] if r["operation"] == "iam.CreateRole"]
    assert [role["PermissionsBoundary"] for role in created] == [deployer.output("boundary_arn", str)]


def test_every_action_is_used_or_has_a_reason(requests: Mapping[str, list[dict[str, Any]]]) -> None:
    used = {access.action for request in requests[APPLIES] for access in permissions.accesses(request)}
    reasons = permissions.reasons()
    assert sorted(set(reasons) - used - {action for action, reason in reasons.items() if reason}) == []
