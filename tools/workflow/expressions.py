"""The part of GitHub's expression language that this project's workflows use; everything else is an error.

    literals      'text' (with '' for a quote), numbers, true, false, null
    contexts      github.event.pull_request.number, steps.plan.outputs.changes, …: an unknown context is an error, as is a
                  name that `strict` contexts do not have; in others a missing name is null, as on GitHub
    operators     ! == != && || ( )
    functions     success() failure() always() cancelled()

As on GitHub, && and || return one of their operands, and strings are compared without case. Comparing different types is an error here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<operator>==|!=|&&|\|\||[!()])|(?P<name>[A-Za-z_][\w-]*(?:\.[\w-]+)*))"
)
STATUS = ("success", "failure", "always", "cancelled")
LITERALS = {"true": True, "false": False, "null": None}
# A name that these do not have is a mistake, not a missing value.
STRICT = ("inputs", "matrix", "needs", "steps")


class ExpressionError(ValueError):
    """The expression is invalid, or uses what this evaluator does not know."""


def evaluate(expression: str, contexts: Mapping[str, Any], status: str = "success") -> Any:
    """Return the value of an expression. `status` is the job's so far: success, failure or cancelled."""
    return _Parser(expression, contexts, status).parse()


def interpolate(text: Any, contexts: Mapping[str, Any], status: str = "success") -> str:
    """Return a text with each ${{ expression }} replaced by its value."""
    if not isinstance(text, str):
        return render(text)
    return re.sub(r"\$\{\{(.*?)\}\}", lambda match: render(evaluate(match[1], contexts, status)), text, flags=re.DOTALL)


def render(value: Any) -> str:
    """Return a value as GitHub writes it into a text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise ExpressionError(f"{type(value).__name__} has no text form")


def uses_status(expression: str) -> bool:
    """Whether an `if` calls a status function; otherwise success() is implied."""
    return any(re.search(rf"\b{name}\(\)", expression) for name in STATUS)


class _Parser:
    def __init__(self, expression: str, contexts: Mapping[str, Any], status: str) -> None:
        self.expression, self.contexts, self.status = expression, contexts, status
        self.tokens: list[tuple[str, str]] = []
        position, end = 0, len(expression.rstrip())
        while position < end:
            match = TOKEN.match(expression, position)
            if match is None:
                raise ExpressionError(f"cannot read {expression[position:].strip()!r} in {expression.strip()!r}")
            self.tokens.append((str(match.lastgroup), match[str(match.lastgroup)]))
            position = match.end()

    def parse(self) -> Any:
        value = self._or()
        if self.tokens:
            raise ExpressionError(f"unexpected {self.tokens[0][1]!r} in {self.expression.strip()!r}")
        return value

    def _take(self, *operators: str) -> str | None:
        if self.tokens and self.tokens[0][0] == "operator" and self.tokens[0][1] in operators:
            return self.tokens.pop(0)[1]
        return None

    def _or(self) -> Any:
        value = self._and()
        while self._take("||"):
            other = self._and()
            value = value or other
        return value

    def _and(self) -> Any:
        value = self._comparison()
        while self._take("&&"):
            other = self._comparison()
            value = value and other
        return value

    def _comparison(self) -> Any:
        value = self._unary()
        while operator := self._take("==", "!="):
            other = self._unary()
            equal = self._equal(value, other)
            value = equal if operator == "==" else not equal
        return value

    def _equal(self, one: Any, other: Any) -> bool:
        if isinstance(one, str) and isinstance(other, str):
            return one.lower() == other.lower()
        if one is not None and other is not None and type(one) is not type(other):
            raise ExpressionError(f"{self.expression.strip()!r} compares {one!r} with {other!r}")
        return bool(one == other)

    def _unary(self) -> Any:
        if self._take("!"):
            return not self._unary()
        if self._take("("):
            value = self._or()
            if not self._take(")"):
                raise ExpressionError(f"a parenthesis is missing in {self.expression.strip()!r}")
            return value
        if not self.tokens:
            raise ExpressionError(f"{self.expression.strip()!r} ends too early")
        kind, text = self.tokens.pop(0)
        if kind == "text":
            return text[1:-1].replace("''", "'")
        if kind == "number":
            return float(text) if "." in text else int(text)
        if kind == "name":
            return self._call(text) if self._take("(") else self._value(text)
        raise ExpressionError(f"unexpected {text!r} in {self.expression.strip()!r}")

    def _call(self, name: str) -> bool:
        if name not in STATUS or not self._take(")"):
            raise ExpressionError(f"{name}(…) is unknown: this evaluator has {', '.join(STATUS)}, without arguments")
        return name == "always" or name == self.status

    def _value(self, name: str) -> Any:
        if name in LITERALS:
            return LITERALS[name]
        context, *path = name.split(".")
        if context not in self.contexts:
            raise ExpressionError(f"the context {context} of {name} is unknown here")
        value: Any = self.contexts[context]
        for depth, part in enumerate(path):
            if not isinstance(value, Mapping) or part not in value:
                if context in STRICT and depth == 0:
                    raise ExpressionError(f"{name}: {context} has no {part}")
                return None
            value = value[part]
        return value
