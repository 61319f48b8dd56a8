"""The resources of the API, for tests that apply to each of them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any, TypeVar

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from service.app import resources

UNKNOWN_ID = "0" * 32
ROUNDS = 25
"""Repetitions of tests of concurrent requests."""
T = TypeVar("T")
AsCaller = Callable[..., TestClient]


def jwt(scopes: str, subject: str = "ada") -> dict[str, Any]:
    """Return the `authorizer` that API Gateway's JWT authorizer adds to an event."""
    return {"jwt": {"claims": {"sub": subject, "scope": scopes}, "scopes": None}}


class Clock:
    """Replaces `time.monotonic` and `time.sleep`: the time only advances in sleep."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 1000.0
        monkeypatch.setattr("service.kit.table.time.monotonic", lambda: self.seconds)
        monkeypatch.setattr("service.kit.table.time.sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass(frozen=True)
class Domain:
    """A resource: its path, and bodies for its requests."""

    path: str
    body: dict[str, Any]
    """A valid body of a create."""
    other_body: dict[str, Any]
    """Another one, in which every field differs."""
    defaults: dict[str, Any]
    """Optional fields, and their defaults."""

    def bodies(self, count: int) -> list[dict[str, Any]]:
        """Return bodies without conflicts."""
        return [self.body | ({"email": f"{n}@example.com"} if "email" in self.body else {}) for n in range(count)]

    def required_fields(self, body: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in body.items() if name not in self.defaults}


USERS = Domain(
    "/users",
    body={"email": "ada@example.com", "name": "Ada Lovelace"},
    other_body={"email": "augusta@example.org", "name": "Augusta King"},
    defaults={},
)
CUSTOMERS = Domain(
    "/customers",
    body={"contact": "orders@example.com", "name": "Analytical Engines"},
    other_body={"contact": "shop@example.org", "name": "Difference Engines"},
    defaults={"contact": None, "owner_id": None},
)


DOMAINS = [USERS, CUSTOMERS]
# Every scope of every declared resource.
SCOPES = " ".join(f"{resource.plural}:{action}" for resource in resources() for action in ("read", "write"))


def create_item(client: TestClient, domain: Domain, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Create an item through the API, and return the response's body."""
    response = client.post(domain.path, json=body or domain.body)
    assert response.status_code == 201, response.text
    item: dict[str, Any] = response.json()
    return item


def item_path(domain: Domain, item: dict[str, Any]) -> str:
    return f"{domain.path}/{item['id']}"


def concurrently(*requests: Callable[[], T]) -> list[T]:
    """Run requests in threads that start together, and return the results in order of the arguments."""
    barrier = Barrier(len(requests))

    def run(request: Callable[[], T]) -> T:
        barrier.wait()
        return request()

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(run, requests))


def statuses(*responses: Response) -> list[int]:
    """Return the sorted statuses: the order of concurrent responses does not matter."""
    return sorted(response.status_code for response in responses)
