"""The ten operations under the contract of the old functions. docs/migrating.md lists where it differs from them."""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import time
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any

import boto3
from fastapi import Depends, FastAPI, Request, Response

from people.layout import CUSTOMER, USER, Item
from people.store import CLIENT, Busy, Phase, Store
from people.tokens import InvalidToken, Verifier

logger = logging.getLogger(__name__)
ANY_ORIGIN = {"access-control-allow-origin": "*"}
CUSTOMER_FIELDS = ("customerName", "contactEmail", "accountManager")

app = FastAPI(title="People", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)


class Refusal(Exception):  # noqa: N818
    """An error response, as the old functions send it."""

    def __init__(self, status: int, **body: str) -> None:
        super().__init__(status)
        self.status, self.body = status, body


@cache
def users() -> Store:
    """Return the users, as the environment says."""
    return _store("USERS_TABLE", USER)


@cache
def customers() -> Store:
    """Return the customers, as the environment says."""
    return _store("CUSTOMERS_TABLE", CUSTOMER)


def _store(old_table: str, kind: Any) -> Store:
    phase = Phase(os.environ["DATA_PHASE"])
    client = boto3.client("dynamodb", config=CLIENT)
    return Store(client, kind, os.environ[old_table], os.environ["TABLE_NAME"], phase)


@cache
def verifier() -> Verifier:
    """Return the verifier of tokens, as the environment says."""
    issuer = os.environ["ISSUER"]
    return Verifier(issuer, os.environ.get("KEYS_URL") or f"{issuer}/.well-known/jwks.json")


# Routes and dependencies are `async def` although boto3 blocks: a Lambda environment serves one request at a time.
async def user_caller(request: Request) -> Item:
    """Return the claims of a caller of /users."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        return verifier().claims(token if scheme == "Bearer" else "")
    except InvalidToken:
        raise Refusal(401, message="Unauthorized") from None


async def customer_caller(request: Request) -> None:
    """Check a caller of /customers, who may send the token without a scheme."""
    header = request.headers.get("authorization", "")
    try:
        verifier().claims(header[7:] if header[:7].lower() == "bearer " else header)
    except InvalidToken as error:
        # The list says why, the others do not.
        listed = request.method == "GET" and request.url.path == "/customers"
        raise Refusal(403, error=str(error) if listed else "forbidden") from None


UserCaller = Annotated[Item, Depends(user_caller)]
CUSTOMER_CALLER = [Depends(customer_caller)]


@app.exception_handler(Refusal)
async def refuse(_: Request, refusal: Refusal) -> Response:
    """Return an error."""
    return respond(refusal.status, refusal.body)


@app.exception_handler(Busy)
async def busy(_: Request, __: Busy) -> Response:
    """Ask the client to come back: nothing was written."""
    return respond(503, {"message": "Service Unavailable"}, {"retry-after": "1"})


@app.exception_handler(Exception)
async def failed(_: Request, error: Exception) -> Response:
    """Respond as API Gateway does for a function that fails."""
    logger.error("uncaught error", exc_info=error)
    return respond(500, {"message": "Internal Server Error"})


def respond(status: int, body: Any, headers: dict[str, str] | None = None, number: Any = str) -> Response:
    """Return a response with JSON, in which numbers of an item are converted by `number`."""
    return Response(json.dumps(body, default=number), status, headers, "application/json")


async def json_object(request: Request) -> Item | None:
    """Return the body's JSON object, {} for an empty body, None for anything else."""
    try:
        body = json.loads(await request.body() or "{}", parse_float=Decimal, parse_int=Decimal)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


@app.get("/healthz")
async def healthz() -> Response:
    """Let the release gate refuse a phase that reads the old tables after they have missed a write."""
    if not users().phase.reads_new and users().mirror_stopped():
        reason = "The old tables are no longer complete: only the phases switched and new are possible."
        return respond(503, {"message": reason})
    return respond(200, {"status": "ok", "phase": users().phase})


@app.get("/users")
async def list_users(_: UserCaller, request: Request) -> Response:
    """List users, or those with an e-mail address."""
    query = request.query_params
    if query.get("email"):
        found = [user for page in users().pages() for user in page if user.get("emailAddress") == query["email"]]
        return respond(200, {"users": found, "count": len(found)})
    try:
        items, last = users().page(int(query.get("limit", 100)), query.get("lastKey"))
    except ValueError as error:
        raise Refusal(500, message=f"Internal error: {error}") from None
    return respond(200, {"users": items, "count": len(items)} | ({"lastKey": last} if last else {}))


