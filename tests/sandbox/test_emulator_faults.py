"""Fixes for MiniStack's faults, on a running emulator and on fake applications."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import httpx2
import pytest

from sandbox import issuer as issuers
from sandbox.emulator import REGION, Emulator
from sandbox.emulator_server.asgi import App, Message, Receive, Scope, Send, call_app
from sandbox.emulator_server.faults import REPLAYED, RETRIED, WAITED, RemovedContainers, RepeatedCalls, handled

DEAD = b'{"errorMessage": "409 Client Error: Conflict (can not get logs from container which is dead or marked for removal)"}'
NOT_FOUND = (
    b'{"errorMessage": "404 Client Error: Not Found (\\"No such container: d97ef771\\")", "errorType": "NotFound"}'
)


PROVIDER = "APN/1.0 HashiCorp/1.0 Terraform/1.11.4 terraform-provider-aws/5.100.0"


def request(method: str, path: str = "/", call: str = "", client: str = PROVIDER) -> Scope:
    pairs = [(b"amz-sdk-invocation-id", call.encode()), (b"user-agent", client.encode())]
    raw = {"raw_path": path.encode(), "query_string": b""}
    return {"type": "http", "method": method, "path": path, "headers": pairs, **raw}


class Responses:
    """An application that returns its responses in order, then repeats the last; `calls` counts requests."""

    def __init__(self, *responses: tuple[int, bytes]) -> None:
        self.responses = list(responses)
        self.calls = 0
        self.released = asyncio.Event()
        self.released.set()

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        status, body = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        assert (await receive())["body"] == b"sent"
        await self.released.wait()
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})


async def call(app: App, scope: Scope) -> tuple[int, bytes]:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"sent", "more_body": False}

    response = await call_app(app, scope, receive)
    return response.status, response.body


def call_all(app: App, scopes: Iterable[Scope]) -> list[tuple[int, bytes]]:
    async def in_sequence() -> list[tuple[int, bytes]]:
        return [await call(app, scope) for scope in scopes]

    return asyncio.run(in_sequence())


# --- DeleteRouteSettings ---


@pytest.fixture
def api(emulator: Emulator) -> tuple[Any, str]:
    """A client, and the id of an API whose default stage has settings for two routes."""
    client = emulator.client("apigatewayv2")
    name = client.create_api(Name=uuid.uuid4().hex, ProtocolType="HTTP")["ApiId"]
    limits = {"ThrottlingBurstLimit": 5, "ThrottlingRateLimit": 5.0}
    settings = {"GET /orders/{id}": limits, "POST /orders": limits}
    for route in settings:
        client.create_route(ApiId=name, RouteKey=route)
    client.create_stage(ApiId=name, StageName="$default", AutoDeploy=True, RouteSettings=settings)
    return client, name


def test_delete_route_settings_keeps_the_stage_and_other_routes(api: tuple[Any, str]) -> None:
    client, name = api
    client.delete_route_settings(ApiId=name, StageName="$default", RouteKey="GET /orders/{id}")
    stage = client.get_stage(ApiId=name, StageName="$default")
    assert list(stage["RouteSettings"]) == ["POST /orders"]
    assert stage["AutoDeploy"] is True


def test_delete_missing_route_settings_returns_not_found(api: tuple[Any, str]) -> None:
    client, name = api
    for stage, route in (("$default", "GET /"), ("other", "POST /orders")):
        with pytest.raises(client.exceptions.NotFoundException):
            client.delete_route_settings(ApiId=name, StageName=stage, RouteKey=route)
    assert len(client.get_stage(ApiId=name, StageName="$default")["RouteSettings"]) == 2


# --- Repeated requests ---


def post(emulator: Emulator, invocation: str, repository: str) -> httpx2.Response:
    """Create a repository as the provider does, with an invocation id."""
    headers = {
        "amz-sdk-invocation-id": invocation,
        "authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/ecr/aws4_request, Signature=0",
        "content-type": "application/x-amz-json-1.1",
        "user-agent": PROVIDER,
        "x-amz-target": "AmazonEC2ContainerRegistry_V20150921.CreateRepository",
    }
    with httpx2.Client(trust_env=False) as client:
        return client.post(emulator.url, headers=headers, content=json.dumps({"repositoryName": repository}))


def test_repeated_create_gets_the_first_response(emulator: Emulator) -> None:
    name, invocation = f"twice-{uuid.uuid4().hex}", str(uuid.uuid4())
    before = emulator.handled_faults()[REPLAYED]
    first, second = post(emulator, invocation, name), post(emulator, invocation, name)
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert first.status_code == 200
    assert emulator.handled_faults()[REPLAYED] == before + 1
    another = post(emulator, str(uuid.uuid4()), name)
    assert another.status_code == 400
    assert "RepositoryAlreadyExists" in another.text


def test_repeated_request_is_not_refused_by_the_gate(emulator: Emulator) -> None:
    name = f"repeated-{uuid.uuid4()}"
    api = emulator.client("apigatewayv2").create_api(Name=name, ProtocolType="HTTP")["ApiId"]
    headers = {
        "amz-sdk-invocation-id": str(uuid.uuid4()),
        "authorization": f"AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/apigateway/aws4_request, Signature=0",
        "user-agent": "APN/1.0 terraform-provider-aws/5.100.0",
    }
    url = f"{emulator.url}/v2/apis/{api}/routes"
    responses = [httpx2.post(url, json={"routeKey": "$default"}, headers=headers, trust_env=False) for _ in range(2)]
    emulator.client("apigatewayv2").delete_api(ApiId=api)
    assert [response.status_code for response in responses] == [201, 201]
    assert responses[0].json() == responses[1].json()


def test_failed_call_is_executed_again() -> None:
    app = Responses((503, b"slow down"), (200, b"made"))
    calls = [request("POST", call="a")] * 3
    assert call_all(RepeatedCalls(app), calls) == [(503, b"slow down"), (200, b"made"), (200, b"made")]
    assert app.calls == 2


def test_repeated_request_waits_for_a_pending_one() -> None:
    app = Responses((201, b"made"), (409, b"exists"))

    async def both() -> list[tuple[int, bytes]]:
        app.released.clear()
        served = RepeatedCalls(app)
        tasks = [asyncio.create_task(call(served, request("POST", call="a"))) for _ in range(2)]
        await asyncio.sleep(0)
        app.released.set()
        return list(await asyncio.gather(*tasks))

    assert asyncio.run(both()) == [(201, b"made")] * 2
    assert app.calls == 1


@pytest.mark.parametrize("abandoned", ["before the response", "during the response"])
def test_repeated_request_gets_the_response_of_a_call_whose_client_is_gone(abandoned: str) -> None:
    app = Responses((201, b"made"), (409, b"exists"))

    async def receive() -> Message:
        return {"type": "http.request", "body": b"sent", "more_body": False}

    async def closed(_: Message) -> None:
        raise ConnectionResetError

    async def abandon_and_repeat() -> tuple[int, bytes]:
        served = RepeatedCalls(app)
        if abandoned == "before the response":
            app.released.clear()
        first = asyncio.ensure_future(served(request("POST", call="a"), receive, closed))
        await asyncio.sleep(0.01)
        first.cancel()
        app.released.set()
        with pytest.raises((asyncio.CancelledError, ConnectionResetError)):
            await first
        return await call(served, request("POST", call="a"))

    assert asyncio.run(abandon_and_repeat()) == (201, b"made")
    assert app.calls == 1


def test_calls_without_an_id_are_not_deduplicated() -> None:
    app = Responses((200, b"first"), (200, b"second"))
    assert call_all(RepeatedCalls(app), [request("POST")] * 2) == [(200, b"first"), (200, b"second")]


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(request("POST", call="b"), id="another call"),
        pytest.param(request("POST", "/other", call="a"), id="another path"),
        pytest.param(request("DELETE", call="a"), id="another method"),
        pytest.param(request("POST", call="a", client="Boto3/1.40"), id="another client"),
    ],
)
def test_different_request_is_executed(second: Scope) -> None:
    app = Responses((200, b"first"), (200, b"second"))
    assert call_all(RepeatedCalls(app), [request("POST", call="a"), second])[1] == (200, b"second")


def test_get_is_never_replayed() -> None:
    app = Responses((200, b"before"), (200, b"after"))
    assert call_all(RepeatedCalls(app), [request("GET", call="a")] * 2)[1] == (200, b"after")


def test_stored_calls_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    app = RepeatedCalls(Responses((200, b"answer")))
    monkeypatch.setattr(RepeatedCalls, "CALLS", 10)
    call_all(app, (request("POST", call=str(number)) for number in range(50)))
    assert [key[0] for key in app.calls] == [str(number).encode() for number in range(40, 50)]
    monkeypatch.setattr(RepeatedCalls, "SECONDS", 0)
    call_all(app, [request("POST", call="last")])
    assert len(app.calls) == 1


def test_long_response_is_not_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RepeatedCalls, "BODY_BYTES", 3)
    app = RepeatedCalls(Responses((200, b"long")))
    assert call_all(app, [request("POST", call="a")]) == [(200, b"long")]
    assert not app.calls


# --- Containers removed during a request ---


@pytest.mark.parametrize("removed", [DEAD, NOT_FOUND], ids=["during removal", "after removal"])
def test_get_with_a_removed_container_is_retried(removed: bytes, caplog: pytest.LogCaptureFixture) -> None:
    app = Responses((502, removed), (200, b"hello"))
    assert call_all(handled(app), [request("GET")]) == [(200, b"hello")]
    assert RETRIED in caplog.text


def not_retried(status: int, body: bytes, method: str = "GET") -> Callable[[], None]:
    def check() -> None:
        app = Responses((status, body), (200, b"hello"))
        assert call_all(handled(app), [request(method)]) == [(status, body)]
        assert app.calls == 1

    return check


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(not_retried(502, b'{"errorMessage": "no such module"}'), id="another failure"),
        pytest.param(not_retried(502, DEAD, "POST"), id="POST"),
        pytest.param(not_retried(200, DEAD), id="successful response"),
    ],
)
def test_other_requests_are_not_retried(check: Callable[[], None]) -> None:
    check()


GONE = b'{"errorMessage": "Lambda RIE failed: START RequestId", "errorType": "Runtime.ExitError"}'
CODE = "/2015-03-31/functions/orders/code"


@pytest.mark.parametrize("changed", [CODE, CODE.replace("code", "configuration"), None])
def test_get_is_retried_if_a_function_changed_meanwhile(changed: str | None) -> None:
    app = Responses((502, GONE), (200, b"hello"), (200, b"hello"))

    async def app_with_change(scope: Scope, receive: Receive, send: Send) -> None:
        if changed and scope["method"] == "GET" and app.calls == 0:
            await app(scope, receive, send)
            await front(request("PUT", changed), receive, dropped)
        else:
            await app(scope, receive, send)

    async def dropped(_message: Message) -> None:
        pass

    front = handled(app_with_change)
    expected = (200, b"hello") if changed else (502, GONE)
    assert call_all(front, [request("GET")]) == [expected]


def test_get_is_retried_once() -> None:
    app = Responses((502, DEAD))
    assert call_all(handled(app), [request("GET")]) == [(502, DEAD)]
    assert app.calls == 2


API = {"headers": [(b"host", b"abc.execute-api.localhost")]}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("first", ["request", "change"])
def test_change_of_a_function_and_a_request_to_an_api_wait_for_each_other(
    method: str, first: str, caplog: pytest.LogCaptureFixture
) -> None:
    sent, change = {**request(method, "/users"), **API}, request("PUT", CODE)
    finished: list[str] = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.05 if finished else 0.2)
        finished.append(scope["path"])
        await Responses((200, b"done"))(scope, receive, send)

    async def both() -> list[tuple[int, bytes]]:
        front = handled(slow)
        tasks = []
        for scope in [sent, change] if first == "request" else [change, sent]:
            tasks.append(asyncio.create_task(call(front, scope)))
            await asyncio.sleep(0.01)
        return list(await asyncio.gather(*tasks))

    assert asyncio.run(both()) == [(200, b"done")] * 2
    assert finished == (["/users", CODE] if first == "request" else [CODE, "/users"])
    assert (WAITED in caplog.text) == (first == "request")


def test_requests_for_aws_do_not_wait_for_a_change() -> None:
    # Such as a container's to DynamoDB, without which its request would never end.
    finished: list[str] = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.1 if scope["path"] == CODE else 0)
        finished.append(scope["path"])
        await Responses((200, b"done"))(scope, receive, send)

    async def both() -> None:
        front = handled(slow)
        change = asyncio.create_task(call(front, request("PUT", CODE)))
        await asyncio.sleep(0.01)
        await call(front, request("POST", "/"))
        await change

    asyncio.run(both())
    assert finished == ["/", CODE]


def test_change_waits_no_longer_than_api_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RemovedContainers, "LONGEST_WAIT_SECONDS", 0.05)

    async def nested() -> list[tuple[int, bytes]]:
        changed = asyncio.Event()

        async def until_changed(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["path"] == CODE:
                changed.set()
            await changed.wait()
            await Responses((200, b"done"))(scope, receive, send)

        front = handled(until_changed)
        write = asyncio.create_task(call(front, {**request("POST", "/users"), **API}))
        await asyncio.sleep(0.01)
        return list(await asyncio.gather(write, call(front, request("PUT", CODE))))

    assert asyncio.run(nested()) == [(200, b"done")] * 2


def test_authorizer_has_only_attributes_of_its_type(emulator: Emulator) -> None:
    gateway, issuer = emulator.client("apigatewayv2"), issuers.ensure(emulator)
    api = gateway.create_api(Name=f"faults-{uuid.uuid4()}", ProtocolType="HTTP")["ApiId"]
    function = f"arn:aws:lambda:{REGION}:000000000000:function:authorize"
    created = {
        "JWT": gateway.create_authorizer(
            ApiId=api,
            Name="jwt",
            AuthorizerType="JWT",
            IdentitySource=["$request.header.Authorization"],
            JwtConfiguration={"Issuer": issuer.url, "Audience": [issuer.audience]},
        ),
        "REQUEST": gateway.create_authorizer(
            ApiId=api,
            Name="lambda",
            AuthorizerType="REQUEST",
            IdentitySource=["$request.header.Authorization"],
            AuthorizerPayloadFormatVersion="2.0",
            AuthorizerUri=f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function}/invocations",
        ),
    }
    described = {
        kind: gateway.get_authorizer(ApiId=api, AuthorizerId=authorizer["AuthorizerId"])
        for kind, authorizer in created.items()
    }
    gateway.delete_api(ApiId=api)

    assert described["JWT"]["JwtConfiguration"]["Issuer"] == issuer.url
    assert "AuthorizerPayloadFormatVersion" not in described["JWT"]
    assert described["REQUEST"]["AuthorizerPayloadFormatVersion"] == "2.0"
    assert "JwtConfiguration" not in described["REQUEST"]
