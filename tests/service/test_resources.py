"""Tests of every resource, and of customers."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

import service.kit.table
from service.kit.values import Item
from tests.service.domains import CUSTOMERS, DOMAINS, UNKNOWN_ID, Domain, create_item, item_path

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


def test_create_returns_fields_id_and_location(client: TestClient, domain: Domain) -> None:
    response = client.post(domain.path, json=domain.body)
    assert response.status_code == 201
    item = response.json()
    audit = {"created_by": "ada", "updated_by": "ada"}
    generated = {name: item[name] for name in ("id", "created_at", "updated_at")}
    assert item == domain.defaults | domain.body | audit | generated
    assert response.headers["location"] == f"{domain.path}/{item['id']}"
    read = client.get(response.headers["location"])
    assert read.status_code == 200
    assert read.json() == item


def test_optional_fields_have_defaults(client: TestClient, domain: Domain) -> None:
    assert create_item(client, domain, domain.required_fields(domain.body)).items() >= domain.defaults.items()


def test_missing_required_fields_are_422(client: TestClient, domain: Domain) -> None:
    path = f"{domain.path}/{create_item(client, domain)['id']}"
    for response in (client.post(domain.path, json={}), client.put(path, json={})):
        assert response.status_code == 422
        missing = {error["field"] for error in response.json()["errors"]}
        assert missing == {f"body.{name}" for name in domain.required_fields(domain.body)}


def test_put_replaces_every_field_and_updated_at(client: TestClient, domain: Domain) -> None:
    item = create_item(client, domain)
    path = f"{domain.path}/{item['id']}"
    response = client.put(path, json=domain.other_body)
    assert response.status_code == 200
    assert response.json() == item | domain.other_body | {"updated_at": response.json()["updated_at"]}
    assert response.json()["updated_at"] > item["updated_at"]
    assert client.get(path).json() == response.json()


def test_put_resets_omitted_optional_fields(client: TestClient, domain: Domain) -> None:
    path = f"{domain.path}/{create_item(client, domain)['id']}"
    body = domain.required_fields(domain.other_body)
    assert client.put(path, json=body).json().items() >= (body | domain.defaults).items()


@pytest.mark.parametrize("field", [0, 1])
def test_patch_only_changes_the_given_fields(client: TestClient, domain: Domain, field: int) -> None:
    item = create_item(client, domain)
    path = f"{domain.path}/{item['id']}"
    name, value = list(domain.other_body.items())[field]
    response = client.patch(path, json={name: value})
    assert response.status_code == 200
    assert response.json() == item | {name: value, "updated_at": response.json()["updated_at"]}
    assert client.get(path).json() == response.json()


def test_empty_patch_keeps_every_field(client: TestClient, domain: Domain) -> None:
    item = create_item(client, domain)
    response = client.patch(f"{domain.path}/{item['id']}", json={})
    assert response.status_code == 200
    assert response.json() == item | {"updated_at": response.json()["updated_at"]}


def test_deleted_item_is_404(client: TestClient, domain: Domain, table: "Table") -> None:
    path = f"{domain.path}/{create_item(client, domain)['id']}"
    response = client.delete(path)
    assert (response.status_code, response.content) == (204, b"")
    for response in (client.get(path), client.delete(path), client.patch(path, json={})):
        assert response.status_code == 404
    assert table.scan()["Items"] == []


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_unknown_id_is_404_and_writes_nothing(client: TestClient, domain: Domain, table: "Table", method: str) -> None:
    body = domain.body if method in {"PUT", "PATCH"} else None
    response = client.request(method, f"{domain.path}/{UNKNOWN_ID}", json=body)
    assert response.status_code == 404
    assert UNKNOWN_ID in response.json()["detail"]
    assert table.scan()["Items"] == []


def test_item_is_not_found_under_another_resource(client: TestClient, domain: Domain) -> None:
    item = create_item(client, domain)
    for other in (candidate.path for candidate in DOMAINS if candidate != domain):
        assert client.get(f"{other}/{item['id']}").status_code == 404
        assert client.get(other).json()["items"] == []


@pytest.mark.parametrize("invalid_id", ["x", "A" * 32, "0" * 33, "0" * 2000, "%00", "%ED%A0%80"])
def test_invalid_id_is_422(client: TestClient, domain: Domain, invalid_id: str) -> None:
    assert client.get(f"{domain.path}/{invalid_id}").status_code == 422


@pytest.mark.parametrize("field", ["id", "created_at", "revision", "pk", "nickname"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_read_only_or_unknown_field_is_422(client: TestClient, domain: Domain, method: str, field: str) -> None:
    path = domain.path if method == "POST" else f"{domain.path}/{create_item(client, domain)['id']}"
    response = client.request(method, path, json=domain.other_body | {field: "x"})
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [f"body.{field}"]


@pytest.mark.parametrize(
    "name",
    [
        *(None, "", "   ", "x" * 201, "Ada\x00", "Ada\nLovelace", "Ada\x7f", 7, ["Ada"]),
        *("\u200b", "Ada\u200b", "Ada\u00ad", "Ada\u202e", "\ufeffAda", "Ada\U000e0020", "\u0958" * 101),
    ],
    ids=[
        *("null", "empty", "blank", "long", "nul", "newline", "delete", "number", "list"),
        *("zero width only", "zero width", "soft hyphen", "bidi", "byte order mark", "tag", "long when composed"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_invalid_name_is_422(client: TestClient, domain: Domain, method: str, name: object) -> None:
    path = domain.path if method == "POST" else f"{domain.path}/{create_item(client, domain)['id']}"
    response = client.request(method, path, json=domain.other_body | {"name": name})
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["body.name"]


def test_name_is_trimmed_and_normalized(client: TestClient, domain: Domain) -> None:
    item = create_item(client, domain, domain.body | {"name": "  Zoe\u0308 \u4f60\u597d "})
    assert item["name"] == "Zo\u00eb \u4f60\u597d"


def interrupt(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """Run an action right after the service's next read of an item, before it writes the change."""
    read = service.kit.table.Table.get
    pending = [action]

    def get(table: service.kit.table.Table, kind: str, item_id: str) -> Item | None:
        item = read(table, kind, item_id)
        if pending:
            pending.pop()()
        return item

    monkeypatch.setattr(service.kit.table.Table, "get", get)


