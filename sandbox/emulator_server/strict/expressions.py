"""JMESPath, with the functions that it lacks. Where a value may be missing, nothing comes of it."""

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
    """Return what an expression comes to."""
    return parsed_expression(expression).search(known, OPTIONS)


def filled(text: str, known: dict[str, Any]) -> str:
    """Return a message with its expressions filled in."""
    return PLACEHOLDER.sub(lambda match: _said(search(match[1], known)), text)


@cache
def parsed_expression(expression: str) -> Any:
    """Return an expression, ready to be searched with."""
    return jmespath.compile(expression)


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_said, value))
    return value if isinstance(value, str) else json.dumps(value)


def minus(all_of: Values, some: Values) -> list[Any]:
    """What is in the first list alone."""
    left_out = list(some or [])
    return [item for item in all_of or [] if item not in left_out]


def where(items: Values, key: str, value: Any) -> list[Any]:
    """The objects that have a value at a key."""
    return [item for item in items or [] if item.get(key) == value]


def matches(value: Any, pattern: str) -> bool:
    """Whether a text matches a pattern, whole."""
    return isinstance(value, str) and compiled(pattern).fullmatch(value) is not None


def matching(values: Values, pattern: str) -> list[str]:
    """The texts that match a pattern, whole."""
    return [value for value in values or [] if matches(value, pattern)]


def like(values: Values, one: Any, variable: str) -> list[str]:
    """The texts that are as one but for what a pattern matches: route keys, but for the names of variables."""
    pattern = compiled(variable)
    return [value for value in values or [] if pattern.sub("{}", value) == pattern.sub("{}", str(one))]


def split(text: Any, separator: str) -> list[str]:
    """The parts of a text."""
    return str(text or "").split(separator)


def size(value: Any) -> int:
    """The bytes of a text, or of the JSON of a value."""
    if value is None or isinstance(value, bytes):
        return len(value or b"")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode())


def squeezed(value: Any) -> str:
    """A policy without white space: what IAM counts. IAM returns policies percent-encoded."""
    text = str(value or "")
    return "".join((unquote(text) if text.startswith("%7B") else text).split())


def parsed(value: Any) -> Any:
    """A JSON text's value."""
    try:
        return json.loads(value)
    except (TypeError, ValueError):
        return None


def times(one: float | None, other: float | None) -> float:
    """A product."""
    return (one or 0) * (other or 0)


def modulo(one: float | None, other: float) -> float:
    """A remainder."""
    return (one or 0) % other


def twice(items: Values) -> list[Any]:
    """What is in a list more than once."""
    listed = list(items or [])
    return [item for number, item in enumerate(listed) if item in listed[:number]]


class Functions(functions.Functions):  # type: ignore[misc]  # jmespath has no types
    """JMESPath's own functions, and those above."""


def _entry(function: Callable[..., Any]) -> dict[str, Any]:
    taken: list[dict[str, list[str]]] = [{"types": []} for _ in inspect.signature(function).parameters]
    return {"function": lambda _, *values: function(*values), "signature": taken}


ADDED: dict[str, Callable[..., Any]] = {"bytes": size}
ADDED |= {f.__name__: f for f in (like, matches, matching, minus, modulo, parsed, split, squeezed, times, twice, where)}
Functions.FUNCTION_TABLE = functions.Functions.FUNCTION_TABLE | {name: _entry(f) for name, f in ADDED.items()}
OPTIONS = jmespath.Options(custom_functions=Functions())
