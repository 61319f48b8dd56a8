"""Comparison of what is planned with what an inventory states about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

MISSING = "__missing__"
_NOTHING = object()


def assert_contains(actual: Any, expected: Any) -> None:
    """Fail unless `actual` has everything that `expected` states; AssertionError lists every difference with its path.

    - A mapping is a subset: keys that `expected` does not name are not looked at. Each value compares in the same way.
    - A list is whole: as many items, each compared in the same way.
    - `__missing__` means that the key is absent, null, or unknown until apply.
    - A string that holds JSON, such as an IAM policy, compares as what it holds when a mapping or a list is expected.
    - Anything else must be equal, and `true` is not 1.
    """
    differences = _differences(actual, expected, "")
    if differences:
        raise AssertionError("\n".join(differences))


def dropped_attributes(given: Any, taken: Any, path: str = "") -> list[str]:
    """Return the paths of `given` that are not in `taken`: attributes which an object type does not have.

    Terraform drops those without a word when it converts a value to a variable's type, so a misspelt one is like none.
    """
    if isinstance(given, Mapping) and isinstance(taken, Mapping):
        return [
            found
            for key, value in given.items()
            for here in [f"{path}.{key}" if path else str(key)]
            for found in (dropped_attributes(value, taken[key], here) if key in taken else [here])
        ]
    if isinstance(given, list) and isinstance(taken, list):
        return [
            found
            for index, (value, kept) in enumerate(zip(given, taken, strict=False))
            for found in dropped_attributes(value, kept, f"{path}[{index}]")
        ]
    return []


def _differences(actual: Any, expected: Any, path: str) -> list[str]:
    where = path or "the whole"
    if isinstance(expected, str) and expected == MISSING:
        return (
            []
            if actual is _NOTHING or actual is None
            else [f"{where}: expected to be absent or unknown, is {actual!r}"]
        )
    if actual is _NOTHING:
        return [f"{where}: expected {expected!r}, is absent or unknown until apply"]
    if isinstance(actual, str) and isinstance(expected, (Mapping, list)):
        try:
            actual = json.loads(actual)
        except ValueError:
            return [f"{where}: expected {expected!r}, is the text {actual!r}, which is not JSON"]
    if isinstance(expected, Mapping):
        if not isinstance(actual, Mapping):
            return [f"{where}: expected a mapping with {sorted(map(str, expected))}, is {actual!r}"]
        return [
            difference
            for key, value in expected.items()
            for difference in _differences(actual.get(key, _NOTHING), value, f"{path} → {key}" if path else str(key))
        ]
    if isinstance(expected, list):
        if not isinstance(actual, list) or len(actual) != len(expected):
            return [f"{where}: expected {len(expected)} items, {expected!r}, is {actual!r}"]
        return [
            difference
            for index, value in enumerate(expected)
            for difference in _differences(actual[index], value, f"{path}[{index}]")
        ]
    if isinstance(actual, bool) != isinstance(expected, bool) or actual != expected:
        return [f"{where}: expected {expected!r}, is {actual!r}"]
    return []
