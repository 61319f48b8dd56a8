"""Write the service's OpenAPI document to docs/openapi.json, check it, or list its breaking changes.

    python -m tools.openapi [--check | --against REVISION]

With --check, exit code 1 means a stale file. With --against, the file is compared with its version at a Git revision, and each
change that may break a client of that revision is a line; exit code 1 means that there is one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sandbox.paths import ROOT

PATH = Path("docs") / "openapi.json"
BOUNDS = {"minLength": 1, "minimum": 1, "maxLength": -1, "maximum": -1}
"""Limits of a value, and whether a greater (1) or a smaller (-1) limit is stricter."""
Json = dict[str, Any]


def render() -> str:
    os.environ["TABLE_NAME"] = "none"  # the document does not depend on it
    from service.app import create_app

    return json.dumps(create_app().openapi(), indent=2, ensure_ascii=False) + "\n"


def breaking(old: Json, new: Json) -> list[str]:
    """Return the changes that may break a client of `old`, a line each."""
    return [
        f"{method.upper()} {path}: {change}"
        for path, operations in old["paths"].items()
        for method, before in operations.items()
        for change in _operation(_Pair(old, new), before, new["paths"].get(path, {}).get(method))
    ]


class _Pair:
    """Two documents with resolved references. `sent` schemas are for requests, which must not become stricter."""

    def __init__(self, old: Json, new: Json) -> None:
        self.old = old
        self.new = new

    def schemas(self, before: Json, after: Json, where: str, *, sent: bool) -> Iterator[str]:
        """Yield the changes between two schemas that break clients that send it, or else clients that read it."""
        kinds_before, kinds_after = _kinds(self.old, before), _kinds(self.new, after)
        before, after = _value(self.old, before), _value(self.new, after)
        lost = (kinds_before - kinds_after) if sent else (kinds_after - kinds_before)
        if lost:
            yield f"{where} {'no longer accepts' if sent else 'may now be'} {', '.join(sorted(lost))}"
        if sent:
            yield from _stricter(before, after, where)
        required = set(after.get("required", [])) - set(before.get("required", []))
        dropped = set(before.get("required", [])) - set(after.get("required", []))
        for name in sorted(required if sent else dropped):
            yield f"{where}.{name} {'is now required' if sent else 'may now be missing'}"
        for name, schema in before.get("properties", {}).items():
            if name in after.get("properties", {}):
                yield from self.schemas(schema, after["properties"][name], f"{where}.{name}", sent=sent)
            else:
                yield f"{where}.{name} is gone"
        if "items" in before and "items" in after:
            yield from self.schemas(before["items"], after["items"], f"{where}[]", sent=sent)


def _operation(pair: _Pair, before: Json, after: Json | None) -> Iterator[str]:
    if after is None:
        yield "is gone"
        return
    if before["operationId"] != after["operationId"]:
        yield f"its operation id is now {after['operationId']}"
    for scope in sorted(_scopes(after) - _scopes(before)):
        yield f"it now needs {scope}"
    yield from _parameters(pair, before, after)
    if "requestBody" in before and "requestBody" in after:
        yield from pair.schemas(_content(before["requestBody"]), _content(after["requestBody"]), "body", sent=True)
    elif after.get("requestBody", {}).get("required"):
        yield "body is now required"
    for status, response in before["responses"].items():
        if status >= "400":
            continue
        if status in after["responses"]:
            yield from pair.schemas(_content(response), _content(after["responses"][status]), status, sent=False)
        else:
            yield f"{status} is no longer answered"


def _parameters(pair: _Pair, before: Json, after: Json) -> Iterator[str]:
    olds, news = ({(p["in"], p["name"]): p for p in each.get("parameters", [])} for each in (before, after))
    for key, parameter in news.items():
        if parameter.get("required") and not olds.get(key, {}).get("required"):
            yield f"{' '.join(key)} is now required"
    for key, parameter in olds.items():
        if key in news:
            yield from pair.schemas(parameter["schema"], news[key]["schema"], " ".join(key), sent=True)
        else:
            yield f"{' '.join(key)} is gone"


def _stricter(before: Json, after: Json, where: str) -> Iterator[str]:
    for bound, direction in BOUNDS.items():
        if bound in after and (bound not in before or (after[bound] - before[bound]) * direction > 0):
            yield f"{where} has a stricter {bound}, {after[bound]}"
    if after.get("pattern") and after.get("pattern") != before.get("pattern"):
        yield f"{where} has another pattern"


def _resolve(document: Json, schema: Json) -> Json:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _kinds(document: Json, schema: Json) -> set[str]:
    """Return the types that a schema allows, or the values of an enum."""
    schema = _resolve(document, schema)
    if "enum" in schema:
        return {json.dumps(value) for value in schema["enum"]}
    if "anyOf" in schema:
        return set().union(*(_kinds(document, each) for each in schema["anyOf"]))
    return {schema["type"]} if "type" in schema else set()


def _value(document: Json, schema: Json) -> Json:
    """Return the schema of the non-null value."""
    schema = _resolve(document, schema)
    options = [each for each in schema.get("anyOf", []) if each.get("type") != "null"]
    return _value(document, options[0]) if len(options) == 1 else schema


def _scopes(operation: Json) -> set[str]:
    return {scope for entry in operation.get("security", []) for scopes in entry.values() for scope in scopes}


def _content(part: Json) -> Json:
    content: Json = part.get("content", {}).get("application/json", {}).get("schema", {})
    return content


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help="write nothing; exit 1 when stale")
    action.add_argument("--against", metavar="REVISION", help="list the changes that break clients of that revision")
    arguments = parser.parse_args()
    path = ROOT / PATH
    if arguments.against:
        shown = subprocess.run(
            ["git", "show", f"{arguments.against}:{PATH}"], cwd=ROOT, capture_output=True, check=True
        )
        changes = breaking(json.loads(shown.stdout), json.loads(path.read_text()))
        print("\n".join(changes) or f"no breaking changes since {arguments.against}")
        return int(bool(changes))
    current = render()
    if arguments.check and (not path.exists() or path.read_text() != current):
        sys.stderr.write(f"{path} is stale: run `make docs`\n")
        return 1
    if not arguments.check:
        path.write_text(current)
    return 0


if __name__ == "__main__":
    sys.exit(main())
