"""Requests that a client may send again, under the same Idempotency-Key.

The record of a key is written by the very transaction that the request asks for. So there is no state "in flight" that a crash
could leave behind, and of two requests at once the second one gets the response to the first. A request that was refused leaves
no record, and may be sent again under the same key.
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
# Each key is a partition of its own: the records of all would share one, which takes 1,000 writes a second.
PARTITION, SORT_KEY = "idempotency-", "record"


class IdempotencyKeyReused(Exception):  # noqa: N818 - an outcome, not a fault
    """The key has a record."""


@dataclass(frozen=True)
class Idempotency:
    """An Idempotency-Key, and the request that it was sent with."""

    key: str
    """As the client has chosen it."""
    operation: str
    """What is asked for, with the item where there is one: "create_user", "cancel_ticket 0123…". Keys of two operations differ."""
    body: BaseModel | None = None
    """The request's body, to refuse the key with another one."""

    @classmethod
    def of(cls, key: str | None, operation: str, body: BaseModel | None = None) -> "Idempotency | None":
        """Return the key of a request, None for one without."""
        return None if key is None else cls(key, operation, body)


class Record:
    """What is stored of the first request with a key: a fingerprint of its body, and the ids of its items. It has no personal data."""

    def __init__(self, table: Table, caller: str, idempotency: Idempotency) -> None:
        self._table = table
        self._partition = PARTITION + _digest(json.dumps([idempotency.operation, caller, idempotency.key]))
        # Of what was sent, so that a release that adds an optional field does not make it another body.
        body = idempotency.body
        self._fingerprint = _digest(body.model_dump_json(exclude_unset=True) if body is not None else "")

    def transact_item(self, identities: list[str]) -> TransactItem:
        """Return the transaction's item that records the key; IdempotencyKeyReused when the key has a record."""
        expires_at = int(time.time()) + LIFE_SECONDS
        record: dict[str, Any] = {"fingerprint": self._fingerprint, "ids": identities, "expires_at": expires_at}
        return self._table.put_new(self._partition, SORT_KEY, record, IdempotencyKeyReused())

    def identities(self) -> list[str] | None:
        """Return the ids of the first request's items, None when there is no record. Raises Unprocessable for another body."""
        record = self._table.get(self._partition, SORT_KEY)
        if record is None:
            return None
        if record["fingerprint"] != self._fingerprint:
            raise Unprocessable("This Idempotency-Key was used with another request. Use a new key for a new request.")
        identities: list[str] = record["ids"]
        return identities


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
