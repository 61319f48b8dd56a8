"""What MiniStack does otherwise than AWS is handled in front of it: tried on a running emulator, and on applications that fail."""

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
from sandbox.emulator_server.asgi import App, Message, Receive, Scope, Send, held_back
from sandbox.emulator_server.faults import ANSWERED_AGAIN, REPEATED, AnsweredOnce, handled

DEAD = b'{"errorMessage": "409 Client Error: Conflict (can not get logs from container which is dead or marked for removal)"}'
NOT_THERE = (
    b'{"errorMessage": "404 Client Error: Not Found (\\"No such container: d97ef771\\")", "errorType": "NotFound"}'
)


PROVIDER = "APN/1.0 HashiCorp/1.0 Terraform/1.11.4 terraform-provider-aws/5.100.0"


def request(method: str, path: str = "/", call: str = "", client: str = PROVIDER) -> Scope:
    pairs = [(b"amz-sdk-invocation-id", call.encode()), (b"user-agent", client.encode())]
    raw = {"raw_path": path.encode(), "query_string": b""}
    return {"type": "http", "method": method, "path": path, "headers": pairs, **raw}


class Answers:
    """An application that gives one response after another, the last one for ever; `calls` counts."""

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


async def ask(app: App, scope: Scope) -> tuple[int, bytes]:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"sent", "more_body": False}

    response = await held_back(app, scope, receive)
    return response.status, response.body


def all_of(app: App, scopes: Iterable[Scope]) -> list[tuple[int, bytes]]:
    async def one_by_one() -> list[tuple[int, bytes]]:
        return [await ask(app, scope) for scope in scopes]

    return asyncio.run(one_by_one())


# --- DeleteRouteSettings ---


@pytest.fixture
def api(emulator: Emulator) -> tuple[Any, str]:
    """A client, and an API whose default stage has settings of two routes."""
    client = emulator.client("apigatewayv2")
    name = client.create_api(Name=uuid.uuid4().hex, ProtocolType="HTTP")["ApiId"]
    limits = {"ThrottlingBurstLimit": 5, "ThrottlingRateLimit": 5.0}
    settings = {"GET /orders/{id}": limits, "POST /orders": limits}
    for route in settings:
        client.create_route(ApiId=name, RouteKey=route)
    client.create_stage(ApiId=name, StageName="$default", AutoDeploy=True, RouteSettings=settings)
    return client, name


def test_deleting_a_routes_settings_leaves_the_stage_and_the_other_routes(api: tuple[Any, str]) -> None:
    client, name = api
    client.delete_route_settings(ApiId=name, StageName="$default", RouteKey="GET /orders/{id}")
    stage = client.get_stage(ApiId=name, StageName="$default")
    assert list(stage["RouteSettings"]) == ["POST /orders"]
    assert stage["AutoDeploy"] is True


def test_deleting_settings_that_are_not_there_is_not_found(api: tuple[Any, str]) -> None:
    client, name = api
    for stage, route in (("$default", "GET /"), ("other", "POST /orders")):
        with pytest.raises(client.exceptions.NotFoundException):
            client.delete_route_settings(ApiId=name, StageName=stage, RouteKey=route)
    assert len(client.get_stage(ApiId=name, StageName="$default")["RouteSettings"]) == 2


# --- The same request again ---


def post(emulator: Emulator, invocation: str, queue: str) -> httpx2.Response:
    """Create a repository as the provider would, in a call with an id."""
    headers = {
        "amz-sdk-invocation-id": invocation,
        "authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/ecr/aws4_request, Signature=0",
        "content-type": "application/x-amz-json-1.1",
        "user-agent": PROVIDER,
        "x-amz-target": "AmazonEC2ContainerRegistry_V20150921.CreateRepository",
    }
    with httpx2.Client(trust_env=False) as client:
        return client.post(emulator.url, headers=headers, content=json.dumps({"repositoryName": queue}))


def test_a_create_that_is_sent_twice_gets_its_first_response_twice(emulator: Emulator) -> None:
    name, invocation = f"twice-{uuid.uuid4().hex}", str(uuid.uuid4())
    before = emulator.handled_faults()[ANSWERED_AGAIN]
    first, second = post(emulator, invocation, name), post(emulator, invocation, name)
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert first.status_code == 200
    assert emulator.handled_faults()[ANSWERED_AGAIN] == before + 1
    another = post(emulator, str(uuid.uuid4()), name)
    assert another.status_code == 400
    assert "RepositoryAlreadyExists" in another.text


def test_a_call_that_failed_is_made_again() -> None:
    app = Answers((503, b"slow down"), (200, b"made"))
    calls = [request("POST", call="a")] * 3
    assert all_of(handled(app), calls) == [(503, b"slow down"), (200, b"made"), (200, b"made")]
    assert app.calls == 2


