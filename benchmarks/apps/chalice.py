"""The same API on AWS Chalice, which answers a REST API's events (payload 1.0) and leaves validation to its views."""

from typing import Any, TypeVar

from chalice import Chalice, NotFoundError, Response, UnprocessableEntityError
from pydantic import BaseModel, ValidationError
from things import Customer, CustomerWrite, User, UserWrite, add, every, find, remove

Model = TypeVar("Model", bound=BaseModel)
app = Chalice(app_name="bench")


def existing(kind: str, identity: str) -> dict[str, Any]:
    """Read a thing, or answer 404."""
    item = find(kind, identity)
    if item is None:
        raise NotFoundError("not found")
    return item


def sent(model: type[Model]) -> Model:
    """Return the request's body, or answer 422."""
    try:
        return model.model_validate_json(app.current_request.raw_body)
    except ValidationError as error:
        raise UnprocessableEntityError(str(error)) from error


def shown(thing: BaseModel) -> dict[str, Any]:
    """Return what is answered."""
    return thing.model_dump(mode="json")


@app.route("/healthz")
def health() -> dict[str, str]:
    """Answer."""
    return {"status": "ok"}


@app.route("/users", methods=["POST"])
def create_user() -> Response:
    """Create."""
    return Response(shown(User(**add("user", sent(UserWrite)))), status_code=201)


@app.route("/users")
def list_users() -> list[dict[str, Any]]:
    """List."""
    return [shown(User(**item)) for item in every("user")]


@app.route("/users/{identity}")
def read_user(identity: str) -> dict[str, Any]:
    """Read."""
    return shown(User(**existing("user", identity)))


@app.route("/users/{identity}", methods=["PUT", "PATCH"])
def replace_user(identity: str) -> dict[str, Any]:
    """Replace, or change."""
    existing("user", identity)
    return shown(User(**add("user", sent(UserWrite))))


@app.route("/users/{identity}", methods=["DELETE"])
def delete_user(identity: str) -> Response:
    """Delete."""
    remove("user", identity)
    return Response(None, status_code=204)


@app.route("/customers", methods=["POST"])
def create_customer() -> Response:
    """Create."""
    return Response(shown(Customer(**add("customer", sent(CustomerWrite)))), status_code=201)


@app.route("/customers")
def list_customers() -> list[dict[str, Any]]:
    """List."""
    return [shown(Customer(**item)) for item in every("customer")]


@app.route("/customers/{identity}")
def read_customer(identity: str) -> dict[str, Any]:
    """Read."""
    return shown(Customer(**existing("customer", identity)))


@app.route("/customers/{identity}", methods=["PUT", "PATCH"])
def replace_customer(identity: str) -> dict[str, Any]:
    """Replace, or change."""
    existing("customer", identity)
    return shown(Customer(**add("customer", sent(CustomerWrite))))


@app.route("/customers/{identity}", methods=["DELETE"])
def delete_customer(identity: str) -> Response:
    """Delete."""
    remove("customer", identity)
    return Response(None, status_code=204)


handler = app
