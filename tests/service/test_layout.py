"""What may import what: the kit knows no domain, no settings and no Lambda, so that another API can take it as it is."""

import ast
from pathlib import Path

import pytest

from sandbox.paths import ROOT

SERVICE = ROOT / "service"
MODULES = sorted(path.relative_to(ROOT) for path in (SERVICE / "kit").rglob("*.py"))


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("service")}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_the_kit_imports_only_itself(path: Path) -> None:
    assert {name for name in imported(path) if not name.startswith("service.kit.")} == set()


def test_nothing_but_lambdas_edge_imports_lambdas_edge() -> None:
    others = [path for path in SERVICE.rglob("*.py") if "aws_lambda" not in path.parts]
    assert [path for path in others if any("aws_lambda" in name for name in imported(path))] == []
    assert others


def test_there_is_a_kit_to_look_at() -> None:
    assert Path("service/kit/repository.py") in MODULES
