"""Reads a Terraform state (format 4), or the output of `terraform show -json`, as the parts that an account would have."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from migration.errors import MigrationError
from migration.model import Unread, function_name, unqualified
from migration.reader import Parts
from migration.routes import lambda_arn

STATE_VERSION = 4
Values = Mapping[str, Any]


class State:
    """The managed resources of a state by type."""

    def __init__(self, resources: Iterable[tuple[str, Values]]) -> None:
        self._resources: dict[str, list[Values]] = defaultdict(list)
        for kind, values in resources:
            self._resources[kind].append(values)

    def of(self, kind: str, **conditions: Any) -> list[Values]:
        """Return the resources of a type whose attributes have these values."""
        return [
            values
            for values in self._resources.get(kind, [])
            if all(values.get(key) == value for key, value in conditions.items())
        ]


def load(file: Path) -> State:
    """Return the resources of a file. Raises MigrationError if it is not a state."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MigrationError(
            f"{file} does not exist: --state takes a terraform.tfstate, or the output of `terraform show -json`."
        ) from error
    except (OSError, ValueError) as error:
        raise MigrationError(
            f"{file} is not JSON ({error}): --state takes a terraform.tfstate, or the output of `terraform show -json`."
        ) from error
    if isinstance(content, dict) and content.get("version") == STATE_VERSION:
        return State(_of_state(content))
    if isinstance(content, dict) and "root_module" in (content.get("values") or {}):
        return State(_of_module(content["values"]["root_module"]))
    raise MigrationError(
        f"{file} is neither a Terraform state of format {STATE_VERSION} nor the output of `terraform show -json` of a state: "
        "a plan does not have what exists, and an older state is upgraded by `terraform apply -refresh-only`."
    )


def _of_state(content: Values) -> Iterator[tuple[str, Values]]:
    for resource in content.get("resources") or []:
        if resource.get("mode") == "managed":
            for instance in resource.get("instances") or []:
                yield resource["type"], instance.get("attributes") or {}


def _of_module(module: Values) -> Iterator[tuple[str, Values]]:
    for resource in module.get("resources") or []:
        if resource.get("mode") == "managed":
            yield resource["type"], resource.get("values") or {}
    for child in module.get("child_modules") or []:
        yield from _of_module(child)


def read(state: State) -> tuple[Parts, list[Unread], str]:
    """Return the parts, what the state does not contain, and the region of its APIs."""
    parts: Parts = {"rest": [], "http": []}
    unread: list[Unread] = []
    for api in state.of("aws_api_gateway_rest_api"):
        _rest(state, api, parts, unread)
    for api in state.of("aws_apigatewayv2_api"):
        _http(state, api, parts, unread)
    for mapping in state.of("aws_api_gateway_base_path_mapping"):
        entry = {"restApiId": mapping["api_id"], "basePath": mapping.get("base_path") or ""}
        parts.setdefault(f"rest-domains/{mapping['domain_name']}", []).append(entry)
    for mapping in state.of("aws_apigatewayv2_api_mapping"):
        entry = {"ApiId": mapping["api_id"], "ApiMappingKey": mapping.get("api_mapping_key") or ""}
        parts.setdefault(f"http-domains/{mapping['domain_name']}", []).append(entry)
    parts["rest-usage-plans"] = [
        {
            "id": plan["id"],
            "name": plan["name"],
            "apiStages": [{"apiId": each["api_id"]} for each in plan.get("api_stages") or []],
        }
        for plan in state.of("aws_api_gateway_usage_plan")
    ]
    for client in state.of("aws_cognito_user_pool_client"):
        parts.setdefault(f"user-pool/{client['user_pool_id']}", []).append(client["id"])
    parts["functions"] = [function["arn"] for function in state.of("aws_lambda_function")]
    for function in state.of("aws_lambda_function"):
        _function(state, function, parts)
    for group in state.of("aws_cloudwatch_log_group"):
        parts[f"logs{group['name']}"] = {"retentionInDays": group.get("retention_in_days") or None}
    for policy in state.of("aws_iam_role_policy"):
        parts[f"role/{policy['role']}/inline/{policy['name']}"] = policy["policy"]
    for attachment in state.of("aws_iam_role_policy_attachment"):
        named = {"PolicyName": attachment["policy_arn"].rpartition("/")[2]}
        parts.setdefault(f"role/{attachment['role']}/attached", []).append(named)
    unread += _missing_functions(parts)
    arns = [api["arn"] for kind in ("aws_api_gateway_rest_api", "aws_apigatewayv2_api") for api in state.of(kind)]
    return parts, unread, next((arn.split(":")[3] for arn in [*arns, *parts["functions"]]), "")


