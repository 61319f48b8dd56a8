"""Every file of the repository is as .editorconfig says."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest
from editorconfig import get_properties

from sandbox.paths import ROOT
from tests.docs.conftest import files, name


def violations(path: Path) -> list[str]:
    """Return how a file differs from its properties, with line numbers."""
    properties = get_properties(str(path))
    text = path.read_bytes().decode(properties["charset"])
    found = []
    if "\r" in text:
        found.append("a carriage return")
    if text and (not text.endswith("\n") or text.endswith("\n\n")):
        found.append("not one newline at its end")
    lines = text.split("\n")
    found += [f"{number}: space at its end" for number, line in enumerate(lines, 1) if line != line.rstrip()]
    return found + [f"{number}: indentation" for number in _indented_differently(lines, path, properties)]


def _indented_differently(lines: list[str], path: Path, properties: dict[str, str]) -> list[int]:
    indents = {number: re.match(r"[ \t]*", line)[0] for number, line in enumerate(lines, 1)}  # type: ignore[index]  # always matches
    wrong = "\t" if properties["indent_style"] == "space" else " "
    numbers = [number for number, indent in indents.items() if wrong in indent]
    if (size := properties.get("indent_size", "unset")).isdecimal():
        # Strings in Python contain other languages.
        of_code = _python_blocks("\n".join(lines)) if path.suffix == ".py" else indents
        numbers += [number for number in of_code if indents[number].count(" ") % int(size)]
    return numbers


def _python_blocks(source: str) -> list[int]:
    found = tokenize.generate_tokens(io.StringIO(source).readline)
    return [token.start[0] for token in found if token.type == tokenize.INDENT]


def test_every_file_follows_editorconfig() -> None:
    found = {name(path): errors for path in files() if (errors := violations(path))}
    assert found == {}


@pytest.mark.parametrize(
    ("file", "text", "error"),
    [
        ("a.tf", 'a = "b" \n', "1: space at its end"),
        ("a.tf", "a {\n   b = 1\n}\n", "2: indentation"),
        ("a.tf", "a {\n\tb = 1\n}\n", "2: indentation"),
        ("a.py", "if x:\n  y = 1\n", "2: indentation"),
        ("a.yaml", "a: 1", "not one newline at its end"),
        ("a.yaml", "a: 1\n\n", "not one newline at its end"),
        ("a.json", "{}\r\n", "a carriage return"),
        ("Makefile", "a:\n  b\n", "2: indentation"),
    ],
)
def test_violation_is_found(file: str, text: str, error: str, tmp_path: Path) -> None:
    (tmp_path / ".editorconfig").write_text((ROOT / ".editorconfig").read_text())
    (tmp_path / file).write_bytes(text.encode())
    assert error in violations(tmp_path / file)
