"""Parts of accounts, as the reader saves them."""

from __future__ import annotations

import json
from typing import Any

from migration.build import build
from migration.model import Api, Inventory, Route

REGION, ACCOUNT = "eu-central-1", "111122223333"
ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function"
Parts = dict[str, Any]


def uri(arn: str) -> str:
    """Return the URI of a REST API's integration with a function."""
    return f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{arn}/invocations"


def method(name: str = "Get", **attributes: Any) -> dict[str, Any]:
    """Return a REST method with a proxy integration; `integration` replaces attributes of that."""
    integration = {"type": "AWS_PROXY", "uri": uri(f"{ARN}:{name}")} | attributes.pop("integration", {})
    return {"authorizationType": "NONE", "methodIntegration": integration} | attributes


def function(name: str = "Get", **configuration: Any) -> Parts:
    """Return the parts of a function."""
    described = {
        "FunctionName": name,
        "FunctionArn": f"{ARN}:{name}",
        "Runtime": "python3.12",
        "Handler": "app.handler",
        "MemorySize": 128,
        "Timeout": 10,
        "Role": f"arn:aws:iam::{ACCOUNT}:role/{name}",
    }
    return {f"function/{name}": {"Configuration": described | configuration}}


def rest(methods: dict[str, dict[str, Any]], api: Parts | None = None, **parts: Any) -> Parts:
    """Return the parts of a REST API: methods by route key; `authorizers`, `stages` and other parts as keywords."""
    paths: dict[str, dict[str, Any]] = {}
    for key, described in methods.items():
        name, _, path = key.partition(" ")
        paths.setdefault(path, {})[name] = described
    found = {
        "rest": [{"id": "r1", "name": "people"} | (api or {})],
        "http": [],
        "functions": [f"{ARN}:Get"],
        "rest/r1/resources": [{"path": path, "resourceMethods": each} for path, each in paths.items()],
        "rest/r1/stages": [{"stageName": "prod"}],
    }
    return found | {name.replace("__", "/"): value for name, value in parts.items()}


def http(routes: list[Parts], integrations: list[Parts], api: Parts | None = None, **parts: Any) -> Parts:
    """Return the parts of an HTTP API."""
    found = {
        "rest": [],
        "http": [{"ApiId": "h1", "Name": "people", "ProtocolType": "HTTP"} | (api or {})],
        "functions": [f"{ARN}:Get"],
        "http/h1/routes": routes,
        "http/h1/integrations": integrations,
        "http/h1/stages": [{"StageName": "$default"}],
    }
    return found | {name.replace("__", "/"): value for name, value in parts.items()}


def inventory(parts: Parts, **options: Any) -> Inventory:
    """Return the inventory of parts."""
    return build("account", REGION, parts, [], options.get("only", []), options.get("stage"))


def only_api(parts: Parts, **options: Any) -> Api:
    """Return the one API of parts."""
    (api,) = inventory(parts, **options).apis
    return api


def only_route(parts: Parts) -> Route:
    """Return the one route of parts."""
    (route,) = only_api(parts).routes
    return route


def policy(*statements: tuple[str, str]) -> str:
    """Return a function's policy with these principals and source ARNs."""
    return json.dumps(
        {
            "Statement": [
                {"Principal": {"Service": who}, "Condition": {"ArnLike": {"AWS:SourceArn": source}}}
                for who, source in statements
            ]
        }
    )
