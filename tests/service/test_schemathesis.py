"""The service conforms to its OpenAPI document, as checked by schemathesis."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.contract import check
from tests.service.domains import SCOPES, jwt

TOKEN = "good"


def behind_a_gateway(app: ASGIApp) -> ASGIApp:
    """Return the application behind an authorizer that accepts one token."""

    async def gateway(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            valid = dict(scope["headers"]).get(b"authorization") == f"Bearer {TOKEN}".encode()
            scope = {**scope, "aws.event": {"requestContext": {"authorizer": jwt(SCOPES) if valid else None}}}
        await app(scope, receive, send)

    return gateway


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Serve an application on a free port, and yield the URL."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def test_schemathesis_passes(app: FastAPI, note: Callable[[str], None]) -> None:
    with served(behind_a_gateway(app)) as url:
        note(f"schemathesis on the application: {check(url, TOKEN)}")
