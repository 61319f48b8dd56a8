"""The file of accepted differences: what it accepts, and what it must not say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from migration import accepted
from migration.accepted import Accepted
from migration.difference import Difference
from migration.errors import ComparisonError

ROUTE = "GET /users/{id}"
ENTRY = {"route": ROUTE, "kind": "body", "path": "updatedAt", "reason": "a time"}
VALUE = Difference("body", "updatedAt", "08:00", "09:00")
TYPE = Difference("body", "updatedAt", "<string>", "<number>")
MISSING = Difference("body", "updatedAt", "<string>", "<absent>")


def load(folder: Path, *entries: Any, **sections: Any) -> Accepted:
    file = folder / "differences.yaml"
    file.write_text(yaml.safe_dump({"differences": list(entries), **sections}))
    return accepted.load(file)


@pytest.mark.parametrize(
    ("entry", "found", "is_accepted"),
    [
        ({}, VALUE, True),
        ({"route": "*"}, VALUE, True),
        ({"route": "GET /users"}, VALUE, False),
        ({"path": "createdAt"}, VALUE, False),
        ({"old": "08:00"}, VALUE, True),
        ({"old": "08:00", "new": "09:00"}, VALUE, True),
        ({"old": "08:00", "new": "10:00"}, VALUE, False),
        # Without the types, an entry accepts values only.
        ({}, TYPE, False),
        ({"old": "<string>"}, TYPE, False),
        ({"old": "<string>", "new": "<number>"}, TYPE, True),
        ({"old": "<string>", "new": "<absent>"}, TYPE, False),
        ({}, MISSING, False),
        ({"old": "<string>", "new": "<absent>"}, MISSING, True),
        ({}, Difference("body", "updatedAt", "<2 items>", "<3 items>"), True),
        ({"old": True}, Difference("body", "updatedAt", 1, 2), False),
        ({"old": None, "new": None}, VALUE, False),
        (
            {"kind": "header", "path": None, "name": "ETag"},
            Difference("header", "etag", "<present>", "<absent>"),
            False,
        ),
        (
            {"kind": "header", "path": None, "name": "Content-Type"},
            Difference("header", "content-type", "a/b", "c/d"),
            True,
        ),
        (
            {"kind": "header", "path": None, "name": "Content-Type", "new": "text/plain; charset=UTF-8"},
            Difference("header", "content-type", "a/b", "text/plain;charset=utf-8"),
            True,
        ),
        ({"kind": "status", "path": None, "old": 200, "new": 404}, Difference("status", "", 200, 404), True),
        ({"kind": "status", "path": None, "old": 200, "new": 404}, Difference("status", "", 404, 200), False),
    ],
)
def test_entry_accepts_what_it_says(
    tmp_path: Path, entry: dict[str, Any], found: Difference, *, is_accepted: bool
) -> None:
    values = {key: value for key, value in (ENTRY | entry).items() if not (key == "path" and value is None)}
    assert bool(load(tmp_path, values).entry_for(ROUTE, found)) is is_accepted


REFUSED: dict[str, tuple[Any, str]] = {
    "no mapping": ("GET /users", "entry 2 must be a mapping"),
    "an unknown key": (ENTRY | {"because": "x"}, "entry 2 has the unknown key because: the keys are route"),
    "no route": (ENTRY | {"route": None}, "entry 2: route must be a route"),
    "no method": (ENTRY | {"route": "/users"}, "entry 2: route must be a route"),
    "no reason": ({key: ENTRY[key] for key in ("route", "kind", "path")}, r"entry 2 \(GET /users/{id}\): reason must"),
    "an empty reason": (ENTRY | {"reason": "  "}, "reason must say why"),
    "another kind": (ENTRY | {"kind": "latency"}, "kind must be one of status, header, body, not 'latency'"),
    "a body without a path": ({key: ENTRY[key] for key in ("route", "kind", "reason")}, "path must be the place"),
    "a body with a name": (ENTRY | {"name": "x"}, "name is not a key of the kind body"),
    "a header with a path": (ENTRY | {"kind": "header"}, "path is not a key of the kind header"),
    "a header that is not compared": (
        {"route": "*", "kind": "header", "name": "Date", "reason": "x"},
        "name must be a header that is compared .*, not Date",
    ),
    "a status without statuses": (
        {"route": "*", "kind": "status", "old": 200, "reason": "x"},
        "old and new must be the statuses",
    ),
    "a status that is text": (
        {"route": "*", "kind": "status", "old": "200", "new": "404", "reason": "x"},
        "old and new must be the statuses",
    ),
    "a list": (ENTRY | {"old": [1]}, "old must be a text, a number"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_entry_is_named_with_its_key(tmp_path: Path, case: str) -> None:
    entry, reason = REFUSED[case]
    with pytest.raises(ComparisonError, match=reason) as error:
        load(tmp_path, ENTRY, entry)
    assert str(error.value).startswith(f"{tmp_path}/differences.yaml: entry 2")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[", "is not YAML"),
        ("- a", "must be a mapping with capture and differences"),
        ("other: []", "must be a mapping with capture and differences"),
        ("differences: {}", "differences must be a list"),
        ("differences: x", "differences must be a list"),
        ("capture: [a]", "capture must be a mapping"),
        ("capture: {'*': userId}", "must be a route such as POST /users"),
        ("capture: {POST /users: 1}", "must be a route such as POST /users"),
        ("differences: [{route: '*', kind: body, path: a, old: 2026-11-30, reason: x}]", "write dates in quotes"),
    ],
)
def test_refused_file_is_named(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "differences.yaml"
    file.write_text(text)
    with pytest.raises(ComparisonError, match=reason):
        accepted.load(file)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ComparisonError, match=r"differences\.yaml cannot be read"):
        accepted.load(tmp_path / "differences.yaml")


def test_proposal_is_refused_until_each_entry_has_a_reason_and_then_accepts_the_differences(tmp_path: Path) -> None:
    found = [
        (ROUTE, VALUE),
        (ROUTE, Difference("body", "updatedAt", "10:00", "11:00")),
        (ROUTE, TYPE),
        (ROUTE, Difference("status", "", 200, 404)),
        (ROUTE, Difference("status", "", 200, 500)),
        ("GET /users", Difference("header", "etag", "<present>", "<absent>")),
        ("GET /users", Difference("body", "", "text", "other")),
    ]
    file = tmp_path / "differences.yaml"
    file.write_text(accepted.propose(found))
    with pytest.raises(ComparisonError, match="reason must say why"):
        accepted.load(file)

    file.write_text(file.read_text().replace("reason: ''", "reason: reviewed"))
    read = accepted.load(file)
    assert len(read.entries) == 6
    assert all(read.entry_for(route, each) for route, each in found)
    assert [entry.exact for entry in read.entries] == [False, True, True, True, True, True]
    assert not read.entry_for(ROUTE, Difference("status", "", 200, 502))
