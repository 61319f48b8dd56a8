"""Idempotent requests, by the header Idempotency-Key.

The key is recorded in the transaction of the request itself. So there is no state "in progress" that a crash could leave behind, and
of two simultaneous requests the second gets the response of the first. A request that failed leaves no record, and can be sent again
with the same key.
"""

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from service.kit.errors import Unprocessable
from service.kit.table import Table, TransactItem

LIFE_SECONDS = 24 * 60 * 60
# Each key has its own partition: a shared one would be limited to 1,000 writes a second.
PARTITION, SORT_KEY = "idempotency-", "record"


class IdempotencyKeyReused(Exception):  # noqa: N818 - an outcome, not a fault
    """The key has been recorded."""


@dataclass(frozen=True)
class Idempotency:
    """An Idempotency-Key and the request that has it."""

    key: str
    """The client's key."""
    operation: str
    """The operation and its item, if any: "create_user", "cancel_ticket 0123…". Each operation has its own keys."""
    body: BaseModel | None = None
    """The request's body. The key with another body is refused."""

    @classmethod
    def of(cls, key: str | None, operation: str, body: BaseModel | None = None) -> "Idempotency | None":
        """Return the idempotency of a request, None without a key."""
        return None if key is None else cls(key, operation, body)


class Record:
    """The stored record of a key: a fingerprint of the body and the ids of the items, without personal data."""

    def __init__(self, table: Table, caller: str, idempotency: Idempotency) -> None:
        self._table = table
        self._partition = PARTITION + _digest(json.dumps([idempotency.operation, caller, idempotency.key]))
        # Of the fields that were sent: a release that adds an optional field does not change it.
        body = idempotency.body
        self._fingerprint = _digest(body.model_dump_json(exclude_unset=True) if body is not None else "")

    def transact_item(self, identities: list[str]) -> TransactItem:
        """Return the TransactItem that records the key; IdempotencyKeyReused if it was recorded before."""
        expires_at = int(time.time()) + LIFE_SECONDS
        record: dict[str, Any] = {"fingerprint": self._fingerprint, "ids": identities, "expires_at": expires_at}
        return self._table.put_new(self._partition, SORT_KEY, record, IdempotencyKeyReused())

    def identities(self) -> list[str] | None:
        """Return the ids of the first request's items, None without a record. Raises Unprocessable for another body."""
        record = self._table.get(self._partition, SORT_KEY)
        if record is None:
            return None
        if record["fingerprint"] != self._fingerprint:
            raise Unprocessable("This Idempotency-Key was used with another request. Use a new key for a new request.")
        identities: list[str] = record["ids"]
        return identities


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
