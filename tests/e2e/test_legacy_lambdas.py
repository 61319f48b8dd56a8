"""examples/legacy-lambdas, applied: what its clients rely on, and the same through the module with the inventory's routes."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any, TextIO

import httpx2
import pytest
import yaml

from harness import Root
from migration import comparison_table
from migration.__main__ import main
from migration.client import Target
from migration.compare import Options, compare
from migration.comparison import DIFFERENT, EQUAL
from migration.proxy import RecordingProxy
from migration.trace import RecordedRequest
from sandbox import overrides, paths
from sandbox.emulator import Emulator
from sandbox.issuer import Issuer
from tests.e2e.conftest import Deployable, gateway
from tests.e2e.estate import Estate, applied

PREFIX = "legacy-e2e"
NEW = "legacy-inventory-e2e"
MISSING = "0" * 32


@pytest.fixture(scope="module")
def estate(
    terraform_roots: Callable[[str, Mapping[str, str] | None], Root], emulator: Emulator, issuer: Issuer
) -> Iterator[Estate]:
    with applied(terraform_roots, emulator, issuer, PREFIX) as estate:
        estate.seed(users=60, customers=60)
        yield estate


@pytest.fixture(scope="module")
def api(estate: Estate) -> Iterator[httpx2.Client]:
    with estate.client() as client:
        yield client


def test_user_is_added_read_updated_and_deleted(api: httpx2.Client) -> None:
    added = api.post("/users", json={"userName": "Ada", "emailAddress": "ada@legacy.example"})
    assert added.status_code == 201
    path = f"/users/{added.json()['userId']}"

    updated = api.put(path, json={"userName": "Ada Lovelace"})
    assert (updated.status_code, updated.json()["message"]) == (200, "User updated")
    assert api.get(path).json()["userName"] == "Ada Lovelace"
    assert api.get("/users", params={"email": "ada@legacy.example"}).json()["count"] == 1
    assert api.delete(path).json() == {"message": "User deleted"}
    assert api.get(path).status_code == 404


def test_customer_is_added_read_updated_and_deleted(api: httpx2.Client) -> None:
    added = api.post("/customers", json={"customerName": "Analytical Engines"})
    assert added.status_code == 201
    path = f"/customers/{added.json()['customerId']}"

    assert api.put(path, json={"contactEmail": "office@legacy.example"}).status_code == 200
    assert api.get(path).json()["contactEmail"] == "office@legacy.example"
    deleted = api.delete(path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert api.get(path).json() == {}


@pytest.mark.parametrize(
    ("path", "key", "total"), [("/users?limit=25", "users", 60), ("/customers?pageSize=25", "customers", 60)]
)
def test_lists_have_pages(api: httpx2.Client, path: str, key: str, total: int) -> None:
    continuation = {"users": ("lastKey", "lastKey"), "customers": ("nextToken", "nextToken")}[key]
    seen: set[str] = set()
    query: dict[str, Any] = {}
    for _ in range(10):
        page = api.get(path, params={**dict(httpx2.URL(path).params), **query}).json()
        seen |= {str(sorted(item.items())) for item in page[key]}
        if not page.get(continuation[0]):
            break
        query = {continuation[1]: page[continuation[0]]}
    assert len(seen) == total


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", f"/users/{MISSING}", 404, {"message": "User not found"}),
        ("PUT", f"/users/{MISSING}", 404, {"message": "User not found"}),
        ("DELETE", f"/users/{MISSING}", 200, {"message": "User deleted"}),
        ("GET", f"/customers/{MISSING}", 200, {}),
        ("DELETE", f"/customers/{MISSING}", 404, {"error": "no such customer"}),
    ],
)
def test_missing_items_get_the_responses_that_the_readme_lists(
    api: httpx2.Client, method: str, path: str, status: int, body: dict[str, str]
) -> None:
    response = api.request(method, path, json={"userName": "x"} if method == "PUT" else None)
    assert (response.status_code, response.json()) == (status, body)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(
    ("path", "status", "body"),
    [("/users/1", 401, {"message": "Unauthorized"}), ("/customers/1", 403, {"error": "forbidden"})],
)
@pytest.mark.parametrize("token", ["", "x.y.z"])
def test_every_function_of_an_item_requires_a_token(
    estate: Estate, method: str, path: str, status: int, body: dict[str, str], token: str
) -> None:
    with estate.client(token) as client:
        response = client.request(method, path)
    assert (response.status_code, response.json()) == (status, body)


def test_second_apply_changes_nothing(estate: Estate) -> None:
    estate.root.assert_idempotent()


# --- Inventory, and the module with its routes ---


@pytest.fixture(scope="module")
def out(estate: Estate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of an inventory of the account."""
    out = tmp_path_factory.mktemp("inventory")
    arguments = ["inventory", "--api", PREFIX, "--out", str(out), "--openapi", "--stubs", str(out / "stubs")]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in estate.emulator.environment().items():
            patch.setenv(name, value)
        assert main(arguments) == 0
        yield out


