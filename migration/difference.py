"""How two responses differ: by status, by headers that matter to clients, and by the structure of JSON bodies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn
from urllib.parse import urlsplit

from migration.client import Response

Kind = Literal["status", "header", "body"]
Compared = Literal["value", "presence"]
ABSENT = "<absent>"
PRESENT = "<present>"
# A longer value is shown, and compared with the accepted file, by its beginning and a digest.
LONGEST_VALUE = 200
# Headers that clients act on, and why. Where the value follows from time or content that differs by nature, its presence is compared.
HEADERS: dict[str, tuple[Compared, str]] = {
    "access-control-allow-credentials": ("value", "browsers reject the response without it"),
    "access-control-allow-origin": ("value", "browsers reject the response without it"),
    "access-control-expose-headers": ("value", "scripts see only these headers"),
    "allow": ("value", "names the methods after a 405"),
    "cache-control": ("value", "says who may store the response, and for how long"),
    "content-disposition": ("value", "names downloads"),
    "content-encoding": ("value", "the body cannot be read without it"),
    "content-type": ("value", "decides how the body is read"),
    "etag": ("presence", "needed for If-Match and If-None-Match; its value may be made differently"),
    "last-modified": ("presence", "needed for If-Modified-Since"),
    "link": ("value", "leads to further pages"),
    "location": ("value", "leads to what was created, or elsewhere"),
    "retry-after": ("presence", "says that a retry is welcome; its value is a time"),
    "set-cookie": ("presence", "its value is a secret"),
    "vary": ("value", "says for whom a stored response is"),
    "www-authenticate": ("value", "says how to authenticate"),
}
# Headers whose value is a list without an order.
LISTS = frozenset({"access-control-expose-headers", "allow", "cache-control", "vary"})


@dataclass(frozen=True)
class Difference:
    """A difference. `name` is that of the header, or the place in the body such as users[].name; "" for all of it.

    `old` and `new` are values; or in angle brackets a JSON type, a length, or <absent>, if the difference is one of structure.
    """

    kind: Kind
    name: str
    old: Any
    new: Any

    @property
    def structural(self) -> bool:
        """Whether types or presence differ, not only values."""
        return any(is_description(value) for value in (self.old, self.new)) and not self.of_length

    @property
    def of_length(self) -> bool:
        """Whether two lists have different lengths."""
        return all(is_description(value) and " item" in value for value in (self.old, self.new))

    def __str__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"{self.kind}{name}: {_shown(self.old)} → {_shown(self.new)}"


def is_description(value: Any) -> bool:
    """Whether `old` or `new` describes structure, such as <string>."""
    return isinstance(value, str) and value.startswith("<") and value.endswith(">")


def _shown(value: Any) -> str:
    text = value if is_description(value) else json.dumps(value, ensure_ascii=False)
    # JSON may hold half of a surrogate pair, which no terminal takes.
    return text.encode(errors="replace").decode()


def differences(old: Response, new: Response, bases: tuple[str, str] = ("", "")) -> list[Difference]:
    """Return how two responses differ. `bases` are the URLs of the APIs, which do not count as a difference of a location."""
    found = [Difference("status", "", old.status, new.status)] if old.status != new.status else []
    found += header_differences(old.headers, new.headers, bases)
    return found + body_differences(old.body, new.body)


def header_differences(
    old: Mapping[str, str], new: Mapping[str, str], bases: tuple[str, str] = ("", "")
) -> list[Difference]:
    """Return how the headers of HEADERS differ; names in any case."""
    sides = [{name.lower(): value for name, value in side.items()} for side in (old, new)]
    found = []
    for name, (compared, _) in HEADERS.items():
        before, after = (
            ABSENT if name not in side else PRESENT if compared == "presence" else normal_header(name, side[name], base)
            for side, base in zip(sides, bases, strict=True)
        )
        if before != after:
            found.append(Difference("header", name, before, after))
    return found


def normal_header(name: str, value: str, base: str = "") -> str:
    """Return a header's value without differences that HTTP gives no meaning."""
    if name == "content-type":
        return ";".join(part.strip().lower() for part in value.split(";"))
    if name in LISTS:
        return ", ".join(sorted(part.strip().lower() for part in value.split(",")))
    if name == "location" and base:
        return _below(value, base)
    return value.strip()


def _below(location: str, base: str) -> str:
    """Return a location without the API's own URL, and without the stage in its path."""
    api = urlsplit(base)
    found = urlsplit(location)
    if found.netloc and found.netloc != api.netloc:
        return location
    local = found._replace(scheme="", netloc="").geturl()
    return local.removeprefix(api.path.rstrip("/")) if local.startswith(f"{api.path.rstrip('/')}/") else local


def body_differences(old: bytes, new: bytes) -> list[Difference]:
    """Return how two bodies differ: by structure and values if both are JSON, whatever their content type says; else as a whole."""
    if old == new:
        return []
    try:
        pair = _parsed(old), _parsed(new)
    except (ValueError, RecursionError):
        return [Difference("body", "", _summary(old), _summary(new))]
    # A place of a list may differ in the same way in many items.
    return list(dict.fromkeys(_of_json(*pair)))


def _parsed(body: bytes) -> Any:
    return json.loads(body, parse_constant=_no_constant)


def _no_constant(name: str) -> NoReturn:
    """Refuse NaN and infinities, which Python reads, though they are not JSON."""
    raise ValueError(name)


def _of_json(old: Any, new: Any) -> Iterator[Difference]:
    pending: list[tuple[str, Any, Any]] = [("", old, new)]
    while pending:
        name, before, after = pending.pop()
        kinds = _type(before), _type(after)
        if kinds[0] != kinds[1]:
            yield Difference("body", name, f"<{kinds[0]}>", f"<{kinds[1]}>")
        elif kinds[0] == "object":
            # The last is compared first.
            for key in reversed([*before, *(key for key in after if key not in before)]):
                below = f"{name}.{key}" if name else key
                if key in before and key in after:
                    pending.append((below, before[key], after[key]))
                else:
                    yield Difference("body", below, _presence(before, key), _presence(after, key))
        elif kinds[0] == "array":
            if len(before) != len(after):
                yield Difference("body", f"{name}[]", _length(before), _length(after))
            pending += [(f"{name}[]", *pair) for pair in zip(before, after, strict=False)][::-1]
        elif before != after:
            yield Difference("body", name, _value(before), _value(after))


def _type(value: Any) -> str:
    """Return the JSON type of a value. Python's booleans are numbers, JSON's are not."""
    for kind, name in ((bool, "boolean"), (int | float, "number"), (str, "string"), (list, "array"), (dict, "object")):
        if isinstance(value, kind):
            return name
    return "null"


def _presence(value: Mapping[str, Any], key: str) -> str:
    return f"<{_type(value[key])}>" if key in value else ABSENT


def _length(items: list[Any]) -> str:
    return f"<{len(items)} item{'' if len(items) == 1 else 's'}>"


def _value(value: Any) -> Any:
    """Return a value as it is written: long text, and text that looks like a description of structure, as its beginning and a digest."""
    if isinstance(value, str) and (len(value) > LONGEST_VALUE or is_description(value)):
        return f"{value[:LONGEST_VALUE]}… ({len(value)} characters, sha256 {_digest(value.encode(errors='surrogatepass'))})"
    return value


def _summary(body: bytes) -> str:
    """Return a body that is not JSON as its beginning; one that is not text as its length."""
    if not body:
        return "<empty>"
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return f"{len(body)} bytes, sha256 {_digest(body)}"
    return str(_value(text))


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:12]
