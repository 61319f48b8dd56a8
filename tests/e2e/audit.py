"""Clients of users and customers that remember every acknowledged write, and the comparison of these writes with a table."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

CLIENTS = 8
PAUSE_SECONDS = 0.6  # without one, the load would slow down the applies under test
# Of a hundred requests.
MIX = {"get": 70, "list": 10, "add": 10, "update": 8, "delete": 2}
Names = dict[str, str]
"""The name of each item by its id."""


@dataclass(frozen=True)
class Kind:
    """How the old contract serves one kind of items."""

    path: str
    page: str
    key: str
    name: str
    missing: tuple[int, Mapping[str, str]]
    deleted: int

    def new(self, name: str) -> dict[str, str]:
        """Return the body that adds an item. Names of a run are unique, and so are e-mail addresses."""
        address = {"emailAddress": f"{name.replace(' ', '-')}@move.example"} if self.path == "/users" else {}
        return {self.name: name} | address


USERS = Kind("/users", "limit", "userId", "userName", (404, {"message": "User not found"}), 200)
CUSTOMERS = Kind("/customers", "pageSize", "customerId", "customerName", (200, {}), 204)
KINDS = (USERS, CUSTOMERS)


@dataclass
class Log:
    """What all clients have sent and seen."""

    sent: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    """Responses that the contract, or the client's own last write, does not allow."""
    ambiguous: list[str] = field(default_factory=list)
    """Writes without a response: they may have been done or not."""
    slowest: float = 0.0


class Client:
    """A client with items of its own, so that it knows what each of them must be. It never retries."""

    def __init__(
        self, number: int, http: httpx2.Client, items: Mapping[str, Names], log: Log, lock: threading.Lock
    ) -> None:
        self.number = number
        self.items = {path: dict(names) for path, names in items.items()}
        self.gone: dict[str, list[str]] = {path: [] for path in items}
        self.idle = threading.Lock()
        self.http = http
        self._log = log
        self._lock = lock
        self._random = random.Random(number)  # noqa: S311 - the same requests in every run
        self._versions = 0

    def step(self) -> None:
        """Send one request, and check its response."""
        kind = self._random.choice(KINDS)
        (operation,) = self._random.choices([*MIX], [*MIX.values()])
        getattr(self, f"_{operation}")(kind)

    def _get(self, kind: Kind) -> None:
        identity = self._random.choice([*self.items[kind.path], *self.gone[kind.path]])
        name = self.items[kind.path].get(identity)

        def good(response: httpx2.Response) -> bool:
            if name is None:
                return (response.status_code, response.json()) == kind.missing
            return response.status_code == 200 and response.json()[kind.name] == name

        self._send("get", "GET", f"{kind.path}/{identity}", good)

    def _list(self, kind: Kind) -> None:
        def good(response: httpx2.Response) -> bool:
            return response.status_code == 200 and len(response.json()[kind.path[1:]]) == 20

        self._send("list", "GET", f"{kind.path}?{kind.page}=20", good)

    def _add(self, kind: Kind) -> None:
        name = self._name()
        response = self._send("add", "POST", kind.path, lambda response: response.status_code == 201, kind.new(name))
        if response:
            self.items[kind.path][response.json()[kind.key]] = name

    def _update(self, kind: Kind) -> None:
        identity, name = self._random.choice([*self.items[kind.path]]), self._name()
        path = f"{kind.path}/{identity}"
        if self._send("update", "PUT", path, lambda response: response.status_code == 200, {kind.name: name}):
            self.items[kind.path][identity] = name

    def _delete(self, kind: Kind) -> None:
        identity = self._random.choice([*self.items[kind.path]])
        path = f"{kind.path}/{identity}"
        if self._send("delete", "DELETE", path, lambda response: response.status_code == kind.deleted):
            del self.items[kind.path][identity]
            self.gone[kind.path].append(identity)

    def _name(self) -> str:
        self._versions += 1
        return f"client {self.number} version {self._versions}"

    def _send(
        self, operation: str, method: str, path: str, good: Callable[[httpx2.Response], bool], body: Any = None
    ) -> httpx2.Response | None:
        """Send a request and return its response; None if it is not good."""
        begin, failure, response = time.monotonic(), None, None
        try:
            response = self.http.request(method, path, json=body)
            if not good(response):
                failure = f"{response.status_code} {response.text[:200]}"
        except (httpx2.HTTPError, ValueError, KeyError) as error:
            failure = repr(error)
        with self._lock:
            self._log.sent[operation] += 1
            self._log.slowest = max(self._log.slowest, time.monotonic() - begin)
            if failure:
                self._log.failed.append(f"{time.strftime('%H:%M:%S')} {method} {path}: {failure}")
                if method != "GET" and (response is None or response.status_code >= 500):
                    self._log.ambiguous.append(f"{method} {path}")
        return response if failure is None else None


class Load:
    """Eight clients that send requests until the end of `running`."""

    def __init__(self, http: Callable[[], httpx2.Client], items: Mapping[str, Names]) -> None:
        self.log = Log()
        lock = threading.Lock()
        self.clients = [
            Client(
                number,
                http(),
                {path: dict([*names.items()][number::CLIENTS]) for path, names in items.items()},
                self.log,
                lock,
            )
            for number in range(CLIENTS)
        ]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send requests until the block ends."""
        stop = threading.Event()

        def send(client: Client) -> None:
            with client.http:
                while not stop.wait(PAUSE_SECONDS):
                    with client.idle:
                        client.step()

        threads = [threading.Thread(target=send, args=(client,)) for client in self.clients]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Send nothing within the block."""
        with ExitStack() as stack:
            for client in self.clients:
                stack.enter_context(client.idle)
            yield

    def expected(self, path: str) -> Names:
        """Return what all acknowledged writes come to."""
        return {identity: name for client in self.clients for identity, name in client.items[path].items()}


def audit(expected: Names, actual: Names) -> list[str]:
    """Return the acknowledged writes that a table lacks, and its items that no client has acknowledged."""
    problems = [
        f"lost: {each} is {actual.get(each)!r}, not {name!r}"
        for each, name in expected.items()
        if actual.get(each) != name
    ]
    return problems + [f"doubled or not deleted: {each}, {actual[each]!r}" for each in actual.keys() - expected.keys()]
