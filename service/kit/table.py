"""The DynamoDB table: consistent reads, and conditional writes in transactions.

The keys of an item are pk (its kind: "user", "customer", …) and sk (its id), so that a kind is listed in a stable order with
consistent reads and no index. `revision` counts an item's writes, and a writer states the revision that it has read. An item past
its `expires_at` (seconds since 1970, the table's TTL attribute) counts as deleted: DynamoDB deletes it only within days.
"""

import logging
import math
import random
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # noqa: A004 - as botocore names it
from fastapi import Depends, FastAPI, Request

from service.kit.errors import NotFound, Unavailable
from service.kit.values import Item, deserialize, serialize

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

P = ParamSpec("P")
T = TypeVar("T")
logger = logging.getLogger(__name__)

# DynamoDB responds in milliseconds: after a second, a retry is quicker than waiting. The client's own retries are off, because they
# do not know the request's deadline.
CONNECT_SECONDS = READ_SECONDS = 1
CLIENT = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries={"total_max_attempts": 1})
# Kept of the request's time for the response and its log line.
RESERVE_SECONDS = 0.4
# How long calls are retried without a request's deadline, as in a command.
PATIENCE_SECONDS = 30
# Waits between retries, by AWS's "full jitter": anything up to a limit that doubles with each try.
# https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.02, 0.5
BATCH = 100
"""Items of one read or transaction: DynamoDB's limit for BatchGetItem and TransactWriteItems."""
COUNTER = "held_by"
# Codes of errors, and of reasons of a cancelled transaction, after which a retry may succeed.
TRANSIENT_ERRORS = {
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingError",
    "ThrottlingException",
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
}


class StaleRevision(Exception):  # noqa: N818 - an outcome, not a fault
    """The item has changed since it was read."""


@dataclass(frozen=True)
class TransactItem:
    """One item of a transaction (TransactWriteItems)."""

    action: str
    """Put, Update, Delete or ConditionCheck."""
    kind: str
    identity: str
    request: Item
    """The action's parameters."""
    error: Exception
    """Raised if the condition fails."""
    optional: bool = False
    """Whether the other items are written without this one if its condition fails."""
    amount: int = 0
    """The amount added to a counter."""

    @property
    def key(self) -> tuple[str, str]:
        """The item's primary key."""
        return self.kind, self.identity


