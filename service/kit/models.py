"""Base classes and field types of the domains' models."""

import re
import unicodedata
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints
from pydantic_core import to_jsonable_python

T = TypeVar("T")

# Unicode 16's Default_Ignorable_Code_Point: nobody sees them, so that two texts would look the same. Bidirectional controls, which
# show a text in another order than it has, are among them. (https://www.unicode.org/Public/16.0.0/ucd/DerivedCoreProperties.txt)
INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
UNPRINTABLE = rf"\x00-\x1f\x7f-\x9f{INVISIBLE}"
UNPRINTABLE_CHARACTER = re.compile(f"[{UNPRINTABLE}]")
# For readers of the OpenAPI document: printable characters, and not only blanks.
PRINTABLE = rf"^[^{UNPRINTABLE}]*[^\s{UNPRINTABLE}][^{UNPRINTABLE}]*$"
LONGEST_NAME, LONGEST_EMAIL = 200, 254


def _email(value: str) -> str:
    # No DNS lookup for the domain's mail servers.
    try:
        address = validate_email(value, check_deliverability=False, strict=True, test_environment=True).normalized
    except EmailNotValidError as error:
        raise ValueError(f"must be an email address such as ada@example.com: {error}") from None
    # One spelling for each address, for uniqueness. NFC comes last: some letters have a composed form only in lower case.
    return _without_invisible(unicodedata.normalize("NFC", address.lower()))


def _name(value: str) -> str:
    normalized = unicodedata.normalize("NFC", value)
    if len(normalized) > LONGEST_NAME:  # NFC turns a few characters into two
        raise ValueError(f"must have at most {LONGEST_NAME} characters in Unicode's composed form (NFC)")
    return _without_invisible(normalized)


def _without_invisible(value: str) -> str:
    if UNPRINTABLE_CHARACTER.search(value):
        raise ValueError("must not contain control characters or invisible characters")
    return value


Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=LONGEST_EMAIL),
    AfterValidator(_email),
    Field(examples=["ada@example.com"], json_schema_extra={"format": "email"}),
]
"""An email address of at most 254 characters, in lower case and Unicode's composed form."""

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_NAME),
    AfterValidator(_name),
    Field(examples=["Ada Lovelace"], json_schema_extra={"pattern": PRINTABLE}),
]
"""1 to 200 printable characters."""

ID_PATTERN = "^[0-9a-f]{32}$"
Id = Annotated[str, Field(pattern=ID_PATTERN, examples=["0123456789abcdef0123456789abcdef"])]
"""32 lower-case hexadecimal digits."""


def unset() -> Any:
    """Return the default of a field that a partial update may leave out, but not set to null."""
    return Field(default_factory=_nothing)  # a factory, so that the OpenAPI document shows no default


def _nothing() -> None:
    return None


class Body(BaseModel):
    """A request's body. Unknown fields are refused (422)."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Stored(BaseModel):
    """The fields that every resource has. A resource's public model extends it."""

    id: Id
    created_at: datetime
    created_by: str = Field(examples=["ada"], description="The subject of the caller's token, or the caller's AWS ARN.")
    updated_at: datetime
    updated_by: str = Field(examples=["ada"])
    _etag: str = PrivateAttr("")

    @property
    def etag(self) -> str:
        """The strong entity tag of this revision."""
        return self._etag


class Page(BaseModel, Generic[T]):
    """A page of a list."""

    items: list[T]
    next_cursor: str | None = Field(
        description="The `cursor` of the next page; null on the last page.",
        examples=["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="],
    )


def to_json_values(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields as JSON values, from which Pydantic makes the same values again."""
    values: dict[str, Any] = to_jsonable_python(dict(fields), by_alias=False, round_trip=True)
    return values


def new_item(body: Body, initial: Mapping[str, Any], by: str) -> dict[str, Any]:
    """Return a new item as JSON values: the body's and the initial fields, an id, its first revision, by whom and when."""
    now = datetime.now(UTC).isoformat()
    audit = {"created_at": now, "created_by": by, "updated_at": now, "updated_by": by}
    fields = body.model_dump(mode="json", by_alias=False, round_trip=True)
    return fields | dict(initial) | audit | {"id": uuid.uuid4().hex, "revision": 1}


def updated_item(old: Mapping[str, Any], fields: Mapping[str, Any], by: str) -> dict[str, Any]:
    """Return an item with some fields changed: its next revision, by whom and when."""
    audit = {"updated_at": datetime.now(UTC).isoformat(), "updated_by": by}
    return {**old, **fields, **audit, "revision": old["revision"] + 1}
