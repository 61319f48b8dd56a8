"""examples/canary-and-rollback, applied: releases under load, and releases that must fail."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import TerraformError
from harness.root import Root
from sandbox.emulator import Emulator
from tests.e2e.conftest import Deployable, gateway, load

NAME = "release-e2e"
# Long enough for eight containers to start at once on two cores; a hanging one fails after that.
MODULE = f'  name = "{NAME}"\n  function = {{ timeout_seconds = 29 }}\n'

# The first version that serves; version 1 is broken.
FIRST = 2
BROKEN = {
    "cannot be imported": (
        '"""The smallest',
        'raise ImportError("no such module")\n"""The smallest',
        ["no such module"],
    ),
    "returns 500 to the smoke test": (
        'return {"status": "ok"}',
        'raise RuntimeError("broken")',
        ["GET /healthz, expected status 200, got status 500", "still serves", "-replace="],
    ),
    "hangs": ('return {"status": "ok"}', '__import__("time").sleep(60)\n    return {}', ["imed out"]),
}

# An application that accepts one host and requires a header, a query and a body; and the smoke test that sends them.
STRICT_APP = """from fastapi import Request
from starlette.middleware.trustedhost import TrustedHostMiddleware

app = FastAPI()
app.add_middleware(TrustedHostMiddleware, allowed_hosts=["{name}"])


@app.post("/echo")
async def echo(request: Request) -> str:
    return (await request.body()).decode() + request.query_params["b"] + request.headers["c"]
"""
SMOKE = (
    '{ headers = { c = "c" }, also = [{ method = "POST", path = "/echo", query = { b = "b" }, '
    'headers = { content-type = "image/png" }, body = "a", contains = "abc" }] }'
)


@pytest.fixture(scope="module")
def failed_first(example: Deployable, hello: str, aws: Callable[[str], Any]) -> tuple[Root, list[Any]]:
    """A root whose first version was broken and then fixed, and the API's stages before the fix."""
    root = example(
        "canary-and-rollback", module=MODULE + hello.replace("log_file", "source_hash = var.source_hash, log_file")
    )
    original = source(root).read_text()
    edit(root, *BROKEN["cannot be imported"][:2])
    with pytest.raises(TerraformError, match="no such module"):
        root.apply()
    apis = [api["ApiId"] for api in aws("apigatewayv2").get_apis()["Items"] if api["Name"] == NAME]
    stages = [stage for api in apis for stage in aws("apigatewayv2").get_stages(ApiId=api)["Items"]]
    source(root).write_text(original)
    root.apply()
    return root, stages


@pytest.fixture(scope="module")
def root(failed_first: tuple[Root, list[Any]]) -> Root:
    return failed_first[0]


@pytest.fixture(scope="module")
def endpoint(root: Root) -> str:
    return root.output("endpoint", str)


@pytest.fixture
def alias(aws: Callable[[str], Any]) -> Callable[[], dict[str, Any]]:
    """Return a function that reads the alias's version and weights."""

    def read() -> dict[str, Any]:
        live = aws("lambda").get_alias(FunctionName=NAME, Name="live")
        weights = live.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        return {"version": live["FunctionVersion"], "weights": weights}

    return read


def source(root: Root) -> Path:
    return root.path.parent / "minimal/app/hello.py"


def edit(root: Root, old: str, new: str) -> None:
    text = source(root).read_text()
    assert old in text
    source(root).write_text(text.replace(old, new, 1))


def message(emulator: Emulator, endpoint: str) -> str:
    with gateway(emulator, endpoint) as api:
        text: str = api.get("/").raise_for_status().json()["message"]
        return text


def test_broken_first_version_creates_no_stage_and_its_fix_completes_the_apply(
    failed_first: tuple[Root, list[Any]], emulator: Emulator, endpoint: str
) -> None:
    _, stages = failed_first
    assert stages == []
    assert message(emulator, endpoint) == "hello"


def test_release_rollback_and_canary_fail_no_request(
    root: Root,
    endpoint: str,
    emulator: Emulator,
    alias: Callable[[], dict[str, Any]],
    note: Callable[[str], None],
) -> None:
    first = root.output("version", str)
    with load(emulator, endpoint, "/") as total:
        edit(root, '"hello"', '"hello again"')
        root.apply()
        second = root.output("version", str)
        assert alias() == {"version": second, "weights": {}}

        root.apply(release_version=int(first))
        assert alias() == {"version": first, "weights": {}}

        root.apply(release_version=int(first), canary_percent=10)
        assert alias() == {"version": first, "weights": {second: 0.1}}

        root.apply()
        assert alias() == {"version": second, "weights": {}}
    note(f"release under load: {total.sent} requests, {total.failures} failed, slowest {total.slowest:.1f} s")
    total.assert_none_failed(least=100)
    assert total.answers == {'{"message":"hello"}', '{"message":"hello again"}'}


