"""The committed OpenAPI document is current, and breaking changes are detected."""

import copy
import json
from typing import Any

import pytest

from sandbox.paths import ROOT
from tools.openapi import PATH, Json, breaking, render

DOCUMENT: Json = json.loads((ROOT / PATH).read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]


def changed(*keys: str | int, to: object = None, removed: bool = False) -> Json:
    """Return a copy of the document with one value changed or removed."""
    document = copy.deepcopy(DOCUMENT)
    parent: Any = document
    for key in keys[:-1]:
        parent = parent[key]
    if removed:
        del parent[keys[-1]]
    else:
        parent[keys[-1]] = to
    return document


def test_committed_document_is_current() -> None:
    assert (ROOT / PATH).read_text() == render(), "run `make docs`"


def test_unchanged_document_is_compatible() -> None:
    assert breaking(DOCUMENT, copy.deepcopy(DOCUMENT)) == []


USER = ("components", "schemas", "UserPublic")
WRITE = ("components", "schemas", "CustomerCreate")
CREATE = ("paths", "/customers", "post")


@pytest.mark.parametrize(
    ("new", "change"),
    [
        (changed("paths", "/version", removed=True), "GET /version: is gone"),
        (changed("paths", "/customers/{customer_id}", "put", removed=True), "PUT /customers/{customer_id}: is gone"),
        (changed(*CREATE, "operationId", to="add"), "POST /customers: its operation id is now add"),
        (
            changed(*CREATE, "security", to=[{"bearer": ["customers:write", "admin"]}]),
            "POST /customers: it now needs admin",
        ),
        (changed(*CREATE, "responses", "201", removed=True), "POST /customers: 201 is no longer answered"),
        (
            changed("paths", "/users", "get", "parameters", 0, "required", to=True),
            "GET /users: query limit is now required",
        ),
        (
            changed("paths", "/users", "get", "parameters", 0, "schema", "maximum", to=10),
            "GET /users: query limit has a stricter maximum, 10",
        ),
        (changed("paths", "/users", "get", "parameters", to=[]), "GET /users: query email is gone"),
        (changed(*WRITE, "properties", "contact", removed=True), "POST /customers: body.contact is gone"),
        (changed(*WRITE, "required", to=["name", "contact"]), "POST /customers: body.contact is now required"),
        (
            changed(*WRITE, "properties", "name", "minLength", to=2),
            "POST /customers: body.name has a stricter minLength, 2",
        ),
        (
            changed(*WRITE, "properties", "contact", to={"type": "string"}),
            "POST /customers: body.contact no longer accepts null",
        ),
        (
            changed(*WRITE, "properties", "name", "pattern", to="^A"),
            "POST /customers: body.name has another pattern",
        ),
        (
            changed(*USER, "properties", "name", "type", to="integer"),
            "GET /users: 200.items[].name may now be integer",
        ),
        (changed(*USER, "properties", "name", removed=True), "GET /users: 200.items[].name is gone"),
        (changed(*USER, "required", to=["id"]), "GET /users: 200.items[].email may now be missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_breaking_change_is_reported(new: Json, change: str) -> None:
    assert change in breaking(DOCUMENT, new)


@pytest.mark.parametrize(
    "new",
    [
        changed("paths", "/orders", to={"get": DOCUMENT["paths"]["/users"]["get"]}),
        changed(*USER, "properties", "nickname", to={"type": "string"}),
        changed(*WRITE, "properties", "nickname", to={"type": "string"}),
        changed(*WRITE, "required", to=[]),
        changed(*WRITE, "properties", "name", "maxLength", to=300),
        changed("paths", "/users", "get", "parameters", 0, "schema", "maximum", to=1000),
        changed(*CREATE, "responses", "418", to={"description": "new"}),
        changed(*CREATE, "description", to="new"),
    ],
)
def test_addition_is_compatible(new: Json) -> None:
    assert breaking(DOCUMENT, new) == []
