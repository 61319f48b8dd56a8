"""Writes an inventory as a table, as `routes` for the module, as an OpenAPI sketch, and as stub routes for the service."""

from __future__ import annotations

import json
import keyword
import os.path
import re
from collections import Counter
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from migration.errors import MigrationError
from migration.model import Api, Auth, Function, Inventory, Risk, Route, function_name, identifier
from migration.order import RULES, Step, order
from migration.routes import primary_auth

HEADINGS = ("#", "route", "function", "auth", "payload", "runtime", "MB", "s", "14 days", "to check")
# Functions of other purposes that are named; inventory.json has all of them.
SHOWN = 10
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
VARIABLE = re.compile(r"\{([^}+]+)(\+?)\}")


def table(inventory: Inventory) -> str:
    """Return the whole inventory as text for a terminal."""
    parts = [f"{inventory.source}: {len(inventory.apis)} APIs, {len(inventory.functions)} functions behind them"]
    for api in inventory.apis:
        parts += ["", *_api_lines(api, inventory.functions)]
    if inventory.others:
        more = f" and {len(inventory.others) - SHOWN} more" if len(inventory.others) > SHOWN else ""
        parts += ["", f"Functions that none of these APIs calls: {', '.join(inventory.others[:SHOWN])}{more}"]
    if inventory.unread:
        parts += ["", f"Not read ({len(inventory.unread)}):"]
        parts += [f"  {unread.part} ({unread.operation}): {unread.error}" for unread in inventory.unread]
    if any(api.routes for api in inventory.apis):
        parts += ["", "Order:", *(f"  - {rule}" for rule in RULES)]
    return "\n".join(parts)


def _api_lines(api: Api, functions: dict[str, Function]) -> list[str]:
    kind = {"rest": "REST API", "http": "HTTP API"}[api.kind]
    stage = f", stage {api.stage}" if api.stage else ""
    steps = order(api, functions)
    lines = [
        f"{kind} {api.name} ({api.id}{stage}): {len(api.routes)} routes, {len(api.routes) - len(steps)} of them not mapped"
    ]
    if steps:
        lines += columns([HEADINGS, *(_row(step, functions) for step in steps)])
    lines += _risk_lines(_risks(api, functions))
    lines += [f"  not mapped: {route.key}: {route.unmapped}" for route in api.routes if route.unmapped]
    return lines


def _row(step: Step, functions: dict[str, Function]) -> tuple[str, ...]:
    route, function = step.route, functions.get(step.route.function)
    described = (
        (function.runtime, str(function.memory_mb), str(function.timeout_seconds)) if function else ("?", "?", "?")
    )
    calls = "?" if step.invocations is None else f"{step.invocations:,}"
    codes = ", ".join(dict.fromkeys(risk.code for risk in step.risks)) or "-"
    name = ":".join([function_name(route.function_arn), *route.function_arn.split(":")[7:]])
    return (str(step.number), route.key, name, route.auth.type, route.payload, *described, calls, codes)


def columns(rows: Sequence[tuple[str, ...]], right: Container[int] = ()) -> list[str]:
    """Return a table's lines; the columns `right` are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  "
        + "  ".join(
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _risks(api: Api, functions: dict[str, Function]) -> list[tuple[str, Risk]]:
    """Return the risks of an API, of its routes, and of their functions, each with its subject."""
    found = [("the API", risk) for risk in api.risks]
    found += [(route.key, risk) for route in api.routes for risk in route.risks if risk not in api.risks]
    arns = sorted({route.function for route in api.routes} & functions.keys())
    return found + [(functions[arn].name, risk) for arn in arns for risk in functions[arn].risks]


def _risk_lines(risks: list[tuple[str, Risk]]) -> list[str]:
    """Return a line for each risk, and one for all notes, which inventory.json has in full."""
    lines = [f"  {risk.level}: {subject}: {risk.code}: {risk.text}" for subject, risk in risks if risk.level != "note"]
    notes = Counter(risk.code for _, risk in risks if risk.level == "note")
    counted = ", ".join(f"{code} ({number})" for code, number in sorted(notes.items()))
    return [*lines, *([f"  notes, in inventory.json: {counted}"] if notes else [])]


# --- Routes for the module ---


def tfvars(api: Api, inventory: Inventory) -> str:
    """Return the module's input `routes`, and `auth` if the API has an authorizer, as HCL in the order of the moves."""
    kind = {"rest": "REST", "http": "HTTP"}[api.kind]
    lines = [
        f"# The routes of the {kind} API {api.name} ({api.id}, stage {api.stage}), by `python -m migration inventory`.",
        "# They are in the order to move them: delete an entry and apply, and the container serves that route.",
        "# docs/migrating.md explains the order and the risks.",
    ]
    primary = primary_auth(api.routes)
    if primary:
        lines += ["", "# The authorizer of most routes.", *_auth_lines(primary)]
    steps = order(api, inventory.functions)
    lines += ["", "routes = {", *(line for step in steps for line in _entry(step)), "}"]
    if unmapped := [route for route in api.routes if route.unmapped]:
        lines += ["", "# Not mapped:", *(f"# {route.key}: {route.unmapped}." for route in unmapped)]
    return "\n".join(lines) + "\n"


