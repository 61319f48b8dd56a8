"""The policies of modules/deployer, rendered and evaluated as IAM does, against the requests that the gate has seen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from botocore.loaders import Loader
from botocore.model import ServiceModel

from sandbox.emulator import REGION
from sandbox.paths import ROOT

ACTIONS = ROOT / "modules/deployer/actions.yaml"
OPERATIONS: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("operations.yaml").read_text())
ACCOUNT = "000000000000"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/deployer/deployer-boundary"
VALUES = {
    "account": ACCOUNT,
    "boundary": BOUNDARY,
    "bucket": f"deployer-state-{ACCOUNT}-{REGION}",
    "dns_suffix": "amazonaws.com",
    "key_prefix": "apis/",
    "partition": "aws",
    "region": REGION,
    "role_prefix": "/",
}
PLACEHOLDER = re.compile(r"\{[a-z_]+\}")
Statement = Mapping[str, Any]


@dataclass(frozen=True)
class Access:
    """An action on a resource, with the condition keys that the request has."""

    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()


# --- The policies ---


def groups(**values: str) -> dict[str, list[dict[str, Any]]]:
    """Return actions.yaml with its variables replaced."""
    text = ACTIONS.read_text(encoding="utf-8")
    for name, value in (VALUES | values).items():
        text = text.replace(f"${{{name}}}", value)
    read: dict[str, list[dict[str, Any]]] = yaml.safe_load(text)
    return read


def statements(
    role: str, apis: Iterable[str], invoked: Iterable[str] = (), zones: Iterable[str] = ()
) -> list[Statement]:
    """Return the statements of the plan or the apply role, without those for protection."""
    repeated = {"{api}": list(apis), "{invoked}": list(invoked), "{zone}": list(zones), "{kms_key}": []}
    rendered: list[Statement] = []
    for statement in (s for group in groups().values() for s in group):
        actions = [action for action, a in statement["actions"].items() if role == "apply" or a.get("plan")]
        resources = [each for resource in statement["resources"] for each in _repeat(resource, repeated)]
        if actions and resources:
            conditions = {"Condition": statement["conditions"]} if "conditions" in statement else {}
            rendered.append(
                {"Sid": statement["sid"], "Effect": "Allow", "Action": actions, "Resource": resources} | conditions
            )
    return rendered


def reasons() -> dict[str, str]:
    """Return the actions of the apply role, and the reason of those that the tested API does not need: empty for the others."""
    found: dict[str, str] = {}
    for statement in (s for group in groups().values() for s in group):
        for action, entry in statement["actions"].items():
            # An action may be in several statements: one that the API needs is enough.
            found[action] = entry.get("without_test", "") and found.get(action, entry["without_test"])
    return found


def _repeat(resource: str, repeated: Mapping[str, list[str]]) -> list[str]:
    found = PLACEHOLDER.search(resource)
    return [resource.replace(found[0], value) for value in repeated[found[0]]] if found else [resource]


# --- Evaluation ---


def allows(policy: Iterable[Statement], access: Access) -> bool:
    """Whether a statement allows the access and none denies it."""
    effects = {statement["Effect"] for statement in policy if _applies(statement, access)}
    return effects == {"Allow"}


def _applies(statement: Statement, access: Access) -> bool:
    return (
        any(_matches(access.action.lower(), pattern.lower()) for pattern in _listed(statement["Action"]))
        and any(_matches(access.resource, pattern) for pattern in _listed(statement["Resource"]))
        and all(
            _holds(operator, dict(access.context).get(key), _listed(wanted))
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _holds(operator: str, actual: str | None, wanted: list[str]) -> bool:
    match operator:
        case "StringEquals":
            return actual in wanted
        case "StringNotEquals":
            return actual not in wanted
        case "StringLike" | "ArnEquals" | "ArnLike":
            return actual is not None and any(_matches(actual, pattern) for pattern in wanted)
        case "ArnNotEquals":
            return actual is None or not any(_matches(actual, pattern) for pattern in wanted)
    raise ValueError(f"the condition operator {operator} is not evaluated here")


def _matches(text: str, pattern: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text, re.DOTALL) is not None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# --- From a request to what AWS authorizes ---


def accesses(request: Mapping[str, Any]) -> Iterator[Access]:
    """Return what AWS authorizes a recorded request as."""
    name, given = request["operation"], request["input"]
    service, _, operation = name.partition(".")
    if name in OPERATIONS["free"]:
        return
    prefix = OPERATIONS["prefixes"].get(service, service)
    action = OPERATIONS["actions"].get(name, f"{prefix}:{operation}")
    if service == "apigatewayv2":
        method, path = _route(service, operation, given)
        yield Access(f"{prefix}:{method}", f"arn:aws:apigateway:{REGION}::{path}")
        if given.get("Tags") and not path.startswith("/tags/"):
            yield Access(f"{prefix}:POST", f"arn:aws:apigateway:{REGION}::/tags/new")
        return
    context = tuple(_context(service, given).items())
    resources = _resources(service, operation, given) or ["*"]
    for resource in resources:
        yield Access(action, resource, context)
        for also in OPERATIONS["also"]:
            if also["operation"] == name and given.get(also["member"]):
                yield Access(also["action"], resource, context)
        if name == "logs.CreateLogGroup" and given.get("tags"):
            yield Access("logs:TagResource", resource.removesuffix(":*"))
    if service == "lambda" and given.get("Role"):
        yield Access("iam:PassRole", given["Role"], (("iam:PassedToService", "lambda.amazonaws.com"),))


def _context(service: str, given: Mapping[str, Any]) -> dict[str, str]:
    if service == "lambda" and "Principal" in given:
        return {"lambda:Principal": given["Principal"]}
    if service == "application-autoscaling":
        return {"application-autoscaling:service-namespace": given.get("ServiceNamespace", "")}
    if service != "iam":
        return {}
    # Only a new role's boundary is in the request. tests/e2e/test_deployer.py applies with a boundary and checks it.
    known = {"iam:PermissionsBoundary": given.get("PermissionsBoundary", BOUNDARY)}
    return known | ({"iam:PolicyARN": given["PolicyArn"]} if "PolicyArn" in given else {})


def _resources(service: str, operation: str, given: Mapping[str, Any]) -> list[str]:
    """Return the ARNs of the resources that a request names; empty for actions without resources."""
    arn = f"arn:aws:{service}:{REGION}:{ACCOUNT}:"
    named = next((given[m] for m in ("Resource", "ResourceArn", "ResourceARN", "resourceArn") if m in given), None)
    if named:
        return [str(named)]
    match service:
        case "lambda" if name := given.get("FunctionName"):
            function = str(name).rpartition(":function:")[2]
            qualified = given.get("Qualifier") and ":" not in function
            return [f"{arn}function:{function}" + (f":{given['Qualifier']}" if qualified else "")]
        case "iam" if name := given.get("RoleName"):
            return [f"arn:aws:iam::{ACCOUNT}:role{given.get('Path', '/')}{name}"]
        case "iam" if named := given.get("PolicyArn") or given.get("OpenIDConnectProviderArn"):
            return [str(named)]
        case "iam" if "PolicyName" in given:
            return [f"arn:aws:iam::{ACCOUNT}:policy{given.get('Path', '/')}{given['PolicyName']}"]
        case "iam" if "Url" in given:
            return [f"arn:aws:iam::{ACCOUNT}:oidc-provider/{given['Url'].removeprefix('https://')}"]
        case "logs" if (name := given.get("logGroupName")) and operation != "DescribeLogGroups":
            return [f"{arn}log-group:{name}:*"]
        case "ecr":
            names = [given["repositoryName"]] if "repositoryName" in given else given.get("repositoryNames", [])
            return [f"{arn}repository/{name}" for name in names]
        case "cloudwatch":
            alarms = [given["AlarmName"]] if "AlarmName" in given else given.get("AlarmNames", [])
            boards = [given["DashboardName"]] if "DashboardName" in given else given.get("DashboardNames", [])
            return [f"{arn}alarm:{name}" for name in alarms] + [
                f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{name}" for name in boards
            ]
        case "route53" if zone := given.get("HostedZoneId"):
            return [f"arn:aws:route53:::hostedzone/{str(zone).removeprefix('/hostedzone/')}"]
        case "route53" if operation in ("GetHostedZone", "GetChange"):
            kind = "change" if operation == "GetChange" else "hostedzone"
            return [f"arn:aws:route53:::{kind}/{str(given['Id']).rpartition('/')[2]}"]
        case "application-autoscaling" if not operation.startswith("Describe"):
            return [f"{arn}scalable-target/1"]
    return []


def _route(service: str, operation: str, given: Mapping[str, Any]) -> tuple[str, str]:
    http = _model(service).operation_model(operation).http
    path = re.sub(r"\{([^}]+)\}", lambda label: str(_member(given, label[1])), http["requestUri"])
    return http["method"], path.removeprefix("/v2")


def _member(given: Mapping[str, Any], label: str) -> Any:
    """Return a label's value: labels are in camelCase, members in PascalCase."""
    name = "".join(part[:1].upper() + part[1:] for part in label.split("-"))
    return given.get(name, "")


