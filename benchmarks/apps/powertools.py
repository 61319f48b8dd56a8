"""The same API on AWS Lambda Powertools, with validation, as its documentation shows it."""

import os
import uuid
from datetime import UTC, datetime
from typing import Any

import boto3
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from boto3.dynamodb.conditions import Key
from pydantic import BaseModel, Field

table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])
app = APIGatewayHttpResolver(enable_validation=True)


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


def find(kind: str, identity: str) -> dict[str, Any]:
    """Read a thing, or answer 404."""
    item: dict[str, Any] | None = table.get_item(Key={"pk": kind, "sk": identity}).get("Item")
    if item is None:
        raise NotFoundError("not found")
    return item


def every(kind: str) -> list[dict[str, Any]]:
    """List things."""
    items: list[dict[str, Any]] = table.query(KeyConditionExpression=Key("pk").eq(kind), Limit=50)["Items"]
    return items


@app.get("/healthz")
def health() -> dict[str, str]:
    """Answer."""
    return {"status": "ok"}


@app.post("/users")
def create_user(body: UserWrite) -> tuple[User, int]:
    """Create."""
    return User(**add("user", body)), 201


@app.get("/users")
def list_users() -> list[User]:
    """List."""
    return [User(**item) for item in every("user")]


@app.get("/users/<identity>")
def read_user(identity: str) -> User:
    """Read."""
    return User(**find("user", identity))


@app.put("/users/<identity>")
def replace_user(identity: str, body: UserWrite) -> User:
    """Replace."""
    find("user", identity)
    return User(**add("user", body))


@app.patch("/users/<identity>")
def update_user(identity: str, body: UserWrite) -> User:
    """Change."""
    return replace_user(identity, body)


@app.delete("/users/<identity>")
def delete_user(identity: str) -> None:
    """Delete."""
    table.delete_item(Key={"pk": "user", "sk": identity})


@app.post("/customers")
def create_customer(body: CustomerWrite) -> tuple[Customer, int]:
    """Create."""
    return Customer(**add("customer", body)), 201


@app.get("/customers")
def list_customers() -> list[Customer]:
    """List."""
    return [Customer(**item) for item in every("customer")]


@app.get("/customers/<identity>")
def read_customer(identity: str) -> Customer:
    """Read."""
    return Customer(**find("customer", identity))


@app.put("/customers/<identity>")
def replace_customer(identity: str, body: CustomerWrite) -> Customer:
    """Replace."""
    find("customer", identity)
    return Customer(**add("customer", body))


@app.patch("/customers/<identity>")
def update_customer(identity: str, body: CustomerWrite) -> Customer:
    """Change."""
    return replace_customer(identity, body)


@app.delete("/customers/<identity>")
def delete_customer(identity: str) -> None:
    """Delete."""
    table.delete_item(Key={"pk": "customer", "sk": identity})


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer an event."""
    return app.resolve(event, context)
