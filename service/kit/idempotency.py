"""Creates that may be sent again.

The record of a key is written by the transaction that creates the thing. So a key is never taken without its answer: there is no
state "in flight" that a crash could leave behind, and of two requests at once the second one gets the first one's answer.
A create that was refused leaves no record, and may be sent again under the same key.
"""

import hashlib
import json
import time

from service.kit.errors import Unprocessable
from service.kit.models import Body
from service.kit.table import Changed, Item, Part, Table

KIND = "idempotency"
LIFE_SECONDS = 24 * 60 * 60


class Repeated(Exception):  # noqa: N818 - an outcome, not a fault
    """The key has been used before."""


class Record:
    """What is kept of the first create with a key, for each caller and kind of thing by itself."""

    def __init__(self, table: Table, kind: str, by: str, key: str, body: Body) -> None:
        self._table = table
        self._place = _digest(json.dumps([kind, by, key]))
        # Of what was sent, so that a release that adds an optional field does not make it another body.
        self._fingerprint = _digest(body.model_dump_json(exclude_unset=True))

    def part(self, item: Item) -> Part:
        """Return the part of a write that records the key with what is created; Repeated when the key has a record."""
        record = {"fingerprint": self._fingerprint, "item": item, "expires_at": int(time.time()) + LIFE_SECONDS}
        return self._table.new(KIND, self._place, record, Repeated())

    def first(self) -> Item:
        """Return what the first create with the key has created. Raises Unprocessable when that had another body."""
        record = self._table.get(KIND, self._place)
        if record is None:  # it expired a moment ago
            raise Changed
        if record["fingerprint"] != self._fingerprint:
            raise Unprocessable("The Idempotency-Key was used with another body. A new request needs a new key.")
        item: Item = record["item"]
        return item


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
