"""Deprecation and Sunset headers of deprecated operations."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from service.app import add
from service.kit.deprecation import deprecate
from service.kit.errors import Conflict
from service.kit.routing import ApiRoute

SINCE = datetime(2026, 12, 1, tzinfo=UTC)
SUNSET = datetime(2027, 6, 1, tzinfo=UTC)


@pytest.fixture
def router() -> APIRouter:
    router = APIRouter(route_class=ApiRoute)

    @router.get("/old")
    async def read_old(fail: bool = False) -> str:
        if fail:
            raise Conflict("Not now.")
        return "old"

    @router.get("/new")
    async def read_new() -> str:
        return "new"

    return router


@pytest.fixture
def serve(app: FastAPI, router: APIRouter) -> Callable[[], TestClient]:
    def client() -> TestClient:
        add(app, router)
        return TestClient(app)

    return client


@pytest.mark.parametrize(
    ("method", "query", "status"),
    [("GET", "", 200), ("HEAD", "", 200), ("GET", "?fail=true", 409), ("GET", "?x=1", 422)],
)
def test_responses_of_a_deprecated_operation_have_the_headers(
    serve: Callable[[], TestClient], router: APIRouter, method: str, query: str, status: int
) -> None:
    deprecate(router, "read_old", since=SINCE, sunset=SUNSET, documentation="https://x.example/d", successor="/new")
    response = serve().request(method, f"/old{query}")
    assert response.status_code == status
    assert response.headers["deprecation"] == "@1796083200"
    assert response.headers["sunset"] == "Tue, 01 Jun 2027 00:00:00 GMT"
    links = response.headers.get_list("link")
    assert links == ['<https://x.example/d>; rel="deprecation"', '</new>; rel="successor-version"']


def test_other_operations_have_no_deprecation_headers(serve: Callable[[], TestClient], router: APIRouter) -> None:
    deprecate(router, "read_old", since=SINCE)
    client = serve()
    assert "deprecation" not in client.get("/new").headers
    assert "sunset" not in client.get("/old").headers


def test_all_operations_are_deprecated_by_default(serve: Callable[[], TestClient], router: APIRouter) -> None:
    deprecate(router, since=SINCE)
    paths = serve().get("/openapi.json").json()["paths"]
    assert paths["/old"]["get"]["deprecated"]
    assert paths["/new"]["get"]["deprecated"]
    assert "deprecated" not in paths["/healthz"]["get"]


@pytest.mark.parametrize(
    ("operations", "dates", "reason"),
    [
        (["read_older"], {"since": SINCE}, "no operation read_older: it has read_old, read_new"),
        ([], {"since": SUNSET, "sunset": SINCE}, "sunset .* is before since"),
        ([], {"since": SINCE.replace(tzinfo=None)}, "needs a time zone"),
    ],
)
def test_invalid_deprecation_is_rejected(
    router: APIRouter, operations: list[str], dates: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        deprecate(router, *operations, **dates)
