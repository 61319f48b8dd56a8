"""The handler that Lambda calls."""

import asyncio
import base64
import itertools
import logging
import os
import re
from typing import Annotated, Any, Literal, NotRequired

from service.aws_lambda.cold_start import startup  # isort: skip - before all other imports

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, ValidationInfo, with_config
from typing_extensions import TypedDict  # Pydantic asks for it before Python 3.12

from service.app import create_app, table
from service.aws_lambda.adapter import Adapter, EventLoop
from service.kit import logs
from service.kit.errors import MEDIA_TYPE, FieldError, problem

logger = logging.getLogger(__name__)

HOST = re.compile(r"[A-Za-z0-9._-]*(:[0-9]{1,5})?")
IPV6_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
PORT = re.compile(r"[0-9]{1,5}")
# What tells a request over HTTP from a ping, in the events of API Gateway's both payloads and of load balancers.
HTTP_KEYS = {"httpMethod", "rawPath"}


# JSON may hold halves of characters, which nothing can encode: only a text whose length is asked for is looked at (pydantic). The
# limit is Lambda's, for a whole event.
Text = Annotated[str, Field(max_length=6 * 1024 * 1024)]
KEEP = ConfigDict(extra="allow")


@with_config(KEEP)
class _Http(TypedDict):
    method: Annotated[Text, Field(min_length=1)]
    path: Text
    sourceIp: NotRequired[Text | None]


@with_config(KEEP)
class _Context(TypedDict):
    http: _Http
    domainName: NotRequired[Text | None]
    authorizer: NotRequired[dict[str, Any] | None]


def _understood(headers: dict[str, str | None] | None, info: ValidationInfo) -> dict[str, str]:
    present = {name.lower(): value for name, value in (headers or {}).items() if value is not None}
    host = present.get("host", "")
    if IPV6_HOST.fullmatch(host):
        # Mangum splits the host at its only colon. The gateway's own name for itself serves as well.
        name = info.data.get("requestContext", {}).get("domainName") or ""
        present["host"] = name if HOST.fullmatch(name) else ""
    elif not HOST.fullmatch(host):
        raise ValueError("a host is a name or an address, and maybe a port")
    if not PORT.fullmatch(present.get("x-forwarded-port", "0")):
        raise ValueError("a port is a number")
    return present


def _decodable(body: str | None, info: ValidationInfo) -> str | None:
    if body and info.data.get("isBase64Encoded"):
        try:
            base64.b64decode(body, validate=True)
        except ValueError as error:
            raise ValueError("it is not the base64 that it is said to be") from error
    return body


@with_config(KEEP)
class _Event(TypedDict):
    """API Gateway's event (payload 2.0), as far as Mangum would raise on anything else. Some senders write null for what is missing."""

    version: Literal["2.0"]
    requestContext: _Context
    rawQueryString: NotRequired[Text | None]
    cookies: NotRequired[list[Text] | None]
    headers: NotRequired[Annotated[dict[Text, Text | None] | None, AfterValidator(_understood)]]
    isBase64Encoded: NotRequired[bool | None]
    body: NotRequired[Annotated[Text | None, AfterValidator(_decodable)]]


_known = TypeAdapter(_Event).validator.validate_python
app = create_app()
# The client is made while Lambda starts the environment, with more processor than a request has.
table()
# As Mangum does, which would make a common one.
asyncio.set_event_loop(EventLoop())
# Without a lifespan, which Mangum would run for every request, and with errors as text rather than base64.
_serve = Adapter(
    app, lifespan="off", text_mime_types=["text/", "application/json", "application/javascript", MEDIA_TYPE]
)
_invocations = itertools.count()
# Environments that were started ahead of need (provisioned concurrency, SnapStart) keep nobody waiting.
_on_demand = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "on-demand"
startup.finish()


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Answer an event of API Gateway's HTTP API (payload 2.0); 400 to a request over HTTP in any other shape.

    What is no request over HTTP, such as a warm-up ping, does nothing.
    """
    logs.request_id.set(getattr(context, "aws_request_id", None))
    logs.cold_start.set(next(_invocations) == 0 and _on_demand)
    if not _is_http(event):
        logger.info("not an HTTP event, nothing to do")
        return {"statusCode": 204}
    try:
        request = _known(event)
    except ValidationError as error:
        return _refused(event, error)
    # What Mangum would miss, in what is a copy.
    request["rawQueryString"] = request.get("rawQueryString") or ""
    http = request["requestContext"]["http"]
    http["sourceIp"] = http.get("sourceIp") or ""
    return _serve(request, context)


def _is_http(event: Any) -> bool:
    if not isinstance(event, dict):
        return False
    context = event.get("requestContext")
    return not HTTP_KEYS.isdisjoint(event) or (isinstance(context, dict) and "http" in context)


def _refused(event: dict[str, Any], error: ValidationError) -> dict[str, Any]:
    # The place and the message, never the input, here as in every other error.
    errors = [FieldError(field=_text(".".join(map(str, e["loc"]))), message=e["msg"]) for e in error.errors()]
    logger.warning("a malformed event was refused: %s", "; ".join(f"{e.field}: {e.message}" for e in errors))
    answer = problem(_text(event.get("rawPath")), 400, "API Gateway's event (payload 2.0) is needed.", errors)
    return {
        "statusCode": answer.status_code,
        "headers": dict(answer.headers),
        "body": bytes(answer.body).decode(),
        "isBase64Encoded": False,
    }


def _text(value: object) -> str:
    # Without the halves of characters that are refused here.
    return str(value or "").encode(errors="replace").decode()
