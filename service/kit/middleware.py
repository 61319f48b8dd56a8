"""ASGI middleware for every request: body limit, HEAD, response headers."""

from http import HTTPStatus

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=31536000"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
NOT_STORED = (b"cache-control", b"no-store")
REVALIDATED = (b"cache-control", b"private, no-cache")
WITHOUT_CONTENT = {204, 304}
OF_CONTENT = {b"content-type", b"content-length"}
MAX_BODY_BYTES = 64 * 1024
"""Far more than any body here needs, and far less than Lambda's limit of 6 MB."""


class BodyLimit:
    """Refuses larger bodies (413). Starlette has such a limit, but its response is plain text in some cases."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application."""
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                # Raised where the application reads the body, so that the error handlers see it.
                detail = f"The body must have at most {MAX_BODY_BYTES} bytes."
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
            return message

        await self.app(scope, limited, send)


class ResponseHeaders:
    """Adds security and cache headers to every response, unless the route has set them.

    They are those of OWASP's REST Security Cheat Sheet. A response without content has no Content-Type. The route's own
    `response_headers` are added, too.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", [])
                if message["status"] in WITHOUT_CONTENT:
                    headers = [each for each in headers if each[0] not in OF_CONTENT]
                names = {name for name, _ in headers}
                # A client may store a representation with an ETag, and revalidates it each time (RFC 9111).
                cache = REVALIDATED if b"etag" in names else NOT_STORED
                of_route = getattr(scope.get("route"), "response_headers", ())
                message["headers"] = [
                    *headers,
                    *of_route,
                    *(each for each in (*HEADERS, cache) if each[0] not in names),
                ]
            await send(message)

        await self.app(scope, receive, with_headers)


class Head:
    """Serves HEAD as GET, without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def bodiless(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        inner = {**scope, "method": "GET"}
        try:
            await self.app(inner, receive, bodiless)
        finally:
            # For the request log.
            scope["route"] = inner.get("route")


def install(app: FastAPI) -> None:
    """Add all of them, around the error handlers."""
    app.add_middleware(BodyLimit)
    app.add_middleware(ResponseHeaders)
    app.add_middleware(Head)  # outside of ResponseHeaders, which reads the route from the copy of the scope
