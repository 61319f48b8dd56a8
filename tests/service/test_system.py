"""Health, version, settings, log levels, the documentation page and the OpenAPI document."""

import json
import logging
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

from service.kit.logs import JsonFormatter
from service.settings import Settings
from tests.service.conftest import reload_settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

DATA_ERRORS = {"401", "403", "422", "429", "500", "503"}
"""Documented errors of every operation on data."""


def test_health_makes_no_aws_request(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:1")
    reload_settings()
    assert client.get("/healthz").json() == {"status": "ok"}


def test_readiness_reads_the_table(client: TestClient) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("variable", "value"), [("TABLE_NAME", "there-is-none"), ("AWS_ENDPOINT_URL", "http://localhost:1")]
)
def test_readiness_without_the_table_is_503(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    reload_settings()
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert value not in response.text


def test_version_comes_from_the_environment(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_HASH", "abc")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_VERSION", "7")
    reload_settings()
    assert client.get("/version").json() == {"release": "7", "source_hash": "abc"}


def test_version_outside_lambda_is_local(client: TestClient) -> None:
    assert client.get("/version").json() == {"release": "local", "source_hash": "unknown"}


@pytest.mark.parametrize(("variable", "value"), [("TABLE_NAME", None), ("LOG_LEVEL", "LOUD")])
def test_invalid_setting_is_named_in_the_error(
    monkeypatch: pytest.MonkeyPatch, table: "Table", variable: str, value: str | None
) -> None:
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=variable.lower()):
        Settings()


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (logging.DEBUG, "DEBUG"),
        (logging.INFO, "INFO"),
        (logging.WARNING, "WARN"),
        (logging.ERROR, "ERROR"),
        (logging.CRITICAL, "FATAL"),
    ],
)
def test_log_levels_have_lambdas_names(level: int, name: str) -> None:
    record = logging.LogRecord("service", level, "", 0, "two\nlines", None, None)
    line = JsonFormatter().format(record)
    assert json.loads(line)["level"] == name
    assert "\n" not in line


def test_startup_imports_no_optional_dependency(table: "Table") -> None:
    program = "import sys, service.aws_lambda.handler; print(*{m.partition('.')[0] for m in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], env=os.environ, check=True, capture_output=True, text=True
    )
    assert {"boto3", "fastapi", "mangum"} <= set(done.stdout.split())
    assert not {"dns", "fastapi_swagger", "jinja2", "multipart"} & set(done.stdout.split())


def test_docs_page_uses_no_other_host(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "://" not in page.text
    assert "openapi.json" in page.text
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert {asset.rpartition("/")[2] for asset in assets} == {
        "favicon-32x32.png",
        "swagger-ui-bundle.js",
        "swagger-ui.css",
    }
    for asset in assets:
        assert asset.startswith("docs/")  # relative to /docs, below any root path
        response = client.get(f"/{asset}")
        assert response.status_code == 200
        assert len(response.content) > 500
        assert response.headers["cache-control"] == "public, max-age=86400"
        cached = client.get(asset, headers={"if-none-match": response.headers["etag"]})
        assert (cached.status_code, cached.content) == (304, b"")


def test_style_sheet_uses_no_other_host(client: TestClient) -> None:
    sheet = client.get("/docs/assets/swagger-ui.css").text
    assert set(re.findall(r"url\(\s*[\"']?(\w+:|//|[^)]{20})", sheet)) <= {"data:"}
    assert "@import" not in sheet


def test_swagger_ui_supports_openapi_3_1(client: TestClient) -> None:
    assert client.get("/openapi.json").json()["openapi"].startswith("3.1.")
    version = re.search(r'PACKAGE_VERSION:"(\d+)\.', client.get("/docs/assets/swagger-ui-bundle.js").text)
    assert version is not None
    assert int(version[1]) >= 5


@pytest.mark.parametrize("path", ["__init__.py", "../main.py", "..%2fmain.py", "%2e%2e/main.py", "", "__pycache__"])
def test_only_assets_of_the_package_are_served(client: TestClient, path: str) -> None:
    assert client.get(f"/docs/assets/{path}").status_code == 404


def operations(client: TestClient) -> dict[str, dict[str, Any]]:
    document = client.get("/openapi.json").json()
    return {operation["operationId"]: operation for path in document["paths"].values() for operation in path.values()}


def test_operation_ids_and_tags(client: TestClient) -> None:
    assert operations(client).keys() == {
        *("create_user", "list_users", "read_user", "replace_user", "update_user", "delete_user"),
        *("create_customer", "list_customers", "read_customer"),
        *("replace_customer", "update_customer", "delete_customer"),
        *("read_health", "read_readiness", "read_version"),
    }
    assert {tag for operation in operations(client).values() for tag in operation["tags"]} == {
        "users",
        "customers",
        "system",
    }


@pytest.mark.parametrize(
    ("operation", "errors"),
    [
        ("create_user", {*DATA_ERRORS, "400", "409", "413", "415"}),
        ("create_customer", {*DATA_ERRORS, "400", "409", "413", "415"}),
        ("list_users", {*DATA_ERRORS, "400"}),
        ("list_customers", {*DATA_ERRORS, "400"}),
        ("read_user", {*DATA_ERRORS, "400", "404", "412"}),
        ("read_customer", {*DATA_ERRORS, "400", "404", "412"}),
        ("replace_user", {*DATA_ERRORS, "400", "404", "409", "412", "413", "415", "428"}),
        ("replace_customer", {*DATA_ERRORS, "400", "404", "409", "412", "413", "415", "428"}),
        ("update_user", {*DATA_ERRORS, "400", "404", "409", "412", "413", "415", "428"}),
        ("update_customer", {*DATA_ERRORS, "400", "404", "409", "412", "413", "415", "428"}),
        ("delete_user", {*DATA_ERRORS, "400", "404", "409", "412", "428"}),
        ("delete_customer", {*DATA_ERRORS, "400", "404", "409", "412", "428"}),
        ("read_health", {"429", "500"}),
        ("read_readiness", {"429", "500", "503"}),
        ("read_version", {"429", "500"}),
    ],
)
def test_errors_are_documented_as_problem_details(client: TestClient, operation: str, errors: set[str]) -> None:
    documented = {
        status: response for status, response in operations(client)[operation]["responses"].items() if status >= "400"
    }
    assert documented.keys() == errors
    for status, response in documented.items():
        schemas = {name: content["schema"]["$ref"].rpartition("/")[2] for name, content in response["content"].items()}
        service = {"application/problem+json": "Problem"} if status != "429" else {}
        gateway = {"application/json": "GatewayError"} if status in {"401", "403", "413", "429", "500", "503"} else {}
        assert schemas == service | gateway


def test_error_schemas_are_in_the_document(client: TestClient) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    assert schemas["Problem"]["required"] == ["title", "status", "detail", "instance"]
    assert "FieldError" in schemas
    assert not {"HTTPValidationError", "ValidationError"} & schemas.keys()


def test_every_string_and_integer_has_an_example(client: TestClient) -> None:
    missing = [
        f"{name}.{field}"
        for name, schema in client.get("/openapi.json").json()["components"]["schemas"].items()
        for field, value in schema["properties"].items()
        for option in value.get("anyOf", [value])
        if option.get("type") in {"string", "integer"} and not {"examples", "format"} & (option.keys() | value.keys())
    ]
    assert missing == []
