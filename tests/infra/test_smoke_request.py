"""The release gate's events, read from a plan. They equal API Gateway's, so that any adapter can handle them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import flask
import mangum
import pytest
import serverless_wsgi  # type: ignore[import-untyped]  # no type hints
from apig_wsgi import make_lambda_handler
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from fastapi import FastAPI, Request

from harness import Plan

Event = dict[str, Any]
Handler = Callable[[Event, Any], dict[str, Any]]

FORM = "application/x-www-form-urlencoded"
SMOKE = {
    "headers": {"Authorization": "Bearer abc", "Cookie": "a=1; b=2", "x-none": None},
    "also": [
        {
            "path": "/echo",
            "method": "POST",
            "query": {"q": "é &", "p": "1"},
            "body": json.dumps({"name": "Zoë"}, ensure_ascii=False),
        },
        {"path": "/echo", "method": "POST", "headers": {"Content-Type": FORM}, "body": "name=Zo%C3%AB"},
        {"path": "/echo", "method": "POST", "headers": {"content-type": "text/plain; charset=utf-8"}, "body": "Zoë"},
    ],
}
# Per request: host, a header, a cookie, a query parameter and the body, as the application must see them.
EXPECTED = [
    ["release-gate.example.com", "Bearer abc", "2", None, ""],
    ["release-gate.example.com", "Bearer abc", "2", "é &", '{"name": "Zoë"}'],
    ["release-gate.example.com", "Bearer abc", "2", None, "name=Zo%C3%AB"],
    ["release-gate.example.com", "Bearer abc", "2", None, "Zoë"],
]


@pytest.fixture(scope="module")
def events(plan: Callable[..., Plan]) -> list[Event]:
    domain = {"name": "*.example.com", "certificate_arn": "arn:aws:acm:eu-central-1:111122223333:certificate/1234"}
    planned = plan(release={"smoke": SMOKE}, api={"domain": domain})
    return [
        json.loads(planned.values[f'aws_lambda_invocation.smoke["live{n}"]']["input"]) for n in ("", "-1", "-2", "-3")
    ]


def test_event_has_api_gateways_fields(events: list[Event]) -> None:
    assert {key: value for key, value in events[1].items() if key not in {"headers", "requestContext"}} == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/echo",
        "rawQueryString": "p=1&q=%C3%A9+%26",
        "queryStringParameters": {"p": "1", "q": "é &"},
        "cookies": ["a=1", "b=2"],
        "body": '{"name": "Zoë"}',
        "isBase64Encoded": False,
    }
    assert events[1]["headers"] == {
        "accept": "*/*",
        "authorization": "Bearer abc",
        "content-length": "16",
        "content-type": "application/json",
        "host": "release-gate.example.com",
        "user-agent": "lambda_container_api/release-gate",
        "x-amzn-trace-id": "Root=1-67748580-000000000000000000000000",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
    }
    context = events[1]["requestContext"]
    assert context["http"].items() >= {"method": "POST", "path": "/echo", "protocol": "HTTP/1.1"}.items()
    assert {
        "accountId",
        "apiId",
        "domainName",
        "domainPrefix",
        "requestId",
        "stage",
        "time",
        "timeEpoch",
    } <= context.keys()


def test_absent_body_and_query_are_omitted(events: list[Event]) -> None:
    assert events[0].keys().isdisjoint({"body", "queryStringParameters", "pathParameters"})
    assert events[0]["headers"]["content-length"] == "0"
    assert "content-type" not in events[0]["headers"]


def test_only_text_bodies_are_sent_without_base64(events: list[Event]) -> None:
    assert [event["isBase64Encoded"] for event in events] == [False, False, True, False]


def mangum_handler() -> Handler:
    app = FastAPI()

    @app.api_route("/{path}", methods=["GET", "POST"])
    async def echo(request: Request, q: str | None = None) -> list[str | None]:
        text = (await request.body()).decode()
        return [request.url.netloc, request.headers["authorization"], request.cookies["b"], q, text]

    return mangum.Mangum(app, lifespan="off")


def powertools_handler() -> Handler:
    app = APIGatewayHttpResolver()

    @app.route("/<path>", method=["GET", "POST"])
    def echo(path: str) -> Response[str]:
        event = app.current_event
        (cookie,) = [pair.partition("=")[2] for pair in event.cookies if pair.startswith("b=")]
        query = event.query_string_parameters.get("q")
        values = [event.headers["host"], event.headers["authorization"], cookie, query, event.decoded_body or ""]
        return Response(200, "application/json", json.dumps(values))

    return lambda event, context: app.resolve(event, context)


def flask_app() -> flask.Flask:
    app = flask.Flask(__name__)

    @app.route("/<path>", methods=["GET", "POST"])
    def echo(path: str) -> list[str | None]:
        request = flask.request
        text = request.get_data(as_text=True, parse_form_data=False)
        return [request.host, request.headers["authorization"], request.cookies["b"], request.args.get("q"), text]

    return app


def apig_wsgi_handler() -> Handler:
    handler: Handler = make_lambda_handler(flask_app())
    return handler


def serverless_wsgi_handler() -> Handler:
    app = flask_app()
    return lambda event, context: dict(serverless_wsgi.handle_request(app, event, context))


@pytest.fixture
def loop() -> Iterator[None]:
    """The event loop that Mangum uses. It would create one itself and not close it."""
    with asyncio.Runner() as runner:
        asyncio.set_event_loop(runner.get_loop())
        yield
    asyncio.set_event_loop(None)


@pytest.mark.usefixtures("loop")
@pytest.mark.parametrize("adapter", [mangum_handler, powertools_handler, apig_wsgi_handler, serverless_wsgi_handler])
def test_application_receives_each_request(adapter: Callable[[], Handler], events: list[Event]) -> None:
    handler = adapter()
    responses = [handler(event, None) for event in events]
    assert [response["statusCode"] for response in responses] == [200] * len(events)
    assert [json.loads(response["body"]) for response in responses] == EXPECTED
