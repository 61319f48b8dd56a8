"""Maps the methods of REST APIs and the routes of HTTP APIs to the module's `routes`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

from migration.model import Api, Auth, Risk, Route

# Within an integration's URI, or a function's ARN itself.
LAMBDA_ARN = re.compile(r"arn:[^:/]+:lambda:[^:/]*:[0-9]*:function:[^:/]+(:[^:/]+)?")
STAGE_VARIABLE = re.compile(r"\$\{stageVariables\.([A-Za-z0-9_]+)\}")
# The module's form, which is API Gateway's for HTTP APIs.
ROUTE_KEY = re.compile(
    r'^(ANY|DELETE|GET|HEAD|OPTIONS|PATCH|POST|PUT) /(([^{}/ ?#"]+|\{[a-zA-Z0-9_]+\})/)*([^{}/ ?#"]+|\{[a-zA-Z0-9_]+\+?\})?$'
)
# HTTP APIs wait for 30 s; the module allows its own function 29.
REST_WAIT_MS, HTTP_WAIT_MS = 29_000, 30_000
LARGEST_AUDIENCE = 50
NO_AUTH = Auth("NONE")


def resolve(uri: str, variables: Mapping[str, str]) -> str:
    """Return an integration's URI with its stage variables replaced; unknown ones stay."""
    return STAGE_VARIABLE.sub(lambda found: variables.get(found[1], found[0]), uri)


def lambda_arn(uri: str, variables: Mapping[str, str]) -> str:
    """Return the ARN of the function, including its alias, that an integration's URI invokes; "" if there is none."""
    found = LAMBDA_ARN.search(resolve(uri, variables))
    return found[0] if found and "${" not in found[0] else ""


def rest_routes(
    resources: Iterable[Mapping[str, Any]],
    authorizers: Mapping[str, Mapping[str, Any]],
    stage: Mapping[str, Any],
    home: tuple[str, str],
    pool_clients: Mapping[str, list[str]],
) -> list[Route]:
    """Return the routes of a REST API. `home` is its region and account, where known."""
    variables = stage.get("variables") or {}
    routes = []
    for resource in resources:
        for method, described in sorted((resource.get("resourceMethods") or {}).items()):
            integration = described.get("methodIntegration") or {}
            arn = lambda_arn(integration.get("uri", ""), variables)
            auth, risks = _rest_auth(described, authorizers, home[0], pool_clients)
            risks += _rest_risks(described, integration, auth)
            key = f"{method} {resource['path']}"
            unmapped = _rest_obstacle(method, integration, arn, variables) or _obstacle(key, arn, home)
            routes.append(Route(key, arn, "1.0", auth, tuple(risks), unmapped))
    return routes


def _rest_obstacle(method: str, integration: Mapping[str, Any], arn: str, variables: Mapping[str, str]) -> str:
    """Return why a REST method cannot go to its function unchanged; "" if it can."""
    kind, uri = integration.get("type", ""), resolve(integration.get("uri", ""), variables)
    if not kind:
        return "it has no integration, so it responds with 500"
    if kind == "MOCK":
        preflight = "it responds to CORS preflights with a mock: set the module's input api.cors instead"
        return (
            preflight
            if method == "OPTIONS"
            else "it is a mock integration with a fixed response, which the application must return"
        )
    if kind in {"HTTP", "HTTP_PROXY"}:
        return f"it forwards to {uri}, not to a Lambda function"
    if STAGE_VARIABLE.search(uri):
        return f"the stage lacks a variable of {uri}: choose another stage with --stage"
    if not arn and "lambda" not in uri:
        return f"it calls an AWS service directly ({uri}), which the application must do"
    if kind == "AWS":
        return (
            "mapping templates (a non-proxy integration) make the function's input and output, and an HTTP API has none"
        )
    return ""


