"""Creates a second, and the share refused with 503, when many callers refer to one item.

    python -m benchmarks.contention

Each create of a customer adds to its owner's counter, and DynamoDB refuses a transaction that shares an item with a transaction in
progress (TransactionConflict). The emulator does not, so `Conflicts` stands in for DynamoDB: a transaction takes some milliseconds, and
stores nothing. Each caller is a thread, like a Lambda environment, with ten seconds for each create.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from service.customers.models import CustomerCreate
from service.customers.routes import CUSTOMERS
from service.kit.auth import Principal
from service.kit.errors import Unavailable
from service.kit.repository import Repository
from service.kit.table import Table

CALLERS = (1, 20, 80)
CREATES = 10
REQUEST_SECONDS = 10
# DynamoDB's documentation has no number; teams report 10 to 25 ms for small transactions.
TRANSACTION_SECONDS = 0.01
OWNER = "0" * 32


class Conflicts:
    """DynamoDB's `transact_write_items`: refuses conflicting transactions, and stores nothing."""

    def __init__(self, seconds: float = TRANSACTION_SECONDS) -> None:
        self.refused = 0
        self._seconds = seconds
        self._lock = threading.Lock()
        self._in_progress: set[tuple[str, str]] = set()

    def transact_write_items(self, TransactItems: list[dict[str, Any]], **_: object) -> dict[str, Any]:  # noqa: N803
        """Raises TransactionCanceledException if an item is part of another call's transaction."""
        keys = [_key(request) for item in TransactItems for request in item.values()]
        with self._lock:
            conflicting = [key in self._in_progress for key in keys]
            if any(conflicting):
                self.refused += 1
                raise cancelled(conflicting)
            self._in_progress |= set(keys)
        time.sleep(self._seconds)
        with self._lock:
            self._in_progress -= set(keys)
        return {}


def _key(request: dict[str, Any]) -> tuple[str, str]:
    place = request.get("Key") or request["Item"]
    return place["pk"]["S"], place["sk"]["S"]


def cancelled(conflicting: list[bool]) -> ClientError:
    """Return DynamoDB's error for a transaction with conflicting items."""
    reasons = [{"Code": "TransactionConflict" if each else "None"} for each in conflicting]
    response: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
    return ClientError(response, "TransactWriteItems")


def create(client: Any, owner: str) -> bool:
    """Create a customer as one request does; return False if it is refused with 503."""
    table = Table(client, "table", time.monotonic() + REQUEST_SECONDS)
    try:
        Repository(CUSTOMERS, table, Principal("ada", None)).create(CustomerCreate(name="Engines", owner_id=owner))
    except Unavailable:
        return False
    return True


def measure(callers: int, owners: int = 1) -> tuple[float, float, int]:
    """Return creates a second, the share refused with 503, and the number of conflicts."""
    client = Conflicts()

    def call(number: int) -> list[bool]:
        return [create(client, f"{number % owners:032x}") for _ in range(CREATES)]

    begin = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        done = [each for results in pool.map(call, range(callers)) for each in results]
    return sum(done) / (time.perf_counter() - begin), 1 - sum(done) / len(done), client.refused


def main() -> None:
    """Measure, and print a line for each number of callers."""
    alone = measure(1)[0]
    for callers in CALLERS:
        for owners in {1, callers}:
            rate, refused, conflicts = measure(callers, owners)
            print(
                f"{callers:3} callers, {owners:3} owners: {rate / alone:5.2f} of one caller's creates a second ({rate:.0f}), "
                f"{refused:.1%} refused with 503, {conflicts} conflicts"
            )


if __name__ == "__main__":
    main()