def _auth_lines(auth: Auth) -> list[str]:
    if auth.type == "JWT":
        values = {"issuer": _hcl(auth.issuer), "audience": _hcl(list(auth.audience))}
        kind = "jwt"
    else:
        values = {"function_arn": _hcl(auth.function_arn), "ttl_seconds": str(auth.ttl_seconds)}
        values |= {"identity_sources": _hcl(list(auth.identity_sources))} if auth.identity_sources else {}
        kind = "lambda"
    return ["auth = {", f"  {kind} = {{", *_aligned(values, "    "), "  }", "}"]


def _entry(step: Step) -> list[str]:
    """Return the lines of a route. Those of a route that would let in more callers are comments."""
    route = step.route
    reason = f"No authorizer before the migration either: {function_name(route.function_arn)} checks its callers, or is public"
    auth = {
        "NONE": f"{{ public = {{ reason = {_hcl(reason)} }} }}",
        "AWS_IAM": "{ iam = {} }",
        "JWT": f"{{ scopes = {_hcl(list(route.auth.scopes))} }}" if route.auth.scopes else "",
    }.get(route.auth.type, "")
    legacy = f"{{ function_arn = {_hcl(route.function_arn)}, payload_format_version = {_hcl(route.payload)} }}"
    lines = [f"{_hcl(route.key)} = {{", *_aligned(({"auth": auth} if auth else {}) | {"legacy": legacy}, "  "), "}"]
    check = "".join(f", {risk.code}" for risk in step.risks).removeprefix(", ")
    comment = [f"# {step.number}." + (f" Check first: {check}" if check else "")]
    if route.exposed:
        texts = "; ".join(risk.text for risk in route.risks if risk.level == "exposes")
        comment.append(
            f"# Left out, since more callers would reach it: {texts}. Remove the # once something else protects it."
        )
        lines = [f"# {line}" for line in lines]
    return [f"  {line}" for line in (*comment, *lines)]


def _aligned(values: dict[str, str], indent: str) -> list[str]:
    width = max(map(len, values))
    return [f"{indent}{name:{width}} = {value}" for name, value in values.items()]


def _hcl(value: str | list[str]) -> str:
    """Return a value as HCL, in which ${ and %{ would begin a template."""
    return json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")


# --- OpenAPI and stubs ---


def operation_names(api: Api) -> dict[str, str]:
    """Return a Python name for each route's key: that of its function, without what all functions' names begin with."""
    names = sorted({function_name(route.function_arn) for route in api.routes if route.function_arn})
    common = os.path.commonprefix(names) if len(names) > 1 else ""  # noqa: RUF071 - of text, not of paths
    prefix = re.sub(r"[^-_]*$", "", common)
    chosen = {
        route.key: identifier(function_name(route.function_arn).removeprefix(prefix) or route.key)
        for route in api.routes
    }
    shared = Counter(chosen.values())
    unique = {key: name if shared[name] == 1 else identifier(f"{name} {key}") for key, name in chosen.items()}
    return {key: f"{name}_" if keyword.iskeyword(name) else name for key, name in unique.items()}


def openapi(api: Api) -> dict[str, Any]:
    """Return an OpenAPI 3.1 sketch of an API: its paths, methods and security. Bodies are not known, so any JSON is allowed."""
    names = operation_names(api)
    paths: dict[str, dict[str, Any]] = {}
    schemes: dict[str, Any] = {}
    for route in api.routes:
        for method in METHODS if route.method == "ANY" else (route.method,):
            operation: dict[str, Any] = {
                "operationId": names[route.key] + (f"_{method.lower()}" if route.method == "ANY" else ""),
                "summary": f"Served by {function_name(route.function_arn) or 'no function'}",
                "tags": [route.resource or "root"],
                "responses": {"default": {"description": "Not known", "content": {"application/json": {"schema": {}}}}},
            }
            if variables := VARIABLE.findall(route.path):
                parameter = {"in": "path", "required": True, "schema": {"type": "string"}}
                operation["parameters"] = [{"name": name, **parameter} for name, _ in variables]
            if method in {"PATCH", "POST", "PUT"}:
                operation["requestBody"] = {"content": {"application/json": {"schema": {}}}}
            if route.auth.type != "NONE":
                scheme, described = _security(route.auth)
                schemes[scheme] = described
                operation["security"] = [{scheme: list(route.auth.scopes)}]
            paths.setdefault(VARIABLE.sub(r"{\1}", route.path), {})[method.lower()] = operation
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": api.name, "version": api.stage or "1"},
        "paths": paths,
    }
    return document | ({"components": {"securitySchemes": schemes}} if schemes else {})


