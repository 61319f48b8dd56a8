"""What the domains' models share: strictness, and the kinds of text that they are made of."""

import re
import unicodedata
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints
from pydantic_core import to_jsonable_python

T = TypeVar("T")

# Deliberately modest: whether an address exists only a message to it can tell.
EMAIL = re.compile(
    r"[^@\s\x00-\x1f\x7f\"(),:;<>\[\\\]]{1,64}@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]"
)

# For readers of the OpenAPI document: not only blanks, and no control characters, which `_printable` refuses.
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"


def _email(value: str) -> str:
    # One spelling for each address, or uniqueness would not hold. Composed last: some letters have a composed form only in
    # lower case.
    normalised = unicodedata.normalize("NFC", unicodedata.normalize("NFC", value).lower())
    # Nor may there be characters that nobody sees: two addresses would look the same.
    if not normalised.isprintable() or not EMAIL.fullmatch(normalised):
        raise ValueError("must be an e-mail address such as ada@example.com")
    return normalised


def _printable(value: str) -> str:
    normalised = unicodedata.normalize("NFC", value)
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in normalised):
        raise ValueError("must not contain control characters")
    return normalised


Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=254),
    AfterValidator(_email),
    Field(examples=["ada@example.com"], json_schema_extra={"format": "email"}),
]
"""An e-mail address of at most 254 characters, in lower case and Unicode's composed form."""

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_printable),
    Field(examples=["Ada Lovelace"], json_schema_extra={"pattern": PRINTABLE}),
]
"""1 to 200 printable characters."""

ID_PATTERN = "^[0-9a-f]{32}$"
Id = Annotated[str, Field(pattern=ID_PATTERN, examples=["0123456789abcdef0123456789abcdef"])]
"""32 hexadecimal digits, as the API gave them."""


def unset() -> Any:
    """Return the default of a field that a partial update may leave out, but not set to null."""
    return Field(default_factory=_nothing)  # a factory, so that the OpenAPI document shows no default


def _nothing() -> None:
    return None


class Body(BaseModel):
    """A request's body. A field that it does not know is an error and no surprise later."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Stored(BaseModel):
    """What every stored item has; the public model of a kind extends it."""

    id: Id
    created_at: datetime
    created_by: str = Field(examples=["ada"], description="The subject of the caller's token, or its AWS ARN.")
    updated_at: datetime
    updated_by: str = Field(examples=["ada"])
    _etag: str = PrivateAttr("")

    @property
    def etag(self) -> str:
        """The strong entity tag of this revision."""
        return self._etag


class Page(BaseModel, Generic[T]):
    """A page of a list, and where the next page begins."""

    items: list[T]
    next_cursor: str | None = Field(
        description="Give it as `cursor` for the next page; null on the last one.",
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