def _rest_auth(
    method: Mapping[str, Any],
    authorizers: Mapping[str, Mapping[str, Any]],
    region: str,
    pool_clients: Mapping[str, list[str]],
) -> tuple[Auth, list[Risk]]:
    kind = method.get("authorizationType", "NONE")
    if kind == "AWS_IAM":
        return Auth("AWS_IAM"), []
    if kind not in {"CUSTOM", "COGNITO_USER_POOLS"}:
        return NO_AUTH, []
    authorizer = authorizers.get(method.get("authorizerId", ""))
    if authorizer is None:
        return NO_AUTH, [Risk("unknown-authorizer", "its authorizer could not be read", "exposes")]
    name = authorizer.get("name", "")
    if kind == "CUSTOM":
        text = f"the authorizer {name} returns IAM policies; auth.lambda expects simple responses (payload 2.0)"
        return NO_AUTH, [Risk("policy-authorizer", text, "exposes")]
    pools = [arn.rpartition("/")[2] for arn in authorizer.get("providerARNs") or []]
    clients = tuple(sorted(client for pool in pools for client in pool_clients.get(pool, [])))
    if len(pools) != 1 or not 1 <= len(clients) <= LARGEST_AUDIENCE:
        text = (
            f"the authorizer {name} trusts {len(pools)} user pools with {len(clients)} known clients; "
            "auth.jwt takes one issuer and 1 to 50 audiences"
        )
        return NO_AUTH, [Risk("cognito-authorizer", text, "exposes")]
    issuer = f"https://cognito-idp.{region}.amazonaws.com/{pools[0]}"
    return Auth("JWT", issuer, clients, tuple(method.get("authorizationScopes") or ())), []


def _rest_risks(method: Mapping[str, Any], integration: Mapping[str, Any], auth: Auth) -> list[Risk]:
    risks = []
    if method.get("apiKeyRequired"):
        text = "it requires an API key, which HTTP APIs do not have" + (
            ", and has no other auth" if auth == NO_AUTH else ""
        )
        risks.append(Risk("api-key", text, "exposes" if auth == NO_AUTH else "check"))
    if method.get("requestValidatorId"):
        risks.append(
            Risk(
                "request-validator",
                "the gateway validates its requests; HTTP APIs do not, so the function gets invalid ones",
            )
        )
    if int(integration.get("timeoutInMillis") or 0) > REST_WAIT_MS:
        risks.append(
            Risk(
                "gateway-timeout",
                f"the gateway waits {integration['timeoutInMillis']} ms; an HTTP API waits 30 s at most",
            )
        )
    if integration.get("contentHandling"):
        risks.append(
            Risk(
                "content-handling", f"the gateway converts bodies ({integration['contentHandling']}); HTTP APIs do not"
            )
        )
    if integration.get("responseTransferMode") == "STREAM":
        risks.append(Risk("streaming", "it streams its response, which HTTP APIs do not"))
    return risks


def http_routes(
    routes: Iterable[Mapping[str, Any]],
    integrations: Mapping[str, Mapping[str, Any]],
    authorizers: Mapping[str, Mapping[str, Any]],
    stage: Mapping[str, Any],
    home: tuple[str, str],
) -> list[Route]:
    """Return the routes of an HTTP API."""
    variables = stage.get("StageVariables") or {}
    mapped = []
    for route in routes:
        key = route["RouteKey"]
        integration = integrations.get((route.get("Target") or "").rpartition("/")[2]) or {}
        uri = integration.get("IntegrationUri", "")
        arn = lambda_arn(uri, variables)
        auth, risks = _http_auth(route, authorizers)
        if integration.get("RequestParameters") or integration.get("ResponseParameters"):
            risks.append(
                Risk("parameter-mapping", "the gateway changes its headers, query or path (parameter mapping)")
            )
        payload: Literal["1.0", "2.0"] = "1.0" if integration.get("PayloadFormatVersion") == "1.0" else "2.0"
        unmapped = _http_obstacle(key, integration, arn, resolve(uri, variables)) or _obstacle(key, arn, home)
        mapped.append(Route(key, arn, payload, auth, tuple(risks), unmapped))
    return mapped


