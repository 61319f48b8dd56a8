"""What holds for every request and is no route's business: how large it may be, and that HEAD is GET without the body."""

from http import HTTPStatus

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 64 * 1024
"""Far beyond what any body here needs, and far below the 6 MB that Lambda would hand through."""


class BodyLimit:
    """Answers 413 to larger bodies. Starlette has a limit of its own, but it answers some of them in plain text."""

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
                # Raised where the application reads the body, so that it becomes a problem like any other.
                detail = f"A request's body may have {MAX_BODY_BYTES} bytes."
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
            return message

        await self.app(scope, limited, send)


class Head:
    """Answers HEAD as GET, without the body."""

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
            # For the request's line in the log.
            scope["route"] = inner.get("route")


def install(app: FastAPI) -> None:
    """Put both around the application."""
    app.add_middleware(BodyLimit)
    app.add_middleware(Head)
