"""A create that is sent again is the same create."""

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


def keyed(client: TestClient, domain: Domain, key: str, body: dict[str, Any] | None = None) -> Response:
    response: Response = client.post(domain.path, json=body or domain.body, headers={"idempotency-key": key})
    return response


def parts(response: Response) -> tuple[int, bytes, str, str]:
    return response.status_code, response.content, response.headers["location"], response.headers["etag"]


def test_a_repeated_create_gets_the_first_response(client: TestClient, domain: Domain) -> None:
    first = keyed(client, domain, "k")
    assert first.status_code == 201
    assert parts(keyed(client, domain, "k")) == parts(first)
    assert len(client.get(domain.path).json()["items"]) == 1


def test_a_repeated_create_returns_the_resource_as_it_is_now(client: TestClient, domain: Domain) -> None:
    first = keyed(client, domain, "k")
    changed = client.patch(first.headers["location"], json={"name": "New"})
    repeated = keyed(client, domain, "k")
    assert parts(repeated) == (201, changed.content, first.headers["location"], changed.headers["etag"])


def test_a_repeated_create_of_a_deleted_resource_is_a_conflict(client: TestClient, domain: Domain) -> None:
    first = keyed(client, domain, "k")
    client.delete(first.headers["location"])
    repeated = keyed(client, domain, "k")
    assert repeated.status_code == 409
    assert "deleted" in repeated.json()["detail"]
    assert client.get(domain.path).json()["items"] == []


def test_an_idempotency_record_holds_no_personal_data(client: TestClient, domain: Domain, table: "Table") -> None:
    first = keyed(client, domain, "k")
    client.delete(first.headers["location"])
    (record,) = table.scan()["Items"]
    assert record.keys() == {"pk", "sk", "fingerprint", "ids", "expires_at"}
    assert record["ids"] == [first.json()["id"]]


def test_idempotency_keys_spread_over_partitions(client: TestClient, table: "Table") -> None:
    for key in "kl":
        keyed(client, CUSTOMERS, key)
    records = [item["pk"] for item in table.scan()["Items"] if str(item["pk"]).startswith("idempotency")]
    assert len(set(records)) == 2


def test_sessions_of_one_iam_role_share_their_keys(as_caller: AsCaller) -> None:
    role = "arn:aws:sts::123456789012:assumed-role/Billing"
    one, two = (as_caller({"iam": {"userArn": f"{role}/{session}"}}) for session in ("a", "b"))
    first = keyed(one, CUSTOMERS, "k")
    assert first.json()["created_by"] == f"{role}/a"
    assert parts(keyed(two, CUSTOMERS, "k")) == parts(first)


def test_a_body_that_means_the_same_is_the_same(client: TestClient) -> None:
    first = keyed(client, USERS, "k", {"email": "ada@example.com", "name": "Ada"})
    assert parts(keyed(client, USERS, "k", {"name": " Ada", "email": "ADA@example.com"})) == parts(first)


def test_a_key_with_another_body_is_refused(client: TestClient, domain: Domain) -> None:
    keyed(client, domain, "k")
    response = keyed(client, domain, "k", domain.other_body)
    assert response.status_code == 422
    assert "Idempotency-Key" in response.json()["detail"]
    assert len(client.get(domain.path).json()["items"]) == 1


def test_keys_of_different_callers_and_kinds_are_different(client: TestClient, as_caller: AsCaller) -> None:
    other = as_caller(jwt(SCOPES, "grace"))
    assert (
        statuses(
            keyed(client, CUSTOMERS, "k"),
            keyed(other, CUSTOMERS, "k"),
            keyed(client, CUSTOMERS, "l"),
            keyed(client, USERS, "k"),
        )
        == [201] * 4
    )
    assert len(client.get("/customers").json()["items"]) == 3


def test_a_refused_create_does_not_use_the_key_up(client: TestClient) -> None:
    path = item_path(USERS, create_item(client, USERS))
    assert keyed(client, USERS, "k").status_code == 409
    client.delete(path)
    assert keyed(client, USERS, "k").status_code == 201


def test_a_create_that_came_to_nothing_leaves_no_key_behind(
    client: TestClient, domain: Domain, table: "Table", monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**request: Any) -> Any:
        raise ReadTimeoutError(endpoint_url="https://dynamodb")

    with monkeypatch.context() as patch:
        patch.setattr(service.app.table()._client, "transact_write_items", refuse)
        Clock(patch)
        assert keyed(client, domain, "k").status_code == 503
    assert table.scan()["Items"] == []
    assert keyed(client, domain, "k").status_code == 201


def test_a_key_is_kept_for_a_day_whenever_dynamodb_deletes_it(
    client: TestClient, table: "Table", monkeypatch: pytest.MonkeyPatch
) -> None:
    now = int(time.time())
    monkeypatch.setattr("service.kit.idempotency.time.time", lambda: now)
    first = keyed(client, CUSTOMERS, "k")
    (record,) = [item for item in table.scan()["Items"] if str(item["pk"]).startswith("idempotency")]
    assert record["expires_at"] == now + LIFE_SECONDS == now + 24 * 60 * 60
    monkeypatch.setattr("service.kit.idempotency.time.time", lambda: now + LIFE_SECONDS - 1)
    assert parts(keyed(client, CUSTOMERS, "k")) == parts(first)
    monkeypatch.setattr("service.kit.idempotency.time.time", lambda: now + LIFE_SECONDS)
    second = keyed(client, CUSTOMERS, "k", CUSTOMERS.other_body)
    assert second.status_code == 201
    assert parts(keyed(client, CUSTOMERS, "k", CUSTOMERS.other_body)) == parts(second)


def test_a_release_that_adds_an_optional_field_keeps_the_first_answers(client: TestClient) -> None:
    class WiderCreate(CustomerCreate):
        nickname: str | None = None

    first = keyed(client, CUSTOMERS, "k")
    idempotency = Idempotency("k", "create_customer", WiderCreate(**CUSTOMERS.body))
    assert Record(service.app.table(), "ada", idempotency).identities() == [first.json()["id"]]


def test_what_has_expired_counts_as_gone(client: TestClient, table: "Table") -> None:
    now = int(time.time())
    for identity, expires_at in (("gone", now - 1), ("there", now + 1000)):
        table.put_item(Item={"pk": "kind", "sk": identity, "expires_at": expires_at})
    assert service.app.table().get("kind", "gone") is None
    assert service.app.table().get("kind", "there") is not None


@pytest.mark.parametrize("key", [b"", b"a b", b"x" * 256, b"\xc3\xbc"])
def test_what_is_no_key_is_refused(client: TestClient, key: bytes) -> None:
    response = client.post("/customers", json=CUSTOMERS.body, headers={b"idempotency-key": key})
    assert response.status_code == 422


def test_creates_at_once_with_one_key_are_one(client: TestClient, domain: Domain) -> None:
    for number, body in enumerate(domain.bodies(ROUNDS)):
        answers = concurrently(*[partial(keyed, client, domain, f"{number}", body)] * 3)
        assert statuses(*answers) == [201, 201, 201]
        assert len({parts(answer) for answer in answers}) == 1
    assert len(client.get(domain.path).json()["items"]) == ROUNDS


def test_of_creates_at_once_with_one_key_and_two_bodies_one_succeeds(client: TestClient) -> None:
    for number in range(ROUNDS):
        bodies = [CUSTOMERS.body, CUSTOMERS.other_body]
        answers = concurrently(*(partial(keyed, client, CUSTOMERS, f"{number}", body) for body in bodies))
        assert statuses(*answers) == [201, 422]
    assert len(client.get("/customers").json()["items"]) == ROUNDS
