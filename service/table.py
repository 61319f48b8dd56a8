"""The one DynamoDB table, and the few ways in which repositories use it.

Every item has the keys pk (what it is: "user", "customer", …) and sk (which one), so that a kind lists in a stable order with
consistent reads and no index. A revision counts its writes: whoever writes says which revision was read.
"""

import base64
import binascii
import random
import re
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import boto3
from boto3.dynamodb.conditions import Key
from botocore.config import Config
from botocore.exceptions import ClientError
from fastapi import Depends, Query

from service.errors import BadRequest, NotFound, Unavailable
from service.models import ID_PATTERN
from service.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table as DynamoTable

Item = dict[str, Any]
T = TypeVar("T")
ATTEMPTS = 8

# Three tries and the waits between them end before the function's ten seconds do: a table that does not answer becomes an
# error that is logged and answered, rather than a time-out that says nothing.
CLIENT = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 3})


class Refused(Exception):  # noqa: N818 - an outcome, not a fault
    """A write's condition did not hold. `parts` are the places, in a transaction, of those that failed."""

    def __init__(self, *parts: int) -> None:
        super().__init__(f"condition of part {parts} did not hold")
        self.parts = parts


class Table:
    """Reads and conditional writes by kind and id."""

    def __init__(self, table: "DynamoTable") -> None:
        self._table = table

    def get(self, kind: str, identity: str) -> Item | None:
        """Return an item as it is now, None when there is none."""
        return self._table.get_item(Key={"pk": kind, "sk": identity}, ConsistentRead=True).get("Item")

    def existing(self, kind: str, identity: str) -> Item:
        """Return an item as it is now. Raises NotFound."""
        item = self.get(kind, identity)
        if item is None:
            raise NotFound(kind, identity)
        return item

    def page(self, kind: str, limit: int, after: str | None) -> tuple[list[Item], str | None]:
        """Return up to `limit` items in the order of their ids, from the one after `after`; and the last's id if there are more."""
        start: dict[str, Any] = {"ExclusiveStartKey": {"pk": kind, "sk": after}} if after else {}
        # One more than asked for tells whether there is a next page. DynamoDB may also stop early, at 1 MB.
        items: list[Item] = []
        while len(items) <= limit:
            answer = self._table.query(
                KeyConditionExpression=Key("pk").eq(kind), Limit=limit + 1 - len(items), ConsistentRead=True, **start
            )
            items += answer["Items"]
            if "LastEvaluatedKey" not in answer:
                break
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        more = len(items) > limit
        return items[:limit], items[limit - 1]["sk"] if more else None

    def write(self, *parts: Item) -> None:
        """Do all of the parts (made by `new`, `replacement` and `removal`) or none. Raises Refused when a condition does not hold."""
        for attempt in range(ATTEMPTS):
            try:
                # A list, and no tuple: boto3 converts Python's types to DynamoDB's only within lists.
                self._table.meta.client.transact_write_items(TransactItems=[*parts])  # type: ignore[list-item]
            except ClientError as error:
                reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
                if "ConditionalCheckFailed" in reasons:
                    raise Refused(*(i for i, code in enumerate(reasons) if code == "ConditionalCheckFailed")) from error
                if (
                    "TransactionConflict" not in reasons
                    and error.response["Error"]["Code"] != "TransactionConflictException"
                ):
                    raise
                # Another transaction was at the same items at the same moment: nothing is known of the conditions yet.
                time.sleep(random.uniform(0.005, 0.02) * min(2**attempt, 16))  # noqa: S311 - spreads retries, guards nothing
            else:
                return
        raise Unavailable("The data is being changed by many requests at once. Try again.")

    def new(self, kind: str, identity: str, item: Item) -> Item:
        """Return the part of a write that adds an item; it is refused where one is already there."""
        return self._put(kind, identity, item | {"revision": 1}, "attribute_not_exists(pk)")

    def replacement(self, kind: str, identity: str, item: Item, revision: int) -> Item:
        """Return the part of a write that replaces an item; it is refused unless `revision` is what is stored."""
        return self._put(kind, identity, item | {"revision": revision + 1}, "revision = :revision", revision)

    def removal(self, kind: str, identity: str, revision: int | None = None) -> Item:
        """Return the part of a write that removes an item; with a `revision` it is refused unless that is what is stored."""
        part: Item = {"TableName": self._table.name, "Key": {"pk": kind, "sk": identity}}
        if revision is not None:
            part |= {
                "ConditionExpression": "revision = :revision",
                "ExpressionAttributeValues": {":revision": revision},
            }
        return {"Delete": part}

    def _put(self, kind: str, identity: str, item: Item, condition: str, revision: int | None = None) -> Item:
        part: Item = {
            "TableName": self._table.name,
            "Item": item | {"pk": kind, "sk": identity},
            "ConditionExpression": condition,
        }
        if revision is not None:
            part["ExpressionAttributeValues"] = {":revision": revision}
        return {"Put": part}


def settled(change: Callable[[], T]) -> T:
    """Return what `change` comes to, a read and a write that depends on it, done again while others get in between."""
    for _ in range(ATTEMPTS):
        try:
            return change()
        except Refused:
            continue
    raise Unavailable("The data is being changed by many requests at once. Try again.")


@cache
def table() -> Table:
    """Return the table that the settings name, through one client for the life of the process."""
    return Table(boto3.resource("dynamodb", config=CLIENT).Table(settings().table_name))


# As every dependency here, `async def` for the routes' own reason: a plain one would wait for a thread.
async def _shared() -> Table:
    return table()


SharedTable = Annotated[Table, Depends(_shared)]


async def _decoded(
    cursor: Annotated[str | None, Query(max_length=100, description="`next_cursor` of the page before.")] = None,
) -> str | None:
    if cursor is None:
        return None
    try:
        identity = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeError):
        identity = ""
    if not re.fullmatch(ID_PATTERN, identity):
        raise BadRequest("The cursor is not one that this API gave.")
    return identity


def encoded(identity: str | None) -> str | None:
    """Return the cursor that continues after an id."""
    return None if identity is None else base64.urlsafe_b64encode(identity.encode()).decode()


Limit = Annotated[int, Query(ge=1, le=100, description="Most items of a page.")]
Cursor = Annotated[str | None, Depends(_decoded)]
