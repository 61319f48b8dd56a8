"""Shared query and header parameters: pagination, preconditions, idempotency key."""

import base64
import binascii
import hashlib
import json
import re
from typing import Annotated, Any

from fastapi import Header, Query
from pydantic import WithJsonSchema

from service.kit.errors import BadRequest
from service.kit.preconditions import PATTERN

# An item's id, preceded by the time when it was created in lists that begin with the newest.
POSITION = re.compile(r"([0-9T:.+-]+\n)?[0-9a-f]{32}")
DIGEST_LENGTH = 8


Position = str | None
"""Where a page begins: after the id (or the time and the id) of the last item of the previous page."""


def encode_cursor(position: Position, scope: object) -> str | None:
    """Return the cursor that continues a list after a position; `scope` identifies the list: its kind, filters and owner."""
    return None if position is None else base64.urlsafe_b64encode(f"{_digest(scope)}{position}".encode()).decode()


def decode_cursor(cursor: str | None, scope: object) -> Position:
    """Return the position in a list. Raises BadRequest for a cursor of another list."""
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeError):
        text = ""
    digest, position = text[:DIGEST_LENGTH], text[DIGEST_LENGTH:]
    if digest != _digest(scope) or not POSITION.fullmatch(position):
        raise BadRequest("The cursor does not belong to this list: send `next_cursor` of its previous page.")
    return position


def _digest(scope: object) -> str:
    return hashlib.sha256(json.dumps(scope).encode()).hexdigest()[:DIGEST_LENGTH]


Limit = Annotated[int, Query(ge=1, le=100, description="Maximum number of items in the page.")]
Cursor = Annotated[str | None, Query(max_length=200, description="The `next_cursor` of the previous page.")]

_ETAGS = WithJsonSchema({"type": "string", "minLength": 1, "pattern": PATTERN, "examples": ['"1"', "*"]})
_IF_MATCH = Header(
    description="The resource's current ETag, or a list of ETags. The request is refused when the resource has changed; `*` skips"
    " the check.",
)
IfMatch = Annotated[str, _ETAGS, _IF_MATCH]
OptionalIfMatch = Annotated[str | None, _ETAGS, _IF_MATCH]
IfNoneMatch = Annotated[
    str | None,
    _ETAGS,
    Header(
        description="ETags that the client has. The response to a GET is 304 when one is current; a change is refused."
    ),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern="^[!-~]+$",
        description="A unique key of your choice, such as a UUID. If you repeat the request with the same key and body within 24 hours, "
        "nothing is created again: the response is the resource that the first request created.",
        examples=["5f3a1e7e-7d1c-4f6e-9a35-0d4a2c1f6b7e"],
    ),
]


def etag(item: dict[str, Any]) -> str:
    """Return an item's strong entity tag: its revision, which every write increments. Ids are never reused."""
    return f'"{item["revision"]}"'