def _security(auth: Auth) -> tuple[str, dict[str, Any]]:
    if auth.type == "AWS_IAM":
        return "iam", {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "AWS Signature Version 4",
        }
    return "bearer", {"type": "http", "scheme": "bearer", "description": auth.issuer or "A Lambda authorizer"}


STUB = '''"""{title}: stubs for the functions that serve these routes today. Replace each by code, or all of them by a Resource."""

from typing import Annotated, Any

from fastapi import APIRouter{fastapi}
from starlette.exceptions import HTTPException

from service.kit.auth import Principal, requires
from service.kit.docs import operation_id
from service.kit.routing import ApiRoute

router = APIRouter(route_class=ApiRoute, tags=["{title}"], generate_unique_id_function=operation_id)
'''
ROUTE = '''

@router.api_route("{path}", methods={methods})
async def {name}(
{parameters}) -> Any:
    """Serve {key}, as the function {function} does today."""
    raise HTTPException(501, "{name} has not moved yet")
'''


def stubs(api: Api) -> dict[str, str]:
    """Return the files of a domain folder of the service for each resource, by path below the folder `service`.

    Raises MigrationError for two resources with the same folder name.
    """
    names = operation_names(api)
    files: dict[str, str] = {}
    for resource in sorted({route.resource for route in api.routes}):
        folder = identifier(resource or "root")
        if f"{folder}/routes.py" in files:
            raise MigrationError(
                f"two resources of {api.name} would have the folder {folder}: write one of them by hand, or read fewer APIs."
            )
        routes = [route for route in api.routes if route.resource == resource]
        bodies = "".join(_stub(route, names[route.key], folder) for route in routes)
        imports = [name for name in ("Body", "Path") if f"{name}(" in bodies]
        head = STUB.format(title=folder, fastapi="".join(f", {name}" for name in imports))
        if "methods=METHODS" in bodies:
            head += f"METHODS = {json.dumps(METHODS)}\n"
        files[f"{folder}/__init__.py"] = f'"""{api.name}: /{resource}."""\n'
        files[f"{folder}/routes.py"] = head + bodies
    return files


def _stub(route: Route, name: str, folder: str) -> str:
    scope = f"{folder.replace('_', '-')}:{'read' if route.reads else 'write'}"
    parameters = [f'    _caller: Annotated[Principal, requires("{scope}")],\n']
    variables = [name for name, _ in VARIABLE.findall(route.path)]
    parameters += [
        f'    {_parameter(name)}: Annotated[str, Path(alias="{name}")],  # noqa: ARG001\n' for name in variables
    ]
    if route.method in {"PATCH", "POST", "PUT"}:
        # FastAPI takes a parameter with a variable's name for the variable.
        body = "payload" if "body" in variables else "body"
        parameters.append(f"    {body}: Annotated[dict[str, Any], Body()],  # noqa: ARG001\n")
    return ROUTE.format(
        path=VARIABLE.sub(lambda found: f"{{{found[1]}:path}}" if found[2] else f"{{{found[1]}}}", route.path),
        methods="METHODS" if route.method == "ANY" else f'["{route.method}"]',
        name=name,
        parameters="".join(parameters),
        key=route.key,
        function=function_name(route.function_arn) or "(none)",
    )


def _parameter(variable: str) -> str:
    name = identifier(variable)
    return f"{name}_" if keyword.iskeyword(name) or name in {"body", "_caller"} else name


def file_names(inventory: Inventory) -> dict[str, str]:
    """Return a file name, without an extension, for each API's id: its name, with the id if two have the same."""
    names = {api.id: identifier(api.name).replace("_", "-") for api in inventory.apis}
    shared = Counter(names.values())
    return {identity: name if shared[name] == 1 else f"{name}-{identity}" for identity, name in names.items()}


def write(files: dict[Path, str], keep: Path | None = None) -> None:
    """Write files and their folders. Raises MigrationError, before anything is written, if a file in `keep` exists with other content."""
    for path, text in files.items():
        mine = keep is not None and path.is_relative_to(keep)
        if mine and path.exists() and path.read_text(encoding="utf-8") != text:
            raise MigrationError(f"{path} exists, and nothing was written: choose another folder, or remove it.")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
