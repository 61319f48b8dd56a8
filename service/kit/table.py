"""The one DynamoDB table, and the few ways in which repositories use it.

Every item has the keys pk (what it is: "user", "customer", …) and sk (which one), so that a kind lists in a stable order with
consistent reads and no index. A revision counts its writes: whoever writes says which revision was read. An item past its
`expires_at` (seconds since 1970, the table's TTL attribute) counts as gone: DynamoDB removes it within days, not at once.
"""

import logging
import math
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # noqa: A004 - as botocore names it
from fastapi import Depends, FastAPI, Request

from service.kit.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]
P = ParamSpec("P")
T = TypeVar("T")
logger = logging.getLogger(__name__)

ATTEMPTS = 8
# DynamoDB answers in milliseconds: where it does not within a second, asking again is quicker than waiting. Its client's own
# retries are off, because their waits know nothing of the time that the request has left.
CONNECT_SECONDS = READ_SECONDS = 1
CLIENT = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries={"total_max_attempts": 1})
# Between Python's types and DynamoDB's. boto3's Table does so by itself, at the price of more time for a call, and a twentieth of a start.
_SERIALIZER, _DESERIALIZER = TypeSerializer(), TypeDeserializer()
# What stays of the request's time for the answer and its log line.
RESERVE_SECONDS = 0.4
# Faults that may be gone a moment later, as DynamoDB names them in errors and in the reasons of a cancelled transaction.
PASSING = {
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingError",
    "ThrottlingException",
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
}


class Changed(Exception):  # noqa: N818 - an outcome, not a fault
    """Somebody else has written the item since it was read."""


@dataclass(frozen=True)
class Part:
    """A part of a write, and the error that is raised when its condition does not hold."""

    request: Item
    otherwise: Exception