def _missing_functions(parts: Parts) -> Iterator[Unread]:
    uris = [
        method["methodIntegration"].get("uri") or ""
        for name, part in parts.items()
        if name.startswith("rest/") and name.endswith("/resources")
        for resource in part
        for method in resource["resourceMethods"].values()
    ]
    uris += [each["IntegrationUri"] for name, part in parts.items() if name.endswith("/integrations") for each in part]
    called = {unqualified(arn) for uri in uris if (arn := lambda_arn(uri, {}))}
    for arn in sorted(called - set(parts["functions"])):
        yield Unread(f"function/{function_name(arn)}", "aws_lambda_function", "the state does not contain it")


def _rest(state: State, api: Values, parts: Parts, unread: list[Unread]) -> None:
    name, own = f"rest/{api['id']}", {"rest_api_id": api["id"]}
    size = str(api.get("minimum_compression_size") or "")
    parts["rest"].append(
        {
            "id": api["id"],
            "name": api["name"],
            "binaryMediaTypes": api.get("binary_media_types") or [],
            "policy": api.get("policy") or "",
            "minimumCompressionSize": size if size not in {"", "-1"} else None,
            "endpointConfiguration": {
                "types": [kind for each in api.get("endpoint_configuration") or [] for kind in each["types"]]
            },
            "tags": api.get("tags_all") or {},
        }
    )
    if api.get("body"):
        text = "its OpenAPI document (`body`) creates its routes, which are not in the state: read the account instead"
        unread.append(Unread(f"{name}/resources", "aws_api_gateway_resource", text))
    paths = {api.get("root_resource_id"): "/"}
    paths |= {resource["id"]: resource["path"] for resource in state.of("aws_api_gateway_resource", **own)}
    methods: dict[str, dict[str, Any]] = defaultdict(dict)
    for method in state.of("aws_api_gateway_method", **own):
        where = {"resource_id": method["resource_id"], "http_method": method["http_method"]}
        integration = next(iter(state.of("aws_api_gateway_integration", **own, **where)), {})
        methods[paths.get(method["resource_id"], "")][method["http_method"]] = {
            "authorizationType": method.get("authorization"),
            "authorizerId": method.get("authorizer_id") or "",
            "authorizationScopes": method.get("authorization_scopes") or [],
            "apiKeyRequired": method.get("api_key_required"),
            "requestValidatorId": method.get("request_validator_id"),
            "methodIntegration": {
                "type": integration.get("type"),
                "uri": integration.get("uri") or "",
                "timeoutInMillis": integration.get("timeout_milliseconds"),
                "contentHandling": integration.get("content_handling"),
            },
        }
    parts[f"{name}/resources"] = [{"path": path, "resourceMethods": found} for path, found in methods.items() if path]
    if "" in methods:
        text = "methods of resources that the state does not contain: read the account instead"
        unread.append(Unread(f"{name}/resources", "aws_api_gateway_resource", text))
    parts[f"{name}/authorizers"] = [
        {"id": each["id"], "name": each["name"], "providerARNs": each.get("provider_arns") or []}
        for each in state.of("aws_api_gateway_authorizer", **own)
    ]
    parts[f"{name}/stages"] = [
        {
            "stageName": each["stage_name"],
            "variables": each.get("variables") or {},
            "cacheClusterEnabled": each.get("cache_cluster_enabled"),
            "webAclArn": each.get("web_acl_arn"),
        }
        for each in state.of("aws_api_gateway_stage", **own)
    ]


