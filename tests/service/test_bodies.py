"""Request bodies are JSON (RFC 8259), and are only read for authorized callers."""

import json
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel

from service.app import add
from service.kit.routing import ApiRoute
from tests.service.domains import SCOPES, USERS, AsCaller, Domain, create_item, item_path, jwt

BODY = json.dumps(USERS.body)


def post(client: TestClient, body: bytes | str, **headers: str) -> Any:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/users", content=body, headers={"content-type": "application/json"} | names)


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "APPLICATION/JSON; charset=UTF-8",
        "application/vnd.example+json",
        'application/json; a="b;c"',
    ],
)
def test_json_media_type_is_accepted(client: TestClient, media_type: str) -> None:
    assert post(client, BODY, content_type=media_type).status_code == 201


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/xml",
        "text/json",
        "application/x-www-form-urlencoded",
        "json",
        "",
        "application/json; charset=utf-16",
    ],
)
def test_other_media_type_is_415(client: TestClient, media_type: str) -> None:
    response = post(client, BODY, content_type=media_type)
    assert response.status_code == 415
    assert response.headers["accept"] == "application/json"
    assert response.headers["content-type"] == "application/problem+json"


def test_missing_media_type_is_415(client: TestClient) -> None:
    assert client.post("/users", content=BODY).status_code == 415


def test_compressed_body_is_415(client: TestClient) -> None:
    response = post(client, BODY, content_encoding="gzip")
    assert (response.status_code, response.headers["accept-encoding"]) == (415, "identity")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{", "line 1, column 2"),
        ("not json", "line 1, column 1"),
        (BODY.encode("utf-16"), "not UTF-8"),
        (b'{"name": "\xff"}', "not UTF-8"),
        ('{"name": "a", "name": "b"}', 'the key "name" more than once'),
        ('{"name": NaN}', "JSON has no NaN"),
        ('{"name": -Infinity}', "JSON has no -Infinity"),
        ('{"name": 1e999}', "a number is too large"),
        ('{"name": "\\ud800"}', "half of a surrogate pair"),
        ('{"name": ' + "[" * 100 + "]" * 100 + "}", "nested too deeply, the limit is 100 levels"),
        ('{"name": ' + "[" * 30_000 + "]" * 30_000 + "}", "nested too deeply"),
        ('{"name": ' + "9" * 5000 + "}", "digits"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_malformed_json_is_400_with_the_reason(client: TestClient, body: bytes | str, reason: str) -> None:
    response = post(client, body)
    assert response.status_code == 400
    assert reason in response.json()["detail"]


@pytest.mark.parametrize(
    ("name", "status"), [('"' + "[{" * 90 + '"', 201), ("[" * 99 + "]" * 99, 422), (f"[{'[],' * 200}[]]", 422)]
)
def test_100_levels_of_nesting_are_accepted(client: TestClient, name: str, status: int) -> None:
    response = post(client, f'{{"email": "ada@example.com", "name": {name}}}')
    assert response.status_code == status


def test_surrogate_pair_is_one_character(client: TestClient) -> None:
    body = '{"email": "ada@example.com", "name": "\\ud83d\\ude00"}'
    assert post(client, body).json()["name"] == "\U0001f600"


def test_custom_routes_parse_bodies_the_same_way(app: FastAPI, as_caller: AsCaller) -> None:
    class Note(BaseModel):
        text: str

    router = APIRouter(route_class=ApiRoute)

    @router.post("/notes")
    async def create_note(note: Note) -> Note:
        return note

    add(app, router)
    client = as_caller(None)
    assert client.post("/notes", content='{"text": "a"}').status_code == 415
    assert client.post("/notes", json={"text": "a"}).json() == {"text": "a"}


def test_route_of_another_class_raises(app: FastAPI) -> None:
    router = APIRouter()

    @router.get("/plain")
    async def read_plain() -> None:
        pass

    with pytest.raises(TypeError, match=r"/plain.*route_class=ApiRoute"):
        add(app, router)


@pytest.mark.parametrize(
    ("authorizer", "status"), [(None, 401), (jwt("billing:read"), 403)], ids=["no caller", "no scope"]
)
@pytest.mark.parametrize(
    ("body", "headers"),
    [("{", {}), ("x" * 70_000, {}), (BODY, {"content-type": "text/plain"}), ("{}", {"if-match": "x"})],
    ids=["malformed JSON", "too large", "media type", "precondition"],
)
def test_401_and_403_precede_every_other_error(
    as_caller: AsCaller, authorizer: object, status: int, body: str, headers: dict[str, str]
) -> None:
    client = as_caller(authorizer)
    json_type = {"content-type": "application/json"}
    for method, path in (("POST", "/users"), ("PUT", "/users/x"), ("PATCH", f"/users/{'0' * 32}")):
        assert client.request(method, path, content=body, headers=json_type | headers).status_code == status
    assert client.get("/users?limit=x", headers=headers).status_code == status


def test_caller_is_authenticated_once_per_request(
    as_caller: AsCaller, domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = as_caller(jwt(SCOPES))
    path = item_path(domain, create_item(client, domain))
    calls: list[object] = []
    monkeypatch.setattr("service.kit.auth.caller", lambda event: calls.append(event))
    assert client.get(path).status_code == 401
    assert len(calls) == 1
