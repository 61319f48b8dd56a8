"""Reads an account with AWS's APIs. Every operation only reads; see ACTIONS for the permissions that it needs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from migration.errors import MigrationError
from migration.model import function_name, log_group, only_named, unqualified
from migration.reader import Reader
from migration.routes import lambda_arn

# IAM actions of a reader. API Gateway has one for all of its GET requests.
ACTIONS = (
    "apigateway:GET",
    "cloudwatch:GetMetricData",
    "cognito-idp:ListUserPoolClients",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListRolePolicies",
    "lambda:GetFunction",
    "lambda:GetPolicy",
    "lambda:ListAliases",
    "lambda:ListEventSourceMappings",
    "lambda:ListFunctions",
    "logs:DescribeLogGroups",
)
# Throttled requests are repeated, for about a minute in total.
RETRIES = Config(retries={"mode": "adaptive", "max_attempts": 12}, max_pool_connections=20)
DAYS = 14
METRICS_PER_REQUEST = 500
RESOURCES_PER_PAGE = 500
ClientFactory = Callable[[str], Any]


def clients(region: str | None = None, profile: str | None = None) -> ClientFactory:
    """Return a factory of boto3 clients. Raises MigrationError without a region, or for an unknown profile."""
    try:
        session = boto3.Session(region_name=region, profile_name=profile)
    except BotoCoreError as error:
        raise MigrationError(f"cannot use the AWS profile: {error}.") from error
    if not session.region_name:
        raise MigrationError("no AWS region is set: give --region, such as --region eu-central-1, or set AWS_REGION.")
    made = {
        name: session.client(name, config=RETRIES)
        for name in ("apigateway", "apigatewayv2", "cloudwatch", "cognito-idp", "iam", "lambda", "logs")
    }
    return made.__getitem__


def read(reader: Reader, client: ClientFactory, only: list[str]) -> None:
    """Read the APIs (those in `only` by name or id, or all), and the functions that they call."""
    _read_rest(reader, client("apigateway"), client("cognito-idp"), only)
    _read_http(reader, client("apigatewayv2"), only)
    functions = _called(reader)
    names = _pages(client("lambda"), "list_functions", "Functions")
    reader.part("functions", "lambda:ListFunctions", lambda: [each["FunctionArn"] for each in names()])
    reader.each("functions", functions, lambda arn: _read_function(reader, client("lambda"), arn))
    described = {arn: reader.parts.get(f"function/{function_name(arn)}") for arn in functions}
    roles = sorted({found["Configuration"]["Role"] for found in described.values() if found})
    reader.each("roles", roles, lambda role: _read_role(reader, client("iam"), role.rpartition("/")[2]))
    groups = sorted({log_group(found["Configuration"]) for found in described.values() if found})
    reader.each("log groups", groups, lambda group: _read_group(reader, client("logs"), group))
    reader.say("metrics")
    reader.part("invocations", "cloudwatch:GetMetricData", lambda: _invocations(client("cloudwatch"), functions))


def _pages(client: Any, operation: str, key: str, **parameters: Any) -> Callable[[], list[Any]]:
    """Return a function that returns the items of all pages of an operation."""
    return lambda: [
        item for page in client.get_paginator(operation).paginate(**parameters) for item in page.get(key) or []
    ]


def _read_rest(reader: Reader, client: Any, cognito: Any, only: list[str]) -> None:
    apis = reader.part("rest", "apigateway:GET /restapis", _pages(client, "get_rest_apis", "items"))
    chosen = [api for api in apis or [] if not only or only_named(api["id"], api["name"], only)]
    reader.say(f"REST APIs: {len(chosen)}")
    for api in chosen:
        name, parameters = f"rest/{api['id']}", {"restApiId": api["id"]}
        get = f"apigateway:GET /restapis/{api['id']}"
        resources = _pages(
            client,
            "get_resources",
            "items",
            **parameters,
            embed=["methods"],
            PaginationConfig={"PageSize": RESOURCES_PER_PAGE},
        )
        reader.part(f"{name}/resources", f"{get}/resources", resources)
        authorizers = _pages(client, "get_authorizers", "items", **parameters)
        for authorizer in reader.part(f"{name}/authorizers", f"{get}/authorizers", authorizers) or []:
            for arn in authorizer.get("providerARNs") or []:
                _read_pool(reader, cognito, arn.rpartition("/")[2])
        reader.part(f"{name}/stages", f"{get}/stages", partial(_stages, client, api["id"]))
        reader.say(f"{api['name']}: {len(reader.parts.get(f'{name}/resources') or [])} resources")
    if chosen:
        reader.part("rest-usage-plans", "apigateway:GET /usageplans", _pages(client, "get_usage_plans", "items"))
        domains = reader.part(
            "rest-domains", "apigateway:GET /domainnames", _pages(client, "get_domain_names", "items")
        )
        for domain in domains or []:
            named = domain["domainName"]
            mappings = _pages(client, "get_base_path_mappings", "items", domainName=named)
            reader.part(f"rest-domains/{named}", f"apigateway:GET /domainnames/{named}/basepathmappings", mappings)


def _read_pool(reader: Reader, client: Any, pool: str) -> None:
    """Read the clients of a Cognito user pool, which become audiences."""
    fetch = _pages(client, "list_user_pool_clients", "UserPoolClients", UserPoolId=pool)
    ids = lambda: [each["ClientId"] for each in fetch()]  # noqa: E731
    reader.part(f"user-pool/{pool}", "cognito-idp:ListUserPoolClients", ids)


def _read_http(reader: Reader, client: Any, only: list[str]) -> None:
    apis = reader.part("http", "apigateway:GET /v2/apis", _pages(client, "get_apis", "Items"))
    http = [api for api in apis or [] if api.get("ProtocolType") == "HTTP"]
    chosen = [api for api in http if not only or only_named(api["ApiId"], api["Name"], only)]
    reader.say(f"HTTP APIs: {len(chosen)}")
    for api in chosen:
        name, parameters = f"http/{api['ApiId']}", {"ApiId": api["ApiId"]}
        for kind in ("routes", "integrations", "authorizers", "stages"):
            fetch = _pages(client, f"get_{kind}", "Items", **parameters)
            reader.part(f"{name}/{kind}", f"apigateway:GET /v2/apis/{api['ApiId']}/{kind}", fetch)
    if chosen:
        domains = reader.part(
            "http-domains", "apigateway:GET /v2/domainnames", _pages(client, "get_domain_names", "Items")
        )
        for domain in domains or []:
            named = domain["DomainName"]
            reader.part(
                f"http-domains/{named}",
                f"apigateway:GET /v2/domainnames/{named}/apimappings",
                partial(_all_mappings, client, named),
            )


def _stages(client: Any, api: str) -> Any:
    return client.get_stages(restApiId=api)["item"]


def _inline_policy(client: Any, role: str, policy: str) -> Any:
    return client.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]


def _all_mappings(client: Any, domain: str) -> list[Any]:
    found: list[Any] = []
    token: dict[str, str] = {}
    while True:
        page = client.get_api_mappings(DomainName=domain, **token)
        found += page["Items"]
        if not page.get("NextToken"):
            return found
        token = {"NextToken": page["NextToken"]}


def _called(reader: Reader) -> list[str]:
    """Return the ARNs of the functions in the integrations that were read."""
    arns: set[str] = set()
    for name, part in reader.parts.items():
        if name.startswith("rest/") and name.endswith("/resources"):
            stages = reader.parts.get(name.replace("/resources", "/stages")) or [{}]
            for resource in part or []:
                for method in (resource.get("resourceMethods") or {}).values():
                    uri = (method.get("methodIntegration") or {}).get("uri", "")
                    arns |= {lambda_arn(uri, stage.get("variables") or {}) for stage in stages}
        if name.startswith("http/") and name.endswith("/integrations"):
            stages = reader.parts.get(name.replace("/integrations", "/stages")) or [{}]
            for integration in part or []:
                uri = integration.get("IntegrationUri", "")
                arns |= {lambda_arn(uri, stage.get("StageVariables") or {}) for stage in stages}
    return sorted({unqualified(arn) for arn in arns if arn})


def _read_function(reader: Reader, client: Any, arn: str) -> None:
    name = function_name(arn)

    def describe() -> dict[str, Any]:
        found = client.get_function(FunctionName=arn)
        configuration = found["Configuration"]
        # Values may be secrets.
        configuration["Environment"] = sorted((configuration.get("Environment") or {}).get("Variables") or {})
        return {key: found.get(key) for key in ("Configuration", "Tags", "Concurrency")}

    found = reader.part(f"function/{name}", "lambda:GetFunction", describe, missing="ResourceNotFoundException")
    if found is None:
        return
    policy = f"function/{name}/policy"
    fetch = lambda: client.get_policy(FunctionName=arn)["Policy"]  # noqa: E731
    reader.part(policy, "lambda:GetPolicy", fetch, missing="ResourceNotFoundException")
    sources = _pages(client, "list_event_source_mappings", "EventSourceMappings", FunctionName=arn)
    reader.part(f"function/{name}/sources", "lambda:ListEventSourceMappings", sources)
    aliases = _pages(client, "list_aliases", "Aliases", FunctionName=arn)
    reader.part(f"function/{name}/aliases", "lambda:ListAliases", aliases)


def _read_role(reader: Reader, client: Any, role: str) -> None:
    attached = _pages(client, "list_attached_role_policies", "AttachedPolicies", RoleName=role)
    reader.part(f"role/{role}/attached", "iam:ListAttachedRolePolicies", attached, missing="NoSuchEntity")
    names = _pages(client, "list_role_policies", "PolicyNames", RoleName=role)
    for policy in reader.part(f"role/{role}/inline", "iam:ListRolePolicies", names, missing="NoSuchEntity") or []:
        reader.part(
            f"role/{role}/inline/{policy}",
            "iam:GetRolePolicy",
            partial(_inline_policy, client, role, policy),
        )


def _read_group(reader: Reader, client: Any, group: str) -> None:
    def describe() -> dict[str, Any] | None:
        found = _pages(client, "describe_log_groups", "logGroups", logGroupNamePrefix=group)()
        return next((each for each in found if each["logGroupName"] == group), None)

    reader.part(f"logs{group}", "logs:DescribeLogGroups", describe)


def _invocations(client: Any, functions: list[str]) -> dict[str, int]:
    """Return the sum of the invocations of the last DAYS days by function name."""
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    totals: dict[str, int] = {}
    for start in range(0, len(functions), METRICS_PER_REQUEST):
        names = [function_name(arn) for arn in functions[start : start + METRICS_PER_REQUEST]]
        queries = [
            {
                "Id": f"f{number}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/Lambda",
                        "MetricName": "Invocations",
                        "Dimensions": [{"Name": "FunctionName", "Value": name}],
                    },
                    "Period": 86400,
                    "Stat": "Sum",
                },
            }
            for number, name in enumerate(names)
        ]
        totals |= dict.fromkeys(names, 0)
        fetch = _pages(
            client,
            "get_metric_data",
            "MetricDataResults",
            MetricDataQueries=queries,
            StartTime=end - timedelta(days=DAYS),
            EndTime=end,
        )
        for result in fetch():
            totals[names[int(result["Id"][1:])]] += int(sum(result["Values"]))
    return totals