@app.post("/users")
async def add_user(caller: UserCaller, request: Request) -> Response:
    """Add a user. As before, the check for a unique address reads one megabyte, and has a race."""
    body = await json_object(request)
    if body is None:
        raise Refusal(400, message="Invalid JSON")
    email = body.get("emailAddress")
    if not body.get("userName"):
        raise Refusal(400, message="userName is required")
    if not isinstance(email, str) or not re.match(r"[^@]+@[^@]+", email):
        raise Refusal(400, message="emailAddress is invalid")
    if any(user.get("emailAddress") == email for user in users().page()[0]):
        raise Refusal(400, message="User already exists")
    now = Decimal(int(time.time()))
    user = {
        "userId": uuid.uuid4().hex,
        "userName": body["userName"],
        "emailAddress": email,
        "createdAt": now,
        "updatedAt": now,
        "createdBy": caller["sub"],
    }
    users().write(user["userId"], lambda _: user)
    return respond(201, {"message": "User created", "userId": user["userId"]}, ANY_ORIGIN)


@app.get("/users/{identity}")
async def get_user(_: UserCaller, identity: str) -> Response:
    """Return a user."""
    user = users().get(identity)
    if user is None:
        raise Refusal(404, message="User not found")
    return respond(200, user)


@app.put("/users/{identity}")
async def update_user(_: UserCaller, identity: str, request: Request) -> Response:
    """Set a user's name or address. As before, the address may be another user's."""
    body = await json_object(request)
    if body is None:
        raise Refusal(400, message="Invalid JSON")
    fields: Item = {name: body[name] for name in ("userName", "emailAddress") if name in body}
    fields["updatedAt"] = Decimal(int(time.time()))
    updated = users().write(identity, lambda user: user and user | fields)[1]
    if updated is None:
        raise Refusal(404, message="User not found")
    return respond(200, {"message": "User updated", "user": updated}, ANY_ORIGIN)


@app.delete("/users/{identity}")
async def delete_user(_: UserCaller, identity: str) -> Response:
    """Delete a user, which need not exist."""
    users().write(identity, lambda _: None)
    return respond(200, {"message": "User deleted"})


@app.get("/customers", dependencies=CUSTOMER_CALLER)
async def list_customers(request: Request) -> Response:
    """List customers. The page's size counts customers before the filter, so that pages may be empty."""
    query = request.query_params
    token = query.get("nextToken")
    after = json.loads(base64.b64decode(token))["customerId"] if token is not None else None
    items, last = customers().page(int(query.get("pageSize", "50")), after)
    if "accountManager" in query:
        items = [customer for customer in items if customer.get("accountManager") == query["accountManager"]]
    following = base64.b64encode(json.dumps({"customerId": last}).encode()).decode() if last else None
    return respond(200, {"customers": items, "nextToken": following}, number=float)


@app.post("/customers", dependencies=CUSTOMER_CALLER)
async def add_customer(request: Request) -> Response:
    """Add a customer."""
    body = await json_object(request)
    if body is None or not isinstance(body.get("customerName"), str):
        raise Refusal(422, error="customerName missing")
    given = {name: body[name] for name in CUSTOMER_FIELDS if body.get(name) or name == "customerName"}
    _require_texts(given)
    now = _now()
    customer: Item = {"customerId": uuid.uuid4().hex, "createdDate": now, "modifiedDate": now} | given
    customers().write(customer["customerId"], lambda _: customer)
    return respond(201, customer)


@app.get("/customers/{identity}", dependencies=CUSTOMER_CALLER)
async def get_customer(identity: str) -> Response:
    """Return a customer, {} for a missing one."""
    return respond(200, customers().get(identity) or {}, number=int)


@app.put("/customers/{identity}", dependencies=CUSTOMER_CALLER)
async def update_customer(identity: str, request: Request) -> Response:
    """Set some of a customer's fields. A missing customer is created."""
    body = await json_object(request)
    if not await request.body() or body is None:
        raise Refusal(422, error="invalid body")
    fields = {name: body[name] for name in CUSTOMER_FIELDS if name in body}
    _require_texts(fields)
    fields["modifiedDate"] = _now()
    customer = customers().write(identity, lambda before: {"customerId": identity} | (before or {}) | fields)[1]
    return respond(200, customer, number=int)


@app.delete("/customers/{identity}", dependencies=CUSTOMER_CALLER)
async def delete_customer(identity: str) -> Response:
    """Delete a customer."""
    if customers().write(identity, lambda _: None)[0] is None:
        raise Refusal(404, error="no such customer")
    return Response(status_code=204)


def _require_texts(fields: Item) -> None:
    """Refuse fields that are no texts, with which the old functions failed."""
    if wrong := [name for name, value in fields.items() if not isinstance(value, str)]:
        raise Refusal(422, error=f"{wrong[0]} must be a text")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
