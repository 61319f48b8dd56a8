"""The handler that Lambda calls."""

import asyncio
import itertools
import logging
import os
from typing import Any

try:
    # Before all other imports, which it makes cheaper. Optional: the image leaves it out when it is built with COLD_START=off.
    from service.aws_lambda.cold_start import startup
except ModuleNotFoundError as missing:
    if missing.name != "service.aws_lambda.cold_start":
        raise
    startup = None  # type: ignore[assignment]

from mangum import Mangum
from pydantic import ValidationError

from service.app import create_app, table
from service.aws_lambda.event import BelowRootPath, UnsupportedEventError, is_http, parse
from service.kit import logs
from service.kit.errors import MEDIA_TYPE, FieldError, problem
from service.kit.middleware import HEADERS, NOT_STORED
from service.settings import settings

logger = logging.getLogger(__name__)

PING = {"ping": True}
PONG = {"pong": True}
TEXT_MIME_TYPES = ["text/", "application/json", "application/javascript", MEDIA_TYPE]


def _ensure_event_loop() -> None:
    """Give this thread an event loop if it has none, or a closed one: Mangum uses the thread's."""
    try:
        closed = asyncio.get_event_loop().is_closed()
    except (RuntimeError, DeprecationWarning):  # the latter is Python 3.12 and 3.13 with warnings as errors
        closed = True
    if closed:
        asyncio.set_event_loop(asyncio.new_event_loop())


app = create_app()
table()  # creates DynamoDB's client now: Lambda gives the init phase more CPU than a request
_ensure_event_loop()
# With its lifespan on, Mangum would run start-up and shutdown for every request.
_mangum = Mangum(
    BelowRootPath(app, settings().root_path) if settings().root_path else app,
    lifespan="off",
    text_mime_types=TEXT_MIME_TYPES,
)
_invocations = itertools.count()
_initialization = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE")
# A client waits for an initialisation or a restore, but not for provisioned concurrency.
_client_waits = _initialization in {"on-demand", "snap-start"}
if _initialization == "snap-start":
    from service.aws_lambda import snap_start  # here, since no other start needs it

    snap_start.register()
if startup:
    startup.finish()


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Return the response to API Gateway's event (HTTP API, payload format 2.0), 400 for an HTTP event of another format.

    The warm-up ping `{"ping": true}` returns `{"pong": true}`. Raises UnsupportedEventError for every other event, so that its
    sender knows: a queue would delete messages that nobody has read.
    """
    logs.request_id.set(getattr(context, "aws_request_id", None))
    logs.cold_start.set(next(_invocations) == 0 and _client_waits)
    if event == PING:
        return PONG
    if not is_http(event):
        raise UnsupportedEventError(event)
    try:
        request = parse(event)
    except ValidationError as error:
        return _bad_request(event, error)
    _ensure_event_loop()
    return _mangum(request, context)


def _bad_request(event: dict[str, Any], error: ValidationError) -> dict[str, Any]:
    # Places and messages, never the input: it must not reach the log.
    errors = [FieldError(field=_encodable(".".join(map(str, e["loc"]))), message=e["msg"]) for e in error.errors()]
    logger.warning("malformed event: %s", "; ".join(f"{e.field}: {e.message}" for e in errors))
    detail = "The event must be API Gateway's for an HTTP API, payload format 2.0."
    response = problem(_encodable(event.get("rawPath")), 400, detail, errors)
    return {
        "statusCode": response.status_code,
        "headers": dict(response.headers) | {name.decode(): value.decode() for name, value in (*HEADERS, NOT_STORED)},
        "body": bytes(response.body).decode(),
        "isBase64Encoded": False,
    }


def _encodable(value: object) -> str:
    # Without lone surrogates.
    return str(value or "").encode(errors="replace").decode()
