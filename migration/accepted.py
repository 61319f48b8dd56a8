"""The file of accepted differences: reviewed entries with reasons, and the ids to capture. docs/migrating.md describes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from migration.difference import HEADERS, Difference, is_description, normal_header
from migration.errors import ComparisonError

EVERY_ROUTE = "*"
KINDS = ("status", "header", "body")
FIELDS = ("route", "kind", "name", "path", "old", "new", "reason")
SECTIONS = ("capture", "differences")
ROUTE = re.compile(r"\*|[A-Z]+ /\S*")
NOT_STATED = object()


class _RefusedError(Exception):
    """What is wrong with the file's content."""


@dataclass(frozen=True)
class Entry:
    """An accepted difference. Without `old` and `new` it accepts any values, but not another type or presence."""

    number: int
    route: str
    kind: str
    name: str
    reason: str
    old: Any = NOT_STATED
    new: Any = NOT_STATED

    @property
    def exact(self) -> bool:
        """Whether it states a value, so that it must be found whenever its route is requested."""
        return self.old is not NOT_STATED or self.new is not NOT_STATED

    def applies_to(self, route: str) -> bool:
        """Whether it is about a route."""
        return self.route in {route, EVERY_ROUTE}

    def accepts(self, route: str, found: Difference) -> bool:
        """Whether it accepts a difference."""
        if not self.applies_to(route) or (self.kind, self.name) != (found.kind, found.name):
            return False
        stated = [
            (value, of) for value, of in ((self.old, found.old), (self.new, found.new)) if value is not NOT_STATED
        ]
        if found.structural and len(stated) < 2:
            return False
        # As JSON, since Python's True is 1.
        return all(json.dumps(value) == json.dumps(of) for value, of in stated)

    def __str__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"entry {self.number} ({self.route}, {self.kind}{name})"


@dataclass(frozen=True)
class Accepted:
    """The file: entries, and for routes the place of the id in their responses."""

    entries: tuple[Entry, ...] = ()
    capture: Mapping[str, str] = field(default_factory=dict)

    def entry_for(self, route: str, found: Difference) -> Entry | None:
        """Return the first entry that accepts a difference."""
        return next((entry for entry in self.entries if entry.accepts(route, found)), None)


def load(file: Path) -> Accepted:
    """Return the file's content. Raises ComparisonError, which names the entry and the key."""
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ComparisonError(f"{file} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        raise ComparisonError(f"{file} is not YAML: {' '.join(str(error).split())}.") from error
    try:
        return _accepted(values)
    except _RefusedError as error:
        raise ComparisonError(f"{file}: {error}.") from error


def _accepted(values: Any) -> Accepted:
    if not isinstance(values, dict) or not values.keys() <= set(SECTIONS):
        raise _RefusedError(f"it must be a mapping with {' and '.join(SECTIONS)}")
    sections = {"differences": [], "capture": {}} | {key: each for key, each in values.items() if each is not None}
    listed, capture = sections["differences"], sections["capture"]
    if not isinstance(listed, list):
        raise _RefusedError("differences must be a list")
    if not isinstance(capture, dict):
        raise _RefusedError("capture must be a mapping")
    for route, path in capture.items():
        if not isinstance(path, str) or not path or not ROUTE.fullmatch(str(route)) or route == EVERY_ROUTE:
            raise _RefusedError(
                f"capture: {route!r} must be a route such as POST /users, with the id's path such as userId"
            )
    return Accepted(tuple(_entry(number, each) for number, each in enumerate(listed, 1)), capture)


def _entry(number: int, values: Any) -> Entry:
    where = f"entry {number}"
    if not isinstance(values, dict):
        raise _RefusedError(f"{where} must be a mapping")
    if unknown := [str(key) for key in values if key not in FIELDS]:
        raise _RefusedError(f"{where} has the unknown key {unknown[0]}: the keys are {', '.join(FIELDS)}")
    route, kind, reason = (values.get(key) for key in ("route", "kind", "reason"))
    if not isinstance(route, str) or not ROUTE.fullmatch(route):
        raise _RefusedError(f"{where}: route must be a route such as GET /users/{{id}}, or * for all, not {route!r}")
    where = f"{where} ({route})"
    if kind not in KINDS:
        raise _RefusedError(f"{where}: kind must be one of {', '.join(KINDS)}, not {kind!r}")
    if not isinstance(reason, str) or not reason.strip():
        raise _RefusedError(f"{where}: reason must say why the difference is accepted; it is empty")
    for key in ("old", "new"):
        if not isinstance(values.get(key), str | int | float | bool | None):
            raise _RefusedError(f"{where}: {key} must be a text, a number, true, false or null: write dates in quotes")
    if kind == "status" and not all(type(values.get(key)) is int for key in ("old", "new")):
        raise _RefusedError(f"{where}: old and new must be the statuses, such as 200 and 404")
    name = _name(where, kind, values)
    stated = {key: values[key] for key in ("old", "new") if key in values}
    if kind == "header":
        stated = {
            key: value if is_description(value) else normal_header(name, str(value)) for key, value in stated.items()
        }
    return Entry(number, route, kind, name, reason, **stated)


def _name(where: str, kind: str, values: Mapping[str, Any]) -> str:
    """Return the header's name, or the place in the body."""
    key = {"header": "name", "body": "path"}.get(kind, "")
    if other := next((each for each in ("name", "path") if each in values and each != key), None):
        raise _RefusedError(f"{where}: {other} is not a key of the kind {kind}")
    if not key:
        return ""
    name = values.get(key)
    if not isinstance(name, str):
        raise _RefusedError(
            f"{where}: {key} must be {'the name of the header' if kind == 'header' else 'the place in the body'}"
        )
    if kind == "header" and name.lower() not in HEADERS:
        raise _RefusedError(f"{where}: name must be a header that is compared ({', '.join(HEADERS)}), not {name}")
    return name.lower() if kind == "header" else name


def propose(found: Iterable[tuple[str, Difference]]) -> str:
    """Return a file with entries for differences by route, without reasons, which must be written before it is accepted.

    Values that differ in several ways become an entry for any values.
    """
    places: dict[tuple[str, str, str, bool], list[Difference]] = {}
    for route, each in found:
        # One that describes structure, or statuses, is stated each time.
        own = str(each) if each.structural or each.kind == "status" else ""
        places.setdefault((route, each.kind, f"{each.name}\n{own}", bool(own)), []).append(each)
    entries = []
    for (route, kind, _, stated), group in places.items():
        first = group[0]
        entry: dict[str, Any] = {"route": route, "kind": kind}
        entry |= {"header": {"name": first.name}, "body": {"path": first.name}}.get(kind, {})
        if stated or len(set(group)) == 1:
            entry |= {"old": first.old, "new": first.new}
        entries.append(entry | {"reason": ""})
    text: str = yaml.safe_dump({"differences": entries}, sort_keys=False, allow_unicode=True, width=1000)
    return text
