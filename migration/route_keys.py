"""Finds the route of a request: one of an inventory, of an OpenAPI document or of the module's `routes`, or else its path's shape."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from migration.errors import ComparisonError
from migration.routes import ROUTE_KEY
from migration.trace import READS, WRITES

ENTRY = re.compile(r'^[\s#]*"([A-Z]+ /[^"]*)"\s*=\s*\{', re.MULTILINE)
# Segments that name one item: numbers, UUIDs, and long tokens with a digit.
ITEM = re.compile(r"\d+|[0-9a-fA-F]{8,}|[0-9a-fA-F-]{36}|(?=[^/]*\d)[\w~.-]{16,}")
ITEM_VARIABLE = "{}"


def load(file: Path) -> list[str]:
    """Return the route keys of a file: inventory.json, an OpenAPI document in JSON, or a .tfvars file. Raises ComparisonError."""
    try:
        text = file.read_text(encoding="utf-8")
        keys = ENTRY.findall(text) if file.suffix == ".tfvars" else _of_json(json.loads(text))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ComparisonError(
            f"{file} has no routes that can be read ({error}): give inventory.json, an OpenAPI document as JSON, or a .tfvars file."
        ) from error
    if not keys:
        raise ComparisonError(
            f"{file} has no routes: give inventory.json, an OpenAPI document as JSON, or a .tfvars file."
        )
    return sorted(set(keys), key=keys.index)


def _of_json(document: Any) -> list[str]:
    if "apis" in document:
        return [route["key"] for api in document["apis"] for route in api["routes"] if ROUTE_KEY.match(route["key"])]
    return [
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method in operations
        if method.upper() in READS | WRITES
    ]


class Router:
    """Finds route keys as API Gateway does: fixed segments before variables, variables before {proxy+}, methods before ANY."""

    def __init__(self, keys: list[str]) -> None:
        self.keys = keys
        self._routes = [(key, *_split(key)) for key in keys]

    def route(self, method: str, path: str) -> str:
        """Return the key of a request's route. A request of no known route gets its path's shape."""
        segments = path.partition("?")[0].strip("/").split("/")
        found = [
            (rank, allowed == "ANY", key)
            for key, allowed, pattern in self._routes
            if allowed in {method, "ANY"} and (rank := _rank(pattern, segments)) is not None
        ]
        return min(found)[2] if found else f"{method} {shape(segments)}"


def _split(key: str) -> tuple[str, list[str]]:
    method, _, path = key.partition(" ")
    return method, path.strip("/").split("/")


def _rank(pattern: list[str], segments: list[str]) -> tuple[int, ...] | None:
    """Return how specific a route is for a path, least first; None if it does not match."""
    rank: list[int] = []
    for number, part in enumerate(pattern):
        if part.startswith("{") and part.endswith("+}"):
            return (*rank, 2) if number < len(segments) and segments[number] else None
        if number >= len(segments):
            return None
        if part.startswith("{"):
            if not segments[number]:
                return None
            rank.append(1)
        elif part == segments[number]:
            rank.append(0)
        else:
            return None
    return tuple(rank) if len(pattern) == len(segments) else None


def shape(segments: list[str]) -> str:
    """Return a path with {} in the place of segments that name one item."""
    return "/" + "/".join(ITEM_VARIABLE if ITEM.fullmatch(segment) else segment for segment in segments)
