"""differences.yaml lists existing tests, and every argument and error of the stand-in's own."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox import docker_provider
from sandbox.docker_provider.engine import UNSUPPORTED as UNSUPPORTED_BUILD
from sandbox.docker_provider.engine import UNSUPPORTED_LEGACY
from sandbox.docker_provider.provider import UNSUPPORTED

FOLDER = Path(docker_provider.__file__).parent
DIFFERENCES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "differences.yaml").read_text())
REQUIRED = {"name", "real", "stand_in", "why"}
OPTIONAL = {"arguments", "error"}


def syntax(folder: Path) -> Iterator[ast.AST]:
    for file in folder.glob("*.py"):
        yield from ast.walk(ast.parse(file.read_text()))


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: str(difference["name"]))
def test_difference_has_a_test_or_a_reason_for_none(difference: dict[str, Any]) -> None:
    assert difference.keys() - OPTIONAL in (REQUIRED | {"test"}, REQUIRED | {"untested"})
    tests = {node.name for node in syntax(Path(__file__).parent) if isinstance(node, ast.FunctionDef)}
    assert "test" not in difference or difference["test"] in tests


def test_each_difference_is_listed_once() -> None:
    names = [difference["name"] for difference in DIFFERENCES]
    assert sorted(set(names)) == sorted(names)


def test_every_refused_argument_is_listed() -> None:
    listed = [argument for difference in DIFFERENCES for argument in difference.get("arguments", [])]
    refused = {
        *UNSUPPORTED,
        *(name for names in [*UNSUPPORTED_BUILD.values(), *UNSUPPORTED_LEGACY.values()] for name in names),
    }
    assert sorted(listed) == sorted(refused)


def test_every_error_that_mentions_the_stand_in_is_listed() -> None:
    listed = {difference["error"] for difference in DIFFERENCES if "error" in difference}
    raised = [node.exc for node in syntax(FOLDER) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)]
    messages = {text_of(error.args[0]) for error in raised if error.args}
    assert {message for message in messages if "stand-in" in message} == listed


def text_of(node: ast.expr) -> str:
    """Return the text of a literal, with {} for the expressions of an f-string."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
