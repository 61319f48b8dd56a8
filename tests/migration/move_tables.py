"""The tables of a migration on the emulator's DynamoDB, and stores of each phase."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from people.layout import CUSTOMER, USER, Item, Kind
from people.store import CLIENT, Phase, Store, deserialize
from sandbox.cli import TABLE_SCHEMA
from sandbox.emulator import Emulator


@dataclass(frozen=True)
class Tables:
    """Two old tables and a new one."""

    client: Any
    users: str
    customers: str
    new: str

    def store(self, phase: str, kind: Kind = USER) -> Store:
        """Return the store of a function in a phase."""
        return Store(self.client, kind, self.users if kind is USER else self.customers, self.new, Phase(phase))

    def put(self, item: Item) -> None:
        """Write an item into its old table, as an old function does."""
        store = self.store("old", USER if "userId" in item else CUSTOMER)
        store.write(item[store.kind.key], lambda _: item)

    def old(self, kind: Kind = USER) -> dict[str, Item]:
        """Return all items of an old table by id."""
        name = self.users if kind is USER else self.customers
        items = map(deserialize, self.client.scan(TableName=name)["Items"])
        return {item[kind.key]: item for item in items if item}

    def copies(self, kind: Kind = USER) -> dict[str, Item]:
        """Return all items of the new table by id, in the new layout."""
        found = map(deserialize, self.client.scan(TableName=self.new)["Items"])
        return {item["sk"]: item for item in found if item and item["pk"] == kind.name}

    def arguments(self) -> list[str]:
        """Return the tables as the command's arguments."""
        return ["--users", self.users, "--customers", self.customers, "--table", self.new]


@contextmanager
def tables(emulator: Emulator) -> Iterator[Tables]:
    """Create tables that no other test uses."""
    import boto3

    client = boto3.client(
        "dynamodb",
        endpoint_url=emulator.url,
        region_name="eu-central-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=CLIENT,
    )
    suffix = uuid.uuid4().hex[:8]
    made = Tables(client, f"move-{suffix}-users", f"move-{suffix}-customers", f"move-{suffix}-data")
    for name, key in ((made.users, USER.key), (made.customers, CUSTOMER.key)):
        client.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
        )
    client.create_table(TableName=made.new, **TABLE_SCHEMA)
    try:
        yield made
    finally:
        for name in (made.users, made.customers, made.new):
            client.delete_table(TableName=name)


def user(number: int = 1, **fields: Any) -> Item:
    """Return a user as the old functions store one."""
    return {
        "userId": f"{number:032x}",
        "userName": f"User {number}",
        "emailAddress": f"user{number}@example.com",
        "createdAt": Decimal(1600000000 + number),
        "updatedAt": Decimal(1600000000 + number),
        "createdBy": "seed",
    } | fields


def customer(number: int = 1, **fields: Any) -> Item:
    """Return a customer as the old functions store one."""
    return {
        "customerId": f"{number:032x}",
        "customerName": f"Customer {number}",
        "contactEmail": "office@example.org",
        "createdDate": "2024-02-29T10:00:00Z",
        "modifiedDate": "2024-03-01T10:00:00Z",
    } | fields