def _http(state: State, api: Values, parts: Parts, unread: list[Unread]) -> None:
    name, own = f"http/{api['id']}", {"api_id": api["id"]}
    cors = next(iter(api.get("cors_configuration") or []), None)
    parts["http"].append(
        {
            "ApiId": api["id"],
            "Name": api["name"],
            "ProtocolType": api["protocol_type"],
            "CorsConfiguration": {"AllowOrigins": cors.get("allow_origins") or []} if cors else None,
            "Tags": api.get("tags_all") or {},
        }
    )
    if api.get("body") or api.get("target"):
        text = "its `body` or `target` creates its routes, which are not in the state: read the account instead"
        unread.append(Unread(f"{name}/routes", "aws_apigatewayv2_route", text))
    parts[f"{name}/routes"] = [
        {
            "RouteKey": each["route_key"],
            "Target": each.get("target") or "",
            "AuthorizationType": each.get("authorization_type"),
            "AuthorizerId": each.get("authorizer_id") or "",
            "AuthorizationScopes": each.get("authorization_scopes") or [],
        }
        for each in state.of("aws_apigatewayv2_route", **own)
    ]
    parts[f"{name}/integrations"] = [
        {
            "IntegrationId": each["id"],
            "IntegrationUri": each.get("integration_uri") or "",
            "IntegrationSubtype": each.get("integration_subtype") or "",
            "PayloadFormatVersion": each.get("payload_format_version"),
            "RequestParameters": each.get("request_parameters") or {},
            "ResponseParameters": each.get("response_parameters") or [],
        }
        for each in state.of("aws_apigatewayv2_integration", **own)
    ]
    parts[f"{name}/authorizers"] = [
        {
            "AuthorizerId": each["id"],
            "Name": each["name"],
            "AuthorizerUri": each.get("authorizer_uri") or "",
            "IdentitySource": each.get("identity_sources") or [],
            "EnableSimpleResponses": each.get("enable_simple_responses"),
            "AuthorizerResultTtlInSeconds": each.get("authorizer_result_ttl_in_seconds"),
            "JwtConfiguration": {
                "Issuer": next((jwt["issuer"] for jwt in each.get("jwt_configuration") or []), ""),
                "Audience": [name for jwt in each.get("jwt_configuration") or [] for name in jwt.get("audience") or []],
            },
        }
        for each in state.of("aws_apigatewayv2_authorizer", **own)
    ]
    parts[f"{name}/stages"] = [
        {"StageName": each["name"], "StageVariables": each.get("stage_variables") or {}}
        for each in state.of("aws_apigatewayv2_stage", **own)
    ]


def _function(state: State, function: Values, parts: Parts) -> None:
    name, arn = function["function_name"], function["arn"]
    reserved = function.get("reserved_concurrent_executions")
    parts[f"function/{name}"] = {
        "Configuration": {
            "FunctionName": name,
            "Runtime": function.get("runtime"),
            "Handler": function.get("handler"),
            "MemorySize": function.get("memory_size"),
            "Timeout": function.get("timeout"),
            "Role": function.get("role") or "",
            "Environment": sorted(
                key for each in function.get("environment") or [] for key in each.get("variables") or {}
            ),
            "Layers": [{"Arn": layer} for layer in function.get("layers") or []],
            "VpcConfig": {
                "SubnetIds": [
                    subnet for each in function.get("vpc_config") or [] for subnet in each.get("subnet_ids") or []
                ]
            },
            "PackageType": function.get("package_type"),
            "LoggingConfig": {
                "LogGroup": next((each.get("log_group") for each in function.get("logging_config") or []), None)
            },
        },
        "Tags": function.get("tags_all") or {},
        "Concurrency": {} if reserved in {None, -1} else {"ReservedConcurrentExecutions": reserved},
    }
    statements = [
        {
            "Principal": {"Service": each["principal"]},
            "Condition": {"ArnLike": {"AWS:SourceArn": each["source_arn"]}} if each.get("source_arn") else {},
        }
        for each in state.of("aws_lambda_permission")
        if each["function_name"] in {name, arn}
    ]
    parts[f"function/{name}/policy"] = json.dumps({"Statement": statements})
    parts[f"function/{name}/sources"] = [
        {"EventSourceArn": each.get("event_source_arn")}
        for each in state.of("aws_lambda_event_source_mapping")
        if {each.get("function_name"), each.get("function_arn")} & {name, arn}
    ]
    parts[f"function/{name}/aliases"] = [
        {"Name": each["name"]} for each in state.of("aws_lambda_alias") if each["function_name"] in {name, arn}
    ]
