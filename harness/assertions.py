"""Compare planned values with an inventory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

MISSING = "__missing__"
_ABSENT = object()


def assert_contains(actual: Any, expected: Any) -> None:
    """Fail unless `actual` contains `expected`; AssertionError lists every difference with its path.

    - A mapping is a subset: keys that `expected` does not name are ignored. Values compare recursively.
    - A list must have the same length; items compare recursively.
    - `__missing__` means that the key is absent, null, or unknown until apply.
    - A JSON string, such as an IAM policy, is parsed when a mapping or a list is expected.
    - Anything else must be equal, and `true` is not 1.
    """
    differences = _differences(actual, expected, "")
    if differences:
        raise AssertionError("\n".join(differences))


def dropped_attributes(given: Any, taken: Any, path: str = "") -> list[str]:
    """Return the paths in `given` that are absent from `taken`: attributes that an object type does not have.

    Terraform silently drops them when it converts a value to a variable's type, so a misspelt attribute is ignored.
    """
    if isinstance(given, Mapping) and isinstance(taken, Mapping):
        return [
            dropped
            for key, value in given.items()
            for here in [f"{path}.{key}" if path else str(key)]
            for dropped in (dropped_attributes(value, taken[key], here) if key in taken else [here])
        ]
    if isinstance(given, list) and isinstance(taken, list):
        return [
            dropped
            for index, (value, kept) in enumerate(zip(given, taken, strict=False))
            for dropped in dropped_attributes(value, kept, f"{path}[{index}]")
        ]
    return []


def _differences(actual: Any, expected: Any, path: str) -> list[str]:
    where = path or "(root)"
    if isinstance(expected, str) and expected == MISSING:
        return (
            []
            if actual is _ABSENT or actual is None
            else [f"{where}: expected absent or unknown until apply, got {actual!r}"]
        )
    if actual is _ABSENT:
        return [f"{where}: expected {expected!r}, but it is absent or unknown until apply"]
    if isinstance(actual, str) and isinstance(expected, (Mapping, list)):
        try:
            actual = json.loads(actual)
        except ValueError:
            return [f"{where}: expected {expected!r}, got the string {actual!r}, which is not JSON"]
    if isinstance(expected, Mapping):
        if not isinstance(actual, Mapping):
            return [f"{where}: expected a mapping with {sorted(map(str, expected))}, got {actual!r}"]
        return [
            difference
            for key, value in expected.items()
            for difference in _differences(actual.get(key, _ABSENT), value, f"{path} → {key}" if path else str(key))
        ]
    if isinstance(expected, list):
        if not isinstance(actual, list) or len(actual) != len(expected):
            return [f"{where}: expected {len(expected)} items, {expected!r}, got {actual!r}"]
        return [
            difference
            for index, value in enumerate(expected)
            for difference in _differences(actual[index], value, f"{path}[{index}]")
        ]
    if isinstance(actual, bool) != isinstance(expected, bool) or actual != expected:
        return [f"{where}: expected {expected!r}, got {actual!r}"]
    return []