def test_concurrent_update_is_not_lost(client: TestClient, domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{domain.path}/{create_item(client, domain)['id']}"
    (name, value), *others = domain.other_body.items()
    interrupt(monkeypatch, lambda: client.patch(path, json=dict(others)))
    assert client.patch(path, json={name: value}).status_code == 200
    assert client.get(path).json().items() >= domain.other_body.items()


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_item_deleted_before_the_write_is_not_recreated(
    client: TestClient, domain: Domain, table: "Table", monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    path = f"{domain.path}/{create_item(client, domain)['id']}"
    interrupt(monkeypatch, lambda: client.delete(path))
    body = None if method == "DELETE" else domain.other_body
    assert client.request(method, path, json=body).status_code == 404
    assert table.scan()["Items"] == []


def pages(client: TestClient, domain: Domain, limit: int) -> list[list[str]]:
    """Return the ids on each page."""
    found: list[list[str]] = []
    parameters: dict[str, Any] = {"limit": limit}
    while len(found) < 10:
        response = client.get(domain.path, params=parameters)
        assert response.status_code == 200
        page = response.json()
        found.append([item["id"] for item in page["items"]])
        if page["next_cursor"] is None:
            return found
        parameters["cursor"] = page["next_cursor"]
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize(("count", "sizes"), [(0, [0]), (2, [2]), (3, [3]), (4, [3, 1]), (6, [3, 3]), (7, [3, 3, 1])])
def test_pages_contain_every_item_once_in_order_of_ids(
    client: TestClient, domain: Domain, count: int, sizes: list[int]
) -> None:
    ids = sorted(create_item(client, domain, body)["id"] for body in domain.bodies(count))
    found = pages(client, domain, limit=3)
    assert [len(page) for page in found] == sizes
    assert [item_id for page in found for item_id in page] == ids


def test_list_contains_complete_items(client: TestClient, domain: Domain) -> None:
    item = create_item(client, domain)
    assert client.get(domain.path).json() == {"items": [item], "next_cursor": None}


def test_default_page_size_is_50(client: TestClient, domain: Domain) -> None:
    for body in domain.bodies(51):
        create_item(client, domain, body)
    first = client.get(domain.path).json()
    assert len(first["items"]) == 50
    assert len(client.get(domain.path, params={"cursor": first["next_cursor"]}).json()["items"]) == 1


def test_cursor_of_a_deleted_item_is_valid(client: TestClient, domain: Domain) -> None:
    ids = sorted(create_item(client, domain, body)["id"] for body in domain.bodies(3))
    cursor = client.get(domain.path, params={"limit": 1}).json()["next_cursor"]
    client.delete(f"{domain.path}/{ids[0]}")
    page = client.get(domain.path, params={"cursor": cursor}).json()
    assert [item["id"] for item in page["items"]] == ids[1:]


@pytest.mark.parametrize("limit", ["0", "101", "-1", "many", "1.5", ""])
def test_invalid_limit_is_422(client: TestClient, domain: Domain, limit: str) -> None:
    assert client.get(domain.path, params={"limit": limit}).status_code == 422


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "\u00fcn\u00efcode", "Li4vLi4vZXRjL3Bhc3N3ZA==", " ", "dXNlcg=="])
def test_invalid_cursor_is_400(client: TestClient, domain: Domain, cursor: str) -> None:
    response = client.get(domain.path, params={"cursor": cursor})
    assert response.status_code == 400
    assert "cursor" in response.json()["detail"]


def test_customers_can_share_a_contact(client: TestClient) -> None:
    assert create_item(client, CUSTOMERS)["contact"] == create_item(client, CUSTOMERS)["contact"]


def test_contact_of_a_customer_can_be_cleared(client: TestClient) -> None:
    path = f"/customers/{create_item(client, CUSTOMERS)['id']}"
    assert client.patch(path, json={"contact": None}).json()["contact"] is None


def test_head_returns_the_headers_of_get(client: TestClient, domain: Domain) -> None:
    client.headers["x-correlation-id"] = "both"  # otherwise each request gets its own
    path = item_path(domain, create_item(client, domain))
    for url in (domain.path, path, "/healthz", "/docs", f"{domain.path}/{UNKNOWN_ID}"):
        get, head = client.get(url), client.head(url)
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert head.headers == get.headers
