"""Module interfaces: the attributes that each input knows, as a tree.

A tree is None for a value of any shape, a dictionary of trees by attribute for an object, and a Collection for its elements.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHIPPED = Path(__file__).with_name("interface.json")
ATTRIBUTE = re.compile(r"^[A-Za-z_][\w-]*$")
TOKEN = re.compile(
    r"(?P<skip>\s+|#[^\n]*|//[^\n]*|/\*.*?\*/)|(?P<heredoc><<-?(?P<end>\w+)\n.*?\n\s*(?P=end)\b)"
    r'|(?P<string>"(?:\\.|\$\{[^}]*\}|[^"\\])*")|(?P<name>[A-Za-z_][\w-]*)|(?P<other>.)',
    re.DOTALL,
)


@dataclass(frozen=True)
class Collection:
    """The elements of a list, set or map."""

    kind: str
    element: Tree


Tree = Mapping[str, Any] | Collection | None


def read_module(folder: Path) -> dict[str, Tree]:
    """Return the inputs of the module in a folder, by name."""
    inputs: dict[str, Tree] = {}
    for path in sorted(folder.glob("*.tf")):
        tokens = _Tokens(path.read_text(encoding="utf-8"))
        inputs |= dict(_variables(tokens))
    return inputs


def read_shipped(version: str) -> dict[str, Tree] | None:
    """Return the inputs of a released lambda_container_api; None if the pack does not know that release."""
    inputs = json.loads(SHIPPED.read_text(encoding="utf-8")).get(version)
    return None if inputs is None else {name: _tree(nested) for name, nested in inputs.items()}


def unknown_attributes(inputs: Mapping[str, Tree], arguments: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each attribute in a call's arguments that the module does not know; misspelt inputs are Terraform's errors."""
    return [
        sentence
        for name, value in arguments.items()
        if name in inputs
        for sentence in _unknown(inputs[name], value, name)
    ]


def _unknown(tree: Tree, value: Any, path: str) -> Iterator[str]:
    if isinstance(tree, Collection):
        for key, element in _elements(tree.kind, value):
            yield from _unknown(tree.element, element, f"{path}{key}")
    elif tree is not None:
        while isinstance(value, list) and len(value) == 1:  # as checkov wraps it
            value = value[0]
        for name, inner in value.items() if isinstance(value, Mapping) else ():
            # Another key is an expression, or added by checkov.
            if name in tree:
                yield from _unknown(tree[name], inner, f"{path}.{name}")
            elif ATTRIBUTE.match(name) and not name.startswith("__"):
                yield f"{path}.{name} is unknown: {_suggestion(name, tree)}"


def _elements(kind: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the elements that can be read, with the part of the path that leads to each."""
    if kind == "map":
        while isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, Mapping):
            yield from ((f"[{json.dumps(key)}]", element) for key, element in value.items() if not key.startswith("__"))
        return
    while isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    yield from ((f"[{number}]", element) for number, element in enumerate(value if isinstance(value, list) else []))


def _suggestion(name: str, known: Mapping[str, Any]) -> str:
    """Return the attribute that was probably meant, or all of them."""
    if not known:
        return "it has no attributes"
    parts = [candidate for candidate in known if {*name.split("_")} & {*candidate.split("_")}]
    near = difflib.get_close_matches(name, known, n=1) or difflib.get_close_matches(name, parts, n=1, cutoff=0.0)
    return f"{near[0]}?" if near else f"known are {', '.join(sorted(known))}"


def _tree(nested: Any) -> Tree:
    """Return a tree from JSON, where a collection's only key is its kind in brackets."""
    if not isinstance(nested, Mapping):
        return None
    for kind in ("list", "map", "set"):
        if f"[{kind}]" in nested:
            return Collection(kind, _tree(nested[f"[{kind}]"]))
    return {name: _tree(inner) for name, inner in nested.items()}


class _Tokens:
    """The tokens of HCL source, without comments."""

    def __init__(self, source: str) -> None:
        self._tokens = [match for match in TOKEN.finditer(source) if match.lastgroup != "skip"]
        self._next = 0

    def __bool__(self) -> bool:
        return self._next < len(self._tokens)

    @property
    def text(self) -> str:
        return self._tokens[self._next][0] if self else ""

    @property
    def is_name(self) -> bool:
        return bool(self) and self._tokens[self._next]["name"] is not None

    def take(self) -> str:
        text = self.text
        self._next += 1
        return text

    def skip_value(self, *ends: str) -> None:
        """Skip to one of these, outside of any brackets, or to the bracket that closes the surrounding block."""
        depth = 0
        while self and not (depth == 0 and (self.text in ends or self.text in {"}", ")", "]"})):
            depth += {"{": 1, "(": 1, "[": 1, "}": -1, ")": -1, "]": -1}.get(self.take(), 0)


def _variables(tokens: _Tokens) -> Iterator[tuple[str, Tree]]:
    while tokens:
        if tokens.take() != "variable" or not tokens.text.startswith('"'):
            tokens.skip_value("variable")
            if tokens.text != "variable":
                tokens.take()
            continue
        name, tree = tokens.take().strip('"'), None
        tokens.take()  # {
        while tokens and tokens.text != "}":
            if tokens.take() == "type" and tokens.text == "=":
                tokens.take()
                tree = _type(tokens)
            else:
                tokens.skip_value("type")
        tokens.take()
        yield name, tree


def _type(tokens: _Tokens) -> Tree:
    """Read a type constraint."""
    name = tokens.take()
    if tokens.text != "(":
        return None
    tokens.take()
    tree: Tree = None
    if name == "object":
        tree = _attributes(tokens)
    elif name == "optional":
        tree = _type(tokens)
    elif name in {"list", "map", "set"}:
        element = _type(tokens)
        tree = None if element is None else Collection(name, element)
    tokens.skip_value()  # an optional attribute's default
    tokens.take()
    return tree


def _attributes(tokens: _Tokens) -> dict[str, Tree]:
    attributes: dict[str, Tree] = {}
    tokens.take()  # {
    while tokens and tokens.text != "}":
        if not tokens.is_name and not tokens.text.startswith('"'):
            tokens.take()  # a comma
            continue
        name = tokens.take().strip('"')
        tokens.take()  # = or :
        attributes[name] = _type(tokens)
    tokens.take()
    return attributes
