"""Builds the inventory from the parts that were read, of an account or of a Terraform state."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from migration.errors import MigrationError
from migration.model import Api, Function, Inventory, Risk, Unread, function_name, log_group, only_named, unqualified
from migration.reader import Parts
from migration.routes import http_routes, rest_routes, with_one_authorizer

# What the module allows its own function, because API Gateway stops waiting after 30 s.
LONGEST_SECONDS = 29


def build(
    source: str, region: str, parts: Parts, unread: Iterable[Unread], only: list[str], stage: str | None = None
) -> Inventory:
    """Return the inventory. `only` names APIs by name or id. Raises MigrationError for a name or stage that no API has."""
    found = [*_rest_apis(parts, region, only, stage), *_http_apis(parts, region, only, stage)]
    unread = tuple(unread)
    missing = set(only) - {name for api in found for name in (api.id, api.name)}
    if missing and not any(each.part in {"rest", "http"} for each in unread):
        raise MigrationError(
            f"{source} has no API {', '.join(sorted(missing))}: --api takes the name or id of a REST or HTTP API."
        )
    apis = tuple(
        with_one_authorizer(_without_missing_functions(api, parts))
        for api in sorted(found, key=lambda api: (api.name, api.id))
    )
    called = {route.function for api in apis for route in api.routes if route.function_arn}
    functions = {arn: function for arn in sorted(called) if (function := _function(parts, arn))}
    functions = _with_risks(functions, apis)
    every = {unqualified(arn) for arn in parts.get("functions") or []}
    return Inventory(source, apis, functions, tuple(sorted(map(function_name, every - called))), unread)


def _without_missing_functions(api: Api, parts: Parts) -> Api:
    """Return the API with the routes of deleted functions marked as unmapped."""
    deleted = {
        name for name, part in parts.items() if name.startswith("function/") and name.count("/") == 1 and part is None
    }
    return replace(
        api,
        routes=tuple(
            replace(route, unmapped="its function does not exist, so it responds with 500")
            if f"function/{function_name(route.function_arn)}" in deleted
            else route
            for route in api.routes
        ),
    )


def _home(functions: Iterable[str], region: str) -> tuple[str, str]:
    """Return the region, and the account of most functions: an API does not tell its own."""
    accounts = Counter(arn.split(":")[4] for arn in functions if arn)
    return region, accounts.most_common(1)[0][0] if accounts else ""


def _rest_apis(parts: Parts, region: str, only: list[str], wanted: str | None) -> Iterable[Api]:
    clients = {name.split("/")[1]: value for name, value in parts.items() if name.startswith("user-pool/") and value}
    for api in parts.get("rest") or []:
        if only and not only_named(api["id"], api["name"], only):
            continue
        name = f"rest/{api['id']}"
        stages = parts.get(f"{name}/stages") or []
        stage, risks = _stage(stages, "stageName", wanted, api["name"])
        authorizers = {each["id"]: each for each in parts.get(f"{name}/authorizers") or []}
        resources = sorted(parts.get(f"{name}/resources") or [], key=lambda resource: str(resource["path"]))
        home = _home(parts.get("functions") or [], region)
        routes = rest_routes(resources, authorizers, stage, home, clients)
        risks += _rest_risks(api, stage, parts)
        if exposing := [risk for risk in risks if risk.level == "exposes"]:
            routes = [replace(route, risks=(*route.risks, *exposing)) for route in routes]
        domains = _domains(parts, "rest-domains/", api["id"], "restApiId", "basePath")
        yield Api(
            api["id"],
            api["name"],
            "rest",
            region,
            stage.get("stageName", ""),
            tuple(routes),
            (*risks, *_domain_risks(domains)),
            domains,
            api.get("tags") or {},
        )


def _rest_risks(api: Mapping[str, Any], stage: Mapping[str, Any], parts: Parts) -> list[Risk]:
    risks = []
    if api.get("policy"):
        risks.append(
            Risk("resource-policy", "its resource policy restricts callers, and HTTP APIs have none", "exposes")
        )
    if "PRIVATE" in ((api.get("endpointConfiguration") or {}).get("types") or []):
        risks.append(
            Risk("private-api", "it is reachable from VPC endpoints only, and HTTP APIs are public", "exposes")
        )
    if api.get("binaryMediaTypes"):
        text = f"binary media types {', '.join(api['binaryMediaTypes'])}: an HTTP API decides by content type"
        risks.append(Risk("binary-types", text))
    if api.get("minimumCompressionSize") is not None:
        risks.append(Risk("compression", "it compresses responses; HTTP APIs do not"))
    risks += _stage_risks(stage.get("stageName", ""), stage.get("variables") or {})
    if stage.get("cacheClusterEnabled"):
        risks.append(Risk("cache", "its stage caches responses; HTTP APIs do not"))
    if stage.get("webAclArn"):
        risks.append(
            Risk(
                "firewall",
                "a web ACL of AWS WAF protects its stage, and HTTP APIs take none: see examples/cloudfront-and-waf",
            )
        )
    plans = [
        plan.get("name", plan["id"])
        for plan in parts.get("rest-usage-plans") or []
        if any(each.get("apiId") == api["id"] for each in plan.get("apiStages") or [])
    ]
    if plans:
        text = f"usage plans limit its callers by API key ({', '.join(plans)}); HTTP APIs have none"
        risks.append(Risk("usage-plan", text))
    return risks


def _http_apis(parts: Parts, region: str, only: list[str], wanted: str | None) -> Iterable[Api]:
    for api in parts.get("http") or []:
        if api.get("ProtocolType") != "HTTP" or (only and not only_named(api["ApiId"], api["Name"], only)):
            continue
        name = f"http/{api['ApiId']}"
        stage, risks = _stage(parts.get(f"{name}/stages") or [], "StageName", wanted, api["Name"])
        integrations = {each["IntegrationId"]: each for each in parts.get(f"{name}/integrations") or []}
        authorizers = {each["AuthorizerId"]: each for each in parts.get(f"{name}/authorizers") or []}
        described = sorted(parts.get(f"{name}/routes") or [], key=lambda route: str(route["RouteKey"]))
        routes = http_routes(described, integrations, authorizers, stage, _home(parts.get("functions") or [], region))
        if api.get("CorsConfiguration"):
            origins = ", ".join(api["CorsConfiguration"].get("AllowOrigins") or []) or "no origins"
            risks.append(
                Risk(
                    "cors",
                    f"the gateway responds to CORS preflights (origins: {origins}): set the module's input api.cors",
                )
            )
        risks += _stage_risks(stage.get("StageName", ""), stage.get("StageVariables") or {})
        domains = _domains(parts, "http-domains/", api["ApiId"], "ApiId", "ApiMappingKey")
        yield Api(
            api["ApiId"],
            api["Name"],
            "http",
            region,
            stage.get("StageName", ""),
            tuple(routes),
            (*risks, *_domain_risks(domains)),
            domains,
            api.get("Tags") or {},
        )


def _stage(stages: list[dict[str, Any]], key: str, wanted: str | None, api: str) -> tuple[dict[str, Any], list[Risk]]:
    """Return the stage to read, and a risk if it was chosen among several. Raises MigrationError if there is none of that name."""
    names = [stage[key] for stage in stages]
    if wanted:
        if stages and wanted not in names:
            raise MigrationError(f"{api} has no stage {wanted}: --stage takes one of {', '.join(names)}.")
        return next((stage for stage in stages if stage[key] == wanted), {}), []
    if len(stages) < 2:
        return (stages[0] if stages else {}), []
    chosen = max(stages, key=lambda stage: str(stage.get("lastUpdatedDate") or stage.get("LastUpdatedDate") or ""))
    text = (
        f"it has the stages {', '.join(names)}; this is {chosen[key]}, which changed last. Choose another with --stage"
    )
    return chosen, [Risk("stages", text)]


def _stage_risks(name: str, variables: Mapping[str, str]) -> Iterable[Risk]:
    if name not in {"", "$default"}:
        text = f"clients' paths begin with /{name}, unless a custom domain adds it; the module's API has no stage in its paths"
        yield Risk("stage-path", text, "note")
    if variables:
        text = f"functions get stage variables in their event ({', '.join(sorted(variables))}); the module's stage has none"
        yield Risk("stage-variables", text)


def _domains(parts: Parts, prefix: str, api: str, owner: str, path: str) -> tuple[str, ...]:
    mappings = [(name, each) for name, value in parts.items() if name.startswith(prefix) for each in value or []]
    bases = [(name.removeprefix(prefix), each.get(path) or "") for name, each in mappings if each.get(owner) == api]
    return tuple(sorted(f"{domain}/{base.removeprefix('(none)')}".rstrip("/") for domain, base in bases))


def _domain_risks(domains: tuple[str, ...]) -> list[Risk]:
    text = f"clients use {', '.join(domains)}: move the domain last, with the module's input api.domain"
    return [Risk("custom-domain", text)] if domains else []


def _function(parts: Parts, arn: str) -> Function | None:
    """Return a function from its parts, None if its description could not be read."""
    name = function_name(arn)
    found = parts.get(f"function/{name}")
    if not found:
        return None
    configuration = found["Configuration"]
    role = configuration.get("Role", "").rpartition("/")[2]
    group = parts.get(f"logs{log_group(configuration)}")
    return Function(
        arn=arn,
        name=name,
        runtime=configuration.get("Runtime") or "container",
        handler=configuration.get("Handler") or "",
        memory_mb=int(configuration.get("MemorySize") or 128),
        timeout_seconds=int(configuration.get("Timeout") or 3),
        role=role,
        environment=tuple(configuration.get("Environment") or ()),
        layers=tuple(layer["Arn"] for layer in configuration.get("Layers") or []),
        vpc=bool((configuration.get("VpcConfig") or {}).get("SubnetIds")),
        package=configuration.get("PackageType") or "Zip",
        reserved_concurrency=(found.get("Concurrency") or {}).get("ReservedConcurrentExecutions"),
        aliases=tuple(alias["Name"] for alias in parts.get(f"function/{name}/aliases") or []),
        triggers=tuple(_triggers(parts, name)),
        actions=tuple(_actions(parts, role)),
        log_group=log_group(configuration),
        log_retention_days=(group or {}).get("retentionInDays"),
        tags=found.get("Tags") or {},
        invocations=(parts.get("invocations") or {}).get(name),
    )


def _triggers(parts: Parts, name: str) -> Iterable[str]:
    """Yield what else may invoke a function: event sources, and who its policy names. APIs are `execute-api:<id>`."""
    for mapping in parts.get(f"function/{name}/sources") or []:
        yield str(mapping.get("EventSourceArn") or "an event source")
    for statement in json.loads(parts.get(f"function/{name}/policy") or "{}").get("Statement", []):
        conditions = [value for each in (statement.get("Condition") or {}).values() for value in each.items()]
        sources = [str(value) for key, value in conditions if key.lower() == "aws:sourcearn"]
        principal = statement.get("Principal")
        who = principal if isinstance(principal, str) else next(iter((principal or {}).values()), "*")
        if who == "apigateway.amazonaws.com":
            yield "execute-api:" + (sources[0].split(":")[5].partition("/")[0] if sources else "*")
        else:
            yield f"{who} ({sources[0]})" if sources else str(who)


def _actions(parts: Parts, role: str) -> list[str]:
    """Return the actions of a role's inline policies, and the names of its attached policies."""
    prefix = f"role/{role}/inline/"
    documents = [value for name, value in parts.items() if name.startswith(prefix) and value]
    actions: set[str] = set()
    for document in documents:
        statements = (json.loads(document) if isinstance(document, str) else document).get("Statement", [])
        for statement in statements if isinstance(statements, list) else [statements]:
            allowed = statement.get("Action", []) if statement.get("Effect") == "Allow" else []
            actions |= {allowed} if isinstance(allowed, str) else set(allowed)
    attached = {f"policy {policy['PolicyName']}" for policy in parts.get(f"role/{role}/attached") or []}
    return sorted(actions) + sorted(attached)


