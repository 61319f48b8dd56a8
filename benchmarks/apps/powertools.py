"""The same API on AWS Lambda Powertools, with validation, as its documentation shows it."""

from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from things import Customer, CustomerWrite, User, UserWrite, add, every, find, remove

app = APIGatewayHttpResolver(enable_validation=True)


def existing(kind: str, identity: str) -> dict[str, Any]:
    """Read a thing, or answer 404."""
    item = find(kind, identity)
    if item is None:
        raise NotFoundError("not found")
    return item


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
    return User(**existing("user", identity))


@app.put("/users/<identity>")
def replace_user(identity: str, body: UserWrite) -> User:
    """Replace."""
    existing("user", identity)
    return User(**add("user", body))


@app.patch("/users/<identity>")
def update_user(identity: str, body: UserWrite) -> User:
    """Change."""
    existing("user", identity)
    return User(**add("user", body))


@app.delete("/users/<identity>")
def delete_user(identity: str) -> None:
    """Delete."""
    remove("user", identity)


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
    return Customer(**existing("customer", identity))


@app.put("/customers/<identity>")
def replace_customer(identity: str, body: CustomerWrite) -> Customer:
    """Replace."""
    existing("customer", identity)
    return Customer(**add("customer", body))


@app.patch("/customers/<identity>")
def update_customer(identity: str, body: CustomerWrite) -> Customer:
    """Change."""
    existing("customer", identity)
    return Customer(**add("customer", body))


@app.delete("/customers/<identity>")
def delete_customer(identity: str) -> None:
    """Delete."""
    remove("customer", identity)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer an event."""
    return app.resolve(event, context)
