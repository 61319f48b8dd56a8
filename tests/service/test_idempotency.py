"""Creates with an Idempotency-Key, and their retries."""

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ReadTimeoutError
from fastapi.testclient import TestClient
from httpx2 import Response

import service.app
import service.kit.table
from service.customers.models import CustomerCreate
from service.kit.idempotency import LIFE_SECONDS, Idempotency, Record
from tests.service.domains import (
    CUSTOMERS,
    ROUNDS,
    SCOPES,
    USERS,
    AsCaller,
    Clock,
    Domain,
    concurrently,
    create_item,
    item_path,
    jwt,
    statuses,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


def post_with_key(client: TestClient, domain: Domain, key: str, body: dict[str, Any] | None = None) -> Response:
    response: Response = client.post(domain.path, json=body or domain.body, headers={"idempotency-key": key})
    return response


def comparable(response: Response) -> tuple[int, bytes, str, str]:
    return response.status_code, response.content, response.headers["location"], response.headers["etag"]


def test_retried_create_gets_the_first_response(client: TestClient, domain: Domain) -> None:
    first = post_with_key(client, domain, "k")
    assert first.status_code == 201
    assert comparable(post_with_key(client, domain, "k")) == comparable(first)
    assert len(client.get(domain.path).json()["items"]) == 1


def test_retried_create_returns_the_current_representation(client: TestClient, domain: Domain) -> None:
    first = post_with_key(client, domain, "k")
    changed = client.patch(first.headers["location"], json={"name": "New"})
    retry = post_with_key(client, domain, "k")
    assert comparable(retry) == (201, changed.content, first.headers["location"], changed.headers["etag"])


def test_retried_create_of_a_deleted_item_is_409(client: TestClient, domain: Domain) -> None:
    first = post_with_key(client, domain, "k")
    client.delete(first.headers["location"])
    retry = post_with_key(client, domain, "k")
    assert retry.status_code == 409
    assert "deleted" in retry.json()["detail"]
    assert client.get(domain.path).json()["items"] == []


def test_idempotency_record_contains_no_personal_data(client: TestClient, domain: Domain, table: "Table") -> None:
    first = post_with_key(client, domain, "k")
    client.delete(first.headers["location"])
    (record,) = table.scan()["Items"]
    assert record.keys() == {"pk", "sk", "fingerprint", "ids", "expires_at"}
    assert record["ids"] == [first.json()["id"]]


def test_idempotency_records_spread_over_partitions(client: TestClient, table: "Table") -> None:
    for key in "kl":
        post_with_key(client, CUSTOMERS, key)
    records = [item["pk"] for item in table.scan()["Items"] if str(item["pk"]).startswith("idempotency")]
    assert len(set(records)) == 2


def test_sessions_of_an_iam_role_share_idempotency_keys(as_caller: AsCaller) -> None:
    role = "arn:aws:sts::123456789012:assumed-role/Billing"
    one, two = (as_caller({"iam": {"userArn": f"{role}/{session}"}}) for session in ("a", "b"))
    first = post_with_key(one, CUSTOMERS, "k")
    assert first.json()["created_by"] == f"{role}/a"
    assert comparable(post_with_key(two, CUSTOMERS, "k")) == comparable(first)


def test_key_with_an_equivalent_body_is_a_retry(client: TestClient) -> None:
    first = post_with_key(client, USERS, "k", {"email": "ada@example.com", "name": "Ada"})
    assert comparable(post_with_key(client, USERS, "k", {"name": " Ada", "email": "ADA@example.com"})) == comparable(
        first
    )


def test_key_with_another_body_is_422(client: TestClient, domain: Domain) -> None:
    post_with_key(client, domain, "k")
    response = post_with_key(client, domain, "k", domain.other_body)
    assert response.status_code == 422
    assert "Idempotency-Key" in response.json()["detail"]
    assert len(client.get(domain.path).json()["items"]) == 1


def test_keys_are_separate_by_caller_and_operation(client: TestClient, as_caller: AsCaller) -> None:
    other = as_caller(jwt(SCOPES, "grace"))
    assert (
        statuses(
            post_with_key(client, CUSTOMERS, "k"),
            post_with_key(other, CUSTOMERS, "k"),
            post_with_key(client, CUSTOMERS, "l"),
            post_with_key(client, USERS, "k"),
        )
        == [201] * 4
    )
    assert len(client.get("/customers").json()["items"]) == 3


def test_rejected_create_does_not_consume_the_key(client: TestClient) -> None:
    path = item_path(USERS, create_item(client, USERS))
    assert post_with_key(client, USERS, "k").status_code == 409
    client.delete(path)
    assert post_with_key(client, USERS, "k").status_code == 201


def test_failed_create_leaves_no_record(
    client: TestClient, domain: Domain, table: "Table", monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**request: Any) -> Any:
        raise ReadTimeoutError(endpoint_url="https://dynamodb")

    with monkeypatch.context() as patch:
        patch.setattr(service.app.table()._client, "transact_write_items", fail)
        Clock(patch)
        assert post_with_key(client, domain, "k").status_code == 503
    assert table.scan()["Items"] == []
    assert post_with_key(client, domain, "k").status_code == 201


def test_key_expires_after_a_day_even_if_dynamodb_keeps_it(
    client: TestClient, table: "Table", monkeypatch: pytest.MonkeyPatch
) -> None:
    now = int(time.time())
    monkeypatch.setattr("service.kit.idempotency.time.time", lambda: now)
    first = post_with_key(client, CUSTOMERS, "k")
    (record,) = [item for item in table.scan()["Items"] if str(item["pk"]).startswith("idempotency")]
    assert record["expires_at"] == now + LIFE_SECONDS == now + 24 * 60 * 60
    monkeypatch.setattr("service.kit.idempotency.time.time", lambda: now + LIFE_SECONDS - 1)
    assert comparable(post_with_key(client, CUSTOMERS, "k")) == comparable(first)
    monkeypatch.setattr("service.kit.idempotency.time.time", lambda: now + LIFE_SECONDS)
    second = post_with_key(client, CUSTOMERS, "k", CUSTOMERS.other_body)
    assert second.status_code == 201
    assert comparable(post_with_key(client, CUSTOMERS, "k", CUSTOMERS.other_body)) == comparable(second)


def test_new_optional_field_does_not_change_the_fingerprint(client: TestClient) -> None:
    class WiderCreate(CustomerCreate):
        nickname: str | None = None

    first = post_with_key(client, CUSTOMERS, "k")
    idempotency = Idempotency("k", "create_customer", WiderCreate(**CUSTOMERS.body))
    assert Record(service.app.table(), "ada", idempotency).identities() == [first.json()["id"]]


def test_expired_item_is_not_returned(client: TestClient, table: "Table") -> None:
    now = int(time.time())
    for item_id, expires_at in (("expired", now - 1), ("valid", now + 1000)):
        table.put_item(Item={"pk": "kind", "sk": item_id, "expires_at": expires_at})
    assert service.app.table().get("kind", "expired") is None
    assert service.app.table().get("kind", "valid") is not None


@pytest.mark.parametrize("key", [b"", b"a b", b"x" * 256, b"\xc3\xbc"])
def test_invalid_key_is_422(client: TestClient, key: bytes) -> None:
    response = client.post("/customers", json=CUSTOMERS.body, headers={b"idempotency-key": key})
    assert response.status_code == 422


def test_concurrent_creates_with_one_key_create_one_item(client: TestClient, domain: Domain) -> None:
    for number, body in enumerate(domain.bodies(ROUNDS)):
        responses = concurrently(*[partial(post_with_key, client, domain, f"{number}", body)] * 3)
        assert statuses(*responses) == [201, 201, 201]
        assert len({comparable(response) for response in responses}) == 1
    assert len(client.get(domain.path).json()["items"]) == ROUNDS


def test_one_of_concurrent_creates_with_one_key_and_two_bodies_succeeds(client: TestClient) -> None:
    for number in range(ROUNDS):
        bodies = [CUSTOMERS.body, CUSTOMERS.other_body]
        responses = concurrently(*(partial(post_with_key, client, CUSTOMERS, f"{number}", body) for body in bodies))
        assert statuses(*responses) == [201, 422]
    assert len(client.get("/customers").json()["items"]) == ROUNDS