class Table:
    """Reads and conditional writes by kind and id.

    Every method retries transient errors until the deadline (of `time.monotonic`), and then raises Unavailable. No call starts that
    could outlast it.
    """

    def __init__(self, client: "DynamoDBClient", name: str, deadline: float = math.inf) -> None:
        self._client = client
        self._name = name
        self._deadline = deadline

    def until(self, deadline: float) -> "Table":
        """Return the same table with this deadline."""
        return Table(self._client, self._name, deadline)

    def close(self) -> None:
        """Close the client's connections. The next call opens a new one."""
        self._client.close()

    def get(self, kind: str, identity: str) -> Item | None:
        """Return the current item, or None."""
        key = _key(kind, identity)
        response = self._with_retries(self._client.get_item, TableName=self._name, Key=key, ConsistentRead=True)
        item = deserialize(response.get("Item", {}))
        return item if item and item.get("expires_at", math.inf) > time.time() else None

    def get_or_404(self, kind: str, identity: str) -> Item:
        """Return the current item. Raises NotFound."""
        item = self.get(kind, identity)
        if item is None:
            raise NotFound(kind, identity)
        return item

    def batch_get(self, kind: str, identities: list[str]) -> dict[str, Item]:
        """Return the current items by id; at most 100 ids (BatchGetItem's limit). Items that do not exist are left out."""
        keys = [_key(kind, each) for each in dict.fromkeys(identities)]
        wanted: Any = {self._name: {"Keys": keys, "ConsistentRead": True}} if keys else {}
        found: dict[str, Item] = {}
        while wanted:
            response = self._with_retries(self._client.batch_get_item, RequestItems=wanted)
            found |= {item["sk"]: item for item in map(deserialize, response["Responses"].get(self._name, []))}
            wanted = response.get("UnprocessedKeys")
        return found

    def query(
        self, kind: str, limit: int, after: str | None = None, prefix: str = "", *, descending: bool = False
    ) -> tuple[list[Item], bool]:
        """Return up to `limit` items after the id `after`, in the order of their ids, and whether there are more."""
        condition, values = "pk = :pk", {":pk": kind}
        if prefix:
            condition += " AND begins_with(sk, :prefix)"
            values[":prefix"] = prefix
        start: dict[str, Any] = {"ExclusiveStartKey": _key(kind, after)} if after else {}
        # One more than requested shows whether there is a next page. DynamoDB may also stop early, at 1 MB.
        items: list[Item] = []
        while len(items) <= limit:
            response = self._with_retries(
                self._client.query,
                TableName=self._name,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=serialize(values),
                Limit=limit + 1 - len(items),
                ConsistentRead=True,
                ScanIndexForward=not descending,
                **start,
            )
            items += map(deserialize, response["Items"])
            if "LastEvaluatedKey" not in response:
                break
            start = {"ExclusiveStartKey": response["LastEvaluatedKey"]}
        return items[:limit], len(items) > limit

    def write(self, items: Iterable[TransactItem]) -> None:
        """Write all items or none; optional ones are left out if their conditions fail. Raises the error of another one that fails."""
        remaining = list(items)
        while failed := self._write(remaining):
            kinds = sorted({item.kind for item in failed})
            logger.warning("stored entries do not match the declaration, run a backfill: %s", ", ".join(kinds))
            remaining = [item for item in remaining if item not in failed]

    def _write(self, items: list[TransactItem]) -> list[TransactItem]:
        """Write the items and return []; or write nothing, and return the optional ones whose conditions fail."""
        # A retry after a lost response carries the same token, so that DynamoDB does not write twice.
        token = uuid.uuid4().hex
        requests: list[Any] = [{item.action: item.request} for item in items]
        try:
            self._with_retries(self._client.transact_write_items, TransactItems=requests, ClientRequestToken=token)
        except ClientError as error:
            reasons = zip(items, _reasons(error), strict=False)
            failed = [item for item, reason in reasons if reason == "ConditionalCheckFailed"]
            for item in failed:
                if not item.optional:
                    raise item.error from error
            if not failed:
                raise
            return failed
        return []

    def put_new(self, kind: str, identity: str, item: Item, error: Exception) -> TransactItem:
        """Return a TransactItem that creates an item, unless it exists."""
        condition = "attribute_not_exists(pk) OR expires_at <= :now"
        return self._put(kind, identity, item, error, condition, {":now": int(time.time())})

    def put_entry(self, kind: str, identity: str, owner: str, error: Exception) -> TransactItem:
        """Return a TransactItem that puts an entry of the item `owner`, unless another item has it."""
        return self._put(kind, identity, {"id": owner}, error, "attribute_not_exists(pk) OR id = :id", {":id": owner})

    def replace(self, kind: str, identity: str, item: Item, old: Item) -> TransactItem:
        """Return a TransactItem that replaces an item; StaleRevision unless `old` is current."""
        return self._put(kind, identity, item, StaleRevision(), *_unchanged(old))

    def delete(self, kind: str, identity: str, old: Item) -> TransactItem:
        """Return a TransactItem that deletes an item; StaleRevision unless `old` is current."""
        condition, values = _unchanged(old)
        return self._conditional("Delete", kind, identity, StaleRevision(), condition, values)

    def delete_entry(self, kind: str, identity: str, owner: str) -> TransactItem:
        """Return a TransactItem that deletes an entry, if the item `owner` has it."""
        condition = "attribute_not_exists(pk) OR id = :id"
        return self._conditional("Delete", kind, identity, StaleRevision(), condition, {":id": owner}, optional=True)

    def condition_check(self, kind: str, identity: str, error: Exception) -> TransactItem:
        """Return a TransactItem that writes nothing and requires an item to exist."""
        return self._conditional("ConditionCheck", kind, identity, error, "attribute_exists(pk)")

    def check_unchanged(self, kind: str, identity: str, old: Item | None) -> TransactItem:
        """Return a TransactItem that writes nothing; StaleRevision unless `old` is current (None: there is no item)."""
        condition, values = _unchanged(old) if old else ("attribute_not_exists(pk)", {})
        return self._conditional("ConditionCheck", kind, identity, StaleRevision(), condition, values)

    def add(self, kind: str, identity: str, amount: int) -> TransactItem:
        """Return a TransactItem that adds to a counter, which starts at 0 and never becomes negative."""
        condition, values = (f"{COUNTER} >= :floor", {":floor": -amount}) if amount < 0 else (None, {})
        values |= {":amount": amount}
        item = self._conditional("Update", kind, identity, StaleRevision(), condition, values, optional=True)
        item.request["UpdateExpression"] = f"ADD {COUNTER} :amount"
        return replace(item, amount=amount)

    def delete_counter(self, kind: str, identity: str, error: Exception) -> TransactItem:
        """Return a TransactItem that deletes a counter, which must be 0."""
        condition = f"attribute_not_exists(pk) OR {COUNTER} = :zero"
        return self._conditional("Delete", kind, identity, error, condition, {":zero": 0})

    def _put(
        self, kind: str, identity: str, item: Item, error: Exception, condition: str, values: Mapping[str, Any]
    ) -> TransactItem:
        made = self._conditional("Put", kind, identity, error, condition, values)
        del made.request["Key"]
        made.request["Item"] = serialize(item) | _key(kind, identity)
        return made

    def _conditional(
        self,
        action: str,
        kind: str,
        identity: str,
        error: Exception,
        condition: str | None = None,
        values: Mapping[str, Any] | None = None,
        *,
        optional: bool = False,
    ) -> TransactItem:
        request: Item = {"TableName": self._name, "Key": _key(kind, identity)}
        if condition:
            request["ConditionExpression"] = condition
        if values:
            request["ExpressionAttributeValues"] = serialize(values)
        return TransactItem(action, kind, identity, request, error, optional)

    def retry_on_conflict(self, change: Callable[[], T]) -> T:
        """Return the result of `change`, a read and a dependent write, retrying it while other writers interfere."""
        for _ in self._tries():
            try:
                return change()
            except StaleRevision:
                continue
        raise _unavailable()

    def _with_retries(self, call: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Call DynamoDB, retrying transient errors until the deadline."""
        fault: Exception | None = None
        for _ in self._tries(CONNECT_SECONDS + READ_SECONDS):
            try:
                return call(*arguments, **options)
            except (ClientError, ConnectionError, HTTPClientError) as error:
                if isinstance(error, ClientError) and not is_transient(error):
                    raise
                fault = error
        logger.warning("DynamoDB did not respond in time: %s", fault or "no time was left")
        raise _unavailable()

    def _tries(self, seconds: float = 0) -> Iterable[int]:
        """Yield the number of each try, and wait between them, while a try of so many seconds fits before the deadline."""
        deadline = min(self._deadline, time.monotonic() + PATIENCE_SECONDS)
        attempt = 0
        while time.monotonic() + seconds <= deadline:
            yield attempt
            longest = min(FIRST_WAIT_SECONDS * 2 ** min(attempt, 10), LONGEST_WAIT_SECONDS)
            time.sleep(random.uniform(0, longest))  # noqa: S311 - spreads retries, guards nothing
            attempt += 1


def _key(kind: str, identity: str) -> Item:
    return {"pk": {"S": kind}, "sk": {"S": identity}}


def _unchanged(item: Item) -> tuple[str, dict[str, Any]]:
    # A backfill changes the entries, but not the revision.
    if "entries" in item:
        return "revision = :revision AND entries = :entries", {
            f":{name}": item[name] for name in ("revision", "entries")
        }
    return "revision = :revision AND attribute_not_exists(entries)", {":revision": item["revision"]}


def _unavailable() -> Unavailable:
    return Unavailable("The data is unavailable or is being changed by many requests at once. Retry.")


def _reasons(error: ClientError) -> list[str | None]:
    """Return why each item of a cancelled transaction failed; empty for any other error."""
    return [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]


def is_transient(error: ClientError) -> bool:
    """Return whether a retry may succeed. Failed conditions in such an error are not final."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or not TRANSIENT_ERRORS.isdisjoint([error.response["Error"]["Code"], *_reasons(error)])


def open_table(name: str) -> Table:
    """Return the table of this name, with a new client."""
    return Table(boto3.client("dynamodb", config=CLIENT), name)


def install(app: FastAPI, table: Callable[[], Table], request_seconds: float) -> None:
    """Set the application's table, which is opened at its first use, and the time for a request where Lambda sets no deadline."""
    app.state.table = table
    app.state.request_seconds = request_seconds


# `async def` for the same reason as routes: a plain function would run in a thread.
async def request_table(request: Request) -> Table:
    """Return the table for a request, with the request's deadline."""
    context = request.scope.get("aws.context")
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    state = request.app.state
    seconds = remaining() / 1000 if remaining else state.request_seconds
    table: Table = state.table()
    return table.until(time.monotonic() + seconds - RESERVE_SECONDS)


RequestTable = Annotated[Table, Depends(request_table)]
