"""Users have unique e-mail addresses, also under concurrent requests."""

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from fastapi.testclient import TestClient

import service.app
import service.kit.table
from tests.service.domains import ROUNDS, USERS, Clock, concurrently, create_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


def create_user(client: TestClient, email: str = "ada@example.com") -> str:
    return f"/users/{create_item(client, USERS, USERS.body | {'email': email})['id']}"


def create(client: TestClient, email: str) -> int:
    return client.post("/users", json=USERS.body | {"email": email}).status_code


def change(client: TestClient, path: str, fields: dict[str, str]) -> int:
    return client.patch(path, json=fields).status_code


def delete(client: TestClient, path: str) -> int:
    return client.delete(path).status_code


def addresses(table: "Table") -> list[str]:
    """Return the users' addresses. Fails if they differ from the reserved ones."""
    items = table.scan(ConsistentRead=True)["Items"]
    used = sorted(str(item["email"]) for item in items if item["pk"] == "user")
    assert used == sorted(str(item["sk"]) for item in items if item["pk"] == "user-email")
    return used


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("ada@example.com", "ada@example.com"),
        ("ada@example.com", "Ada@EXAMPLE.com"),
        ("ada@example.com", "  ada@example.com\t"),
        ("ren\u00e9@example.com", "rene\u0301@example.com"),
        ("\u01f0@example.com", "J\u030c@example.com"),
        ("ada@ex\u00e4mple.com", "ada@xn--exmple-cua.com"),
    ],
    ids=["same", "case", "spaces", "decomposed", "composed in lower case only", "domain in Punycode"],
)
def test_duplicate_email_is_409(client: TestClient, table: "Table", first: str, second: str) -> None:
    assert create(client, first) == 201
    response = client.post("/users", json=USERS.body | {"email": second})
    assert response.status_code == 409
    assert addresses(table) == [first]
    assert first in response.json()["detail"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_change_to_another_users_email_is_409_and_changes_nothing(
    client: TestClient, table: "Table", method: str
) -> None:
    assert create(client, "grace@example.com") == 201
    path = create_user(client)
    before = client.get(path).json()
    response = client.request(method, path, json={"email": "grace@example.com", "name": "Grace"})
    assert response.status_code == 409
    assert client.get(path).json() == before
    assert addresses(table) == ["ada@example.com", "grace@example.com"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("email", ["ada@example.com", "ADA@example.com"])
def test_user_can_keep_the_email(client: TestClient, method: str, email: str) -> None:
    path = create_user(client)
    response = client.request(method, path, json={"email": email, "name": "Countess"})
    assert response.status_code == 200
    assert response.json()["name"] == "Countess"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_changed_email_releases_the_old_and_reserves_the_new(client: TestClient, table: "Table", method: str) -> None:
    path = create_user(client)
    assert client.request(method, path, json={"email": "augusta@example.com", "name": "Ada"}).status_code == 200
    assert addresses(table) == ["augusta@example.com"]
    assert create(client, "augusta@example.com") == 409
    assert create(client, "ada@example.com") == 201


def test_delete_releases_the_email(client: TestClient, table: "Table") -> None:
    assert delete(client, create_user(client)) == 204
    assert addresses(table) == []
    assert create(client, "ada@example.com") == 201


def test_one_of_concurrent_creates_with_one_email_succeeds(client: TestClient, table: "Table") -> None:
    for number in range(ROUNDS):
        request = partial(create, client, f"{number}@example.com")
        assert sorted(concurrently(request, request, request)) == [201, 409, 409]
    assert len(addresses(table)) == ROUNDS


def test_one_of_concurrent_changes_to_one_email_succeeds(client: TestClient, table: "Table") -> None:
    paths = [create_user(client, "ada@example.com"), create_user(client, "grace@example.com")]
    for number in range(ROUNDS):
        fields = {"email": f"{number}@example.com"}
        assert sorted(concurrently(*(partial(change, client, path, fields) for path in paths))) == [200, 409]
        assert len(addresses(table)) == 2


def test_concurrent_changes_of_one_user_are_all_applied(client: TestClient, table: "Table") -> None:
    path = create_user(client)
    for number in range(ROUNDS):
        fields = {"email": f"{number}@example.com", "name": f"Ada {number}"}
        statuses = concurrently(*(partial(change, client, path, {name: value}) for name, value in fields.items()))
        assert statuses == [200, 200]
        assert client.get(path).json().items() >= fields.items()
        assert addresses(table) == [fields["email"]]


def test_concurrent_email_changes_leave_no_stale_address(client: TestClient, table: "Table") -> None:
    path = create_user(client)
    for number in range(ROUNDS):
        emails = [f"{letter}{number}@example.com" for letter in "ab"]
        assert concurrently(*(partial(change, client, path, {"email": email}) for email in emails)) == [200, 200]
        assert addresses(table) == [client.get(path).json()["email"]]
        assert addresses(table)[0] in emails


def test_concurrent_delete_and_change_leave_no_user_or_address(client: TestClient, table: "Table") -> None:
    outcomes: Counter[int] = Counter()
    for number in range(ROUNDS):
        path = create_user(client, f"{number}@example.com")
        fields = {"email": f"new-{number}@example.com"}
        deleted, changed = concurrently(partial(delete, client, path), partial(change, client, path, fields))
        assert deleted == 204
        outcomes[changed] += 1
        assert addresses(table) == []
    assert outcomes.keys() <= {200, 404}


def contend(monkeypatch: pytest.MonkeyPatch, times: int) -> list[None]:
    """Make the next transactions fail with TransactionConflict; return a list that grows by one None for each attempt.

    The failed condition next to the conflict is not final, so it must be retried, too.
    """
    client = service.app.table()._client
    write = client.transact_write_items
    attempts: list[None] = []

    def conflict(**request: Any) -> Any:
        attempts.append(None)
        if len(attempts) > times:
            return write(**request)
        response: Any = {
            "Error": {"Code": "TransactionCanceledException"},
            "CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "ConditionalCheckFailed"}],
        }
        raise ClientError(response, "TransactWriteItems")

    monkeypatch.setattr(client, "transact_write_items", conflict)
    return attempts


def test_transaction_conflict_is_retried(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = contend(monkeypatch, 2)
    assert create(client, "ada@example.com") == 201
    assert len(attempts) == 3


def test_persistent_transaction_conflict_is_503(
    client: TestClient, table: "Table", monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = contend(monkeypatch, 1000)
    clock = Clock(monkeypatch)
    response = client.post("/users", json=USERS.body)
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert len(attempts) > 10
    assert clock.seconds > 1007
    assert addresses(table) == []


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "ada@",
        "@example.com",
        "ada@example",
        "ada@@example.com",
        "a b@example.com",
        "ada@exa mple.com",
        "ada@exa_mple.com",
        "Ada <ada@example.com>",
        "ada@-example.com",
        "ada@example-.com",
        "ada@example..com",
        "ada@example.com,grace@example.com",
        "ada@example.com\n.evil.com",
        "ada\x00@example.com",
        "ada\u200b@example.com",
        "ada\u202e@example.com",
        "a..b@example.com",
        ".ada@example.com",
        "ada@xn--0.com",
        "ada\u00ad@example.com",
        "x" * 65 + "@example.com",
        "ada@" + "b." * 130 + "com",
        None,
        7,
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_invalid_email_is_422(client: TestClient, method: str, email: object) -> None:
    path = "/users" if method == "POST" else create_user(client)
    response = client.request(method, path, json=USERS.other_body | {"email": email})
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["body.email"]


@pytest.mark.parametrize(
    ("email", "stored"),
    [
        ("Ada.Lovelace+news@Sub.Example.CO.UK", "ada.lovelace+news@sub.example.co.uk"),
        ("o'brien@example.com", "o'brien@example.com"),
        ("a@b.io", "a@b.io"),
        ("\u7528\u6237@example.com", "\u7528\u6237@example.com"),
        ("ada@xn--exmple-cua.com", "ada@ex\u00e4mple.com"),
        ("Ada@EX\u00c4MPLE.com", "ada@ex\u00e4mple.com"),
        ("ada@\uff45xample.com", "ada@example.com"),
        ("x" * 64 + "@example.com", "x" * 64 + "@example.com"),
    ],
)
def test_email_is_normalized(client: TestClient, email: str, stored: str) -> None:
    assert create_item(client, USERS, USERS.body | {"email": email})["email"] == stored
