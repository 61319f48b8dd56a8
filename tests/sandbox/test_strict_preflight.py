"""OPTIONS on an HTTP API is routed as on AWS, and an authorizer rejects it without a token."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.emulator_server.asgi import App, Receive, Scope, Send, make_response, read
from sandbox.emulator_server.strict.preflight import Preflights, select_route
from tests.sandbox.strict import Backend, send_raw

HOST = {
    "host": "a1.execute-api.localhost:4566",
    "origin": "https://example.com",
    "access-control-request-method": "GET",
}
CORS = {"AllowOrigins": ["https://example.com"]}
JWT = {"AuthorizationType": "JWT", "AuthorizerId": "j1"}


FUNCTION = "arn:aws:lambda:eu-central-1:000000000000:function:people:live"


class Api(Backend):
    """An API with some routes. The emulator itself responds with status 299, the function with 298."""

    def __init__(self, *routes: tuple[str, dict[str, Any]], cors: bool = False, stage: str = "$default") -> None:
        items = [{"RouteKey": key, "Target": "integrations/i1", **more} for key, more in routes]
        super().__init__(
            {
                "apigatewayv2.GetApi": {"Name": "people"} | ({"CorsConfiguration": CORS} if cors else {}),
                "apigatewayv2.GetApiMappings": {"Items": [{"ApiId": "a1"}]},
                "apigatewayv2.GetIntegration": {
                    "IntegrationUri": f"arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/{FUNCTION}/invocations"
                },
                "apigatewayv2.GetRoutes": {"Items": items},
                "apigatewayv2.GetStages": {"Items": [{"StageName": stage}]},
            }
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/invocations"):
            event = json.loads(await read(receive))
            http = event["requestContext"]["http"]
            result = {
                "statusCode": 298,
                "headers": {"X-Route": event["routeKey"]},
                "body": f"{http['method']} {http['path']}",
            }
            await make_response(200, {}, json.dumps(result).encode()).send(send)
        elif scope["method"].upper() == "OPTIONS":
            await make_response(299, {}, scope["method"].encode()).send(send)
        else:
            await super().__call__(scope, receive, send)


def preflight(api: Api, path: str = "/users", **headers: str) -> tuple[int, bytes]:
    """Return the status and body of a preflight."""
    served: App = Preflights(api)
    response = send_raw(served, "OPTIONS", path, HOST | headers)
    return response.status, response.body


BY_CORS, BY_AUTHORIZER, BY_FUNCTION = (299, b"OPTIONS"), (299, b"options"), (298, b"OPTIONS /users")
UNAUTHORIZED, FORBIDDEN = (401, b'{"message":"Unauthorized"}'), (403, b'{"message":"Forbidden"}')
NOT_FOUND = (404, b'{"message":"Not Found"}')
CASES = {
    "no auth, CORS": (Api(("$default", {}), cors=True), BY_CORS),
    "no auth, the application's own CORS": (Api(("$default", {})), BY_FUNCTION),
    "a token for everything": (Api(("$default", JWT), cors=True), UNAUTHORIZED),
    "a token for everything, the application's own CORS": (Api(("$default", JWT)), UNAUTHORIZED),
    "a Lambda authorizer": (Api(("ANY /users", {"AuthorizationType": "CUSTOM"}), cors=True), UNAUTHORIZED),
    "IAM": (Api(("ANY /{proxy+}", {"AuthorizationType": "AWS_IAM"}), cors=True), FORBIDDEN),
    "a token for a method": (Api(("GET /users", JWT), cors=True), BY_CORS),
    "a token for a method, no CORS": (Api(("GET /users", JWT)), NOT_FOUND),
    "OPTIONS without auth": (Api(("$default", JWT), ("OPTIONS /{proxy+}", {}), cors=True), BY_CORS),
    "OPTIONS without auth, the application's own CORS": (
        Api(("$default", JWT), ("OPTIONS /{proxy+}", {})),
        BY_FUNCTION,
    ),
    "OPTIONS without auth, but ANY with": (
        Api(("ANY /users", JWT), ("OPTIONS /{proxy+}", {}), cors=True),
        UNAUTHORIZED,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_route_determines_who_handles_a_preflight(case: str) -> None:
    api, expected = CASES[case]
    assert preflight(api) == expected


def test_preflight_with_a_token_reaches_the_authorizer() -> None:
    assert preflight(Api(("$default", JWT)), authorization="Bearer token") == BY_AUTHORIZER


def test_custom_domain_is_routed_to_its_api() -> None:
    api = Api(("$default", JWT), cors=True)
    assert preflight(api, host="api.example.com") == UNAUTHORIZED
    assert preflight(api, host="localhost:4566") == BY_CORS


def test_stage_is_not_part_of_the_route() -> None:
    api = Api(("ANY /users", JWT), cors=True, stage="v1")
    assert preflight(api, "/v1/users") == UNAUTHORIZED
    assert preflight(api, "/v2/users") == BY_CORS


@pytest.mark.parametrize(
    ("path", "selected"),
    [
        ("/users", "OPTIONS /users"),
        ("/users/1", "ANY /users/{id}"),
        ("/users/1/orders", "ANY /users/{proxy+}"),
        ("/orders/1", "OPTIONS /{proxy+}"),
        ("/", "$default"),
    ],
)
def test_most_specific_route_is_selected(path: str, selected: str) -> None:
    keys = [
        "$default",
        "OPTIONS /{proxy+}",
        "ANY /users/{proxy+}",
        "ANY /users/{id}",
        "ANY /users",
        "OPTIONS /users",
        "GET /orders/{id}",
    ]
    route = select_route([{"RouteKey": key} for key in keys], "OPTIONS", path)
    assert route == {"RouteKey": selected}


def test_failing_function_returns_500() -> None:
    class Broken(Api):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["path"].endswith("/invocations"):
                await make_response(200, {"x-amz-function-error": "Unhandled"}, b"{}").send(send)
            else:
                await super().__call__(scope, receive, send)

    assert preflight(Broken(("$default", {}))) == (500, b'{"message":"Internal Server Error"}')