@cache
def _model(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


# --- All requests of a run ---


def api_names(requests: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the names of the APIs that requests create."""
    return {r["input"]["Name"] for r in requests if r["operation"] == "apigatewayv2.CreateApi" and "Name" in r["input"]}


def invoked_names(requests: Iterable[Mapping[str, Any]], apis: Iterable[str]) -> set[str]:
    """Return the names of the functions that get a permission and are no API's: authorizers and legacy functions."""
    functions = [r["input"]["FunctionName"] for r in requests if r["operation"] == "lambda.AddPermission"]
    return {str(name).rpartition(":function:")[2].partition(":")[0] for name in functions} - set(apis)


def refused(requests: Iterable[Mapping[str, Any]], role: str, apis: Iterable[str] | None = None) -> list[str]:
    """Return the accesses of these requests that the role's policies do not allow, except those in `outside`.

    The policies are for these APIs, or for all that the requests create, and for the functions and zones in the requests.
    """
    requests = list(requests)
    apis = api_names(requests) if apis is None else apis
    zones = [
        r["input"].get("HostedZoneId", "") for r in requests if r["operation"] == "route53.ChangeResourceRecordSets"
    ]
    policy = statements(
        role, apis, invoked_names(requests, apis), {zone.removeprefix("/hostedzone/") for zone in zones}
    )
    # Most requests of a run are alike.
    distinct = {(r["operation"], access) for r in requests for access in accesses(r)}
    return sorted(
        f"{operation} needs {access.action} on {access.resource}"
        for operation, access in distinct
        if not _outside(operation, access.resource) and not allows(policy, access)
    )


def _outside(operation: str, resource: str) -> bool:
    return any(
        fnmatchcase(operation, entry["operation"]) and fnmatchcase(resource, entry.get("resource", "*"))
        for entry in OPERATIONS["outside"]
    )