def _http_obstacle(key: str, integration: Mapping[str, Any], arn: str, uri: str) -> str:
    if not integration:
        return "it has no integration, so it responds with 500"
    if integration.get("IntegrationSubtype"):
        return f"it calls an AWS service directly ({integration['IntegrationSubtype']}), which the application must do"
    if STAGE_VARIABLE.search(uri):
        return f"the stage lacks a variable of {uri}: choose another stage with --stage"
    if not arn:
        return f"it forwards to {uri or 'nothing'}, not to a Lambda function"
    if key == "$default":
        return "$default is the module's own route: `ANY /` and `ANY /{proxy+}` can keep its function"
    return ""


def _http_auth(route: Mapping[str, Any], authorizers: Mapping[str, Mapping[str, Any]]) -> tuple[Auth, list[Risk]]:
    kind = route.get("AuthorizationType", "NONE")
    if kind == "AWS_IAM":
        return Auth("AWS_IAM"), []
    if kind not in {"JWT", "CUSTOM"}:
        return NO_AUTH, []
    authorizer = authorizers.get(route.get("AuthorizerId", ""))
    if authorizer is None:
        return NO_AUTH, [Risk("unknown-authorizer", "its authorizer could not be read", "exposes")]
    sources = tuple(authorizer.get("IdentitySource") or ())
    if kind == "JWT":
        jwt = authorizer.get("JwtConfiguration") or {}
        scopes = tuple(sorted(route.get("AuthorizationScopes") or ()))
        return Auth("JWT", jwt.get("Issuer", ""), tuple(sorted(jwt.get("Audience") or ())), scopes), []
    if not authorizer.get("EnableSimpleResponses"):
        text = f"the authorizer {authorizer.get('Name', '')} returns IAM policies; auth.lambda expects simple responses (payload 2.0)"
        return NO_AUTH, [Risk("policy-authorizer", text, "exposes")]
    arn = lambda_arn(authorizer.get("AuthorizerUri", ""), {})
    return Auth(
        "LAMBDA",
        function_arn=arn,
        identity_sources=sources,
        ttl_seconds=int(authorizer.get("AuthorizerResultTtlInSeconds") or 0),
    ), []


def _obstacle(key: str, arn: str, home: tuple[str, str]) -> str:
    """Return why the module refuses a route: its key's form, or a function elsewhere."""
    if not ROUTE_KEY.match(key):
        return "HTTP APIs accept whole segments {name} of letters, digits and _, and {name+} only at the end"
    _, _, _, region, account, *_ = [*arn.split(":"), "", "", "", "", "", ""]
    for kind, value, own in (("region", region, home[0]), ("account", account, home[1])):
        if own and value and value != own:
            return f"its function is in the {kind} {value}, and the module's API invokes functions of its own {kind} only ({own})"
    return ""


def primary_auth(routes: Iterable[Route]) -> Auth | None:
    """Return the authorizer that most routes use, without scopes; None if no route has one. The module has one for the whole API."""
    used = Counter(
        replace(route.auth, scopes=())
        for route in routes
        if route.auth.type in {"JWT", "LAMBDA"} and not route.unmapped
    )
    return used.most_common(1)[0][0] if used else None


def with_one_authorizer(api: Api) -> Api:
    """Return the API with the routes of other authorizers than most routes' marked as unmapped."""
    primary = primary_auth(api.routes)
    text = "most routes use another authorizer, and the module has one for the API and its routes"
    return replace(
        api,
        routes=tuple(
            replace(route, unmapped=text)
            if route.auth.type in {"JWT", "LAMBDA"} and not route.unmapped and replace(route.auth, scopes=()) != primary
            else route
            for route in api.routes
        ),
    )
