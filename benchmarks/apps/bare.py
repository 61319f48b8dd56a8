"""The same API in a handler of its own, with Pydantic and nothing else: the floor."""

import json
from typing import Any

from pydantic import BaseModel, ValidationError
from things import Customer, CustomerWrite, User, UserWrite, add, every, find, remove

KINDS: dict[str, tuple[str, type[BaseModel], type[BaseModel]]] = {
    "users": ("user", UserWrite, User),
    "customers": ("customer", CustomerWrite, Customer),
}
Answer = tuple[int, str]


def handler(event: dict[str, Any], _: Any) -> dict[str, Any]:
    """Answer an event."""
    try:
        status, body = answer(event["requestContext"]["http"]["method"], event["rawPath"], event.get("body"))
    except ValidationError as error:
        status, body = 422, error.json(include_url=False)
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": body}


def answer(method: str, path: str, body: str | None) -> Answer:
    """Return status and body."""
    plural, _, identity = path.removeprefix("/").partition("/")
    if plural == "healthz":
        return 200, json.dumps({"status": "ok"})
    if plural not in KINDS:
        return 404, json.dumps({"message": "not found"})
    kind, write, shown = KINDS[plural]
    if not identity:
        return collection(method, body, kind, write, shown)
    if method == "DELETE":
        remove(kind, identity)
        return 204, ""
    item = find(kind, identity)
    if item is None:
        return 404, json.dumps({"message": "not found"})
    if method in {"PUT", "PATCH"}:
        item = add(kind, write.model_validate_json(body or ""))
    elif method != "GET":
        return 405, json.dumps({"message": "not allowed"})
    return 200, shown(**item).model_dump_json()


def collection(method: str, body: str | None, kind: str, write: type[BaseModel], shown: type[BaseModel]) -> Answer:
    """Create or list."""
    if method == "POST":
        return 201, shown(**add(kind, write.model_validate_json(body or ""))).model_dump_json()
    if method == "GET":
        return 200, json.dumps([shown(**item).model_dump(mode="json") for item in every(kind)])
    return 405, json.dumps({"message": "not allowed"})
