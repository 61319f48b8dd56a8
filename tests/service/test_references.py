"""References between resources, and lists filtered by lookups."""

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

import service.kit.table
from service.kit.values import Item
from tests.service.domains import CUSTOMERS, ROUNDS, UNKNOWN_ID, USERS, concurrently, create_item, item_path, statuses

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


def create_owned_customer(client: TestClient, owner: str | None) -> Response:
    response: Response = client.post("/customers", json=CUSTOMERS.body | {"owner_id": owner})
    return response


def test_delete_of_a_referenced_user_is_409(client: TestClient, table: "Table") -> None:
    user = create_item(client, USERS)
    customers = [create_owned_customer(client, user["id"]).headers["location"] for _ in range(2)]
    for customer in customers:
        response = client.delete(item_path(USERS, user))
        assert response.status_code == 409
        assert user["id"] in response.json()["detail"]
        assert client.get(customer).json()["owner_id"] == user["id"]
        client.delete(customer)
    assert client.delete(item_path(USERS, user)).status_code == 204
    assert table.scan()["Items"] == []


def test_user_can_be_deleted_after_the_reference_is_removed(client: TestClient) -> None:
    first, second = (create_item(client, USERS, body)["id"] for body in USERS.bodies(2))
    customer = create_owned_customer(client, first).headers["location"]
    assert client.patch(customer, json={"owner_id": second}).json()["owner_id"] == second
    assert statuses(client.delete(f"/users/{first}"), client.delete(f"/users/{second}")) == [204, 409]
    assert client.put(customer, json=CUSTOMERS.body).json()["owner_id"] is None
    assert client.delete(f"/users/{second}").status_code == 204


@pytest.mark.parametrize(("owner", "status"), [(UNKNOWN_ID, 409), ("x", 422), (7, 422)])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_reference_to_an_unknown_user_is_rejected(
    client: TestClient, table: "Table", method: str, owner: object, status: int
) -> None:
    path = "/customers" if method == "POST" else item_path(CUSTOMERS, create_item(client, CUSTOMERS))
    before = table.scan()["Items"]
    response = client.request(method, path, json=CUSTOMERS.body | {"owner_id": owner})
    assert response.status_code == status
    assert [error["field"] for error in response.json()["errors"]] == ["body.owner_id"]
    assert table.scan()["Items"] == before


def test_concurrent_delete_and_reference_leave_no_dangling_reference(client: TestClient) -> None:
    outcomes: Counter[tuple[int, ...]] = Counter()
    for body in USERS.bodies(ROUNDS):
        user = create_item(client, USERS, body)
        deleted, referred = concurrently(
            partial(client.delete, item_path(USERS, user)), partial(create_owned_customer, client, user["id"])
        )
        outcomes[deleted.status_code, referred.status_code] += 1
    assert outcomes.keys() <= {(204, 409), (409, 201)}


def test_email_filter_normalizes_the_address(client: TestClient) -> None:
    for email in ("ada@example.co", "ada@example.com"):
        create_item(client, USERS, USERS.body | {"email": email})
    found = client.get("/users", params={"email": " ADA@example.co"}).json()
    assert [user["email"] for user in found["items"]] == ["ada@example.co"]
    assert found["next_cursor"] is None
    assert client.get("/users", params={"email": "grace@example.com"}).json()["items"] == []


def test_contact_filter_is_paginated(client: TestClient) -> None:
    ids = sorted(create_item(client, CUSTOMERS)["id"] for _ in range(5))
    create_item(client, CUSTOMERS, CUSTOMERS.other_body)
    create_item(client, CUSTOMERS, {"name": "Without"})
    found, cursor = [], None
    for size in (2, 2, 1):
        parameters = {"contact": CUSTOMERS.body["contact"], "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = client.get("/customers", params=parameters).json()
        assert len(page["items"]) == size
        found += [customer["id"] for customer in page["items"]]
        cursor = page["next_cursor"]
    assert cursor is None
    assert found == ids


def test_filter_reflects_updates(client: TestClient) -> None:
    for domain, field in ((USERS, "email"), (CUSTOMERS, "contact")):
        path = item_path(domain, create_item(client, domain))
        client.patch(path, json={field: domain.other_body[field]})
        counts = [
            len(client.get(domain.path, params={field: body[field]}).json()["items"])
            for body in (domain.body, domain.other_body)
        ]
        assert counts == [0, 1]


def test_items_changed_during_a_lookup_are_omitted(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = sorted(item_path(CUSTOMERS, create_item(client, CUSTOMERS)) for _ in range(3))
    read = service.kit.table.Table.batch_get

    def change_then_read(table: service.kit.table.Table, kind: str, ids: list[str]) -> dict[str, Item]:
        client.patch(paths[0], json={"contact": None})
        client.delete(paths[1])
        return read(table, kind, ids)

    monkeypatch.setattr(service.kit.table.Table, "batch_get", change_then_read)
    page = client.get(CUSTOMERS.path, params={"contact": CUSTOMERS.body["contact"]}).json()
    assert [item_path(CUSTOMERS, customer) for customer in page["items"]] == paths[2:]


@pytest.mark.parametrize("email", ["", "ada", "ada@"])
def test_filter_with_an_invalid_email_is_422(client: TestClient, email: str) -> None:
    assert client.get("/users", params={"email": email}).status_code == 422
