"""Read a module's validations and other conditions from its HCL, so that a test can list the untested ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hcl2

KINDS = frozenset({"validation", "precondition", "postcondition", "assert"})
"""Blocks that hold a condition, in variables, resources, data sources, outputs and checks."""

INTERPOLATION = "…"
"""Stands for an interpolation, `${…}`, in a message."""

PREFIXES = {"variable": "var", "resource": "", "data": "data", "output": "output", "check": "check"}


@dataclass(frozen=True)
class Condition:
    """A condition of a module: the kind of block, the address that it belongs to (`var.name`, `aws_x.y`), and its message."""

    kind: str
    address: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind} of {self.address}: {self.message}"


def conditions(module: Path) -> list[Condition]:
    """Return every validation, precondition, postcondition and check in a module's `.tf` files, in file order.

    Messages are on one line, with `…` for each interpolation. ValueError when the folder has no `.tf` file.
    """
    files = sorted(module.glob("*.tf"))
    if not files:
        raise ValueError(f"{module} has no .tf file, so it is not a module")
    return [condition for path in files for condition in _parse(hcl2.loads(path.read_text(encoding="utf-8")))]


def states(message: str, text: str) -> bool:
    """Whether a text starts with a message, or part of one, in which each `…` matches anything."""
    pattern = ".*?".join(map(re.escape, message.split(INTERPOLATION)))
    return re.match(pattern, " ".join(text.split())) is not None


def assert_every_condition_is_tested(found: Iterable[Condition], tested: Iterable[str]) -> None:
    """Fail unless each condition's message starts with exactly one of `tested`, and each of `tested` matches one message.

    `tested` are the prefixes that the refusal tests expect, with `…` where a message has an interpolation.
    """
    found, tested = list(found), list(tested)
    by_condition = {str(c): [t for t in tested if c.message.startswith(t)] for c in found}
    problems = [f"no test covers the {condition}" for condition, tests in by_condition.items() if not tests]
    problems += [f"{tests} all match the {condition}" for condition, tests in by_condition.items() if len(tests) > 1]
    used = [test for tests in by_condition.values() for test in tests]
    problems += [f"{test!r} matches no condition's message" for test in tested if test not in used]
    problems += [
        f"{test!r} matches more than one message: make it longer" for test in set(used) if used.count(test) > 1
    ]
    if problems:
        raise AssertionError("\n".join(problems))


def _parse(content: Mapping[str, Any]) -> Iterator[Condition]:
    for block, prefix in PREFIXES.items():
        for entry in content.get(block, []):
            for labels, body in _labelled(entry, depth=2 if block in {"resource", "data"} else 1):
                yield from _nested(".".join([prefix, *labels] if prefix else labels), body)


def _labelled(entry: Mapping[str, Any], depth: int) -> Iterator[tuple[list[str], Any]]:
    for label, inner in entry.items():
        if label.startswith("__"):
            continue
        name = label.strip('"')
        if depth == 1:
            yield [name], inner
        else:
            yield from (([name, *labels], body) for labels, body in _labelled(inner, depth - 1))


def _nested(address: str, body: Any) -> Iterator[Condition]:
    """Yield the conditions at any depth of a block: its own, and those in `lifecycle` or a check's data source."""
    if isinstance(body, list):
        for item in body:
            yield from _nested(address, item)
    elif isinstance(body, Mapping):
        for name, inner in body.items():
            if name in KINDS:
                yield from (Condition(name, address, _message(block["error_message"])) for block in inner)
            else:
                yield from _nested(address, inner)


def _message(literal: str) -> str:
    """Return an HCL string literal, quoted or a heredoc, as one line without interpolations."""
    text = literal[1:-1] if literal.startswith('"') else literal
    heredoc = re.match(r"<<-?(\w+)\n(.*)\n\s*\1$", text, re.DOTALL)
    text = heredoc[2] if heredoc else text.replace('\\"', '"').replace("\\n", "\n")
    return " ".join(_without_interpolations(text).split())


def _without_interpolations(text: str) -> str:
    parts, depth = [], 0
    for index, character in enumerate(text):
        if depth == 0 and text.startswith(("${", "%{"), index) and text[index - 1 : index] != text[index]:
            parts.append(INTERPOLATION)
            depth = -1  # until the opening brace, which is the next character
        elif depth:
            depth = 1 if depth == -1 else depth + (character == "{") - (character == "}")
        else:
            parts.append(character)
    return "".join(parts)
