"""Removes secrets from requests before they are recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

REMOVED = "REMOVED"
# A header is a secret if its name contains one of these.
SECRET_HEADERS = (
    "api-key",
    "apikey",
    "auth",
    "cookie",
    "credential",
    "csrf",
    "jwt",
    "password",
    "secret",
    "session",
    "signature",
    "token",
    "xsrf",
)
# Headers of one connection (RFC 9110, section 7.6.1), or of the request's address and length: each sender writes its own.
OF_A_CONNECTION = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# They, and headers of the gateway in front or of the client's own software, are neither recorded nor sent.
DROPPED_HEADERS = OF_A_CONNECTION | {
    "accept-encoding",  # a replay compares bodies that are not compressed
    "forwarded",
    "via",
    "x-amzn-trace-id",
}
DROPPED_PREFIXES = ("cloudfront-", "x-amz-cf-", "x-forwarded-", "x-real-")
# A query parameter or a field of a body is a secret if its name, in lower case and without - _ and ., is one of SECRET_NAMES or
# ends with one of SECRET_ENDINGS. Tokens of pages, such as nextToken, are none.
SECRET_NAMES = frozenset({"auth", "authorization", "jwt", "pin", "pwd", "session", "sessionid", "sig", "token"})
SECRET_ENDINGS = (
    "accesstoken",
    "apikey",
    "assertion",
    "authtoken",
    "credential",
    "credentials",
    "csrftoken",
    "idtoken",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "refreshtoken",
    "secret",
    "securitytoken",
    "sessiontoken",
    "signature",
)
JWT = re.compile(r"eyJ[\w-]{6,}\.[\w-]+\.[\w-]*")


def is_secret_header(name: str) -> bool:
    """Whether a header is never recorded, because it authenticates its sender."""
    return any(part in name.lower() for part in SECRET_HEADERS)


def is_secret_name(name: str) -> bool:
    """Whether the value of a query parameter or of a field of a body is replaced."""
    plain = re.sub(r"[-_.]", "", name.lower())
    return plain in SECRET_NAMES or plain.endswith(SECRET_ENDINGS)


def headers(given: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the headers to record, in lower case, and the names of those that were removed as secrets."""
    kept: dict[str, str] = {}
    removed: list[str] = []
    for name, value in given.items():
        lower = name.lower()
        if lower in DROPPED_HEADERS or lower.startswith(DROPPED_PREFIXES):
            continue
        if is_secret_header(lower):
            removed.append(lower)
        else:
            kept[lower] = JWT.sub(REMOVED, value)
    return kept, sorted(removed)


def path(given: str) -> str:
    """Return a path with its query string, with secret values replaced. Everything else keeps its encoding."""
    place, mark, query = given.partition("?")
    return JWT.sub(REMOVED, place) + mark + parameters(query)


def parameters(query: str) -> str:
    """Return a query string, or a form, with secret values replaced."""
    return "&".join(_parameter(each) for each in query.split("&"))


def _parameter(text: str) -> str:
    name, equals, value = text.partition("=")
    if equals and is_secret_name(unquote_plus(name)):
        return f"{name}={REMOVED}"
    return f"{name}{equals}{JWT.sub(REMOVED, value)}"


def body(given: bytes, content_type: str) -> bytes:
    """Return a body with secret values of JSON and of forms replaced, and JSON Web Tokens of any text."""
    try:
        text = given.decode()
    except UnicodeDecodeError:
        return given
    if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        return parameters(text).encode()
    try:
        value = json.loads(text)
        cleaned = fields(value)
    except (ValueError, RecursionError):
        return JWT.sub(REMOVED, text).encode()
    # Unchanged JSON keeps its spaces.
    return given if cleaned == value else json.dumps(cleaned).encode()


def fields(value: Any) -> Any:
    """Return a JSON value with the values of secret fields replaced."""
    if isinstance(value, dict):
        return {name: REMOVED if is_secret_name(name) else fields(item) for name, item in value.items()}
    if isinstance(value, list):
        return [fields(item) for item in value]
    return JWT.sub(REMOVED, value) if isinstance(value, str) else value
