"""Validation of API Gateway's event (HTTP API, payload format 2.0) before Mangum reads it.

Mangum raises KeyError, AttributeError or ValueError on parts that are missing, null or malformed. They are checked here, so that
the client gets a 400 that names the part, and parts that some senders leave out or set to null are filled in.
"""

import base64
import re
from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationInfo, with_config
from starlette.types import ASGIApp, Receive, Scope, Send
from typing_extensions import TypedDict  # Pydantic requires it before Python 3.12

HOST = re.compile(r"[A-Za-z0-9._-]*(:[0-9]{1,5})?")
IPV6_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
PORT = re.compile(r"[0-9]{1,5}")
# Every HTTP event has one of them: API Gateway's payload formats 1.0 and 2.0, function URLs, load balancers.
HTTP_KEYS = {"httpMethod", "rawPath"}
SHOWN_KEYS, SHOWN_KEY_LENGTH = 10, 40

# A length limit makes Pydantic check that a string can be encoded: JSON can hold lone surrogates, which UTF-8 cannot. Lambda's
# payload limit is 6 MB.
Text = Annotated[str, Field(max_length=6 * 1024 * 1024)]
ALLOW_EXTRA = ConfigDict(extra="allow")


class UnsupportedEventError(ValueError):
    """The event is neither an HTTP request nor the warm-up ping."""

    def __init__(self, event: Any) -> None:
        super().__init__(
            'expected an HTTP request from API Gateway (payload format 2.0) or the warm-up ping {"ping": true}, '
            f"received {_described(event)}"
        )


@with_config(ALLOW_EXTRA)
class Http(TypedDict):
    """`requestContext.http`."""

    method: Annotated[Text, Field(min_length=1)]
    path: Text
    sourceIp: NotRequired[Text | None]


@with_config(ALLOW_EXTRA)
class RequestContext(TypedDict):
    """`requestContext`."""

    http: Http
    domainName: NotRequired[Text | None]
    authorizer: NotRequired[dict[str, Any] | None]


def _check_headers(headers: dict[str, str | None] | None, info: ValidationInfo) -> dict[str, str]:
    present = {name.lower(): value for name, value in (headers or {}).items() if value is not None}
    host = present.get("host", "")
    if IPV6_HOST.fullmatch(host):
        # Mangum expects at most one colon in it. The gateway's own domain name serves as well.
        name = info.data.get("requestContext", {}).get("domainName") or ""
        present["host"] = name if HOST.fullmatch(name) else ""
    elif not HOST.fullmatch(host):
        raise ValueError("Host must be a name or an address, with an optional port")
    if not PORT.fullmatch(present.get("x-forwarded-port", "0")):
        raise ValueError("X-Forwarded-Port must be a number")
    return present


def _check_body(body: str | None, info: ValidationInfo) -> str | None:
    if body and info.data.get("isBase64Encoded"):
        try:
            base64.b64decode(body, validate=True)
        except ValueError as error:
            raise ValueError("isBase64Encoded is true, but the body is not valid base64") from error
    return body


@with_config(ALLOW_EXTRA)
class HttpEvent(TypedDict):
    """The parts of the event that Mangum reads."""

    version: Literal["2.0"]
    requestContext: RequestContext
    rawQueryString: NotRequired[Text | None]
    cookies: NotRequired[list[Text] | None]
    headers: NotRequired[Annotated[dict[Text, Text | None] | None, AfterValidator(_check_headers)]]
    isBase64Encoded: NotRequired[bool | None]
    body: NotRequired[Annotated[Text | None, AfterValidator(_check_body)]]


_validate = TypeAdapter(HttpEvent).validator.validate_python


def is_http(event: Any) -> bool:
    """Return whether an event is an HTTP request, of whatever payload format."""
    if not isinstance(event, dict):
        return False
    context = event.get("requestContext")
    return not HTTP_KEYS.isdisjoint(event) or (isinstance(context, dict) and "http" in context)


def parse(event: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of an HTTP event that Mangum can read. Raises pydantic.ValidationError unless it is payload format 2.0."""
    request: dict[str, Any] = _validate(event)
    request["rawQueryString"] = request.get("rawQueryString") or ""
    http = request["requestContext"]["http"]
    http["sourceIp"] = http.get("sourceIp") or ""
    return request


class BelowRootPath:
    """Serves the application below a path of its custom domain: sets ASGI's `root_path`, and adds it to `path`.

    API Gateway removes an API mapping's path from the event. Requests to the default endpoint have none.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self.app = app
        self.root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = scope["aws.event"]["requestContext"]
        # The default endpoint is <API ID>.execute-api.<region>.amazonaws.com.
        if (context.get("domainName") or "").partition(".")[0] != context.get("apiId"):
            scope = {**scope, "root_path": self.root_path, "path": self.root_path + scope["path"]}
        await self.app(scope, receive, send)


def _described(event: Any) -> str:
    """Return an event's type, and its keys, but none of its values."""
    if not isinstance(event, dict):
        return f"a value of type {type(event).__name__}"
    if not event:
        return "an event without keys"
    keys = [ascii(key[:SHOWN_KEY_LENGTH]) for key in sorted(map(str, event))[:SHOWN_KEYS]]
    more = f" and {len(event) - SHOWN_KEYS} more" if len(event) > SHOWN_KEYS else ""
    return f"an event with the keys {', '.join(keys)}{more}"
