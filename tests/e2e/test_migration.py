"""examples/migrate-from-lambdas, applied: one route moves from a legacy function to the container and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.root import Root
from sandbox import overrides
from sandbox.emulator import Emulator
from tests.e2e.conftest import Deployable, gateway, load, zip_function

NAME = "migration-e2e"
OLD = "old-add-item"
ROUTE = "GET /legacy-item"
CODE = """
def handler(event, context):
    return {"statusCode": 200, "headers": {"content-type": "text/plain"}, "body": "old"}
"""
# The container's route for the same path.
NEW = (
    '\n\n@app.get("/legacy-item")\nasync def item() -> str:\n    """Replace the legacy function."""\n    return "new"\n'
)


@pytest.fixture(scope="module")
def old_function(aws: Callable[[str], Any]) -> Iterator[str]:
    yield zip_function(aws("lambda"), OLD, CODE)
    aws("lambda").delete_function(FunctionName=OLD)


@pytest.fixture(scope="module")
def root(example: Deployable, hello: str, old_function: str) -> Root:
    root = example(
        "migrate-from-lambdas",
        module="  function = { timeout_seconds = 29 }\n" + hello,
        root=overrides.UNPROTECTED,
    )
    source = root.path.parent / "minimal/app/hello.py"
    source.write_text(source.read_text() + NEW)
    root.apply(name=NAME, legacy_routes={ROUTE: old_function})
    return root


@pytest.fixture
def endpoint(root: Root) -> str:
    return root.output("endpoint", str)


def test_legacy_function_serves_its_route_and_the_container_the_rest(emulator: Emulator, endpoint: str) -> None:
    with gateway(emulator, endpoint) as api:
        assert api.get("/legacy-item").text == "old"
        assert api.get("/").json() == {"message": "hello"}


def test_permission_covers_only_the_legacy_route(root: Root, aws: Callable[[str], Any]) -> None:
    policy = aws("lambda").get_policy(FunctionName=OLD)["Policy"]
    assert "/*/GET/legacy-item" in policy


def test_legacy_integration_uses_payload_format_1_0(root: Root, aws: Callable[[str], Any]) -> None:
    (api,) = [api for api in aws("apigatewayv2").get_apis()["Items"] if api["Name"] == NAME]
    integrations = aws("apigatewayv2").get_integrations(ApiId=api["ApiId"])["Items"]
    assert sorted(integration["PayloadFormatVersion"] for integration in integrations) == ["1.0", "2.0"]


def test_moving_a_route_and_back_fails_no_request(
    root: Root, emulator: Emulator, endpoint: str, old_function: str, note: Callable[[str], None]
) -> None:
    with load(emulator, endpoint, "/legacy-item", clients=4) as total:
        root.apply(name=NAME, legacy_routes={ROUTE: old_function}, moved=[ROUTE])
        with gateway(emulator, endpoint) as api:
            assert api.get("/legacy-item").json() == "new"
        root.apply(name=NAME, legacy_routes={ROUTE: old_function})
        with gateway(emulator, endpoint) as api:
            assert api.get("/legacy-item").text == "old"
    note(f"route moved and back: {total.sent} requests, {total.failures} failed")
    total.assert_none_failed()
    assert total.answers == {'"new"', "old"}


def test_second_apply_changes_nothing(root: Root, old_function: str) -> None:
    root.assert_idempotent()
