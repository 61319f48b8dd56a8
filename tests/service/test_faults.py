"""Errors and timeouts of DynamoDB: retries, and 503 before the deadline."""

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from fastapi.testclient import TestClient

import service.app
import service.kit.table
from tests.service.domains import CUSTOMERS, SCOPES, USERS, AsCaller, Clock, Domain, create_item, jwt

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


def client_error(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Query")  # type: ignore[typeddict-item]


TRANSIENT_ERRORS = [
    client_error("ThrottlingException"),
    client_error("ProvisionedThroughputExceededException"),
    client_error("InternalServerError", 500),
    ReadTimeoutError(endpoint_url="https://dynamodb"),
    EndpointConnectionError(endpoint_url="https://dynamodb"),
]


def fail_queries(monkeypatch: pytest.MonkeyPatch, error: Exception, times: int) -> list[None]:
    """Make the next queries fail; return a list that grows by one None for each attempt."""
    query = service.app.table()._client.query
    attempts: list[None] = []

    def fail(**request: Any) -> Any:
        attempts.append(None)
        if len(attempts) > times:
            return query(**request)
        raise error

    monkeypatch.setattr(service.app.table()._client, "query", fail)
    return attempts


@pytest.mark.parametrize("error", TRANSIENT_ERRORS, ids=str)
def test_transient_error_is_retried(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, domain: Domain, error: Exception
) -> None:
    attempts = fail_queries(monkeypatch, error, 2)
    assert client.get(domain.path).status_code == 200
    assert len(attempts) == 3


@pytest.mark.parametrize("error", TRANSIENT_ERRORS, ids=str)
def test_persistent_error_is_503_with_retry_after(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, domain: Domain, error: Exception
) -> None:
    attempts = fail_queries(monkeypatch, error, 1000)
    clock = Clock(monkeypatch)
    response = client.get(domain.path)
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["retry-after"] == "1"
    # Retries end when the rest of the ten seconds is shorter than a call's timeouts.
    reserved = service.kit.table.CONNECT_SECONDS + service.kit.table.READ_SECONDS + service.kit.table.RESERVE_SECONDS
    assert 0 <= clock.seconds - 1000 - (10 - reserved) <= service.kit.table.LONGEST_WAIT_SECONDS
    assert len(attempts) >= (10 - reserved) / service.kit.table.LONGEST_WAIT_SECONDS


def test_permanent_error_is_500_without_a_retry(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = fail_queries(monkeypatch, client_error("AccessDeniedException"), 1000)
    assert client.get("/users").status_code == 500
    assert len(attempts) == 1


def test_create_whose_response_was_lost_is_executed_once(
    client: TestClient, table: "Table", monkeypatch: pytest.MonkeyPatch
) -> None:
    dynamodb = service.app.table()._client
    write = dynamodb.transact_write_items
    attempts: list[None] = []

    def lose_first_response(**request: Any) -> Any:
        response = write(**request)
        attempts.append(None)
        if len(attempts) == 1:
            raise ReadTimeoutError(endpoint_url="https://dynamodb")
        return response

    monkeypatch.setattr(dynamodb, "transact_write_items", lose_first_response)
    # A second transaction with the same address would be a conflict.
    assert client.post(USERS.path, json=USERS.body).status_code == 201
    assert len(attempts) == 2
    assert [item["pk"] for item in table.scan()["Items"]].count("user") == 1


def test_unprocessed_keys_are_requested_again(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    dynamodb = service.app.table()._client
    read = dynamodb.batch_get_item
    sizes: list[int] = []

    def one_by_one(RequestItems: dict[str, Any]) -> Any:  # noqa: N803
        ((name, request),) = RequestItems.items()
        first, *rest = request["Keys"]
        sizes.append(1 + len(rest))
        response = read(RequestItems={name: request | {"Keys": [first]}})
        return response | {"UnprocessedKeys": {name: request | {"Keys": rest}} if rest else {}}

    ids = sorted(create_item(client, CUSTOMERS)["id"] for _ in range(3))
    monkeypatch.setattr(dynamodb, "batch_get_item", one_by_one)
    page = client.get(CUSTOMERS.path, params={"contact": CUSTOMERS.body["contact"]}).json()
    assert [customer["id"] for customer in page["items"]] == ids
    assert sizes == [3, 2, 1]


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [(10_000, 4), (5_000, 2), (2_500, 1), (2_000, 0)],
)
def test_no_call_starts_that_could_exceed_the_functions_timeout(
    as_caller: AsCaller, table: "Table", monkeypatch: pytest.MonkeyPatch, milliseconds: int, expected: int
) -> None:
    clock = Clock(monkeypatch)
    attempts = fail_queries(monkeypatch, ReadTimeoutError(endpoint_url="https://dynamodb"), 1000)
    fail = service.app.table()._client.query

    def slow(**request: Any) -> Any:
        clock.seconds += service.kit.table.CONNECT_SECONDS + service.kit.table.READ_SECONDS
        return fail(**request)

    monkeypatch.setattr(service.app.table()._client, "query", slow)
    monkeypatch.setattr("service.kit.table.time.sleep", int)  # a no-op that accepts a number
    start = clock.seconds
    client = as_caller(jwt(SCOPES), SimpleNamespace(get_remaining_time_in_millis=lambda: milliseconds))
    assert client.get("/users").status_code == 503
    assert len(attempts) == expected
    assert clock.seconds - start < milliseconds / 1000
