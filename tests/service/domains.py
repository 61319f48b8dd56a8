"""The kinds of things that the API serves, for claims that hold for each of them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any, TypeVar

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from service.app import resources

UNKNOWN = "0" * 32
ROUNDS = 25
"""How often what happens at once is tried."""
T = TypeVar("T")
AsCaller = Callable[..., TestClient]


def jwt(scopes: str, subject: str = "ada") -> dict[str, Any]:
    """Return what API Gateway's JWT authorizer puts into the event."""
    return {"jwt": {"claims": {"sub": subject, "scope": scopes}, "scopes": None}}


class Clock:
    """A time that passes in sleep alone, in place of `time.monotonic`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 1000.0
        monkeypatch.setattr("service.kit.table.time.monotonic", lambda: self.seconds)
        monkeypatch.setattr("service.kit.table.time.sleep", self.pass_)

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass(frozen=True)
class Domain:
    """A kind of thing, and where it is served."""

    path: str
    whole: dict[str, Any]
    """A body that creates one."""
    other: dict[str, Any]
    """Another, with every field different."""
    optional: dict[str, Any]
    """The fields that may be left out, and what they are then."""

    def several(self, count: int) -> list[dict[str, Any]]:
        """Return bodies that can all be created."""
        return [self.whole | ({"email": f"{n}@example.com"} if "email" in self.whole else {}) for n in range(count)]

    def required(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body without the fields that may be left out."""
        return {name: value for name, value in body.items() if name not in self.optional}


USERS = Domain(
    "/users",
    whole={"email": "ada@example.com", "name": "Ada Lovelace"},
    other={"email": "augusta@example.org", "name": "Augusta King"},
    optional={},
)
CUSTOMERS = Domain(
    "/customers",
    whole={"contact": "orders@example.com", "name": "Analytical Engines"},
    other={"contact": "shop@example.org", "name": "Difference Engines"},
    optional={"contact": None, "owner_id": None},
)


DOMAINS = [USERS, CUSTOMERS]
# Of all that the service declares, whatever it is.
SCOPES = " ".join(f"{resource.plural}:{action}" for resource in resources() for action in ("read", "write"))


def created(client: TestClient, domain: Domain, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Create one through the API and return what it answers."""
    response = client.post(domain.path, json=body or domain.whole)
    assert response.status_code == 201, response.text
    thing: dict[str, Any] = response.json()
    return thing


def path_of(domain: Domain, thing: dict[str, Any]) -> str:
    """Return where a thing is."""
    return f"{domain.path}/{thing['id']}"


def at_once(*requests: Callable[[], T]) -> list[T]:
    """Return what requests come to which start together."""
    barrier = Barrier(len(requests))

    def run(request: Callable[[], T]) -> T:
        barrier.wait()
        return request()

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(run, requests))


def statuses(*responses: Response) -> list[int]:
    """Return the responses' statuses in order of size, which is no order of time."""
    return sorted(response.status_code for response in responses)