@pytest.fixture(scope="module")
def new(out: Path, example: Deployable, hello: str, estate: Estate) -> Iterator[httpx2.Client]:
    """The API of examples/migrate-from-lambdas, applied with the inventory's file as it is."""
    root = example(
        "migrate-from-lambdas", module="  function = { timeout_seconds = 15 }\n" + hello, root=overrides.UNPROTECTED
    )
    outputs = root.apply(var_file=out / f"{PREFIX}.tfvars", name=NEW, legacy_routes={})
    with gateway(estate.emulator, outputs["endpoint"], estate.issuer.token()) as client:
        yield client


def requests(client: httpx2.Client, side: str) -> list[tuple[str, int, str, str]]:
    """Send requests to each route; return route, status, content type and body, without ids and times that differ by nature."""
    sent: list[tuple[str, int, str, str]] = []

    def send(method: str, path: str, json_body: Any = None, **options: Any) -> httpx2.Response:
        response = client.request(method, path, json=json_body, **options)
        body = re.sub(r"[0-9a-f]{32}", "<id>", response.text).replace(side, "<side>")
        body = re.sub(r"2026-[0-9-]+T[0-9:]+Z", "<time>", re.sub(r"\b1[78]\d{8}\b", "<time>", body))
        sent.append((f"{method} {path[:6]}", response.status_code, response.headers.get("content-type", ""), body))
        return response

    send("GET", "/users?limit=3")
    send("GET", "/users?email=user7@example.com")
    send("GET", "/customers?pageSize=3")
    user = send("POST", "/users", {"userName": "Eve", "emailAddress": f"{side}@legacy.example"}).json()["userId"]
    send("POST", "/users", {"userName": "Eve", "emailAddress": f"{side}@legacy.example"})
    send("POST", "/users", {"userName": ""})
    customer = send("POST", "/customers", {"customerName": "Eve & Sons", "accountManager": user}).json()["customerId"]
    send("POST", "/customers", {})
    for path in (f"/users/{user}", f"/customers/{customer}", f"/users/{MISSING}"):
        for method, body in (
            ("GET", None),
            ("PUT", {"userName": "Eva", "customerName": "Ü"}),
            ("GET", None),
            ("DELETE", None),
        ):
            send(method, path, body)
    send("GET", f"/users/{user}", headers={"authorization": "Bearer x.y.z"})
    send("GET", f"/customers/{customer}", headers={"authorization": ""})
    return sent


def test_every_path_of_the_new_api_responds_as_before(api: httpx2.Client, new: httpx2.Client) -> None:
    before, after = requests(api, "old"), requests(new, "new")

    pairs = list(zip(before, after, strict=True))
    assert [(old, now) for old, now in pairs if (old[0], old[1], old[3]) != (now[0], now[1], now[3])] == []
    # A response without a content type gets another one from an HTTP API, as docs/migrating.md says.
    assert {(old[0], old[2], now[2]) for old, now in pairs if old[2] != now[2]} == {
        ("DELETE /users", "application/json", "text/plain;charset=UTF-8"),
        ("GET /users", "application/json", "text/plain;charset=UTF-8"),
    }
    methods = {each[0] for each in before}
    assert methods == {
        f"{method} /{path}" for path in ("users", "custo") for method in ("GET", "POST", "PUT", "DELETE")
    }


