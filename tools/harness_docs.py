"""Write the reference in docs/harness.md from the harness's docstrings; `--check` only compares.

python -m tools.harness_docs [--check]
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import harness
from sandbox.paths import ROOT
from tools import generated

PAGE = ROOT / "docs" / "harness.md"
PLUGIN = ROOT / "harness" / "pytest_plugin.py"


def fixtures(plugin: Path) -> str:
    """Return the plugin's fixtures in source order: name, scope, docstring."""
    entries = []
    for item in ast.parse(plugin.read_text()).body:
        if not isinstance(item, ast.FunctionDef):
            continue
        for decorator in map(ast.unparse, item.decorator_list):
            if decorator.startswith("pytest.fixture"):
                scope = re.search(r"scope='(\w+)'", decorator)
                doc = _required(ast.get_docstring(item), item.name)
                entries.append(f"**`{item.name}`** ({scope[1] if scope else 'function'})\n\n{_markdown(doc)}")
    return "\n\n".join(entries)


def _public() -> Iterator[tuple[str, Any]]:
    """Yield the harness's functions and classes, each class followed by its own public methods and properties."""
    for name in harness.__all__:
        item = getattr(harness, name)
        if not getattr(item, "__module__", "").startswith(harness.__name__):
            continue  # a constant, or from python-terraform
        yield name, item
        if inspect.isclass(item) and not issubclass(item, Exception):
            for inner, member in vars(item).items():
                if not inner.startswith("_") and (callable(member) or isinstance(member, (property, classmethod))):
                    yield f"{name}.{inner}", member


def assertions() -> str:
    """Return the assertions with signature and docstring: `assert_…` functions and methods, and Scenario.check."""
    return "\n\n".join(
        f"**`{name}{_signature(item)}`**\n\n{_markdown(_doc(name, item))}" for name, item in _public() if _asserts(name)
    )


def names() -> str:
    """Return a table of the other public names, each with the first paragraph of its docstring."""
    rows = ["| Name | What it is |", "|---|---|"]
    for name, item in _public():
        if not _asserts(name):
            first = " ".join(_doc(name, item).partition("\n\n")[0].split())
            rows.append(f"| `{name}` | {first.replace('|', chr(92) + '|')} |")
    return "\n".join(rows)


def _asserts(name: str) -> bool:
    return name == "Scenario.check" or name.rpartition(".")[2].startswith("assert_")


def _signature(item: Any) -> str:
    signature = inspect.signature(item)
    parameters = [p for p in signature.parameters.values() if p.name != "self"]
    return str(signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty)).replace("'", "")


def _doc(name: str, item: Any) -> str:
    return _required(inspect.getdoc(item.__func__ if isinstance(item, classmethod) else item), name)


def _required(doc: str | None, name: str) -> str:
    if not doc:
        raise SystemExit(f"{name} has no docstring")
    return doc


def _markdown(doc: str) -> str:
    """Fence the docstring's indented code; the rest is already Markdown."""
    parts = []
    for paragraph in doc.split("\n\n"):
        if paragraph.startswith("    "):
            parts.append("```python\n" + inspect.cleandoc(paragraph) + "\n```")
        else:
            parts.append(paragraph)
    return "\n\n".join(parts)


def render(page: str) -> str:
    """Return the page's text with its generated parts replaced."""
    return generated.with_parts(page, {"fixtures": fixtures(PLUGIN), "assertions": assertions(), "names": names()})


if __name__ == "__main__":
    sys.exit(generated.main(PAGE, render, "Write the harness's reference, or check it."))