class Table:
    """Reads and conditional writes by kind and id.

    Every method raises Unavailable when DynamoDB does not do its part, and early enough for that to be answered: no call begins
    that could outlast the deadline (of `time.monotonic`).
    """

    def __init__(self, client: "DynamoDBClient", name: str, deadline: float = math.inf) -> None:
        self._client = client
        self._name = name
        self._deadline = deadline

    def until(self, deadline: float) -> "Table":
        """Return the same table for a request with this deadline."""
        return Table(self._client, self._name, deadline)

    def get(self, kind: str, identity: str) -> Item | None:
        """Return an item as it is now, None when there is none."""
        key = _key(kind, identity)
        answer = self._patiently(self._client.get_item, TableName=self._name, Key=key, ConsistentRead=True)
        item = _plain(answer.get("Item", {}))
        return item if item and item.get("expires_at", math.inf) > time.time() else None

    def existing(self, kind: str, identity: str) -> Item:
        """Return an item as it is now. Raises NotFound."""
        item = self.get(kind, identity)
        if item is None:
            raise NotFound(kind, identity)
        return item

    def several(self, kind: str, identities: list[str]) -> list[Item]:
        """Return those of up to 100 items (BatchGetItem's limit) that exist, as they are now, in the order of the ids given."""
        keys = [_key(kind, each) for each in identities]
        wanted: Any = {self._name: {"Keys": keys, "ConsistentRead": True}} if keys else {}
        found: dict[str, Item] = {}
        while wanted:
            answer = self._patiently(self._client.batch_get_item, RequestItems=wanted)
            found |= {item["sk"]: item for item in map(_plain, answer["Responses"].get(self._name, []))}
            wanted = answer.get("UnprocessedKeys")
        return [found[each] for each in identities if each in found]

    def page(self, kind: str, limit: int, after: str | None = None, prefix: str = "") -> tuple[list[Item], bool]:
        """Return up to `limit` items in the order of their ids, from the one after `after`, and whether there are more."""
        condition, values = "pk = :pk", _typed({":pk": kind})
        if prefix:
            condition += " AND begins_with(sk, :prefix)"
            values |= _typed({":prefix": prefix})
        start: dict[str, Any] = {"ExclusiveStartKey": _key(kind, after)} if after else {}
        # One more than asked for tells whether there is a next page. DynamoDB may also stop early, at 1 MB.
        items: list[Item] = []
        while len(items) <= limit:
            answer = self._patiently(
                self._client.query,
                TableName=self._name,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                Limit=limit + 1 - len(items),
                ConsistentRead=True,
                **start,
            )
            items += map(_plain, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                break
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return items[:limit], len(items) > limit

    def write(self, *parts: Part) -> None:
        """Do all of the parts or none. Raises the error of the first part whose condition does not hold."""
        # With the same token, a try after an answer that was lost on its way is the same write, and not a second one.
        token = uuid.uuid4().hex
        requests: list[Any] = [part.request for part in parts]
        try:
            self._patiently(self._client.transact_write_items, TransactItems=requests, ClientRequestToken=token)
        except ClientError as error:
            for part, reason in zip(parts, _reasons(error), strict=False):
                if reason == "ConditionalCheckFailed":
                    raise part.otherwise from error
            raise

    def new(self, kind: str, identity: str, item: Item, otherwise: Exception) -> Part:
        """Return the part of a write that adds an item where there is none."""
        condition = "attribute_not_exists(pk) OR expires_at <= :now"
        return self._part("Put", kind, identity, otherwise, condition, {":now": int(time.time())}, item)

    def replacement(self, kind: str, identity: str, item: Item, revision: int) -> Part:
        """Return the part of a write that replaces an item; Changed unless `revision` is what is stored."""
        return self._part("Put", kind, identity, Changed(), "revision = :revision", {":revision": revision}, item)

    def removal(self, kind: str, identity: str, revision: int | None = None) -> Part:
        """Return the part of a write that removes an item; with a `revision`, Changed unless that is what is stored."""
        if revision is None:
            return self._part("Delete", kind, identity, Changed())
        return self._part("Delete", kind, identity, Changed(), "revision = :revision", {":revision": revision})

    def presence(self, kind: str, identity: str, otherwise: Exception) -> Part:
        """Return the part of a write that changes nothing, and needs an item to exist."""
        return self._part("ConditionCheck", kind, identity, otherwise, "attribute_exists(pk)")

    def count(self, kind: str, identity: str, by: int) -> Part:
        """Return the part of a write that adds to a counter, which begins at 0."""
        part = self._part("Update", kind, identity, Changed(), values={":by": by})
        part.request["Update"]["UpdateExpression"] = "ADD held_by :by"
        return part

    def removal_at_zero(self, kind: str, identity: str, otherwise: Exception) -> Part:
        """Return the part of a write that removes a counter, which must be at 0."""
        condition = "attribute_not_exists(pk) OR held_by = :zero"
        return self._part("Delete", kind, identity, otherwise, condition, {":zero": 0})

    def _part(
        self,
        action: str,
        kind: str,
        identity: str,
        otherwise: Exception,
        condition: str | None = None,
        values: dict[str, int] | None = None,
        item: Item | None = None,
    ) -> Part:
        key = _key(kind, identity)
        request: Item = {"TableName": self._name}
        request |= {"Key": key} if item is None else {"Item": _typed(item) | key}
        if condition:
            request["ConditionExpression"] = condition
        if values:
            request["ExpressionAttributeValues"] = _typed(values)
        return Part({action: request}, otherwise)

    def _patiently(self, call: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Return what a call of DynamoDB comes to, done again after passing faults while there is time."""
        fault: Exception | None = None
        for attempt in range(ATTEMPTS):
            if time.monotonic() + CONNECT_SECONDS + READ_SECONDS > self._deadline:
                break
            try:
                return call(*arguments, **options)
            except (ClientError, ConnectionError, HTTPClientError) as error:
                if isinstance(error, ClientError) and not _passes(error):
                    raise
                fault = error
            time.sleep(random.uniform(0.005, 0.02) * min(2**attempt, 16))  # noqa: S311 - spreads retries, guards nothing
        logger.warning("DynamoDB did not answer in time: %s", fault or "none was left")
        raise Unavailable("The data cannot be reached or is being changed by many requests at once. Try again.")


def _key(kind: str, identity: str) -> Item:
    return {"pk": {"S": kind}, "sk": {"S": identity}}


def _typed(item: Item) -> Item:
    return {name: _SERIALIZER.serialize(value) for name, value in item.items()}


def _plain(item: Mapping[str, Any]) -> Item:
    return {name: _DESERIALIZER.deserialize(value) for name, value in item.items()}


def _reasons(error: ClientError) -> list[str | None]:
    """Return why each part of a cancelled transaction failed; empty for any other error."""
    return [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]


def _passes(error: ClientError) -> bool:
    """Return whether a fault may be gone a moment later. What it tells of conditions is then not the last word."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or not PASSING.isdisjoint([error.response["Error"]["Code"], *_reasons(error)])


def settled(change: Callable[[], T]) -> T:
    """Return what `change` comes to, a read and a write that depends on it, done again while others get in between."""
    for _ in range(ATTEMPTS):
        try:
            return change()
        except Changed:
            continue
    raise Unavailable("The data is being changed by many requests at once. Try again.")


def open_table(name: str) -> Table:
    """Return the table of this name, through a new client."""
    return Table(boto3.client("dynamodb", config=CLIENT), name)


def install(app: FastAPI, table: Callable[[], Table], request_seconds: float) -> None:
    """Give the application its table, opened at the first use; a request may take `request_seconds` where Lambda sets no deadline."""
    app.state.table = table
    app.state.request_seconds = request_seconds


# As every dependency here, `async def` for the routes' own reason: a plain one would wait for a thread.
async def request_table(request: Request) -> Table:
    """Return the table for a request, with the request's deadline."""
    context = request.scope.get("aws.context")
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    state = request.app.state
    seconds = remaining() / 1000 if remaining else state.request_seconds
    table: Table = state.table()
    return table.until(time.monotonic() + seconds - RESERVE_SECONDS)


RequestTable = Annotated[Table, Depends(request_table)]
