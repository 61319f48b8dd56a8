"""One log line per request, which contains its metrics (EMF) and no confidential data."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.kit import logs
from service.settings import settings
from tests.service.domains import SCOPES, UNKNOWN_ID, AsCaller, jwt
from tests.service.test_handler import ADA, event

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(stdout: io.StringIO) -> Lines:
    """Return a function that reads the request log lines."""

    def read() -> list[dict[str, Any]]:
        written = [json.loads(line) for line in stdout.getvalue().splitlines()]
        return [line for line in written if line["logger"] == "requests"]

    return read


@pytest.fixture
def under_lambda(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set what Lambda sets; the initialization type is "on-demand" or the fixture's parameter."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "people")
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", getattr(request, "param", "on-demand"))
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-6a2b-c3;Parent=53995c3f42cd8ad8;Sampled=0")
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_request_logs_one_line(client: TestClient, lines: Lines) -> None:
    client.get(f"/users/{UNKNOWN_ID}", headers={"x-correlation-id": "order-7.b_2"})
    (line,) = lines()
    assert line.pop("duration_ms") > 0
    del line["timestamp"]
    assert line == {
        "level": "INFO",
        "logger": "requests",
        "message": "GET /users/{user_id} 404",
        "correlation_id": "order-7.b_2",
        "method": "GET",
        "route": "/users/{user_id}",
        "status": 404,
        "cold_start": False,
        "trace_id": None,
        "principal": "ada",
    }


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/users", "/users", 200),
        ("HEAD", "/users", "/users", 200),
        ("BREW", "/users", "/users", 405),
        ("GET", "/users?limit=0", "/users", 422),
        ("GET", "/docs", "/docs", 200),
        ("GET", "/docs/assets/swagger-ui.css", None, 200),
        ("GET", "/nothing", None, 404),
    ],
)
def test_line_contains_the_route_and_not_the_path(
    client: TestClient, lines: Lines, method: str, path: str, route: str | None, status: int
) -> None:
    client.request(method, path)
    (line,) = lines()
    assert (line["method"], line["route"], line["status"]) == (method, route, status)


def test_principal_with_a_lone_surrogate_is_logged(as_caller: AsCaller, lines: Lines) -> None:
    assert as_caller(jwt(SCOPES, "half \ud83d")).get("/users").status_code == 200
    assert [line["principal"] for line in lines()] == ["half \ud83d"]


@pytest.mark.usefixtures("under_lambda")
def test_line_under_lambda_has_request_trace_and_correlation_ids(main: ModuleType, lines: Lines) -> None:
    request = event("GET", "/users")
    response = main.handler(request, SimpleNamespace(aws_request_id="1-2-3", get_remaining_time_in_millis=lambda: 9000))
    (line,) = lines()
    assert (line["request_id"], line["trace_id"], line["principal"]) == ("1-2-3", "1-6a2b-c3", "ada")
    assert line["correlation_id"] == response["headers"]["x-correlation-id"]


@pytest.mark.parametrize("sent", [None, "", "two words", "a" * 129, "a\u00e9", "{}"])
def test_invalid_correlation_id_is_replaced(client: TestClient, lines: Lines, sent: str | None) -> None:
    headers = {} if sent is None else {b"x-correlation-id": sent.encode()}
    generated = [client.get("/healthz", headers=headers).headers["x-correlation-id"] for _ in range(2)]
    assert generated == [line["correlation_id"] for line in lines()]
    assert len({*generated, sent}) == 3
    assert all(logs.CORRELATION_ID.fullmatch(value) for value in generated)


def test_message_has_the_correlation_id_of_its_request(
    client: TestClient, stdout: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("service.kit.table.Table.query", fail)
    client.get("/users", headers={"x-correlation-id": "mine"})
    logging.getLogger("service").warning("between requests")
    written = {line["logger"]: line for line in map(json.loads, stdout.getvalue().splitlines())}
    assert written["service.kit.errors"]["correlation_id"] == "mine"
    assert "correlation_id" not in written["service"]
    request = written["requests"]
    assert (request["level"], request["status"], request["correlation_id"]) == ("ERROR", 500, "mine")
    assert "exception" not in request


def test_no_request_data_is_logged(main: ModuleType, stdout: io.StringIO) -> None:
    secret = "do-not-log-me"
    body = json.dumps({"email": f"{secret}@example.com", "name": secret})
    request = event("POST", "/users", body, rawQueryString=f"q={secret}", cookies=[f"session={secret}"])
    request["headers"] |= {"authorization": f"Bearer {secret}", "idempotency-key": secret, "user-agent": secret}
    for changes in ({}, {"version": "1.0"}, {"body": secret, "isBase64Encoded": True}, {"body": '{"name": 1}'}):
        main.handler(request | changes, None)
    main.handler(event("GET", f"/users/{secret}"), None)
    assert stdout.getvalue().count("\n") == 5
    assert secret not in stdout.getvalue()


@pytest.mark.usefixtures("under_lambda")
def test_only_the_first_invocation_is_a_cold_start(main: ModuleType, lines: Lines) -> None:
    for _ in range(2):
        main.handler(event("GET", "/healthz"), None)
    assert [line["cold_start"] for line in lines()] == [True, False]
    assert [line["ColdStarts"] for line in lines()] == [1, 0]


@pytest.mark.parametrize(
    ("under_lambda", "cold"), [("snap-start", True), ("provisioned-concurrency", False)], indirect=["under_lambda"]
)
def test_cold_start_is_a_start_that_a_client_waits_for(
    under_lambda: None, main: ModuleType, lines: Lines, cold: bool
) -> None:
    main.handler(event("GET", "/healthz"), None)
    assert [line["cold_start"] for line in lines()] == [cold]


@pytest.mark.usefixtures("under_lambda")
def test_request_after_a_ping_is_no_cold_start(main: ModuleType, lines: Lines) -> None:
    main.handler({"ping": True}, None)
    main.handler(event("GET", "/healthz"), None)
    assert [line["cold_start"] for line in lines()] == [False]


@pytest.mark.usefixtures("under_lambda")
@pytest.mark.parametrize(
    ("method", "path", "operation", "errors"),
    [
        ("GET", "/users", "GET /users", 0),
        ("POST", "/users", "POST /users", 0),
        ("GET", f"/users/{UNKNOWN_ID}", "GET /users/{user_id}", 0),
        ("GET", "/broken", "GET /broken", 1),
        ("BREW", "/users", None, 0),
        ("GET", "/nothing", None, 0),
    ],
)
def test_line_is_in_embedded_metric_format(
    main: ModuleType, lines: Lines, method: str, path: str, operation: str | None, errors: int
) -> None:
    @main.app.get("/broken")  # type: ignore[untyped-decorator]
    async def broken() -> None:
        raise RuntimeError

    main.handler(event(method, path, ADA), None)
    (line,) = lines()
    assert (line["Requests"], line["Errors"], line["Latency"]) == (1, errors, line["duration_ms"])
    assert (line["function"], line.get("operation")) == ("people", operation)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "People"
    assert directive["Dimensions"] == [["function"], *([["function", "operation"]] if operation else [])]
    # Required by the format: integer milliseconds; metrics as numbers and dimensions as strings at the root.
    assert isinstance(line["_aws"]["Timestamp"], int)
    assert all(isinstance(line[metric["Name"]], int | float) for metric in directive["Metrics"])
    assert all(isinstance(line[name], str) for names in directive["Dimensions"] for name in names)


@pytest.mark.usefixtures("table", "under_lambda")
@pytest.mark.parametrize(
    ("level", "logged"),
    [("DEBUG", "INFO"), ("INFO", "INFO"), ("WARNING", "WARN"), ("ERROR", "ERROR"), ("CRITICAL", "FATAL")],
)
def test_metrics_are_logged_at_every_log_level(
    lines: Lines, stdout: io.StringIO, monkeypatch: pytest.MonkeyPatch, level: str, logged: str
) -> None:
    monkeypatch.setenv("LOG_LEVEL", level)
    settings.cache_clear()
    with redirect_stdout(stdout):
        client = TestClient(create_app())
    client.get("/healthz")
    (line,) = lines()
    assert (line["level"], line["Requests"]) == (logged, 1)


def test_no_metrics_outside_lambda(client: TestClient, lines: Lines) -> None:
    client.get("/healthz")
    (line,) = lines()
    assert "_aws" not in line
