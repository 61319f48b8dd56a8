"""examples/complete from the first apply to the destroy, with requests like a client's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from harness.errors import TerraformError
from harness.root import Root
from sandbox import engine as engines
from sandbox import overrides
from sandbox.base_image import BaseImage
from sandbox.emulator import Emulator
from sandbox.issuer import Issuer
from tests.contract import check
from tests.e2e.conftest import Deployable, gateway
from tools.policy_scan import scan

NAME = "people-e2e"
# Cases for each operation and phase of the contract test: requests through the gateway and a container are slow.
EXAMPLES = 5


@pytest.fixture(scope="module")
def variables(base_image: BaseImage, issuer: Issuer) -> dict[str, Any]:
    return {
        "name": NAME,
        "base_image": base_image.reference,
        "jwt_issuer": issuer.url,
        "jwt_audience": issuer.audience,
    }


@pytest.fixture(scope="module")
def before(aws: Callable[[str], Any]) -> set[str]:
    return existing(aws)


@pytest.fixture(scope="module")
def root(example: Deployable, before: set[str], variables: dict[str, Any]) -> Root:
    root = example("complete", root=overrides.UNPROTECTED)
    root.apply(variables)
    return root


@pytest.fixture(scope="module")
def api(root: Root, emulator: Emulator, issuer: Issuer) -> Iterator[httpx2.Client]:
    with gateway(emulator, root.output("endpoint", str), issuer.token()) as client:
        yield client


@pytest.fixture
def service(root: Root) -> Path:
    return root.path.parent.parent / "service"


def existing(aws: Callable[[str], Any]) -> set[str]:
    """Return the names of all resources of this example."""
    names = [
        *(f["FunctionName"] for f in aws("lambda").list_functions()["Functions"]),
        *(a["Name"] for a in aws("apigatewayv2").get_apis()["Items"]),
        *(r["repositoryName"] for r in aws("ecr").describe_repositories()["repositories"]),
        *(r["RoleName"] for r in aws("iam").list_roles()["Roles"]),
        *(g["logGroupName"] for g in aws("logs").describe_log_groups()["logGroups"]),
        *aws("dynamodb").list_tables()["TableNames"],
        *(d["DashboardName"] for d in aws("cloudwatch").list_dashboards()["DashboardEntries"]),
    ]
    return {name for name in names if NAME in name}


def version(api: httpx2.Client) -> dict[str, str]:
    body: dict[str, str] = api.get("/version").raise_for_status().json()
    return body


@pytest.mark.parametrize(
    ("path", "body", "patch"),
    [
        ("/users", {"email": "ada@example.com", "name": "Ada"}, {"name": "Countess"}),
        ("/customers", {"name": "Acme", "contact": None}, {"contact": "a@acme.example"}),
    ],
)
def test_create_read_list_patch_replace_delete(
    api: httpx2.Client, issuer: Issuer, path: str, body: dict[str, Any], patch: dict[str, Any]
) -> None:
    created = api.post(path, json=body)
    assert created.status_code == 201
    assert created.json().items() >= body.items()
    assert created.json()["created_by"] == issuer.audience  # a client credentials token: its subject is the client
    location = created.headers["location"]
    assert api.get(location).json() == created.json()
    assert [item["id"] for item in api.get(path).json()["items"]] == [created.json()["id"]]
    changed = api.patch(location, json=patch, headers={"if-match": created.headers["etag"]})
    assert changed.json().items() >= (body | patch).items()
    assert api.put(location, json=body, headers={"if-match": created.headers["etag"]}).status_code == 412
    replaced = api.put(location, json=body, headers={"if-match": changed.headers["etag"]})
    assert replaced.json().items() >= body.items()
    assert api.delete(location, headers={"if-match": replaced.headers["etag"]}).status_code == 204
    assert api.get(location).status_code == 404


def test_missing_token_is_401_and_missing_scope_is_403(root: Root, emulator: Emulator, issuer: Issuer) -> None:
    endpoint = root.output("endpoint", str)
    with gateway(emulator, endpoint) as anonymous, gateway(emulator, endpoint, issuer.token(["users:read"])) as reader:
        assert anonymous.get("/users").status_code == 401
        assert anonymous.get("/healthz").status_code == 200
        assert reader.get("/users").status_code == 200
        response = reader.post("/users", json={"email": "ada@example.com", "name": "Ada"})
        assert response.status_code == 403
        assert 'scope="people/users:write"' in response.headers["www-authenticate"]


def test_duplicate_email_is_409(api: httpx2.Client) -> None:
    body = {"email": "grace@example.com", "name": "Grace"}
    created = api.post("/users", json=body)
    assert [created.status_code, api.post("/users", json=body).status_code] == [201, 409]
    api.delete(created.headers["location"], headers={"if-match": "*"})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", f"/users/{'0' * 32}", 404), ("DELETE", "/users", 405), ("POST", "/users", 422)],
)
def test_errors_through_the_gateway_are_problem_details(
    api: httpx2.Client, method: str, path: str, status: int
) -> None:
    response = api.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status


def test_readiness_and_version(api: httpx2.Client, root: Root) -> None:
    assert api.get("/readyz").json() == {"status": "ok"}
    assert version(api) == {"release": root.output("version", str), "source_hash": root.output("source_hash", str)}


def test_image_is_a_manifest_and_not_an_index(root: Root, emulator: Emulator) -> None:
    # `image_layers` fails on an index, which has no layers; Lambda rejects an index.
    assert len(emulator.image_layers(root.output("image_uri", str))) >= 2


@pytest.mark.browser
def test_docs_page_runs_an_operation_in_an_offline_browser(
    api: httpx2.Client, chromium: str, emulator: Emulator, issuer: Issuer
) -> None:
    from playwright.sync_api import sync_playwright

    page_url = f"http://{api.headers['host']}/docs"
    if not page_url.endswith(f":{emulator.port}/docs"):
        page_url = page_url.replace("/docs", f":{emulator.port}/docs")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        urls: list[str] = []
        page.on("request", lambda request: urls.append(request.url))
        page.goto(page_url)
        page.get_by_role("button", name="Authorize").click()
        page.locator(".auth-container input").fill(issuer.token())
        page.locator(".auth-btn-wrapper .authorize").click()
        page.locator(".auth-btn-wrapper .btn-done").click()
        operation = page.locator("#operations-users-list_users")
        operation.locator("button.opblock-summary-control").click()
        operation.get_by_role("button", name="Try it out").click()
        operation.get_by_role("button", name="Execute").click()
        status = operation.locator(".live-responses-table tbody .response-col_status").first
        status.wait_for()
        assert status.inner_text().startswith("200")
        assert '"items"' in operation.locator(".live-responses-table").inner_text()
        browser.close()
    assert any(url.endswith("/users?limit=50") for url in urls)
    host = page_url.removesuffix("/docs")
    assert [url for url in urls if not url.startswith((host, "data:", "blob:"))] == []


def test_second_apply_changes_nothing(root: Root, api: httpx2.Client, variables: dict[str, Any]) -> None:
    root.assert_idempotent()


def test_policy_gate_accepts_a_plan_of_the_deployed_api(root: Root, variables: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(root.plan(variables).raw))
    # As a consumer does, who inherits the module's register.
    done = scan({"examples/complete": file}, ["modules", "examples/complete"], "--inherit", tmp_path / "reports")
    assert done.returncode == 0, done.stdout + done.stderr


def test_pruned_engine_changes_nothing(
    root: Root, api: httpx2.Client, variables: dict[str, Any], emulator: Emulator
) -> None:
    # Only this API's containers: those of other tests are in use.
    rows = (row.split() for row in engines.docker("ps", "--all", "--format", "{{.ID}} {{.Image}}").splitlines())
    for container in [container_id for container_id, image in rows if f":{emulator.port}/{NAME}" in image]:
        engines.docker("rm", "--force", container)
    assert engines.remove_images(f"localhost:{emulator.port}/{NAME}") > 0
    root.assert_idempotent()


def test_missing_engine_changes_nothing(
    root: Root, api: httpx2.Client, variables: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(root.terraform.environment, "DOCKER_HOST", "unix:///nonexistent/docker.sock")
    root.assert_idempotent()


def test_edit_and_its_revert_are_deployed(
    root: Root,
    api: httpx2.Client,
    variables: dict[str, Any],
    service: Path,
    emulator: Emulator,
    note: Callable[[str], None],
) -> None:
    source = service / "system.py"
    original = source.read_text()
    first, first_layers = version(api), emulator.image_layers(root.output("image_uri", str))

    source.write_text(original.replace('Status(status="ok")', 'Status(status="edited")'))
    root.apply(variables)
    assert api.get("/healthz").json() == {"status": "edited"}
    edited = version(api)
    assert edited["source_hash"] != first["source_hash"]
    # A code change pushes only the code layers.
    pushed = emulator.image_layers(root.output("image_uri", str)).items() - first_layers.items()
    code = sum(path.stat().st_size for path in service.rglob("*.py"))
    note(
        f"code-only edit: {len(pushed)} layers, {sum(size for _, size in pushed)} bytes pushed for {code} bytes of code"
    )
    assert sum(size for _, size in pushed) <= 2 * code

    source.write_text(original)
    root.apply(variables)
    assert api.get("/healthz").json() == {"status": "ok"}
    reverted = version(api)
    assert reverted["source_hash"] == first["source_hash"]
    assert int(reverted["release"]) > int(edited["release"]) > int(first["release"])
    root.assert_idempotent()


def test_failed_build_shows_the_log_and_the_old_version_serves(
    root: Root, api: httpx2.Client, variables: dict[str, Any]
) -> None:
    serving = version(api)
    dockerfile = root.path.parent.parent / "Dockerfile"
    original = dockerfile.read_text()
    dockerfile.write_text(f"{original}\nRUN echo broken on purpose && exit 3\n")
    with pytest.raises(TerraformError, match="exit 3"):
        root.apply(variables)
    assert "broken on purpose" in (root.path / "build.log").read_text()
    assert version(api) == serving
    dockerfile.write_text(original)
    root.apply(variables)
    assert version(api)["source_hash"] == serving["source_hash"]
    root.assert_idempotent()


def test_schemathesis_passes_through_the_gateway(
    api: httpx2.Client, issuer: Issuer, emulator: Emulator, note: Callable[[str], None]
) -> None:
    summary = check(emulator.url, issuer.token(), {"host": api.headers["host"]}, EXAMPLES)
    note(f"schemathesis through API Gateway: {summary}")


def test_destroy_leaves_no_resources(
    root: Root, aws: Callable[[str], Any], before: set[str], emulator: Emulator, engine: object
) -> None:
    assert existing(aws) > before
    root.destroy()
    assert existing(aws) == before == set()
