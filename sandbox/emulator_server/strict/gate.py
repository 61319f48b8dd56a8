"""The gate: parse, record and validate each request of an AWS client, then pass it on."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qs, unquote

from botocore.exceptions import BotoCoreError
from jmespath.exceptions import JMESPathError

from sandbox.emulator_server.asgi import App, Receive, Response, Scope, Send, header, json_response, read, replay
from sandbox.emulator_server.strict import errors, models, refusals, requests
from sandbox.emulator_server.strict.injection import Injected
from sandbox.emulator_server.strict.lookups import Lookups
from sandbox.emulator_server.strict.record import Entry, Record
from sandbox.emulator_server.strict.refusals import Refusal
from sandbox.emulator_server.strict.requests import Call, UnmatchedError

logger = logging.getLogger("sandbox.gate")
CONTROL = "/_gate/"
# Error codes for input that violates the model; other services use ValidationException.
MODEL_ERRORS = {
    "apigatewayv2": "BadRequestException",
    "ec2": "InvalidParameterValue",
    "ecr": "InvalidParameterException",
    "iam": "ValidationError",
    "logs": "InvalidParameterException",
    "route53": "InvalidInput",
    "s3": "InvalidArgument",
    "sns": "InvalidParameter",
    "sts": "ValidationError",
}


class Gate:
    """The strict gate in front of an application."""

    def __init__(self, app: App, rules: Iterable[Refusal] | None = None) -> None:
        self.app = app
        self.rules = tuple(refusals.rules() if rules is None else rules)
        self.record = Record()
        self.injected: dict[int, Injected] = {}
        self.ids = itertools.count(1)
        self.loaded: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject a request that AWS would reject; pass everything else on."""
        if scope["type"] == "http" and scope["path"].startswith(CONTROL):
            await self._control(scope, await read(receive)).send(send)
            return
        destination = requests.destination(scope)
        if destination is None:
            await self.app(scope, receive, send)
            return
        body = await read(receive)
        error = await self._check(scope, body, *destination)
        if error is not None:
            await error.send(send)
        else:
            await self.app(scope, replay(body, receive), send)

    async def _check(self, scope: Scope, body: bytes, service: str, region: str) -> Response | None:
        if service not in self.loaded:
            await asyncio.to_thread(requests.preload, service)  # parsing a large model would block all other requests
            self.loaded.add(service)
        client = header(scope, b"user-agent").decode("latin-1")
        try:
            call = requests.parse(scope, body, service, region)
        except (UnmatchedError, UnicodeDecodeError) as error:
            self._violation(service, str(error), client)
            return errors.error_response("json", 400, "UnknownOperationException", str(error))
        text = _text(scope, body)
        self.record.add(call.name, client, text, call.input)
        problems = [*call.problems, *models.violations(call.operation.input_shape, call.input)]
        if problems:
            problem = f"{call.name}: {'; '.join(problems)}"
            self._violation(call.name, problem, client)
            code = MODEL_ERRORS.get(service, "ValidationException")
            return errors.error_response(call.protocol, 400, code, problem, service)
        return self._injected(call, text) or await self._reject(call, scope, client)

    async def _reject(self, call: Call, scope: Scope, client: str) -> Response | None:
        """Return the error of the first rule that applies; notes are only recorded."""
        lookups = Lookups(self.app, scope, call.region)
        for rule in self.rules:
            if not rule.applies_to(call):
                continue
            try:
                text = await rule.evaluate(call, lookups)
            except (JMESPathError, BotoCoreError, ValueError, TypeError) as error:
                self._violation(call.name, f"rule {rule.id} failed: {error!r}", client)
                continue
            if text is None:
                continue
            if not rule.message:
                self.record.notes.append(Entry(rule.id, text, client))
                continue
            self.record.refused[rule.id] += 1
            logger.warning("refused by %s: %s: %s", rule.id, call.name, text)
            code = rule.code or MODEL_ERRORS.get(call.service, "ValidationException")
            return errors.error_response(call.protocol, rule.status, code, text, call.service)
        return None

    def _violation(self, operation: str, problem: str, client: str) -> None:
        logger.error("violation: %s", problem)
        self.record.violations.append(Entry(operation, problem, client))

    def _injected(self, call: Call, text: str) -> Response | None:
        for injected in self.injected.values():
            if injected.refuses(call, text):
                return errors.error_response(
                    call.protocol, injected.status, injected.code, injected.message, call.service
                )
        return None

    # --- Control API for tests ---

    def _control(self, scope: Scope, body: bytes) -> Response:
        resource, _, name = scope["path"].removeprefix(CONTROL).partition("/")
        query = {key: values[0] for key, values in parse_qs(scope["query_string"].decode()).items()}
        result: Any = None
        match scope["method"], resource:
            case "POST", "refusals":
                number = next(self.ids)
                self.injected[number] = Injected(**json.loads(body))
                result = {"id": number}
            case "DELETE", "refusals":
                result = asdict(self.injected.pop(int(name)))
            case "GET", "operations":
                since = float(query.get("since", 0))
                result = self.record.operations(query.get("client", ""), query.get("containing", ""), since)
            case "GET", "requests":
                result = self.record.inputs(query.get("client", ""), float(query.get("since", 0)))
            case "GET", "rules":
                result = {"rules": len(self.rules), "refused": dict(self.record.refused)}
            case "GET", "notes":
                result = [asdict(note) for note in self.record.notes]
            case "GET", "violations":
                result = [asdict(violation) for violation in self.record.violations]
            case "DELETE", "violations":
                result = self.record.take_violations(query.get("containing", ""))
        status = 404 if result is None else 200
        return json_response(status, result)


def _text(scope: Scope, body: bytes) -> str:
    """Return a request's path and body as text, for searching."""
    return f"{unquote(scope['raw_path'].decode('latin-1'))} {body.decode('utf-8', 'replace')}"
