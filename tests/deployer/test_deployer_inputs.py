"""Every condition of modules/deployer: inputs that it refuses, its message, and near them inputs that it accepts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness import PlanError, Root, assert_every_condition_is_tested, conditions, states
from sandbox.overrides import AWS_PROVIDER
from tests.deployer.conftest import GITHUB, MODULE, REQUIRED

JSON = dict[str, Any]
POLICY = "arn:aws:iam::111122223333:policy/tables"
OIDC = {
    "issuer": "https://gitlab.com",
    "audience": "https://gitlab.com",
    "apply_subjects": ["project_path:example/people:ref_type:branch:ref:main"],
    "plan_subjects": ["project_path:example/people:ref_type:branch:ref:main"],
}


def github(**values: Any) -> JSON:
    return {"trust": {"github": GITHUB | values}}


def oidc(provider: str | None = None, **values: Any) -> JSON:
    return {"trust": {"oidc": OIDC | values, "existing_provider": provider and {"arn": provider}}}


def statement(**values: Any) -> JSON:
    return {"permissions": {"statements": [{"sid": "A", "actions": ["sqs:CreateQueue"], "resources": ["*"]} | values]}}


@dataclass(frozen=True)
class Limit:
    """Inputs on both sides of a limit."""

    message: str
    refused: list[JSON]
    accepted: list[JSON] = field(default_factory=list)


LIMITS = [
    Limit(
        "apis must name at least one API",
        [{"apis": names} for names in ([], ["*"], ["people*"], ["People"], ["a" * 41], ["p*-api"])],
        [{"apis": ["people-*", "a" * 40]}],
    ),
    Limit("dns_zone_ids must be IDs", [{"dns_zone_ids": [zone]} for zone in ("*", "a.com")], [{"dns_zone_ids": ["Z1"]}]),
    Limit(
        "function_actions must be <service>:<action>",
        [{"function_actions": actions} for actions in ([], ["*"], ["*:*"], ["dynamodb"])],
        [{"function_actions": ["dynamodb:*", "s3:GetObject"]}],
    ),
    Limit(
        "function_actions must not be of account, iam",
        [{"function_actions": [action]} for action in ("iam:PassRole", "sts:AssumeRole", "organizations:*")],
    ),
    Limit(
        "function_roles: path must be /",
        [{"function_roles": roles} for roles in ({"path": "services"}, {"path": "/*/"}, {"name_prefix": "*"})],
        [{"function_roles": {"path": "/services/", "name_prefix": "team-"}}],
    ),
    Limit("function_roles.path must not begin with /", [{"function_roles": {"path": "/deployer/functions/"}}]),
    Limit(
        "invoked_functions must be names",
        [{"invoked_functions": [name]} for name in ("*", "arn:aws:lambda:eu-central-1:111122223333:function:old")],
        [{"invoked_functions": ["AddUser"]}],
    ),
    Limit("name must be 2 to 28", [{"name": name} for name in ("a", "a" * 29, "Deployer")], [{"name": "a" * 28}]),
    Limit(
        "permissions.statements: actions must be",
        [statement(actions=[action]) for action in ("*", "iam:*", "iam:*Role", "CreateQueue")],
        [statement(), statement(actions=["iam:CreateInstanceProfile"])],
    ),
    Limit("permissions.statements: each must name", [statement(actions=[]), statement(resources=[]), statement(sid="a b")]),
    Limit(
        "permissions: apply_policy_arns and plan_policy_arns",
        [{"permissions": {"plan_policy_arns": {"tables": "tables"}}}],
        [{"permissions": {"plan_policy_arns": {"tables": POLICY}, "apply_policy_arns": {"tables": POLICY}}}],
    ),
    Limit(
        "permissions.apply_policy_arns must not name",
        [{"permissions": {"apply_policy_arns": {"all": "arn:aws:iam::aws:policy/AdministratorAccess"}}}],
    ),
    Limit("session_seconds must", [{"session_seconds": s} for s in (3599, 43201, 4000.5)], [{"session_seconds": 43200}]),
    Limit(
        "state.bucket and state.existing_bucket.name must",
        [{"state": {"bucket": "States"}}, {"state": {"existing_bucket": {"name": "a"}}}],
        [{"state": {"bucket": "states"}}, {"state": {"existing_bucket": {"name": "states"}}}],
    ),
    Limit("state: bucket is created", [{"state": {"bucket": "states", "existing_bucket": {"name": "states"}}}]),
    Limit(
        "state.key_prefix must be a folder",
        [{"state": {"key_prefix": prefix}} for prefix in ("", "apis", "/apis/", "*/")],
        [{"state": {"key_prefix": "apis/env:/"}}],
    ),
    Limit(
        "state.kms_key_arn must be the ARN",
        [{"state": {"kms_key_arn": "arn:aws:kms:eu-central-1:111122223333:alias/states"}}],
        [{"state": {"kms_key_arn": "arn:aws:kms:eu-central-1:111122223333:key/1234"}}],
    ),
    Limit("state.noncurrent_days must", [{"state": {"noncurrent_days": 0}}], [{"state": {"noncurrent_days": 1}}]),
    Limit("trust must name exactly one", [{"trust": {}}, {"trust": {"github": GITHUB, "oidc": OIDC}}], [oidc()]),
    Limit(
        "trust.github.repository must be OWNER/NAME",
        [github(repository=repository) for repository in ("example/*", "*/people-api", "example", "example/people:x")],
        [github(repository="example@1234/people-api@5678")],
    ),
    Limit(
        "trust.github: branches and environments",
        [github(apply={"branches": ["release/*"]}), github(apply={"environments": ["prod?"]}), github(plan={"branches": ["*"]})],
        [github(apply={"branches": ["release/1.0"]})],
    ),
    Limit(
        "trust.github: apply and plan must each admit",
        [github(apply={}), github(plan={"pull_requests": False})],
        [github(plan={"pull_requests": False, "branches": ["main"]}), github(apply={"pull_requests": True})],
    ),
    Limit(
        "trust.oidc.issuer must be an https://",
        [oidc(issuer=issuer) for issuer in ("gitlab.com", "http://gitlab.com", "https://gitlab.com/", "https://*.com")],
        [oidc(issuer="https://gitlab.example.com/path")],
    ),
    Limit("trust.oidc.audience must be", [oidc(audience=""), oidc(audience="*")]),
    Limit("trust.oidc: apply_subjects and plan_subjects", [oidc(apply_subjects=[]), oidc(plan_subjects=[])]),
    Limit("trust.oidc.apply_subjects must be exact", [oidc(apply_subjects=["project_path:example/people:ref_type:branch:ref:*"])]),
    Limit(
        "trust.oidc.plan_subjects must be exact",
        [oidc(plan_subjects=[s]) for s in ("*", "project_path:*", "project_path:example/*", "repo:example/p*:pull_request")],
        [oidc(plan_subjects=["project_path:group/sub/people:ref_type:branch:ref:*"])],
    ),
    Limit(
        "trust.existing_provider.arn must be the ARN",
        [oidc("gitlab.com")],
        [oidc("arn:aws:iam::111122223333:oidc-provider/gitlab.com")],
    ),
    Limit(
        "trust.existing_provider.arn must be the provider of",
        [
            oidc("arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"),
            {"trust": {"github": GITHUB, "existing_provider": {"arn": "arn:aws:iam::111122223333:oidc-provider/gitlab.com"}}},
        ],
    ),
]  # fmt: skip
# Preconditions need a plan: these inputs are planned at once.
PRECONDITIONS: dict[str, JSON] = {
    "apis: the policy": {"apis": [f"{'a' * 37}-{n:02}" for n in range(30)]},
    "function_actions: the boundary has": {"function_actions": [f"service-{n}:{'A' * 40}" for n in range(120)]},
    "permissions.…_policy_arns must name at most": {"permissions": {"plan_policy_arns": {f"p{n}": POLICY for n in range(4)}}},
    "trust: the … role's trust policy": github(apply={"branches": [f"release-{n}" for n in range(60)]}),
}  # fmt: skip


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.message)
def test_refuses_with_a_reason(limit: Limit, interface: Root) -> None:
    for inputs in limit.refused:
        with pytest.raises(PlanError) as refusal:
            interface.check({**REQUIRED, **inputs})
        assert any(states(limit.message, d.detail) for d in refusal.value.diagnostics), (inputs, refusal.value)
    for inputs in limit.accepted:
        interface.check({**REQUIRED, **inputs})


def test_plans_refuse_what_iam_and_s3_would(
    terraform_roots: Callable[[str, Mapping[str, str] | None], Root],
) -> None:
    calls = {
        f"case_{n}": {"source": f"./{MODULE}", **REQUIRED, **inputs} for n, inputs in enumerate(PRECONDITIONS.values())
    }
    root = terraform_roots(".", {"main.tf.json": json.dumps({"module": calls}), "providers.tf": AWS_PROVIDER})

    with pytest.raises(PlanError) as refusal:
        root.check()
    errors = [d.detail for d in refusal.value.diagnostics if d.severity == "error"]
    assert {m for m in PRECONDITIONS if any(states(m, text) for text in errors)} == set(PRECONDITIONS), refusal.value
    assert [text for text in errors if not any(states(message, text) for message in PRECONDITIONS)] == []


def test_every_condition_is_tested(terraform_project: Path) -> None:
    assert_every_condition_is_tested(
        conditions(terraform_project / MODULE), [*(limit.message for limit in LIMITS), *PRECONDITIONS]
    )
