"""One route at a time from an old function to the container and back: examples/migrate-from-lambdas, applied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.root import Root
from sandbox.emulator import Emulator
from tests.e2e.conftest import Deployable, gateway, load, zip_function

NAME = "migration-e2e"
OLD = "old-add-thing"
ROUTE = "GET /legacy-thing"
CODE = """
def handler(event, context):
    return {"statusCode": 200, "headers": {"content-type": "text/plain"}, "body": "old"}
"""
# The container's answer to the same path.
NEW = '\n\n@app.get("/legacy-thing")\nasync def thing() -> str:\n    """Answer as the old function did."""\n    return "new"\n'


@pytest.fixture(scope="module")
def old_function(aws: Callable[[str], Any]) -> Iterator[str]:
    yield zip_function(aws("lambda"), OLD, CODE)
    aws("lambda").delete_function(FunctionName=OLD)


@pytest.fixture(scope="module")
def root(example: Deployable, hello: str, old_function: str) -> Root:
    made = example(
        "migrate-from-lambdas", module=f'  name = "{NAME}"\n  function = {{ timeout_seconds = 15 }}\n' + hello
    )
    source = made.path.parent / "minimal/app/hello.py"
    source.write_text(source.read_text() + NEW)
    made.apply(legacy_routes={ROUTE: old_function})
    return made


@pytest.fixture
def endpoint(root: Root) -> str:
    return root.output("endpoint", str)


def test_the_old_function_serves_its_route_and_the_container_the_rest(emulator: Emulator, endpoint: str) -> None:
    with gateway(emulator, endpoint) as api:
        assert api.get("/legacy-thing").text == "old"
        assert api.get("/").json() == {"message": "hello"}


def test_the_gateway_may_call_the_old_function_for_this_route_only(root: Root, aws: Callable[[str], Any]) -> None:
    policy = aws("lambda").get_policy(FunctionName=OLD)["Policy"]
    assert "/*/GET/legacy-thing" in policy


def test_the_old_function_is_asked_in_the_format_that_it_knows(root: Root, aws: Callable[[str], Any]) -> None:
    (api,) = [api for api in aws("apigatewayv2").get_apis()["Items"] if api["Name"] == NAME]
    integrations = aws("apigatewayv2").get_integrations(ApiId=api["ApiId"])["Items"]
    assert sorted(integration["PayloadFormatVersion"] for integration in integrations) == ["1.0", "2.0"]


def test_moving_a_route_over_and_back_loses_no_request(
    root: Root, emulator: Emulator, endpoint: str, old_function: str, note: Callable[[str], None]
) -> None:
    with load(emulator, endpoint, "/legacy-thing", clients=4) as total:
        root.apply(legacy_routes={})
        with gateway(emulator, endpoint) as api:
            assert api.get("/legacy-thing").json() == "new"
        root.apply(legacy_routes={ROUTE: old_function})
        with gateway(emulator, endpoint) as api:
            assert api.get("/legacy-thing").text == "old"
    note(f"route moved over and back: {total.sent} requests, {total.failures} failed")
    total.assert_none_failed()
    assert total.answers == {'"new"', "old"}


def test_a_second_apply_changes_nothing(root: Root, old_function: str) -> None:
    root.assert_idempotent()
