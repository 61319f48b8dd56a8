"""DynamoDB does not do its part, and the answer still comes in time."""

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


def fault(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Query")  # type: ignore[typeddict-item]


PASSING = [
    fault("ThrottlingException"),
    fault("ProvisionedThroughputExceededException"),
    fault("InternalServerError", 500),
    ReadTimeoutError(endpoint_url="https://dynamodb"),
    EndpointConnectionError(endpoint_url="https://dynamodb"),
]


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception, times: int) -> list[None]:
    """Make so many of the next queries fail; return one None per try."""
    query = service.app.table()._client.query
    tries: list[None] = []

    def refuse(**request: Any) -> Any:
        tries.append(None)
        if len(tries) > times:
            return query(**request)
        raise error

    monkeypatch.setattr(service.app.table()._client, "query", refuse)
    return tries


@pytest.mark.parametrize("error", PASSING, ids=str)
def test_a_passing_fault_is_not_noticed(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, domain: Domain, error: Exception
) -> None:
    tries = failing(monkeypatch, error, 2)
    assert client.get(domain.path).status_code == 200
    assert len(tries) == 3


@pytest.mark.parametrize("error", PASSING, ids=str)
def test_a_lasting_fault_is_told_with_the_time_to_come_back(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, domain: Domain, error: Exception
) -> None:
    tries = failing(monkeypatch, error, 1000)
    clock = Clock(monkeypatch)
    response = client.get(domain.path)
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["retry-after"] == "1"
    # Until so little is left of the request's ten seconds that a call could outlast them.
    reserved = service.kit.table.CONNECT_SECONDS + service.kit.table.READ_SECONDS + service.kit.table.RESERVE_SECONDS
    assert 0 <= clock.seconds - 1000 - (10 - reserved) <= service.kit.table.LONGEST_WAIT_SECONDS
    assert len(tries) >= (10 - reserved) / service.kit.table.LONGEST_WAIT_SECONDS


def test_a_fault_that_does_not_pass_is_not_tried_again(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = failing(monkeypatch, fault("AccessDeniedException"), 1000)
    assert client.get("/users").status_code == 500
    assert len(tries) == 1


def test_a_create_whose_answer_was_lost_is_done_once(
    client: TestClient, table: "Table", monkeypatch: pytest.MonkeyPatch
) -> None:
    dynamodb = service.app.table()._client
    write = dynamodb.transact_write_items
    tries: list[None] = []

    def lose_the_first_answer(**request: Any) -> Any:
        answer = write(**request)
        tries.append(None)
        if len(tries) == 1:
            raise ReadTimeoutError(endpoint_url="https://dynamodb")
        return answer

    monkeypatch.setattr(dynamodb, "transact_write_items", lose_the_first_answer)
    # A second write of the same address would be a conflict.
    assert client.post(USERS.path, json=USERS.body).status_code == 201
    assert len(tries) == 2
    assert [item["pk"] for item in table.scan()["Items"]].count("user") == 1


def test_what_a_batch_left_out_is_asked_for_again(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    dynamodb = service.app.table()._client
    read = dynamodb.batch_get_item
    sizes: list[int] = []

    def one_by_one(RequestItems: dict[str, Any]) -> Any:  # noqa: N803
        ((name, wanted),) = RequestItems.items()
        first, *rest = wanted["Keys"]
        sizes.append(1 + len(rest))
        answer = read(RequestItems={name: wanted | {"Keys": [first]}})
        return answer | {"UnprocessedKeys": {name: wanted | {"Keys": rest}} if rest else {}}

    made = sorted(create_item(client, CUSTOMERS)["id"] for _ in range(3))
    monkeypatch.setattr(dynamodb, "batch_get_item", one_by_one)
    page = client.get(CUSTOMERS.path, params={"contact": CUSTOMERS.body["contact"]}).json()
    assert [customer["id"] for customer in page["items"]] == made
    assert sizes == [3, 2, 1]


@pytest.mark.parametrize(
    ("milliseconds", "tries"),
    [(10_000, 4), (5_000, 2), (2_500, 1), (2_000, 0)],
)
def test_no_call_begins_that_could_outlast_the_functions_time(
    as_caller: AsCaller, table: "Table", monkeypatch: pytest.MonkeyPatch, milliseconds: int, tries: int
) -> None:
    clock = Clock(monkeypatch)
    made = failing(monkeypatch, ReadTimeoutError(endpoint_url="https://dynamodb"), 1000)
    refuse = service.app.table()._client.query

    def slow(**request: Any) -> Any:
        clock.seconds += service.kit.table.CONNECT_SECONDS + service.kit.table.READ_SECONDS
        return refuse(**request)

    monkeypatch.setattr(service.app.table()._client, "query", slow)
    monkeypatch.setattr("service.kit.table.time.sleep", int)  # which takes a number and does nothing with it
    begin = clock.seconds
    client = as_caller(jwt(SCOPES), SimpleNamespace(get_remaining_time_in_millis=lambda: milliseconds))
    assert client.get("/users").status_code == 503
    assert len(made) == tries
    assert clock.seconds - begin < milliseconds / 1000
