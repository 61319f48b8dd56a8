"""What requests say beside their bodies: which page, on which condition, and under which key."""

import base64
import binascii
import re
from typing import Annotated, Any

from fastapi import Depends, Header, Query

from service.kit.errors import BadRequest
from service.kit.models import ID_PATTERN

TAG = re.compile(r'(W/)?"[^"]*"')


async def _decoded(
    cursor: Annotated[str | None, Query(max_length=100, description="`next_cursor` of the page before.")] = None,
) -> str | None:
    if cursor is None:
        return None
    try:
        identity = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeError):
        identity = ""
    if not re.fullmatch(ID_PATTERN, identity):
        raise BadRequest("The cursor is not one that this API gave.")
    return identity


def encoded(identity: str | None) -> str | None:
    """Return the cursor that continues after an id."""
    return None if identity is None else base64.urlsafe_b64encode(identity.encode()).decode()


Limit = Annotated[int, Query(ge=1, le=100, description="Most items of a page.")]
Cursor = Annotated[str | None, Depends(_decoded)]

IfMatch = Annotated[
    str,
    Header(
        description="The ETag of what the change is meant for: it is refused when that has changed since. `*` is whatever is there.",
        examples=['"1"', "*"],
    ),
]
IfNoneMatch = Annotated[
    str | None, Header(description="The ETag of what the caller has: it is sent only if it has changed since.")
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern="^[!-~]+$",
        description="A key of the caller's choice, a UUID for one. For 24 hours a create with the same key and body is the same "
        "create: it answers what the first one answered.",
        examples=["5f3a1e7e-7d1c-4f6e-9a35-0d4a2c1f6b7e"],
    ),
]


def etag(item: dict[str, Any]) -> str:
    """Return an item's strong entity tag, which is its revision: an id never comes back, and each write counts."""
    return f'"{item["revision"]}"'


def names(header: str, item: dict[str, Any], *, weakly: bool = False) -> bool:
    """Return whether If-Match, or `weakly` If-None-Match, names an item's entity tag (RFC 9110, 8.8.3.2)."""
    tags = {found[0] for found in TAG.finditer(header)}
    if weakly:
        tags = {tag.removeprefix("W/") for tag in tags}
    return header.strip() == "*" or etag(item) in tags
