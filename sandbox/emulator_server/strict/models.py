"""Validate an input against its shape in botocore's model: required members, types, enums, lengths, ranges and patterns."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterator
from typing import Any

import regex

from sandbox.emulator_server.strict.requests import Shape

# API Gateway's model has limits only in shape names: StringWithLengthBetween0And1024, IntegerWithLengthBetweenMinus1And86400.
NAMED_LIMITS = regex.compile(
    r"(?:WithLengthBetween(?P<low>(?:Minus)?\d+)And|__stringMin(?P<minimum>\d+)Max)(?P<high>\d+K?)"
)
TYPES: dict[str, tuple[type, ...]] = {
    "blob": (str, bytes),
    "boolean": (bool,),
    "character": (str,),
    "double": (int, float),
    "float": (int, float),
    "integer": (int,),
    "list": (list,),
    "long": (int,),
    "map": (dict,),
    "string": (str,),
    "structure": (dict,),
    "timestamp": (int, float, str, datetime.datetime),
}
NUMBERS = ("integer", "long", "float", "double")
MAX_SHOWN = 60


def violations(shape: Shape | None, value: Any, path: str = "") -> Iterator[str]:
    """Yield a message for each violation: member, value, limit."""
    if shape is None or value is None or getattr(shape, "is_document_type", False):
        return
    at = path or shape.name
    if not _has_type(shape, value):
        yield f"{at} is {_shown(value)}, must be of type {shape.type_name}"
        return
    yield from _limits(shape, value, at)
    if shape.type_name == "structure":
        dot = f"{path}." if path else ""
        yield from (f"{dot}{name} is required" for name in shape.required_members if name not in value)
        for name, member in value.items():
            if name in shape.members:
                yield from violations(shape.members[name], member, f"{dot}{name}")
    elif shape.type_name == "list":
        for number, item in enumerate(value):
            yield from violations(shape.member, item, f"{path}[{number}]")
    elif shape.type_name == "map":
        for key, item in value.items():
            yield from violations(shape.key, key, f"{path} key {_shown(key)}")
            yield from violations(shape.value, item, f"{path}.{key}")


def _has_type(shape: Shape, value: Any) -> bool:
    boolean = isinstance(value, bool)  # a bool is also an int in Python
    return isinstance(value, TYPES[shape.type_name]) and boolean == (shape.type_name == "boolean")


def _limits(shape: Shape, value: Any, at: str) -> Iterator[str]:
    low, high = bounds(shape)
    if shape.type_name in NUMBERS:
        measured, unit = value, ""
    elif shape.type_name in ("string", "blob", "list", "map"):
        measured, unit = len(value), " characters" if isinstance(value, str) else " items"
    else:
        return
    if shape.type_name == "blob":
        return  # the length in base64 differs
    if low is not None and measured < low:
        yield f"{at} is {_shown(value)}: {measured}{unit}, the minimum is {low:g}"
    if high is not None and measured > high:
        yield f"{at} is {_shown(value)}: {measured}{unit}, the maximum is {high:g}"
    if (enum := shape.metadata.get("enum")) and value not in enum:
        yield f"{at} is {_shown(value)}, must be one of {', '.join(enum)}"
    pattern = shape.metadata.get("pattern") if isinstance(value, str) else None
    if pattern and not compiled(pattern).fullmatch(value):
        yield f"{at} is {_shown(value)}, must match {pattern}"


@functools.cache
def _bounds_in_name(name: str) -> tuple[float | None, float | None]:
    if not (match := NAMED_LIMITS.search(name)):
        return None, None
    low, high = match["low"] or match["minimum"], match["high"]
    return int(low.replace("Minus", "-")), int(high.replace("K", "")) * (1024 if high.endswith("K") else 1)


def bounds(shape: Shape) -> tuple[float | None, float | None]:
    """Return a shape's minimum and maximum, or None."""
    low, high = _bounds_in_name(shape.name)
    return shape.metadata.get("min", low), shape.metadata.get("max", high)


@functools.cache
def compiled(pattern: str) -> regex.Pattern[str]:
    """Compile a pattern of the models, which is Java's: it has surrogate pairs, and must match the whole value."""
    python = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")
    python = python.replace(r"\u10000-\u10FFFF", r"\U00010000-\U0010FFFF")
    return regex.compile(python)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
