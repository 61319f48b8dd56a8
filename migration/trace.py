"""Recorded requests: a file of JSON lines, one request a line. docs/migrating.md describes the fields."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from migration import redaction
from migration.errors import ComparisonError

# Methods that only read (RFC 9110, section 9.2.1), and those that may write.
READS = frozenset({"GET", "HEAD", "OPTIONS"})
WRITES = frozenset({"DELETE", "PATCH", "POST", "PUT"})
FIELDS = frozenset({"id", "method", "path", "headers", "body", "body_base64", "removed", "ids"})
PATH = re.compile(r"/[!-\"$-~]*")  # printable ASCII without spaces, and without a fragment
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE = re.compile(r"[\t -~\x80-\xff]*")


class _RefusedError(Exception):
    """What is wrong with a line."""


@dataclass(frozen=True)
class RecordedRequest:
    """A request to replay. `path` begins below the API's URL and includes the query string.

    `removed` are the names of the secret headers that it had, None if the recording cannot know them. `ids` are the ids in the
    response that a write got when it was recorded, by their path in the response's JSON.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    id: str = ""
    removed: tuple[str, ...] | None = None
    ids: Mapping[str, str] = field(default_factory=dict)
    line: int = 0

    @property
    def writes(self) -> bool:
        """Whether it may change data."""
        return self.method in WRITES

    def as_line(self) -> str:
        """Return it as a line of the file."""
        values: dict[str, Any] = {"id": self.id} if self.id else {}
        values |= {"method": self.method, "path": self.path, "headers": dict(self.headers)}
        if self.body:
            try:
                values["body"] = self.body.decode()
            except UnicodeDecodeError:
                values["body_base64"] = base64.b64encode(self.body).decode()
        if self.removed is not None:
            values["removed"] = list(self.removed)
        if self.ids:
            values["ids"] = dict(self.ids)
        return json.dumps(values, ensure_ascii=False) + "\n"


def load(file: Path) -> list[RecordedRequest]:
    """Return the requests of a file. Raises ComparisonError, which names the line and the field."""
    try:
        with file.open(encoding="utf-8") as lines:
            requests = list(_requests(file, lines))
    except (OSError, UnicodeDecodeError) as error:
        raise ComparisonError(f"{file} cannot be read as recorded requests: {error}.") from error
    if not requests:
        raise ComparisonError(f"{file} has no requests: record some with `python -m migration record`.")
    return requests


def _requests(file: Path, lines: Iterator[str]) -> Iterator[RecordedRequest]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield _request(json.loads(line), number)
        except json.JSONDecodeError as error:
            raise ComparisonError(f"{file}:{number} is not JSON: {error}.") from error
        except (_RefusedError, RecursionError) as error:
            raise ComparisonError(f"{file}:{number}: {error}.") from error


def _request(values: Any, line: int) -> RecordedRequest:
    """Return the request of a line. Raises _RefusedError, which names the field."""
    if not isinstance(values, dict):
        raise _RefusedError("a line must be a JSON object")
    if unknown := sorted(values.keys() - FIELDS):
        raise _RefusedError(f"{unknown[0]} is not a field of a request, which are {', '.join(sorted(FIELDS))}")
    method, path = values.get("method"), values.get("path")
    if method not in READS | WRITES:
        raise _RefusedError(f"method must be one of {', '.join(sorted(READS | WRITES))}, not {method!r}")
    if not isinstance(path, str) or not PATH.fullmatch(path):
        raise _RefusedError("path must begin with / and have no spaces, fragments or characters that a URL encodes")
    headers = _texts(values, "headers")
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name) or not HEADER_VALUE.fullmatch(value):
            raise _RefusedError(f"headers has {name!r}, which HTTP does not allow as a header")
        if redaction.is_secret_header(name):
            raise _RefusedError(
                f"headers has {name}, and a recording holds no secrets: give it with --header-env {name}=VARIABLE"
            )
    removed = values.get("removed")
    if removed is not None and not (isinstance(removed, list) and all(isinstance(name, str) for name in removed)):
        raise _RefusedError("removed must be a list of header names")
    return RecordedRequest(
        method=method,
        path=path,
        headers={name.lower(): value for name, value in headers.items()},
        body=_body(values),
        id=str(values.get("id", "")),
        removed=None if removed is None else tuple(name.lower() for name in removed),
        ids=_texts(values, "ids"),
        line=line,
    )


def _texts(values: Mapping[str, Any], name: str) -> dict[str, str]:
    found = values.get(name, {})
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise _RefusedError(f"{name} must be an object of strings")
    return found


def _body(values: Mapping[str, Any]) -> bytes:
    text, encoded = values.get("body", ""), values.get("body_base64", "")
    if not isinstance(text, str) or not isinstance(encoded, str) or (text and encoded):
        raise _RefusedError("body must be text, or body_base64 must be base64, and not both")
    try:
        return text.encode() or base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise _RefusedError(f"body_base64 is not base64: {error}") from error
