"""JMESPath with additional functions, which accept missing values."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any
from urllib.parse import unquote

import jmespath
from jmespath import functions

from sandbox.emulator_server.strict.models import compiled

PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
Values = Iterable[Any] | None


def search(expression: str, known: dict[str, Any]) -> Any:
    """Return an expression's value."""
    return compile_expression(expression).search(known, OPTIONS)


def interpolate(text: str, known: dict[str, Any]) -> str:
    """Return a message with its expressions evaluated."""
    return PLACEHOLDER.sub(lambda match: _format(search(match[1], known)), text)


@cache
def compile_expression(expression: str) -> Any:
    return jmespath.compile(expression)


def _format(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_format, value))
    return value if isinstance(value, str) else json.dumps(value)


def minus(all_of: Values, some: Values) -> list[Any]:
    """The items of the first list that are not in the second."""
    excluded = list(some or [])
    return [item for item in all_of or [] if item not in excluded]


def where(items: Values, key: str, value: Any) -> list[Any]:
    """The objects with a value at a key."""
    return [item for item in items or [] if item.get(key) == value]


def matches(value: Any, pattern: str) -> bool:
    """Whether a whole text matches a pattern."""
    return isinstance(value, str) and compiled(pattern).fullmatch(value) is not None


def matching(values: Values, pattern: str) -> list[str]:
    """The texts that match a pattern as a whole."""
    return [value for value in values or [] if matches(value, pattern)]


def like(values: Values, one: Any, variable: str) -> list[str]:
    """The texts that equal `one` apart from matches of a pattern, such as route keys apart from variable names."""
    pattern = compiled(variable)
    return [value for value in values or [] if pattern.sub("{}", value) == pattern.sub("{}", str(one))]


def split(text: Any, separator: str) -> list[str]:
    return str(text or "").split(separator)


def size(value: Any) -> int:
    """The size in bytes of a text, or of a value as JSON."""
    if value is None or isinstance(value, bytes):
        return len(value or b"")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode())


def compact(value: Any) -> str:
    """A policy without whitespace, as IAM counts it. IAM returns policies percent-encoded."""
    text = str(value or "")
    return "".join((unquote(text) if text.startswith("%7B") else text).split())


def parse_json(value: Any) -> Any:
    """The value of a JSON text."""
    try:
        return json.loads(value)
    except (TypeError, ValueError):
        return None


def times(one: float | None, other: float | None) -> float:
    """The product."""
    return (one or 0) * (other or 0)


def modulo(one: float | None, other: float) -> float:
    """The remainder."""
    return (one or 0) % other


def duplicates(items: Values) -> list[Any]:
    """The items that occur more than once."""
    listed = list(items or [])
    return [item for number, item in enumerate(listed) if item in listed[:number]]


class Functions(functions.Functions):  # type: ignore[misc]  # jmespath has no types
    """JMESPath's functions and those above."""


def _entry(function: Callable[..., Any]) -> dict[str, Any]:
    parameters: list[dict[str, list[str]]] = [{"types": []} for _ in inspect.signature(function).parameters]
    return {"function": lambda _, *values: function(*values), "signature": parameters}


ADDED: dict[str, Callable[..., Any]] = {"bytes": size}
ADDED |= {
    f.__name__: f
    for f in (compact, duplicates, like, matches, matching, minus, modulo, parse_json, split, times, where)
}
Functions.FUNCTION_TABLE = functions.Functions.FUNCTION_TABLE | {name: _entry(f) for name, f in ADDED.items()}
OPTIONS = jmespath.Options(custom_functions=Functions())
