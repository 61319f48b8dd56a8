"""What GitHub's and GitLab's REST APIs have in common here: errors in one sentence, pages, and the marker that finds a comment again."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .errors import DeliveryError

SECONDS = 30
PAGE = 100
MAX_REASON = 300  # characters of a response's body in an error


def text_of(body: bytes) -> str:
    """Return the beginning of an error's body."""
    return body.decode(errors="replace")[:MAX_REASON]


def send(
    service: str,
    method: str,
    path: str,
    url: str,
    headers: Mapping[str, str],
    body: dict[str, Any] | None = None,
    reason: Callable[[bytes], str] = text_of,
) -> Any:
    """Send a request and return the response's JSON. DeliveryError names the service, the method, the path and the reason."""
    data = None if body is None else json.dumps(body).encode()
    headers = {**headers, "Content-Type": "application/json"}
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - the API's URL is the job's
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:  # noqa: S310
            return json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            why = reason(error.read())
        raise DeliveryError(f"{service} refused {method} {path} with {error.code}: {why}") from error
    except OSError as error:
        raise DeliveryError(f"{service} did not respond to {method} {path}: {error}") from error


def pages(get: Callable[[str], list[dict[str, Any]]], path: str) -> Iterator[dict[str, Any]]:
    """Return the items of a list, of all pages."""
    separator = "&" if "?" in path else "?"
    page = 1
    while items := get(f"{path}{separator}per_page={PAGE}&page={page}"):
        yield from items
        if len(items) < PAGE:
            return
        page += 1


def marker(key: str) -> str:
    """Return the hidden first line of a comment or an issue."""
    return f"<!-- delivery: {key} -->"
