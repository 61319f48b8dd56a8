"""Cross-origin requests (CORS), where the application and not API Gateway answers browsers."""

import re
from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

# As browsers send it: scheme, host, and a port unless it is the scheme's own (RFC 6454).
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s]+")
METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
REQUEST_HEADERS = ("authorization", "content-type", "idempotency-key", "if-match", "if-none-match", "x-correlation-id")
RESPONSE_HEADERS = ("deprecation", "etag", "link", "location", "retry-after", "sunset", "x-correlation-id")
MAX_AGE_SECONDS = 600


def check_origins(origins: Sequence[str], *, credentials: bool) -> None:
    """Raise ValueError for an origin that no browser would send, and for "*" together with credentials."""
    for origin in origins:
        if origin != "*" and not ORIGIN.fullmatch(origin):
            raise ValueError(f'{origin!r} is not an origin such as https://app.example.com, and not "*"')
    if credentials and "*" in origins:
        raise ValueError('"*" does not go with credentials: browsers refuse it. List the origins')


def install(app: FastAPI, origins: Sequence[str], *, credentials: bool) -> None:
    """Let scripts of these origins read responses; none for an empty list. Errors get the headers, too: install it after them."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_credentials=credentials,
            allow_methods=METHODS,
            allow_headers=REQUEST_HEADERS,
            expose_headers=RESPONSE_HEADERS,
            max_age=MAX_AGE_SECONDS,
        )
