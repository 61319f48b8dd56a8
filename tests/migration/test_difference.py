"""Responses are compared by status, by headers that matter, and by the structure of JSON."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration.client import Response
from migration.difference import Difference, body_differences, differences, header_differences

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
)


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def body(old: Any, new: Any) -> list[tuple[str, Any, Any]]:
    return [(each.name, each.old, each.new) for each in body_differences(dump(old), dump(new))]


@settings(deadline=None)
@given(json_values, json_values)
def test_differences_are_symmetric(old: Any, new: Any) -> None:
    forth, back = (body_differences(dump(one), dump(other)) for one, other in ((old, new), (new, old)))
    assert {(each.name, repr(each.old), repr(each.new)) for each in forth} == {
        (each.name, repr(each.new), repr(each.old)) for each in back
    }


@settings(deadline=None)
@given(json_values, st.sampled_from([None, 1, 3]))
def test_equal_bodies_never_differ_however_they_are_written(value: Any, indent: int | None) -> None:
    assert (
        body_differences(
            dump(value),
            json.dumps(copy.deepcopy(value), indent=indent, ensure_ascii=False).encode(errors="surrogatepass"),
        )
        == []
    )


@settings(deadline=None)
@given(st.binary(), st.binary())
def test_different_bytes_that_are_not_the_same_json_differ(old: bytes, new: bytes) -> None:
    def parsed(content: bytes) -> Any:
        try:
            return json.loads(content)
        except ValueError:
            return content

    assert bool(body_differences(old, new)) is not (old == new or parsed(old) == parsed(new))


@settings(deadline=None)
@given(json_values, st.data())
def test_one_changed_value_is_found_at_its_place(value: Any, data: st.DataObject) -> None:
    document = {"items": [value, {"name": "before"}]}
    changed = copy.deepcopy(document)
    changed["items"][1]["name"] = data.draw(st.text(max_size=5).filter(lambda text: text != "before"))
    assert [each.name for each in body_differences(dump(document), dump(changed))] == ["items[].name"]


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"a": 1}, {"a": 2}, [("a", 1, 2)]),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1}, {"a": True}, [("a", "<number>", "<boolean>")]),
        ({"a": 1}, {"a": "1"}, [("a", "<number>", "<string>")]),
        ({"a": "x"}, {"a": None}, [("a", "<string>", "<null>")]),
        ({"a": {}}, {"a": []}, [("a", "<object>", "<array>")]),
        ({"a": 1}, {}, [("a", "<number>", "<absent>")]),
        ({}, {"b": "x"}, [("b", "<absent>", "<string>")]),
        ({"a": [1, 2]}, {"a": [1]}, [("a[]", "<2 items>", "<1 item>")]),
        ({"a": [{"b": 1}, {"b": 1}]}, {"a": [{"b": 2}, {"b": 2}]}, [("a[].b", 1, 2)]),
        ([1], [2], [("[]", 1, 2)]),
        (1, 2, [("", 1, 2)]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
    ],
)
def test_json_is_compared_by_structure(old: Any, new: Any, found: list[tuple[str, Any, Any]]) -> None:
    assert body(old, new) == found


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"", b"{}"), (b"{", b"["), (b"NaN", b"Infinity"), (b"\xff", b"\xfe"), (b"<html>a</html>", b"<html>b</html>")],
)
def test_other_bodies_are_compared_as_a_whole(old: bytes, new: bytes) -> None:
    (found,) = body_differences(old, new)
    assert (found.kind, found.name) == ("body", "")
    assert found.old != found.new
    assert body_differences(old, old) == []


def test_deeply_nested_bodies_are_compared() -> None:
    old, new = (b"[" * 100_000 + middle + b"]" * 100_000 for middle in (b"1", b"2"))
    assert len(body_differences(old, new)) == 1


def test_long_values_are_shown_by_their_beginning_and_differ_by_digest() -> None:
    (found,) = body_differences(dump("a" * 1000), dump("a" * 999 + "b"))
    assert len(str(found)) < 600
    assert found.old != found.new


def test_text_is_not_taken_for_a_description_of_structure() -> None:
    (found,) = body_differences(dump({"a": "<absent>"}), dump({"a": "x"}))
    assert not found.structural
    assert found.old.startswith("<absent>…")


def test_half_of_a_surrogate_pair_can_be_printed() -> None:
    (found,) = body_differences(rb'"\ud800"', b'"x"')
    assert str(found).encode()


HEADERS: list[tuple[dict[str, str], dict[str, str], list[str]]] = [
    ({"Content-Type": "application/json"}, {"content-type": "application/json"}, []),
    ({"content-type": "text/plain; charset=UTF-8"}, {"content-type": "text/plain;charset=utf-8"}, []),
    ({"content-type": "text/plain"}, {"content-type": "application/json"}, ["content-type"]),
    ({"cache-control": "no-store, max-age=0"}, {"cache-control": "max-age=0,no-store"}, []),
    ({"cache-control": "no-store"}, {}, ["cache-control"]),
    ({"etag": '"1"'}, {"etag": 'W/"2"'}, []),
    ({"etag": '"1"'}, {}, ["etag"]),
    ({"retry-after": "5"}, {"retry-after": "9"}, []),
    ({}, {"retry-after": "9"}, ["retry-after"]),
    ({"www-authenticate": "Bearer"}, {"www-authenticate": "Basic"}, ["www-authenticate"]),
    ({"location": "https://old.example/prod/users/1"}, {"location": "https://new.example/users/1"}, []),
    ({"location": "/prod/users/1"}, {"location": "/users/1"}, []),
    ({"location": "/prod/users/1"}, {"location": "/users/2"}, ["location"]),
    ({"location": "https://elsewhere.example/prod/a"}, {"location": "https://elsewhere.example/a"}, ["location"]),
    ({"x-request-id": "1", "date": "now"}, {"x-request-id": "2"}, []),
    ({"set-cookie": "a=1"}, {"set-cookie": "a=2"}, []),
]


@pytest.mark.parametrize(("old", "new", "names"), HEADERS)
def test_headers_that_matter_are_compared(old: dict[str, str], new: dict[str, str], names: list[str]) -> None:
    bases = ("https://old.example/prod", "https://new.example")
    assert [each.name for each in header_differences(old, new, bases)] == names


def test_status_headers_and_body_are_all_named() -> None:
    old = Response(200, {"etag": "1"}, b'{"a": 1}', 1.0)
    new = Response(404, {}, b'{"a": 2}', 1.0)
    assert differences(old, new) == [
        Difference("status", "", 200, 404),
        Difference("header", "etag", "<present>", "<absent>"),
        Difference("body", "a", 1, 2),
    ]