def test_a_request_waits_for_the_same_one_that_is_still_being_answered() -> None:
    app = Answers((201, b"made"), (409, b"exists"))

    async def both() -> list[tuple[int, bytes]]:
        app.released.clear()
        served = handled(app)
        asked = [asyncio.create_task(ask(served, request("POST", call="a"))) for _ in range(2)]
        await asyncio.sleep(0)
        app.released.set()
        return list(await asyncio.gather(*asked))

    assert asyncio.run(both()) == [(201, b"made")] * 2
    assert app.calls == 1


def test_calls_without_an_id_are_all_made() -> None:
    app = Answers((200, b"first"), (200, b"second"))
    assert all_of(handled(app), [request("POST")] * 2) == [(200, b"first"), (200, b"second")]


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(request("POST", call="b"), id="another call"),
        pytest.param(request("POST", "/other", call="a"), id="another path"),
        pytest.param(request("DELETE", call="a"), id="another method"),
        pytest.param(request("POST", call="a", client="Boto3/1.40"), id="a client that is not the provider"),
    ],
)
def test_another_request_is_made(second: Scope) -> None:
    app = Answers((200, b"first"), (200, b"second"))
    assert all_of(handled(app), [request("POST", call="a"), second])[1] == (200, b"second")


def test_reading_is_never_answered_from_memory() -> None:
    app = Answers((200, b"before"), (200, b"after"))
    assert all_of(handled(app), [request("GET", call="a")] * 2)[1] == (200, b"after")


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    app = AnsweredOnce(Answers((200, b"answer")))
    monkeypatch.setattr(AnsweredOnce, "CALLS", 10)
    all_of(app, (request("POST", call=str(number)) for number in range(50)))
    assert [key[0] for key in app.calls] == [str(number).encode() for number in range(40, 50)]
    monkeypatch.setattr(AnsweredOnce, "SECONDS", 0)
    all_of(app, [request("POST", call="last")])
    assert len(app.calls) == 1


def test_a_long_response_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AnsweredOnce, "BODY_BYTES", 3)
    app = AnsweredOnce(Answers((200, b"long")))
    assert all_of(app, [request("POST", call="a")]) == [(200, b"long")]
    assert not app.calls


# --- A container that was removed while it answered ---


@pytest.mark.parametrize("removed", [DEAD, NOT_THERE], ids=["going", "gone"])
def test_a_get_whose_container_was_removed_is_sent_once_more(removed: bytes, caplog: pytest.LogCaptureFixture) -> None:
    app = Answers((502, removed), (200, b"hello"))
    assert all_of(handled(app), [request("GET")]) == [(200, b"hello")]
    assert REPEATED in caplog.text


def refused(status: int, body: bytes, method: str = "GET") -> Callable[[], None]:
    def check() -> None:
        app = Answers((status, body), (200, b"hello"))
        assert all_of(handled(app), [request(method)]) == [(status, body)]
        assert app.calls == 1

    return check


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(refused(502, b'{"errorMessage": "no such module"}'), id="another failure"),
        pytest.param(refused(502, DEAD, "POST"), id="what may have changed something"),
        pytest.param(refused(200, DEAD), id="an answer that quotes it"),
    ],
)
def test_no_other_request_is_sent_again(check: Callable[[], None]) -> None:
    check()


GONE = b'{"errorMessage": "Lambda RIE failed: START RequestId", "errorType": "Runtime.ExitError"}'
CODE = "/2015-03-31/functions/orders/code"


@pytest.mark.parametrize("changed", [CODE, CODE.replace("code", "configuration"), None])
def test_a_get_that_lost_its_container_to_a_change_of_a_function_is_sent_once_more(changed: str | None) -> None:
    app = Answers((502, GONE), (200, b"hello"), (200, b"hello"))

    async def while_a_function_changes(scope: Scope, receive: Receive, send: Send) -> None:
        if changed and scope["method"] == "GET" and app.calls == 0:
            await app(scope, receive, send)
            await front(request("PUT", changed), receive, dropped)
        else:
            await app(scope, receive, send)

    async def dropped(_message: Message) -> None:
        pass

    front = handled(while_a_function_changes)
    expected = (200, b"hello") if changed else (502, GONE)
    assert all_of(front, [request("GET")]) == [expected]


def test_a_get_is_sent_twice_at_most() -> None:
    app = Answers((502, DEAD))
    assert all_of(handled(app), [request("GET")]) == [(502, DEAD)]
    assert app.calls == 2


def test_an_authorizer_is_described_by_what_its_type_has(emulator: Emulator) -> None:
    gateway, issuer = emulator.client("apigatewayv2"), issuers.ensure(emulator)
    api = gateway.create_api(Name=f"faults-{uuid.uuid4()}", ProtocolType="HTTP")["ApiId"]
    function = f"arn:aws:lambda:{REGION}:000000000000:function:authorize"
    made = {
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
        for kind, authorizer in made.items()
    }
    gateway.delete_api(ApiId=api)

    assert described["JWT"]["JwtConfiguration"]["Issuer"] == issuer.url
    assert "AuthorizerPayloadFormatVersion" not in described["JWT"]
    assert described["REQUEST"]["AuthorizerPayloadFormatVersion"] == "2.0"
    assert "JwtConfiguration" not in described["REQUEST"]
