"""The resources of docs/service.md, added to a copy of the project, pass the tests of all resources."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.service.documented import with_documented_resources

DOMAINS = """
ORDERS = Domain(
    "/orders",
    body={"name": "Cog wheels", "quantity": 3, "price": "9.90", "due": "2026-12-24"},
    other_body={"name": "Levers", "quantity": 4, "price": "0.00", "due": "2027-01-01"},
    defaults={"price": None, "due": None, "customer_id": None},
)
DOMAINS = [USERS, CUSTOMERS, ORDERS]
"""
COMMON_TESTS = ["callers", "idempotency", "preconditions", "resources"]
TICKETS = '''
"""The fourth resource over HTTP."""

from fastapi.testclient import TestClient


def test_cancelled_ticket_cannot_change(client: TestClient) -> None:
    customer = client.post("/customers", json={"name": "Engines"}).json()["id"]
    ticket = client.post("/tickets", json={"title": "Broken", "customer_id": customer}).json()
    path = f"/tickets/{ticket['id']}"
    key = {"idempotency-key": "k"}
    assert client.post(f"{path}/cancel", headers=key).json()["state"] == "cancelled"
    assert client.post(f"{path}/cancel", headers=key).status_code == 200
    assert client.post(f"{path}/cancel").status_code == 409
    assert client.patch(path, json={"title": "X"}).status_code == 409
    assert client.delete(path).status_code == 405
    assert client.delete(f"/customers/{customer}").status_code == 409
    listed = client.get("/tickets", params={"customer_id": customer, "state": "cancelled"}).json()["items"]
    assert [item["id"] for item in listed] == [ticket["id"]]
'''


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return with_documented_resources(tmp_path)


def replace_once(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def run(copy: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    return passed[1]


def test_third_resource_is_one_folder_and_one_line(copy: Path, note: Callable[[str], None]) -> None:
    replace_once(copy / "tests" / "service" / "domains.py", "DOMAINS = [USERS, CUSTOMERS]\n", DOMAINS)
    files = [f"tests/service/test_{name}.py" for name in COMMON_TESTS]
    passed = run(copy, "-k", "orders", *files)
    note(f"the third resource: {lines(copy, 'orders')} lines and one in app.py, {passed} common tests pass")


def test_fourth_resource_has_a_custom_operation(copy: Path, note: Callable[[str], None]) -> None:
    (copy / "tests/service/test_tickets.py").write_text(TICKETS)
    run(copy, "tests/service/test_tickets.py", "tests/service/test_schemathesis.py")
    note(f"the fourth resource, with a custom operation: {lines(copy, 'tickets')} lines")


def lines(copy: Path, folder: str) -> int:
    return sum(len(path.read_text().splitlines()) for path in (copy / "service" / folder).glob("*.py"))


def test_documented_resources_pass_mypy(copy: Path) -> None:
    command = [sys.executable, "-m", "mypy", "service"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_documented_resources_only_extend_the_openapi_document(copy: Path) -> None:
    before = json.loads((copy / "docs" / "openapi.json").read_text())
    subprocess.run([sys.executable, "-m", "tools.openapi"], cwd=copy, check=True)
    after = json.loads((copy / "docs" / "openapi.json").read_text())
    added = after["paths"].keys() - before["paths"].keys()
    assert added == {"/orders", "/orders/{order_id}", "/tickets", "/tickets/{ticket_id}", "/tickets/{ticket_id}/cancel"}
    operations = [operation for path in added for operation in after["paths"][path].values()]
    assert sorted(operation["operationId"] for operation in operations) == [
        "cancel_ticket",
        *(f"create_{name}" for name in ("order", "ticket")),
        "delete_order",
        *(f"list_{name}" for name in ("orders", "tickets")),
        *(f"read_{name}" for name in ("order", "ticket")),
        "replace_order",
        *(f"update_{name}" for name in ("order", "ticket")),
    ]
    assert all({"401", "403", "422", "429", "500", "503"} <= operation["responses"].keys() for operation in operations)
    scopes = {scope for operation in operations for entry in operation["security"] for scope in entry["bearer"]}
    assert scopes == {f"{name}:{action}" for name in ("orders", "tickets") for action in ("read", "write")}
    assert before["paths"].items() <= after["paths"].items()
