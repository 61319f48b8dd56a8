import asyncio
import importlib
import io
import json
import logging
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from types import ModuleType
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import Receive, Scope, Send

import service.app
import service.kit.table
from sandbox.cli import TABLE_SCHEMA
from sandbox.emulator import Emulator
from service.app import create_app
from service.kit.logs import JsonFormatter
from service.settings import settings
from tests.service.domains import DOMAINS, SCOPES, AsCaller, Domain, jwt

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource, Table


@pytest.fixture(scope="session")
def dynamodb(emulator: Emulator) -> "DynamoDBServiceResource":
    environment = emulator.environment()
    return boto3.resource(
        "dynamodb",
        endpoint_url=emulator.url,
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


@pytest.fixture
def table(
    emulator: Emulator, dynamodb: "DynamoDBServiceResource", monkeypatch: pytest.MonkeyPatch
) -> Iterator["Table"]:
    """Yield a new table, configured as the service's table."""
    new_table = dynamodb.create_table(
        TableName=f"service-{uuid.uuid4().hex}",
        **TABLE_SCHEMA,
    )
    for name, value in (emulator.environment() | {"TABLE_NAME": new_table.name}).items():
        monkeypatch.setenv(name, value)
    reload_settings()
    yield new_table
    reload_settings()
    new_table.delete()


def reload_settings() -> None:
    """Clear the caches, so that the service reads its environment again."""
    settings.cache_clear()
    service.app.table.cache_clear()


@pytest.fixture
def stdout() -> Iterator[io.StringIO]:
    """Yield a stream that replaces standard output in `create_app`, so that the application logs to it."""
    level = logging.root.level
    with io.StringIO() as stream:
        yield stream
        for handler in logging.root.handlers[:]:
            if isinstance(handler.formatter, JsonFormatter):
                logging.root.removeHandler(handler)
    logging.root.setLevel(level)


@pytest.fixture
def logged(stdout: io.StringIO) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that reads the service's log lines."""

    def read() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in stdout.getvalue().splitlines()]
        return [line for line in lines if line["logger"].startswith("service.")]

    return read


@pytest.fixture
def app(table: "Table", stdout: io.StringIO) -> FastAPI:
    with redirect_stdout(stdout):
        return create_app()


@pytest.fixture
def as_caller(app: FastAPI) -> AsCaller:
    """Return a factory of clients whose requests carry an event with this `authorizer`, as under Lambda.

    Each request has its own event loop, as in Lambda, so requests of two threads run concurrently.
    """

    def client(authorizer: object, context: object = None) -> TestClient:
        async def authenticated(scope: Scope, receive: Receive, send: Send) -> None:
            event = {"requestContext": {"authorizer": authorizer}}
            await app({**scope, "aws.event": event, "aws.context": context}, receive, send)

        return TestClient(authenticated, follow_redirects=False)

    return client


@pytest.fixture
def client(as_caller: AsCaller) -> TestClient:
    """Return a client with all scopes, which sends `If-Match: *`."""
    caller = as_caller(jwt(SCOPES))
    caller.headers["if-match"] = "*"
    return caller


@pytest.fixture(params=["with cold_start", "without cold_start"])
def main(
    request: pytest.FixtureRequest, table: "Table", stdout: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModuleType]:
    """Yield the handler's module, imported as in a new execution environment, with and without the cold start code."""
    if request.param == "without cold_start":
        monkeypatch.setitem(sys.modules, "service.aws_lambda.cold_start", None)
    with redirect_stdout(stdout):
        module = importlib.reload(importlib.import_module("service.aws_lambda.handler"))
    yield module
    asyncio.get_event_loop().close()
    asyncio.set_event_loop(None)


@pytest.fixture(params=DOMAINS, ids=lambda domain: domain.path[1:])
def domain(request: pytest.FixtureRequest) -> Domain:
    param: Domain = request.param
    return param
