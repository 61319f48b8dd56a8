"""Import rules: the kit imports no domain, settings or Lambda code, so another API can copy it unchanged."""

import ast
from pathlib import Path

import pytest

from sandbox.paths import ROOT

SERVICE = ROOT / "service"
MODULES = sorted(path.relative_to(ROOT) for path in (SERVICE / "kit").rglob("*.py"))


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.startswith("service")}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_kit_only_imports_the_kit(path: Path) -> None:
    assert {name for name in imports(path) if not name.startswith("service.kit.")} == set()


def test_only_aws_lambda_imports_aws_lambda() -> None:
    others = [path for path in SERVICE.rglob("*.py") if "aws_lambda" not in path.parts]
    assert [path for path in others if any("aws_lambda" in name for name in imports(path))] == []
    assert others


def test_kit_modules_are_found() -> None:
    assert Path("service/kit/repository.py") in MODULES
