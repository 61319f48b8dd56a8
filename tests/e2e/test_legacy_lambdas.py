"""examples/legacy-lambdas, applied: what its clients rely on before a migration, oddities included."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx2
import pytest

from harness import Root
from sandbox.emulator import Emulator
from sandbox.issuer import Issuer
from tests.e2e.estate import Estate, applied

PREFIX = "legacy-e2e"
MISSING = "0" * 32


@pytest.fixture(scope="module")
def estate(
    terraform_roots: Callable[[str, Mapping[str, str] | None], Root], emulator: Emulator, issuer: Issuer
) -> Iterator[Estate]:
    with applied(terraform_roots, emulator, issuer, PREFIX) as estate:
        estate.seed(users=60, customers=60)
        yield estate


@pytest.fixture(scope="module")
def api(estate: Estate) -> Iterator[httpx2.Client]:
    with estate.client() as client:
        yield client


def test_user_is_added_read_updated_and_deleted(api: httpx2.Client) -> None:
    added = api.post("/users", json={"userName": "Ada", "emailAddress": "ada@legacy.example"})
    assert added.status_code == 201
    path = f"/users/{added.json()['userId']}"

    updated = api.put(path, json={"userName": "Ada Lovelace"})
    assert (updated.status_code, updated.json()["message"]) == (200, "User updated")
    assert api.get(path).json()["userName"] == "Ada Lovelace"
    assert api.get("/users", params={"email": "ada@legacy.example"}).json()["count"] == 1
    assert api.delete(path).json() == {"message": "User deleted"}
    assert api.get(path).status_code == 404


def test_customer_is_added_read_updated_and_deleted(api: httpx2.Client) -> None:
    added = api.post("/customers", json={"customerName": "Analytical Engines"})
    assert added.status_code == 201
    path = f"/customers/{added.json()['customerId']}"

    assert api.put(path, json={"contactEmail": "office@legacy.example"}).status_code == 200
    assert api.get(path).json()["contactEmail"] == "office@legacy.example"
    deleted = api.delete(path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert api.get(path).json() == {}


@pytest.mark.parametrize(
    ("path", "key", "total"), [("/users?limit=25", "users", 60), ("/customers?pageSize=25", "customers", 60)]
)
def test_lists_have_pages(api: httpx2.Client, path: str, key: str, total: int) -> None:
    continuation = {"users": ("lastKey", "lastKey"), "customers": ("nextToken", "nextToken")}[key]
    seen: set[str] = set()
    query: dict[str, Any] = {}
    for _ in range(10):
        page = api.get(path, params={**dict(httpx2.URL(path).params), **query}).json()
        seen |= {str(sorted(item.items())) for item in page[key]}
        if not page.get(continuation[0]):
            break
        query = {continuation[1]: page[continuation[0]]}
    assert len(seen) == total


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", f"/users/{MISSING}", 404, {"message": "User not found"}),
        ("PUT", f"/users/{MISSING}", 404, {"message": "User not found"}),
        ("DELETE", f"/users/{MISSING}", 200, {"message": "User deleted"}),
        ("GET", f"/customers/{MISSING}", 200, {}),
        ("DELETE", f"/customers/{MISSING}", 404, {"error": "no such customer"}),
    ],
)
def test_missing_items_get_the_responses_that_the_readme_lists(
    api: httpx2.Client, method: str, path: str, status: int, body: dict[str, str]
) -> None:
    response = api.request(method, path, json={"userName": "x"} if method == "PUT" else None)
    assert (response.status_code, response.json()) == (status, body)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(
    ("path", "status", "body"),
    [("/users/1", 401, {"message": "Unauthorized"}), ("/customers/1", 403, {"error": "forbidden"})],
)
@pytest.mark.parametrize("token", ["", "x.y.z"])
def test_every_function_of_an_item_requires_a_token(
    estate: Estate, method: str, path: str, status: int, body: dict[str, str], token: str
) -> None:
    with estate.client(token) as client:
        response = client.request(method, path)
    assert (response.status_code, response.json()) == (status, body)


def test_second_apply_changes_nothing(estate: Estate) -> None:
    estate.root.assert_idempotent()
