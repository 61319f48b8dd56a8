"""An API is created, changed, rolled back and destroyed within the policies of modules/deployer, which need each request."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from sandbox import overrides
from sandbox.emulator import Emulator
from tests.deployer import permissions
from tests.e2e.conftest import Deployable

Requests = list[dict[str, Any]]
ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
NAME = "people-api-deployed"
PLANS, APPLIES = "deployer-plan", "deployer-apply"
# Arguments of the module, in the order of the applies: together they need every action that has no `without_test`.
FUNCTION = '  function = { environment = { STEP = "2" }, timeout_seconds = 25 }\n  dashboard = false\n'
STEPS = {
    "create": """
  tags        = { stage = "first" }
  logs        = { retention_days = 30 }
  function = {
    asynchronous         = { retries = 0 }
    environment          = { STEP = "1" }
    recursive_loop       = "Allow"
    reserved_concurrency = 4
    timeout_seconds      = 25
    tracing              = true
  }
  provisioned_concurrency = { min = 1 }
""",
    "change, to a canary": FUNCTION
    + """
  tags    = { step = "second" }
  logs    = { retention_days = 60 }
  auth    = { iam = {} }
  routes  = { "GET /healthz" = { auth = { public = { reason = "Holds no data at all" } } } }
  release = { version = 1, canary_percent = 10 }
""",
    "roll back": FUNCTION + "  alarms = null\n  release = { version = 1 }\n",
}


@pytest.fixture(scope="module")
def requests(example: Deployable, emulator: Emulator, hello: str, aws: Callable[[str], Any]) -> Mapping[str, Requests]:
    """The provider's requests during all plans, and during all applies and the destroy, of one API."""
    policy = {"PolicyName": "deployer-boundary", "Path": "/deployer/", "PolicyDocument": json.dumps(ALLOW_ALL)}
    boundary = aws("iam").create_policy(**policy)["Policy"]["Arn"]
    root = example("minimal")
    root.terraform.environment["TF_APPEND_USER_AGENT"] = APPLIES
    since = time.time()
    for number, arguments in enumerate(STEPS.values()):
        # Another image for the second version, which stays during the rollback.
        image = hello.replace("args = {", f'args = {{ RELEASE = "{min(number, 1)}",')
        permission = f'  permissions = {{ boundary_arn = "{boundary}" }}\n'
        module = f'  name = "{NAME}"\n{image}{permission}{arguments}'
        root.write(overrides.NAME, overrides.applied(emulator.registry, module))
        root.apply()
    root.terraform.environment["TF_APPEND_USER_AGENT"] = PLANS
    root.plan()
    root.terraform.environment["TF_APPEND_USER_AGENT"] = APPLIES
    root.destroy()
    aws("iam").delete_policy(PolicyArn=boundary)
    return {client: emulator.requests(client, since) for client in (PLANS, APPLIES)}


def test_applies_and_destroy_are_within_the_apply_role(requests: Mapping[str, Requests]) -> None:
    assert {"iam.CreateRole", "lambda.UpdateAlias", "apigatewayv2.DeleteApi"} <= {
        r["operation"] for r in requests[APPLIES]
    }
    assert permissions.refused(requests[APPLIES], "apply", [NAME]) == []


def test_plans_are_within_the_plan_role(requests: Mapping[str, Requests]) -> None:
    assert {"lambda.GetFunction", "iam.GetRole"} <= {r["operation"] for r in requests[PLANS]}
    assert permissions.refused(requests[PLANS], "plan", [NAME]) == []


def test_roles_are_created_with_the_boundary(requests: Mapping[str, Requests]) -> None:
    created = [r["input"] for r in requests[APPLIES] if r["operation"] == "iam.CreateRole"]
    assert [role["PermissionsBoundary"] for role in created] == [permissions.BOUNDARY]


def test_every_action_is_used_or_has_a_reason(requests: Mapping[str, Requests]) -> None:
    used = {access.action for request in requests[APPLIES] for access in permissions.accesses(request)}
    reasons = permissions.reasons()
    assert sorted(set(reasons) - used - {action for action, reason in reasons.items() if reason}) == []
