"""Releases under load, and releases that must not happen: examples/canary-and-rollback, applied."""

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
# Enough for eight containers that start at once on two cores, and a hanging one is not waited for longer.
SHORT = f'  name = "{NAME}"\n  function = {{ timeout_seconds = 15 }}\n'

# The first version that serves: the one before it is broken.
FIRST = 2
BROKEN = {
    "cannot be imported": (
        '"""The smallest',
        'raise ImportError("no such module")\n"""The smallest',
        ["no such module"],
    ),
    "answers 500 on the smoke path": (
        'return {"status": "ok"}',
        'raise RuntimeError("broken")',
        ["GET /healthz, expected status 200, got status 500", "still serves", "-replace="],
    ),
    "hangs": ('return {"status": "ok"}', '__import__("time").sleep(60)\n    return {}', ["imed out"]),
}

# An application that serves one host, and asks for a header, a query and a body; and a request that has them.
PARTICULAR = """from fastapi import Request
from starlette.middleware.trustedhost import TrustedHostMiddleware

app = FastAPI()
app.add_middleware(TrustedHostMiddleware, allowed_hosts=["{name}"])


@app.post("/told")
async def told(request: Request) -> str:
    return (await request.body()).decode() + request.query_params["b"] + request.headers["c"]
"""
CLIENTS = (
    '{ headers = { c = "c" }, also = [{ method = "POST", path = "/told", query = { b = "b" }, '
    'headers = { content-type = "image/png" }, body = "a", contains = "abc" }] }'
)


@pytest.fixture(scope="module")
def refused_first(example: Deployable, hello: str, aws: Callable[[str], Any]) -> tuple[Root, list[Any]]:
    """A root whose first version was broken and is mended, and the stages that its API had until then."""
    made = example(
        "canary-and-rollback", module=SHORT + hello.replace("log_file", "source_hash = var.source_hash, log_file")
    )
    whole = source(made).read_text()
    edit(made, *BROKEN["cannot be imported"][:2])
    with pytest.raises(TerraformError, match="no such module"):
        made.apply()
    apis = [api["ApiId"] for api in aws("apigatewayv2").get_apis()["Items"] if api["Name"] == NAME]
    stages = [stage for api in apis for stage in aws("apigatewayv2").get_stages(ApiId=api)["Items"]]
    source(made).write_text(whole)
    made.apply()
    return made, stages


@pytest.fixture(scope="module")
def root(refused_first: tuple[Root, list[Any]]) -> Root:
    return refused_first[0]


@pytest.fixture(scope="module")
def endpoint(root: Root) -> str:
    return root.output("endpoint", str)


@pytest.fixture
def alias(aws: Callable[[str], Any]) -> Callable[[], dict[str, Any]]:
    """Ask which version serves, and with which weights."""

    def ask() -> dict[str, Any]:
        answer = aws("lambda").get_alias(FunctionName=NAME, Name="live")
        weights = answer.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        return {"version": answer["FunctionVersion"], "weights": weights}

    return ask


def source(root: Root) -> Path:
    return root.path.parent / "minimal/app/hello.py"


def edit(root: Root, old: str, new: str) -> None:
    text = source(root).read_text()
    assert old in text
    source(root).write_text(text.replace(old, new, 1))


def said(emulator: Emulator, endpoint: str) -> str:
    with gateway(emulator, endpoint) as api:
        message: str = api.get("/").raise_for_status().json()["message"]
        return message


def test_a_broken_first_version_leaves_no_endpoint_and_its_mending_completes_the_apply(
    refused_first: tuple[Root, list[Any]], emulator: Emulator, endpoint: str
) -> None:
    _, stages = refused_first
    assert stages == []
    assert said(emulator, endpoint) == "hello"


def test_a_deployment_a_rollback_and_a_canary_fail_no_request(
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


def test_a_rollback_builds_nothing(root: Root, alias: Callable[[], dict[str, Any]]) -> None:
    serving = alias()["version"]
    plan = root.plan(release_version=FIRST)
    changed = {c.address for c in plan.resources.values() if c.changes}
    assert changed == {'module.api.aws_lambda_invocation.smoke["live"]', "module.api.aws_lambda_alias.live"}
    assert alias()["version"] == serving


def test_a_changed_mode_builds_by_gits_id_of_the_folder_alone(root: Root) -> None:
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


def test_a_canary_of_the_version_that_serves_is_refused(root: Root) -> None:
    with pytest.raises(TerraformError, match="needs two versions"):
        root.apply(release_version=int(root.output("newest_version", str)), canary_percent=10)


def test_a_broken_version_never_serves_and_a_rollback_works_meanwhile(
    root: Root, endpoint: str, emulator: Emulator, alias: Callable[[], dict[str, Any]]
) -> None:
    whole, newest, answer = source(root).read_text(), alias()["version"], said(emulator, endpoint)
    with load(emulator, endpoint, "/", clients=2) as total:
        for old, new, reasons in BROKEN.values():
            serving = alias()
            source(root).write_text(whole)
            edit(root, old, new)
            with pytest.raises(TerraformError) as refused:
                root.apply()
            for reason in reasons:
                assert reason in str(refused.value)
            assert alias() == serving
            # Back to the very first version, or from there to the last good one, while the newest is broken.
            other = newest if serving["version"] == str(FIRST) else str(FIRST)
            root.apply(release_version=int(other))
            assert alias()["version"] == other
    total.assert_none_failed()

    source(root).write_text(whole.replace("Say hello.", "Say hello after all."))
    root.apply()
    assert said(emulator, endpoint) == answer
    assert int(alias()["version"]) == int(newest) + len(BROKEN) + 1


def test_a_canary_that_does_not_answer_gets_no_request(root: Root, alias: Callable[[], dict[str, Any]]) -> None:
    serving = alias()
    whole = source(root).read_text()
    edit(root, *BROKEN["answers 500 on the smoke path"][:2])
    with pytest.raises(
        TerraformError, match=r"canary: version [0-9]+: GET /healthz, expected status 200, got status 500"
    ):
        root.apply(release_version=int(serving["version"]), canary_percent=10)
    assert alias() == serving
    source(root).write_text(whole)


def test_a_version_is_asked_as_its_clients_ask(root: Root, endpoint: str, alias: Callable[[], dict[str, Any]]) -> None:
    name = endpoint.partition("://")[2].partition(":")[0]
    edit(root, "app = FastAPI()\n", PARTICULAR.format(name=name))
    main = root.path / "main.tf"
    asked = main.read_text().replace('{ path = "/healthz", status = 200 }', CLIENTS)
    assert CLIENTS in asked
    main.write_text(asked)
    root.apply()
    serving = alias()
    assert serving == {"version": root.output("newest_version", str), "weights": {}}
    root.assert_idempotent()

    main.write_text(asked.replace("also", 'host = "elsewhere.example.com", also', 1))
    with pytest.raises(TerraformError) as refused:
        root.apply()
    for reason in (
        "Smoke requests to host elsewhere.example.com",
        "live: version",
        "live-1: version",
        "got status 400: Invalid host",
    ):
        assert reason in " ".join(str(refused.value).split())
    assert alias() == serving
