"""A third kind of thing is one folder and one line, as docs/service.md says: done in a copy, and asked what all kinds are asked."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.paths import ROOT

BLOCK = re.compile(r"^`(service/\S+)`:\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ORDERS = """
ORDERS = Domain(
    "/orders",
    whole={"name": "Cog wheels", "quantity": 3},
    other={"name": "Levers", "quantity": 4},
    optional={"customer_id": None},
)
DOMAINS = [USERS, CUSTOMERS, ORDERS]
"""
ASKED_OF_ALL = ["callers", "idempotency", "preconditions", "resources"]


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return with_orders(tmp_path)


def with_orders(tmp_path: Path) -> Path:
    """Return a copy of the project with what the documentation adds to it."""
    for name in ("docs", "harness", "sandbox", "service", "tests", "tools"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / ".venvs").symlink_to(ROOT / ".venvs")
    for path, text in BLOCK.findall((ROOT / "docs" / "service.md").read_text()):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    replaced(tmp_path / "service" / "app.py", '    "customers",\n', '    "customers",\n    "orders",\n')
    return tmp_path


def test_a_third_resource_is_one_folder_and_one_line(copy: Path, note: Callable[[str], None]) -> None:
    replaced(copy / "tests" / "service" / "domains.py", "DOMAINS = [USERS, CUSTOMERS]\n", ORDERS)
    files = [f"tests/service/test_{name}.py" for name in ASKED_OF_ALL]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "orders", *files]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    lines = sum(len(path.read_text().splitlines()) for path in (copy / "service" / "orders").glob("*.py"))
    note(f"a third resource: {lines} lines in its folder and one in app.py, {passed[1]} tests of all kinds pass for it")


def test_a_third_resource_is_in_the_document_and_breaks_nothing(copy: Path) -> None:
    before = json.loads((copy / "docs" / "openapi.json").read_text())
    subprocess.run([sys.executable, "-m", "tools.openapi"], cwd=copy, check=True)
    after = json.loads((copy / "docs" / "openapi.json").read_text())
    assert after["paths"].keys() - before["paths"].keys() == {"/orders", "/orders/{order_id}"}
    operations = [
        operation for path in ("/orders", "/orders/{order_id}") for operation in after["paths"][path].values()
    ]
    names = ["create_order", "list_orders", "read_order", "replace_order", "update_order", "delete_order"]
    assert sorted(operation["operationId"] for operation in operations) == sorted(names)
    assert all({"401", "403", "422", "429", "500", "503"} <= operation["responses"].keys() for operation in operations)
    assert {scope for operation in operations for entry in operation["security"] for scope in entry["bearer"]} == {
        "orders:read",
        "orders:write",
    }
    assert before["paths"].items() <= after["paths"].items()
