"""Requests of AWS's clients to the strict gate, with an application behind it that answers what it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

from sandbox.emulator_server.asgi import App, Message, Receive, Response, Scope, Send, header, held_back, read, whole
from sandbox.emulator_server.strict import answers, requests
from sandbox.emulator_server.strict.asking import Asking
from sandbox.emulator_server.strict.gate import Gate
from sandbox.emulator_server.strict.refusals import Refusal

REGION = "eu-central-1"
SCOPE: Scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "headers": []}


@dataclass
class Behind:
    """What is behind the gate: it has the outputs of some operations, by boto3's names, and takes everything else.

    An output may be a function of the input. Of what it does not have, a question is answered with 404.
    """

    outputs: dict[str, Any] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)
    credential: str = ""
    accounts: set[str] = field(default_factory=set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read(receive)
        self.credential = header(scope, b"authorization").decode()
        if signed := requests.CREDENTIAL.search(self.credential):
            self.accounts.add(signed["key"])
        addressed = requests.addressed(scope)
        if addressed is None:
            await whole(200, {}, json.dumps(self.outputs.get(scope["path"])).encode()).send(send)
            return
        call = requests.read(scope, body, *addressed)
        self.taken.append(call.name)
        output = self.outputs.get(call.name)
        output = output(call.input) if callable(output) else output
        asks = call.operation.name.startswith(("Get", "List"))
        if output is None and asks:
            await answers.error(call.protocol, 404, "NotFoundException", "not there").send(send)
            return
        await whole(200, {}, written(call, output or {})).send(send)


def written(call: requests.Call, output: Any) -> bytes:
    """An output in its operation's protocol."""
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


def sent(app: App, operation: str, parameters: dict[str, Any], region: str = REGION) -> Response:
    """The response to an operation's request, whether or not its model allows the parameters."""
    service, name = operation.split(".")
    return asyncio.run(Asking(app, SCOPE, region).send(requests.model(service).operation_model(name), parameters))


def raw(app: App, method: str, path: str, headers: dict[str, str], body: bytes = b"", query: str = "") -> Response:
    """The response to a request as it stands."""
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

    return asyncio.run(held_back(app, scope, receive))


def gate(behind: App, rules: Iterable[Refusal] = ()) -> Gate:
    return Gate(behind, rules)
