"""An alias's weights decide how many requests its additional version gets, invoked directly or through an API."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.emulator import Emulator
from sandbox.emulator_server.asgi import Receive, Scope, Send, call_app, header
from sandbox.emulator_server.strict import requests
from sandbox.emulator_server.strict.lookups import Lookups
from sandbox.emulator_server.strict.weights import Weights
from tests.sandbox.strict import SCOPE, Backend, send, send_raw

FUNCTION = "arn:aws:lambda:eu-central-1:000000000000:function:orders"
URI = f"arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/{FUNCTION}:live/invocations"


@pytest.fixture
def function(emulator: Emulator) -> Iterator[tuple[Any, str]]:
    """A client, and the name of a function with two versions and an alias on the first."""
    client, name = emulator.client("lambda"), f"weighted-{uuid.uuid4().hex[:8]}"
    image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/people"
    role = f"arn:aws:iam::000000000000:role/{name}"
    client.create_function(
        FunctionName=name, Role=role, PackageType="Image", Code={"ImageUri": f"{image}:1"}, Publish=True
    )
    client.update_function_code(FunctionName=name, ImageUri=f"{image}:2", Publish=True)
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    yield client, name
    client.delete_function(FunctionName=name)


def invoked(client: Any, name: str, times: int, **qualifier: str) -> Counter[str]:
    """The versions that invocations reach. A dry run starts no container."""
    return Counter(
        client.invoke(FunctionName=name, InvocationType="DryRun", **qualifier)["ResponseMetadata"]["HTTPHeaders"][
            "x-amz-executed-version"
        ]
        for _ in range(times)
    )


def test_direct_invocations_follow_the_weights(function: tuple[Any, str]) -> None:
    client, name = function
    assert invoked(client, name, 4, Qualifier="live") == {"1": 4}
    for share in (0.1, 0.25):
        weights = {"AdditionalVersionWeights": {"2": share}}
        client.update_alias(FunctionName=name, Name="live", RoutingConfig=weights)
        assert client.get_alias(FunctionName=name, Name="live")["RoutingConfig"] == weights
        assert invoked(client, name, 40, Qualifier="live") == {"1": 40 * (1 - share), "2": 40 * share}
    assert invoked(client, f"{name}:live", 8) == {"1": 6, "2": 2}
    assert invoked(client, name, 4, Qualifier="1") == {"1": 4}
    client.update_alias(FunctionName=name, Name="live", RoutingConfig={"AdditionalVersionWeights": {}})
    assert invoked(client, name, 12, Qualifier="live") == {"1": 12}


class Apis:
    """A fake API Gateway with one API; it counts the requests by API id. `deleted` are the ids of deleted APIs."""

    def __init__(self) -> None:
        self.created: dict[str, dict[str, Any]] = {}
        self.requests: Counter[str] = Counter()
        self.deleted: list[str] = []
        api = {"ApiId": "0000000a", "Name": "orders", "ProtocolType": "HTTP"}
        self.backend = Backend(
            {
                "lambda.UpdateAlias": lambda given: {
                    "Name": given["Name"],
                    "FunctionVersion": "1",
                    "RoutingConfig": given["RoutingConfig"],
                },
                "apigatewayv2.GetApis": lambda _: {"Items": [api, *({"ApiId": f"0000000{n}"} for n in self.copies())]},
                "apigatewayv2.GetIntegrations": {
                    "Items": [{"IntegrationId": "i", "IntegrationType": "AWS_PROXY", "IntegrationUri": URI}]
                },
                "apigatewayv2.GetAuthorizers": {
                    "Items": [{"AuthorizerId": "j", "Name": "jwt", "AuthorizerType": "JWT", "IdentitySource": ["a"]}]
                },
                "apigatewayv2.GetRoutes": {
                    "Items": [{"RouteId": "r", "RouteKey": "$default", "Target": "integrations/i", "AuthorizerId": "j"}]
                },
                "apigatewayv2.GetStages": {"Items": [{"StageName": "$default", "AutoDeploy": True}]},
                "apigatewayv2.CreateApi": lambda _: {"ApiId": f"0000000{self.made()}"},
                "apigatewayv2.CreateIntegration": self.create("IntegrationId", "i2"),
                "apigatewayv2.CreateAuthorizer": self.create("AuthorizerId", "j2"),
                "apigatewayv2.CreateRoute": self.create("RouteId", "r2"),
                "apigatewayv2.CreateStage": self.create("StageName", "$default"),
                "apigatewayv2.DeleteApi": lambda given: self.deleted.append(given["ApiId"]),
            }
        )

    def copies(self) -> list[int]:
        return [n for n in range(1, self.made() + 1) if f"0000000{n}" not in self.deleted]

    def made(self) -> int:
        return self.backend.calls.count("apigatewayv2.CreateApi")

    def create(self, name: str, identifier: str) -> Any:
        def respond(given: dict[str, Any]) -> dict[str, Any]:
            self.created[name] = given
            return {name: identifier}

        return respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = header(scope, b"host").decode()
        if ".execute-api." in host:
            self.requests[host.partition(".")[0]] += 1
        await self.backend(scope, receive, send)


def weighted(weights: dict[str, float]) -> dict[str, Any]:
    return {"FunctionName": "orders", "Name": "live", "RoutingConfig": {"AdditionalVersionWeights": weights}}


def shift(app: Weights, weights: dict[str, float]) -> None:
    assert send(app, "lambda.UpdateAlias", weighted(weights)).status == 200


def request(app: Weights, times: int) -> None:
    for _ in range(times):
        send_raw(app, "GET", "/", {"host": "0000000a.execute-api.localhost:4566"})


def test_requests_to_an_api_follow_the_weights() -> None:
    apis = Apis()
    app = Weights(apis)
    request(app, 10)
    assert apis.requests == {"0000000a": 10}
    assert apis.backend.calls == []

    shift(app, {"2": 0.1})
    request(app, 20)
    assert apis.requests == {"0000000a": 28, "00000001": 2}
    assert apis.created["IntegrationId"]["IntegrationUri"] == URI.replace(":live", ":2")
    route = {"ApiId": "00000001", "RouteKey": "$default", "Target": "integrations/i2", "AuthorizerId": "j2"}
    assert apis.created["RouteId"] == route

    shift(app, {})
    apis.requests.clear()
    request(app, 10)
    assert apis.requests == {"0000000a": 10}
    assert apis.deleted == ["00000001"]


def test_copies_of_apis_are_hidden_and_follow_changes() -> None:
    apis = Apis()
    app = Weights(apis)
    shift(app, {"2": 0.5})
    listed = send(app, "apigatewayv2.GetApis", {})
    assert b"0000000a" in listed.body
    assert b"00000001" not in listed.body
    send(app, "apigatewayv2.UpdateRoute", {"ApiId": "0000000a", "RouteId": "r", "AuthorizationType": "NONE"})
    request(app, 2)
    assert apis.requests == {"0000000a": 1, "00000002": 1}
    assert apis.deleted == ["00000001"]


def test_copy_in_use_is_deleted_after_its_last_request() -> None:
    async def scenario() -> None:
        apis, begun, go = Apis(), asyncio.Event(), asyncio.Event()

        async def slow(scope: Scope, receive: Receive, send: Send) -> None:
            if header(scope, b"host").startswith(b"00000001."):
                begun.set()
                await go.wait()
            await apis(scope, receive, send)

        async def nothing() -> Any:
            return {"type": "http.request", "body": b""}

        app = Weights(slow)
        update = requests.model("lambda").operation_model("UpdateAlias")
        lookups = Lookups(app, SCOPE, "eu-central-1")
        await lookups.send(update, weighted({"2": 1.0}))
        host = (b"host", b"0000000a.execute-api.localhost:4566")
        running = asyncio.create_task(call_app(app, {**SCOPE, "headers": [host]}, nothing))
        await begun.wait()
        await lookups.send(update, weighted({}))
        assert apis.deleted == []
        go.set()
        assert (await running).status == 200
        assert apis.deleted == ["00000001"]

    asyncio.run(scenario())
