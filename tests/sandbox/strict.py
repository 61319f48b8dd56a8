"""AWS requests to the strict gate, with a fake backend behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

from sandbox.emulator_server.asgi import (
    App,
    Message,
    Receive,
    Response,
    Scope,
    Send,
    call_app,
    header,
    make_response,
    read,
)
from sandbox.emulator_server.strict import errors, requests
from sandbox.emulator_server.strict.gate import Gate
from sandbox.emulator_server.strict.lookups import Lookups
from sandbox.emulator_server.strict.refusals import Refusal

REGION = "eu-central-1"
SCOPE: Scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "headers": []}


@dataclass
class Backend:
    """A fake AWS backend. `outputs` are results by operation, or functions of the input, with boto3's names.

    Without an output, Get and List operations return 404, and others an empty result. `calls` records the operations.
    """

    outputs: dict[str, Any] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    credential: str = ""
    accounts: set[str] = field(default_factory=set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read(receive)
        self.credential = header(scope, b"authorization").decode()
        if signed := requests.CREDENTIAL.search(self.credential):
            self.accounts.add(signed["key"])
        destination = requests.destination(scope)
        if destination is None:
            await make_response(200, {}, json.dumps(self.outputs.get(scope["path"])).encode()).send(send)
            return
        call = requests.parse(scope, body, *destination)
        self.calls.append(call.name)
        output = self.outputs.get(call.name)
        output = output(call.input) if callable(output) else output
        reads = call.operation.name.startswith(("Get", "List"))
        if output is None and reads:
            await errors.error_response(call.protocol, 404, "NotFoundException", "not found").send(send)
            return
        await make_response(200, {}, serialize(call, output or {})).send(send)


def serialize(call: requests.Call, output: Any) -> bytes:
    """Return an output in its operation's protocol."""
    shape: Any = call.operation.output_shape
    if call.protocol in ("json", "rest-json") or shape is None:
        return json.dumps(wire(shape, output)).encode()
    name = call.operation.name
    return f"<{name}Response><{name}Result>{xml(shape, output)}</{name}Result></{name}Response>".encode()


def wire(shape: Any, value: Any) -> Any:
    if shape is None or value is None:
        return value
    if shape.type_name == "structure":
        named = ((shape.members[name], name, item) for name, item in value.items())
        return {member.serialization.get("name", name): wire(member, item) for member, name, item in named}
    if shape.type_name == "list":
        return [wire(shape.member, item) for item in value]
    return value


def xml(shape: Any, value: Any) -> str:
    if shape.type_name == "structure":
        return "".join(f"<{name}>{xml(shape.members[name], item)}</{name}>" for name, item in value.items())
    if shape.type_name == "list":
        return "".join(f"<member>{xml(shape.member, item)}</member>" for item in value)
    return escape(str(value))


def send(app: App, operation: str, parameters: dict[str, Any], region: str = REGION) -> Response:
    """Return the response to an operation's request, without validating the parameters."""
    service, name = operation.split(".")
    return asyncio.run(Lookups(app, SCOPE, region).send(requests.model(service).operation_model(name), parameters))


def send_raw(app: App, method: str, path: str, headers: dict[str, str], body: bytes = b"", query: str = "") -> Response:
    """Return the response to a raw request."""
    pairs = [(key.encode(), value.encode()) for key, value in headers.items()]
    scope = {
        **SCOPE,
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": pairs,
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return asyncio.run(call_app(app, scope, receive))


def gate(backend: App, rules: Iterable[Refusal] = ()) -> Gate:
    return Gate(backend, rules)
