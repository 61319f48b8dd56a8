"""The committed OpenAPI document is the service's, and a change that breaks its clients is told."""

import copy
import json
from typing import Any

import pytest

from sandbox.paths import ROOT
from tools.openapi import PATH, Json, breaking, render

DOCUMENT: Json = json.loads((ROOT / PATH).read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]


def changed(*keys: str | int, to: object = None, gone: bool = False) -> Json:
    """Return the document with one place of it set, or taken away."""
    document = copy.deepcopy(DOCUMENT)
    place: Any = document
    for key in keys[:-1]:
        place = place[key]
    if gone:
        del place[keys[-1]]
    else:
        place[keys[-1]] = to
    return document


def test_the_committed_document_is_current() -> None:
    assert (ROOT / PATH).read_text() == render(), "run `make docs`"


def test_what_stays_as_it_is_breaks_nothing() -> None:
    assert breaking(DOCUMENT, copy.deepcopy(DOCUMENT)) == []


USER = ("components", "schemas", "UserPublic")
WRITE = ("components", "schemas", "CustomerCreate")
CREATE = ("paths", "/customers", "post")


@pytest.mark.parametrize(
    ("new", "told"),
    [
        (changed("paths", "/version", gone=True), "GET /version: is gone"),
        (changed("paths", "/customers/{customer_id}", "put", gone=True), "PUT /customers/{customer_id}: is gone"),
        (changed(*CREATE, "operationId", to="add"), "POST /customers: its operation id is now add"),
        (
            changed(*CREATE, "security", to=[{"bearer": ["customers:write", "admin"]}]),
            "POST /customers: it now needs admin",
        ),
        (changed(*CREATE, "responses", "201", gone=True), "POST /customers: 201 is no longer answered"),
        (
            changed("paths", "/users", "get", "parameters", 0, "required", to=True),
            "GET /users: query limit is now required",
        ),
        (
            changed("paths", "/users", "get", "parameters", 0, "schema", "maximum", to=10),
            "GET /users: query limit has a stricter maximum, 10",
        ),
        (changed("paths", "/users", "get", "parameters", to=[]), "GET /users: query email is gone"),
        (changed(*WRITE, "properties", "contact", gone=True), "POST /customers: body.contact is gone"),
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
        (changed(*USER, "properties", "name", gone=True), "GET /users: 200.items[].name is gone"),
        (changed(*USER, "required", to=["id"]), "GET /users: 200.items[].email may now be missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_breaks_a_client_is_told(new: Json, told: str) -> None:
    assert told in breaking(DOCUMENT, new)


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
def test_what_only_adds_breaks_nothing(new: Json) -> None:
    assert breaking(DOCUMENT, new) == []
