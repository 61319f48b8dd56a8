"""The gate: each request of an AWS client is found, recorded, held to AWS's model and to its refusals, and then handed on."""

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

from sandbox.emulator_server.asgi import App, Receive, Response, Scope, Send, document, header, read, replayed
from sandbox.emulator_server.strict import answers, models, refusals, requests
from sandbox.emulator_server.strict.asking import Asking
from sandbox.emulator_server.strict.injection import Injected
from sandbox.emulator_server.strict.record import Entry, Record
from sandbox.emulator_server.strict.refusals import Refusal
from sandbox.emulator_server.strict.requests import Call, UnmatchedError

logger = logging.getLogger("sandbox.gate")
CONTROL = "/_gate/"
# What services answer where an input breaks their model; the others answer ValidationException.
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
    """An application, held to AWS."""

    def __init__(self, app: App, rules: Iterable[Refusal] | None = None) -> None:
        self.app = app
        self.rules = tuple(refusals.rules() if rules is None else rules)
        self.record = Record()
        self.injected: dict[int, Injected] = {}
        self.ids = itertools.count(1)
        self.loaded: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that AWS would refuse; hand everything else on."""
        if scope["type"] == "http" and scope["path"].startswith(CONTROL):
            await self._control(scope, await read(receive)).send(send)
            return
        addressed = requests.addressed(scope)
        if addressed is None:
            await self.app(scope, receive, send)
            return
        body = await read(receive)
        answer = await self._answer(scope, body, *addressed)
        if answer is not None:
            await answer.send(send)
        else:
            await self.app(scope, replayed(body, receive), send)

    async def _answer(self, scope: Scope, body: bytes, service: str, region: str) -> Response | None:
        if service not in self.loaded:
            await asyncio.to_thread(requests.warm, service)  # a large model would stop all other requests meanwhile
            self.loaded.add(service)
        client = header(scope, b"user-agent").decode("latin-1")
        try:
            call = requests.read(scope, body, service, region)
        except (UnmatchedError, UnicodeDecodeError) as error:
            self._violation(service, str(error), client)
            return answers.error("json", 400, "UnknownOperationException", str(error))
        text = _text(scope, body)
        self.record.add(call.name, client, text)
        problems = [*call.problems, *models.violations(call.operation.input_shape, call.input)]
        if problems:
            problem = f"{call.name}: {'; '.join(problems)}"
            self._violation(call.name, problem, client)
            code = MODEL_ERRORS.get(service, "ValidationException")
            return answers.error(call.protocol, 400, code, problem, service)
        return self._injected(call, text) or await self._refused(call, scope, client)

    async def _refused(self, call: Call, scope: Scope, client: str) -> Response | None:
        """Return what AWS answers by the first rule that is met; what is noted only goes on."""
        asking = Asking(self.app, scope, call.region)
        for rule in self.rules:
            if not rule.concerns(call):
                continue
            try:
                text = await rule.met(call, asking)
            except (JMESPathError, BotoCoreError, ValueError, TypeError) as error:
                self._violation(call.name, f"the rule {rule.id} cannot be applied: {error!r}", client)
                continue
            if text is None:
                continue
            if not rule.message:
                self.record.notes.append(Entry(rule.id, text, client))
                continue
            self.record.refused[rule.id] += 1
            logger.warning("refused by %s: %s: %s", rule.id, call.name, text)
            code = rule.code or MODEL_ERRORS.get(call.service, "ValidationException")
            return answers.error(call.protocol, rule.status, code, text, call.service)
        return None

    def _violation(self, operation: str, problem: str, client: str) -> None:
        logger.error("violation: %s", problem)
        self.record.violations.append(Entry(operation, problem, client))

    def _injected(self, call: Call, text: str) -> Response | None:
        for injected in self.injected.values():
            if injected.refuses(call, text):
                return answers.error(call.protocol, injected.status, injected.code, injected.message, call.service)
        return None

    # --- What tests ask the gate itself ---

    def _control(self, scope: Scope, body: bytes) -> Response:
        what, _, name = scope["path"].removeprefix(CONTROL).partition("/")
        query = {key: values[0] for key, values in parse_qs(scope["query_string"].decode()).items()}
        answer: Any = None
        match scope["method"], what:
            case "POST", "refusals":
                number = next(self.ids)
                self.injected[number] = Injected(**json.loads(body))
                answer = {"id": number}
            case "DELETE", "refusals":
                answer = asdict(self.injected.pop(int(name)))
            case "GET", "operations":
                since = float(query.get("since", 0))
                answer = self.record.found(query.get("client", ""), query.get("containing", ""), since)
            case "GET", "rules":
                answer = {"rules": len(self.rules), "refused": dict(self.record.refused)}
            case "GET", "notes":
                answer = [asdict(note) for note in self.record.notes]
            case "GET", "violations":
                answer = [asdict(violation) for violation in self.record.violations]
            case "DELETE", "violations":
                answer = self.record.take(query.get("containing", ""))
        status = 404 if answer is None else 200
        return document(status, answer)


def _text(scope: Scope, body: bytes) -> str:
    """Return what a request says, to look for names in it."""
    return f"{unquote(scope['raw_path'].decode('latin-1'))} {body.decode('utf-8', 'replace')}"