@pytest.fixture(scope="module")
def recorded(estate: Estate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Requests to each route of the old API, recorded by a proxy in front of it."""
    file = tmp_path_factory.mktemp("recorded") / "requests.jsonl"
    bearer = {"authorization": f"Bearer {estate.issuer.token()}"}
    with file.open("w") as stream, served(Target.parse(estate.url, "--to"), stream) as url:
        with httpx2.Client(base_url=url, headers=bearer, timeout=60, trust_env=False) as client:
            user = client.get("/users?email=user7@example.com").json()["users"][0]["userId"]
            for path in ("/users?limit=3", f"/users/{user}", f"/users/{MISSING}"):
                client.get(path)
            client.post("/users", json={"userName": ""})
            client.put(f"/users/{user}", json={"userName": "Ada"})
            client.delete(f"/users/{MISSING}")
            client.get("/customers?pageSize=3")
            customer = client.post("/customers", json={"customerName": "Ü & Sons"}).json()["customerId"]
            for method in ("GET", "PUT", "GET", "DELETE", "GET", "DELETE"):
                client.request(
                    method, f"/customers/{customer}", json={"accountManager": user} if method == "PUT" else None
                )
        # Without a token.
        httpx2.get(f"{url}/users/{user}", timeout=60, trust_env=False)
        httpx2.get(f"{url}/customers/{customer}", timeout=60, trust_env=False)
    return file


@contextmanager
def served(to: Target, stream: TextIO) -> Iterator[str]:
    """Run a recording proxy in front of an API."""

    def write(request: RecordedRequest) -> None:
        stream.write(request.as_line())

    with RecordingProxy(0, to, write, pytest.fail) as proxy:
        thread = Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_port}"
        finally:
            proxy.shutdown()
            thread.join()


def test_comparison_finds_only_what_the_reviewed_file_accepts(
    estate: Estate, new: httpx2.Client, out: Path, recorded: Path
) -> None:
    token = estate.issuer.token()
    assert token not in recorded.read_text()
    options = Options(
        recorded,
        old=estate.url,
        new=f"http://{new.headers['host']}",
        routes=out / "inventory.json",
        accepted=paths.ROOT / paths.LEGACY / "accepted-differences.yaml",
        # Both APIs have the same functions and tables here. What is written is a customer of each side's own, or is idempotent.
        writes=True,
        headers={"authorization": f"Bearer {token}"},
        quiet=True,
    )
    result = compare(options)
    assert result.exit_code == EQUAL, comparison_table.text(result)
    assert (result.compared, result.not_compared, len(result.routes)) == (17, 0, 10)
    assert all(each.compared for each in result.routes)
    assert {pair for each in result.routes for pair in each.statuses} == {
        (status, status) for status in (200, 201, 204, 400, 401, 403, 404)
    }

    # The same results, if nothing but the ids is accepted.
    text = yaml.safe_dump({"capture": {"POST /users": "userId", "POST /customers": "customerId"}})
    only_ids = recorded.with_name("ids.yaml")
    only_ids.write_text(text)
    judged = compare(replace(options, accepted=only_ids, resume=True))
    assert judged.exit_code == DIFFERENT
    assert {
        (route, found.difference.name) for route, found in judged.unaccepted if found.difference.kind == "header"
    } == {
        ("GET /users", "content-type"),
        ("DELETE /users/{userId}", "content-type"),
    }


def test_paths_that_no_old_function_served_are_the_containers(new: httpx2.Client) -> None:
    assert new.get("/").json() == {"message": "hello"}


def test_commands_of_the_page_run(estate: Estate, tmp_path: Path) -> None:
    page = (paths.ROOT / "docs/migrating.md").read_text().replace("legacy-people", PREFIX)
    commands = [line.split() for line in re.findall(r"^\$ python -m (migration inventory .*)$", page, re.MULTILINE)]
    assert len(commands) == 2
    for number, command in enumerate(commands):
        run = subprocess.run(
            [paths.environment("dev") / "python", "-m", *command, "--out", tmp_path / str(number)],
            cwd=estate.root.path,
            env=estate.emulator.environment() | {"PYTHONPATH": str(paths.ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        assert (tmp_path / str(number) / f"{PREFIX}.tfvars").exists()


def test_inventory_of_the_state_writes_the_same_routes(estate: Estate, out: Path, tmp_path: Path) -> None:
    file = estate.root.path / "terraform.tfstate"
    assert main(["inventory", "--state", str(file), "--out", str(tmp_path)]) == 0
    assert (tmp_path / f"{PREFIX}.tfvars").read_text() == (out / f"{PREFIX}.tfvars").read_text()


def test_inventory_has_the_estates_functions_and_risks(out: Path) -> None:
    found = json.loads((out / "inventory.json").read_text())
    functions = {each["name"].removeprefix(f"{PREFIX}-"): each for each in found["functions"].values()}

    assert len(functions) == len({each["role"] for each in functions.values()}) == 10
    checks = {
        name: {risk["code"] for risk in each["risks"] if risk["level"] == "check"} for name, each in functions.items()
    }
    assert {name: codes for name, codes in checks.items() if codes} == {
        "GetUser": {"other-triggers"},
        "GetCustomer": {"other-triggers"},
        "ListUsers": {"timeout"},
        "ListCustomers": {"timeout"},
    }
    assert functions["AddUser"]["environment"] == ["ISSUER", "KEYS_URL", "LOG_LEVEL", "TABLE_NAME"]


def test_stubs_have_a_domain_folder_for_each_resource(out: Path) -> None:
    files = {path.relative_to(out / "stubs").as_posix() for path in (out / "stubs").rglob("*.py")}
    assert files == {f"{folder}/{name}.py" for folder in ("users", "customers") for name in ("__init__", "routes")}


def test_openapi_sketch_has_the_estates_operations(out: Path) -> None:
    sketch = json.loads((out / f"{PREFIX}.openapi.json").read_text())
    operations = {operation["operationId"] for path in sketch["paths"].values() for operation in path.values()}
    assert {"add_user", "list_users", "get_customer", "delete_customer"} <= operations
    assert len(operations) == 10