def _with_risks(functions: dict[str, Function], apis: Iterable[Api]) -> dict[str, Function]:
    roles = Counter(function.role for function in functions.values())
    own: dict[str, set[str]] = defaultdict(set)
    aliases: dict[str, set[str]] = defaultdict(set)
    for api in apis:
        for route in api.routes:
            own[route.function].add(f"execute-api:{api.id}")
            aliases[route.function] |= set(route.function_arn.split(":")[7:])
    return {
        arn: replace(function, risks=tuple(_function_risks(function, roles, own[arn], aliases[arn])))
        for arn, function in functions.items()
    }


def _function_risks(function: Function, roles: Mapping[str, int], own: set[str], aliases: set[str]) -> Iterable[Risk]:
    # An API's own statement, and one for all APIs of the account.
    if others := sorted(set(function.triggers) - own - {"execute-api:*"}):
        yield Risk(
            "other-triggers", f"it is also invoked by {', '.join(others)}: it must stay, or that must move as well"
        )
    if function.timeout_seconds > LONGEST_SECONDS:
        yield Risk(
            "timeout",
            f"its timeout is {function.timeout_seconds} s, but the gateway stops waiting after 30 s: such work belongs in the background",
        )
    if function.layers:
        yield Risk(
            "layers",
            f"it uses layers ({', '.join(layer.split(':')[6] for layer in function.layers)}): an image contains their files",
        )
    if function.vpc:
        yield Risk("vpc", "it runs in a VPC: the container needs function.vpc, or no longer what is in there")
    if roles[function.role] > 1:
        yield Risk(
            "shared-role",
            f"{roles[function.role]} functions use its role {function.role}: remove it with the last of them",
        )
    if function.reserved_concurrency is not None:
        yield Risk(
            "reserved-concurrency",
            f"its concurrency is reserved ({function.reserved_concurrency}): something may rely on the limit, such as a database",
        )
    if function.package == "Image":
        yield Risk(
            "image", "it is a container image already: docs/adopting.md moves it without a second function", "note"
        )
    if aliases:
        yield Risk(
            "alias",
            f"routes use its alias {', '.join(sorted(aliases))}: deploy to the alias as before until they have moved",
            "note",
        )
    if function.environment:
        yield Risk("environment", f"the container needs {', '.join(function.environment)}, or their successors", "note")
    if function.log_retention_days is None:
        yield Risk(
            "log-retention",
            f"its log group {function.log_group} never expires, or does not exist: it stays after the function unless it is deleted",
            "note",
        )