def test_rollback_builds_nothing(root: Root, alias: Callable[[], dict[str, Any]]) -> None:
    serving = alias()["version"]
    plan = root.plan(release_version=FIRST)
    changed = {change.address for change in plan.resources.values() if change.changes}
    assert changed == {'module.api.aws_lambda_invocation.smoke["live"]', "module.api.aws_lambda_alias.live"}
    assert alias()["version"] == serving


def test_changed_file_mode_builds_only_with_the_git_tree_id(root: Root) -> None:
    def tree() -> str:
        git = ("git", "-C", str(root.path.parent / "minimal"))
        for command in (["init", "--quiet"], ["add", "app"]):
            subprocess.run([*git, *command], check=True)
        return subprocess.run([*git, "write-tree", "--prefix=app/"], check=True, capture_output=True, text=True).stdout

    before = tree()
    source(root).chmod(0o755)
    root.assert_idempotent()
    after = tree()

    plans = [root.plan(source_hash=identifier.strip()) for identifier in (before, after)]
    built = [plan.values["module.api.docker_registry_image.this[0]"]["triggers"]["source_hash"] for plan in plans]
    assert built[0] != built[1]
    assert all(plan.resources["module.api.docker_registry_image.this[0]"].destroys for plan in plans)


def test_canary_of_the_serving_version_is_rejected(root: Root) -> None:
    with pytest.raises(TerraformError, match="needs two versions"):
        root.apply(release_version=int(root.output("newest_version", str)), canary_percent=10)


def test_broken_version_never_serves_and_rollback_still_works(
    root: Root, endpoint: str, emulator: Emulator, alias: Callable[[], dict[str, Any]]
) -> None:
    original, newest, expected = source(root).read_text(), alias()["version"], message(emulator, endpoint)
    with load(emulator, endpoint, "/", clients=2) as total:
        for old, new, reasons in BROKEN.values():
            serving = alias()
            source(root).write_text(original)
            edit(root, old, new)
            with pytest.raises(TerraformError) as error:
                root.apply()
            for reason in reasons:
                assert reason in str(error.value)
            assert alias() == serving
            # While the newest version is broken, roll back to the first one, or from there to the last good one.
            other = newest if serving["version"] == str(FIRST) else str(FIRST)
            root.apply(release_version=int(other))
            assert alias()["version"] == other
    total.assert_none_failed()

    source(root).write_text(original.replace("Say hello.", "Say hello again."))
    root.apply()
    assert message(emulator, endpoint) == expected
    assert int(alias()["version"]) == int(newest) + len(BROKEN) + 1


def test_canary_that_fails_the_smoke_test_gets_no_request(root: Root, alias: Callable[[], dict[str, Any]]) -> None:
    serving = alias()
    original = source(root).read_text()
    edit(root, *BROKEN["returns 500 to the smoke test"][:2])
    with pytest.raises(
        TerraformError, match=r"canary: version [0-9]+: GET /healthz, expected status 200, got status 500"
    ):
        root.apply(release_version=int(serving["version"]), canary_percent=10)
    assert alias() == serving
    source(root).write_text(original)


def test_smoke_test_sends_host_headers_query_and_body(
    root: Root, endpoint: str, alias: Callable[[], dict[str, Any]]
) -> None:
    name = endpoint.partition("://")[2].partition(":")[0]
    edit(root, "app = FastAPI()\n", STRICT_APP.format(name=name))
    main = root.path / "main.tf"
    configured = main.read_text().replace('{ path = "/healthz", status = 200 }', SMOKE)
    assert SMOKE in configured
    main.write_text(configured)
    root.apply()
    serving = alias()
    assert serving == {"version": root.output("newest_version", str), "weights": {}}
    root.assert_idempotent()

    main.write_text(configured.replace("also", 'host = "elsewhere.example.com", also', 1))
    with pytest.raises(TerraformError) as error:
        root.apply()
    for reason in (
        "Smoke requests to host elsewhere.example.com",
        "live: version",
        "live-1: version",
        "got status 400: Invalid host",
    ):
        assert reason in " ".join(str(error.value).split())
    assert alias() == serving
