"""Every error as RFC 9457 problem details."""

import logging
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MEDIA_TYPE = "application/problem+json"
# RFC 9110's names. Python's differ from version to version: 413 and 422 were renamed in 3.13.
PHRASES = {
    200: "OK",
    201: "Created",
    204: "No Content",
    304: "Not Modified",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    412: "Precondition Failed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    428: "Precondition Required",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
# The characters that RFC 3986 allows in a path, besides letters and digits.
PATH_CHARACTERS = "/-._~!$&'()*+,;=:@"
# Errors of every operation that has a body.
OF_BODIES = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
THROTTLED = HTTPStatus.TOO_MANY_REQUESTS
# Errors that API Gateway may respond with itself, in its own format.
GATEWAY = {
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    THROTTLED,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
}
# The one part of a request whose absence has a status of its own (RFC 6585).
IF_MATCH = ("header", "if-match")
UNCONDITIONAL = "If-Match is required: send the resource's current ETag, or * to skip the check."
logger = logging.getLogger(__name__)


class FieldError(BaseModel):
    """An error in one part of the request."""

    field: str = Field(examples=["body.email"])
    message: str = Field(examples=["Field required"])


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str = Field(default="about:blank", examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no user 0123456789abcdef0123456789abcdef."])
    instance: str = Field(examples=["/users/0123456789abcdef0123456789abcdef"])
    errors: list[FieldError] | None = None


class GatewayError(BaseModel):
    """API Gateway's own error: the token is not valid, a throttle was exceeded, or the function did not respond."""

    message: str = Field(examples=["Unauthorized"])


class ApiError(Exception):
    """An error that becomes a problem response. Subclasses set the status and headers."""

    status: ClassVar[HTTPStatus]

    def __init__(
        self, detail: str, errors: list[FieldError] | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors
        self.headers = headers


class BadRequest(ApiError):  # noqa: N818 - named as HTTP names it, like its neighbours
    """The request is malformed."""

    status = HTTPStatus.BAD_REQUEST


class Unauthorized(ApiError):  # noqa: N818
    """The gateway has not authenticated the caller."""

    status = HTTPStatus.UNAUTHORIZED

    def __init__(self) -> None:
        super().__init__("Authentication is required.", headers=_challenge())


class Forbidden(ApiError):  # noqa: N818
    """The caller lacks a scope."""

    status = HTTPStatus.FORBIDDEN

    def __init__(self, scopes: list[str]) -> None:
        needed = " ".join(scopes)
        super().__init__(
            f"The token lacks the scope {needed}.", headers=_challenge(f' error="insufficient_scope", scope="{needed}"')
        )


class NoOwner(ApiError):  # noqa: N818
    """The caller has no owner, so it has no items."""

    status = HTTPStatus.FORBIDDEN

    def __init__(self) -> None:
        super().__init__("The token does not identify an owner.")


class NotFound(ApiError):  # noqa: N818
    """The resource does not exist."""

    status = HTTPStatus.NOT_FOUND

    def __init__(self, kind: str, identity: str) -> None:
        super().__init__(f"There is no {kind} {identity}.")


class Conflict(ApiError):  # noqa: N818
    """The request conflicts with the current state."""

    status = HTTPStatus.CONFLICT


class PreconditionFailed(ApiError):  # noqa: N818
    """The resource has changed since the caller read it."""

    status = HTTPStatus.PRECONDITION_FAILED


class Unprocessable(ApiError):  # noqa: N818
    """The request is well formed, but its content is not acceptable."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class Unavailable(ApiError):  # noqa: N818
    """A dependency did not respond in time."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"Retry-After": "1"})


def _challenge(parameters: str = "") -> dict[str, str]:
    return {"WWW-Authenticate": f"Bearer{parameters}"}


def problem(
    path: str, status: int, detail: str, errors: list[FieldError] | None = None, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return a problem response to the request for `path`."""
    instance = quote(path.encode(errors="replace"), safe=PATH_CHARACTERS)
    body = Problem(title=PHRASES.get(status, "Error"), status=status, detail=detail, instance=instance, errors=errors)
    return JSONResponse(body.model_dump(exclude_none=True), status, headers=headers, media_type=MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return a route's `responses` for these problems. Problems that every route has are added automatically."""
    return {status: _description(HTTPStatus(status)) for status in statuses}


def _description(status: HTTPStatus) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}} if status != THROTTLED else {}
    if status in GATEWAY:
        content["application/json"] = {"schema": {"$ref": "#/components/schemas/GatewayError"}}
    return {"description": PHRASES[status], "content": content}


class CatchAll:
    """Turns an uncaught exception into a 500 without details, and logs it once with its stack trace."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception:
            logger.exception("uncaught error in %s %s", scope["method"], scope["path"])
            if started:
                raise
            response = problem(
                scope["path"], HTTPStatus.INTERNAL_SERVER_ERROR, "The request failed. It has been logged."
            )
            await response(scope, receive, send)


def _describe(paths: dict[str, Any], components: dict[str, Any]) -> None:
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    components |= problem.pop("$defs") | {"Problem": problem, "GatewayError": GatewayError.model_json_schema()}
    # FastAPI's own format of validation errors is not used.
    components.pop("HTTPValidationError", None)
    components.pop("ValidationError", None)
    for operation in (operation for path in paths.values() for operation in path.values()):
        responses = operation["responses"]
        if "requestBody" in operation:
            responses |= {str(status): _description(status) for status in OF_BODIES if str(status) not in responses}
        if "422" in responses:
            responses["422"] = _description(HTTPStatus.UNPROCESSABLE_ENTITY)
        responses["500"] = _description(HTTPStatus.INTERNAL_SERVER_ERROR)
        responses["429"] = _description(THROTTLED)


def _allowed(app: FastAPI, path: str) -> str:
    """Return the methods of all routes with a path; Starlette's own header has those of one route."""
    found = {
        method.upper()
        for template, operations in app.openapi()["paths"].items()
        if compile_path(template)[0].match(path)
        for method in operations
    }
    return ", ".join(sorted(found | {"HEAD"} if "GET" in found else found))


def install(app: FastAPI) -> None:
    """Turn every error of the application into a problem, and document them in its OpenAPI document."""

    async def api_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ApiError)  # noqa: S101 - for the type checker: it is registered for this class alone
        return problem(request.url.path, error.status, error.detail, error.errors, error.headers)

    async def http_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101
        detail = {
            HTTPStatus.NOT_FOUND: "There is no resource at this path.",
            HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not allowed at this path.",
        }.get(HTTPStatus(error.status_code), error.detail)
        headers = dict(error.headers or {})
        if "Allow" in headers:
            path = request.url.path.removeprefix(request.scope.get("root_path", ""))
            headers["Allow"] = _allowed(app, path) or headers["Allow"]
        return problem(request.url.path, error.status_code, detail, headers=headers)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        # The place and the message, never the input: it may be personal data.
        errors = [FieldError(field=".".join(map(str, e["loc"])), message=e["msg"]) for e in error.errors()]
        if IF_MATCH in {e["loc"] for e in error.errors() if e["type"] == "missing"}:
            return problem(request.url.path, HTTPStatus.PRECONDITION_REQUIRED, UNCONDITIONAL, errors)
        return problem(request.url.path, HTTPStatus.UNPROCESSABLE_ENTITY, "The request is not valid.", errors)

    app.add_exception_handler(ApiError, api_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_middleware(CatchAll)

    generate = app.openapi

    def openapi() -> dict[str, Any]:
        schema = generate()
        components = schema.setdefault("components", {}).setdefault("schemas", {})
        if "Problem" not in components:
            _describe(schema["paths"], components)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
