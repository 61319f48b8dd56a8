"""What a module refuses, read from its HCL: so that a test can tell which refusal nobody has tested."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hcl2

KINDS = frozenset({"validation", "precondition", "postcondition", "assert"})
"""Blocks that hold a condition: of variables; of resources, data sources and outputs; of checks."""

ANYTHING = "…"
"""What stands in a message for a part that only a run knows: `${…}`."""

ADDRESSED = {"variable": "var", "resource": "", "data": "data", "output": "output", "check": "check"}


@dataclass(frozen=True)
class Condition:
    """A condition of a module: its block's kind, the address it belongs to (`var.name`, `aws_x.y`), and its message."""

    kind: str
    address: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind} of {self.address}: {self.message}"


def conditions(module: Path) -> list[Condition]:
    """Return every validation, precondition, postcondition and check of a module's `.tf` files, in their order.

    Messages are on one line, with `…` in the place of each interpolation. ValueError when the folder has no `.tf` file.
    """
    files = sorted(module.glob("*.tf"))
    if not files:
        raise ValueError(f"{module} has no .tf file: there is no module to read conditions from")
    return [found for path in files for found in _in_file(hcl2.loads(path.read_text(encoding="utf-8")))]


def states(message: str, text: str) -> bool:
    """Whether a text begins with a message, or its beginning, in which each `…` stands for anything."""
    pattern = ".*?".join(map(re.escape, message.split(ANYTHING)))
    return re.match(pattern, " ".join(text.split())) is not None


def assert_every_condition_is_tested(found: Iterable[Condition], tested: Iterable[str]) -> None:
    """Fail unless each condition's message begins with exactly one of `tested`, and each of these begins some message.

    `tested` are the beginnings that the refusal tests expect, with `…` where a message has an interpolation.
    """
    found, tested = list(found), list(tested)
    by_condition = {str(c): [t for t in tested if c.message.startswith(t)] for c in found}
    problems = [f"no test refuses this {condition}" for condition, tests in by_condition.items() if not tests]
    problems += [f"{tests} all begin the {condition}" for condition, tests in by_condition.items() if len(tests) > 1]
    used = [test for tests in by_condition.values() for test in tests]
    problems += [f"{test!r} begins no condition's message" for test in tested if test not in used]
    problems += [f"{test!r} begins several messages: make it longer" for test in set(used) if used.count(test) > 1]
    if problems:
        raise AssertionError("\n".join(problems))


def _in_file(content: Mapping[str, Any]) -> Iterator[Condition]:
    for block, prefix in ADDRESSED.items():
        for stated in content.get(block, []):
            for labels, body in _labelled(stated, depth=2 if block in {"resource", "data"} else 1):
                yield from _below(".".join([prefix, *labels] if prefix else labels), body)


def _labelled(stated: Mapping[str, Any], depth: int) -> Iterator[tuple[list[str], Any]]:
    for label, inner in stated.items():
        if label.startswith("__"):
            continue
        name = label.strip('"')
        if depth == 1:
            yield [name], inner
        else:
            yield from (([name, *labels], body) for labels, body in _labelled(inner, depth - 1))


def _below(address: str, body: Any) -> Iterator[Condition]:
    """Yield the conditions anywhere in a block: its own, those of `lifecycle`, and a check's data source's."""
    if isinstance(body, list):
        for item in body:
            yield from _below(address, item)
    elif isinstance(body, Mapping):
        for name, inner in body.items():
            if name in KINDS:
                yield from (Condition(name, address, _message(block["error_message"])) for block in inner)
            else:
                yield from _below(address, inner)


def _message(written: str) -> str:
    """Return a string as HCL writes it, quoted or a heredoc, on one line and without its interpolations."""
    text = written[1:-1] if written.startswith('"') else written
    heredoc = re.match(r"<<-?(\w+)\n(.*)\n\s*\1$", text, re.DOTALL)
    text = heredoc[2] if heredoc else text.replace('\\"', '"').replace("\\n", "\n")
    return " ".join(_without_interpolations(text).split())


def _without_interpolations(text: str) -> str:
    parts, depth = [], 0
    for index, character in enumerate(text):
        if depth == 0 and text.startswith(("${", "%{"), index) and text[index - 1 : index] != text[index]:
            parts.append(ANYTHING)
            depth = -1  # the brace that follows opens it
        elif depth:
            depth = 1 if depth == -1 else depth + (character == "{") - (character == "}")
        else:
            parts.append(character)
    return "".join(parts)
