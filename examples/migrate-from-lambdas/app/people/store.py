"""The items of one kind, in the old table, in the new one, or in both, as the phase says (docs/migrating.md).

While there are two copies of an item, every write changes both in one transaction, on the condition that neither has changed since it
was read. So copies that are equal stay equal, whatever writers of neighbouring phases do at the same time, and no update is lost.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config
from botocore.exceptions import ClientError

from people.layout import ADDED, Item, Kind

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Shorter than the function's time-out, with all retries.
CLIENT = Config(connect_timeout=1, read_timeout=4, retries={"mode": "standard", "total_max_attempts": 3})
ATTEMPTS = 12
LONGEST_WAIT_SECONDS = 0.5
BATCH = 100
"""Items of BatchGetItem: DynamoDB's limit."""
# Reasons of a cancelled transaction after which reading and writing again may succeed.
RETRIED = {"ConditionalCheckFailed", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
# Written before the first write that the old table does not get. From then on the old table must not be the truth again.
MIRROR_STOPPED = {"pk": "migration", "sk": "mirror-stopped"}
_SERIALIZER, _DESERIALIZER = TypeSerializer(), TypeDeserializer()


class Phase(StrEnum):
    """Which tables are read and written."""

    OLD = "old"
    COPY = "copy"
    SWITCHED = "switched"
    NEW = "new"

    @property
    def reads_new(self) -> bool:
        """Whether the new table is the truth."""
        return self in {Phase.SWITCHED, Phase.NEW}

    @property
    def uses_old(self) -> bool:
        """Whether writes go to the old table."""
        return self is not Phase.NEW

    @property
    def uses_new(self) -> bool:
        """Whether writes go to the new table."""
        return self is not Phase.OLD


class Busy(Exception):  # noqa: N818
    """Other writers have changed the item again and again."""


@dataclass(frozen=True)
class Copies:
    """Both copies of an item as they were read: None if there is none, or if the phase does not use the table."""

    old: Item | None
    new: Item | None


class Store:
    """The items of one kind. They have the old layout for callers, in every phase."""

    def __init__(self, client: DynamoDBClient, kind: Kind, old_table: str, new_table: str, phase: Phase) -> None:
        self.kind = kind
        self.phase = phase
        self._client = client
        self._old_table = old_table
        self._new_table = new_table
        self._marked = False

    def get(self, identity: str) -> Item | None:
        """Return an item."""
        if self.phase.reads_new:
            new = self._read(self._new_table, self._new_key(identity))
            return new and self.kind.to_old(new)
        return self._read(self._old_table, self._old_key(identity))

    def page(self, limit: int | None = None, after: str | None = None) -> tuple[list[Item], str | None]:
        """Return up to `limit` items after the id `after`, at most 1 MB, and the last id if there may be more.

        The order is that of the ids in the new table, and none in the old one.
        """
        if self.phase.reads_new:
            items, last = self.new_page(limit, after)
            return [self.kind.to_old(item) for item in items], last
        return self.old_page(limit, after)

    def pages(self) -> Iterator[list[Item]]:
        """Yield all items."""
        items, last = self.page()
        yield items
        while last:
            items, last = self.page(after=last)
            yield items

    def write(self, identity: str, change: Callable[[Item | None], Item | None]) -> tuple[Item | None, Item | None]:
        """Replace an item with what `change` returns for the current one; None stands for no item. Return both.

        `change` is called again if another writer changes the item in between. Raises Busy.
        """
        if not self.phase.uses_old:
            self._mark()
        for _ in _attempts():
            copies = self.read(identity)
            before = (copies.new and self.kind.to_old(copies.new)) if self.phase.reads_new else copies.old
            after = change(before)
            if before is None and after is None:
                return None, None
            if self._transact(self._items(identity, copies, after)):
                return before, after
        raise Busy

    def copy(self, stale: Mapping[str, Copies]) -> int:
        """Make new copies equal to the old ones, in one transaction if no client interferes; return how many were written.

        Raises Busy.
        """
        items = [part for identity, copies in stale.items() for part in self._copying(identity, copies)]
        if self._transact(items):
            return len(stale)
        return sum(map(self._copy, stale))

    def _copy(self, identity: str) -> bool:
        for _ in _attempts():
            copies = self.read(identity)
            if not self.differences(copies):
                return False
            if self._transact(self._copying(identity, copies)):
                return True
        raise Busy

    def _copying(self, identity: str, copies: Copies) -> list[Any]:
        """Return the transaction that replaces the new copy, if neither has changed."""
        check = self._unchanged(self._old_table, self._old_key(identity), copies.old)
        _, new = self._items(identity, copies, copies.old)
        return [{"ConditionCheck": check}, new]

    def differences(self, copies: Copies) -> list[str]:
        """Return in what the copies differ: names of attributes, or which one is missing."""
        if copies.old and copies.new:
            return self.kind.differences(copies.old, copies.new)
        return ["missing in the new table"] if copies.old else ["not in the old table"] if copies.new else []

    def read(self, identity: str) -> Copies:
        """Return the copies that the phase uses."""
        return Copies(
            self._read(self._old_table, self._old_key(identity)) if self.phase.uses_old else None,
            self._read(self._new_table, self._new_key(identity)) if self.phase.uses_new else None,
        )

    def read_together(self, identity: str) -> Copies:
        """Return both copies as they were at one moment."""
        gets: Any = [
            {"Get": {"TableName": self._old_table, "Key": serialize(self._old_key(identity))}},
            {"Get": {"TableName": self._new_table, "Key": serialize(self._new_key(identity))}},
        ]
        for _ in _attempts():
            try:
                old, new = self._client.transact_get_items(TransactItems=gets)["Responses"]
            except ClientError as error:
                if not _retried(error):
                    raise
            else:
                return Copies(deserialize(old.get("Item")), deserialize(new.get("Item")))
        raise Busy

    def old_page(self, limit: int | None = None, after: str | None = None) -> tuple[list[Item], str | None]:
        """Return a page of the old table."""
        more = _given(Limit=limit, ExclusiveStartKey=serialize(self._old_key(after)) if after else None)
        page = self._client.scan(TableName=self._old_table, ConsistentRead=True, **more)
        last = page.get("LastEvaluatedKey", {}).get(self.kind.key)
        return [item for item in map(deserialize, page["Items"]) if item], last["S"] if last else None

    def new_page(self, limit: int | None = None, after: str | None = None) -> tuple[list[Item], str | None]:
        """Return a page of the new table, in its layout."""
        more = _given(Limit=limit, ExclusiveStartKey=serialize(self._new_key(after)) if after else None)
        page = self._client.query(
            TableName=self._new_table,
            KeyConditionExpression="pk = :kind",
            ExpressionAttributeValues=serialize({":kind": self.kind.name}),
            ConsistentRead=True,
            **more,
        )
        last = page.get("LastEvaluatedKey", {}).get("sk")
        return [item for item in map(deserialize, page["Items"]) if item], last["S"] if last else None

    def old_items(self, identities: list[str]) -> dict[str, Item]:
        """Return the old copies by id."""
        found = self._batch(self._old_table, [self._old_key(each) for each in identities])
        return {item[self.kind.key]: item for item in found}

    def new_items(self, identities: list[str]) -> dict[str, Item]:
        """Return the new copies by id."""
        return {item["sk"]: item for item in self._batch(self._new_table, [self._new_key(each) for each in identities])}

    def mirror_stopped(self) -> bool:
        """Return whether an item may have been written that the old table does not have."""
        return self._read(self._new_table, MIRROR_STOPPED) is not None

    def _mark(self) -> None:
        if not self._marked:
            self._client.put_item(TableName=self._new_table, Item=serialize(MIRROR_STOPPED))
            self._marked = True

    def _items(self, identity: str, copies: Copies, after: Item | None) -> list[Any]:
        """Return the transaction that replaces the copies which the phase uses."""
        items = []
        if self.phase.uses_old:
            request = self._unchanged(self._old_table, self._old_key(identity), copies.old)
            items.append(_replace(request, after))
        if self.phase.uses_new:
            request = self._unchanged(self._new_table, self._new_key(identity), copies.new)
            revision = copies.new["revision"] + 1 if copies.new else 1
            items.append(_replace(request, after and self.kind.to_new(after) | {"revision": revision}))
        return items

    def _transact(self, items: list[Any]) -> bool:
        """Write all items or none; return False if that may succeed after another read."""
        try:
            # A retry of the client has the same token, so that nothing is written twice.
            self._client.transact_write_items(TransactItems=items)
        except ClientError as error:
            if not _retried(error):
                raise
            return False
        return True

    def _unchanged(self, table: str, key: Item, item: Item | None) -> dict[str, Any]:
        """Return a request's table and key, and the condition that the item is as it was read."""
        request: dict[str, Any] = {"TableName": table, "Key": serialize(key)}
        if item is None:
            name = next(iter(key))
            return request | {
                "ConditionExpression": "attribute_not_exists(#0)",
                "ExpressionAttributeNames": {"#0": name},
            }
        names = sorted(item.keys() | self._known(table))
        terms = [f"#{n} = :{n}" if name in item else f"attribute_not_exists(#{n})" for n, name in enumerate(names)]
        return request | {
            "ConditionExpression": " AND ".join(terms),
            "ExpressionAttributeNames": {f"#{n}": name for n, name in enumerate(names)},
            "ExpressionAttributeValues": serialize(
                {f":{n}": item[name] for n, name in enumerate(names) if name in item}
            ),
        }

    def _known(self, table: str) -> set[str]:
        """Return the attributes that another writer may have added."""
        return set(self.kind.names) if table == self._old_table else set(self.kind.names.values()) | ADDED

    def _old_key(self, identity: str) -> Item:
        return {self.kind.key: identity}

    def _new_key(self, identity: str) -> Item:
        return {"pk": self.kind.name, "sk": identity}

    def _read(self, table: str, key: Item) -> Item | None:
        return deserialize(self._client.get_item(TableName=table, Key=serialize(key), ConsistentRead=True).get("Item"))

    def _batch(self, table: str, keys: list[Item]) -> list[Item]:
        wanted: Any = {table: {"Keys": [serialize(key) for key in keys], "ConsistentRead": True}} if keys else {}
        found: list[Item | None] = []
        while wanted:
            response = self._client.batch_get_item(RequestItems=wanted)
            found += map(deserialize, response["Responses"].get(table, []))
            wanted = response.get("UnprocessedKeys")
        return [item for item in found if item]


def serialize(item: Item) -> dict[str, Any]:
    """Return an item's values as DynamoDB's attribute values."""
    return {name: _SERIALIZER.serialize(value) for name, value in item.items()}


def deserialize(item: Any) -> Item | None:
    """Return DynamoDB's attribute values as Python values, None for no item."""
    return {name: _DESERIALIZER.deserialize(value) for name, value in item.items()} if item else None


def _replace(request: dict[str, Any], item: Item | None) -> dict[str, Any]:
    if item is None:
        return {"Delete": request}
    key = request.pop("Key")
    return {"Put": request | {"Item": serialize(item) | key}}


def _retried(error: ClientError) -> bool:
    reasons = {str(reason.get("Code")) for reason in error.response.get("CancellationReasons", [])}
    return not RETRIED.isdisjoint(reasons)


def _attempts() -> Iterator[int]:
    """Yield the number of each attempt, and wait between them."""
    for number in range(ATTEMPTS):
        yield number
        time.sleep(random.uniform(0, min(0.02 * 2**number, LONGEST_WAIT_SECONDS)))  # noqa: S311 - spreads retries


def _given(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}
