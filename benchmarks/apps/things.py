"""What the peers share, so that only their frameworks differ: models, and a boto3 table that is made at import."""

import os
import uuid
from datetime import UTC, datetime
from typing import Any

import boto3
from boto3.dynamodb.conditions import Key
from pydantic import BaseModel, Field

table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])


class UserWrite(BaseModel):
    """A user as it is sent."""

    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+\.[a-z]+$", max_length=254)
    name: str = Field(min_length=1, max_length=200)


class CustomerWrite(BaseModel):
    """A customer as it is sent."""

    name: str = Field(min_length=1, max_length=200)
    contact: str | None = Field(default=None, pattern=r"^[^@\s]+@[^@\s]+\.[a-z]+$")


class Stored(BaseModel):
    """What every stored thing has."""

    id: str
    created_at: datetime


class User(UserWrite, Stored):
    """A user as it is stored."""


class Customer(CustomerWrite, Stored):
    """A customer as it is stored."""


def add(kind: str, body: BaseModel) -> dict[str, Any]:
    """Store a new thing."""
    item = {"id": uuid.uuid4().hex, "created_at": datetime.now(UTC).isoformat(), **body.model_dump()}
    table.put_item(Item={"pk": kind, "sk": item["id"], **item})
    return item


def find(kind: str, identity: str) -> dict[str, Any] | None:
    """Read a thing, None when there is none."""
    return table.get_item(Key={"pk": kind, "sk": identity}).get("Item")


def every(kind: str) -> list[dict[str, Any]]:
    """List things."""
    return table.query(KeyConditionExpression=Key("pk").eq(kind), Limit=50)["Items"]


def remove(kind: str, identity: str) -> None:
    """Delete a thing."""
    table.delete_item(Key={"pk": kind, "sk": identity})
