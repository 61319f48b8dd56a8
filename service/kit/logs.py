"""One JSON object for each line on standard output, which is where Lambda collects them: messages, and a line for each request.

A request's line is in CloudWatch's embedded metric format as well, so that it is also what the metrics are made of.
"""

import json
import logging
import os
import re
import sys
import time
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

from fastapi import FastAPI
from fastapi.exceptions import ResponseValidationError
from pydantic import ValidationError
from pydantic_core import to_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id that Lambda gave the request under way, None outside of Lambda."""
correlation_id: ContextVar[str | None] = ContextVar("correlation_id", default=None)
"""The id that the caller gave the request under way, or that it was given here; None between requests."""
cold_start: ContextVar[bool] = ContextVar("cold_start", default=False)
"""Whether Lambda started the environment for the request under way."""

# Lambda takes a line whose level it does not know for INFO, and drops it where it was told to keep warnings.
LEVELS = {"WARNING": "WARN", "CRITICAL": "FATAL"}
CORRELATION_HEADER = b"x-correlation-id"
# Nothing that could be more than an id where the logs are read.
CORRELATION_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
TRACE_ROOT = re.compile(r"(?:^|;)Root=([^;]*)")  # of "Root=1-…;Parent=…;Sampled=0"
NAMESPACE = "People"
METRICS = {"Requests": "Count", "Errors": "Count", "Latency": "Milliseconds", "ColdStarts": "Count"}


def _directives(*dimensions: list[str]) -> list[dict[str, Any]]:
    metrics = [{"Name": name, "Unit": unit} for name, unit in METRICS.items()]
    return [{"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics}]


BY_FUNCTION = _directives(["function"])
BY_OPERATION = _directives(["function"], ["function", "operation"])


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON, with its attribute `fields`, and a stack where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = _line(record.created, record.levelname, record.name, record.getMessage())
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encoded(line)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return the stack; of errors that quote the values that they refuse, places and kinds alone."""
        stack = traceback.TracebackException(*ei)
        error: BaseException | None = ei[1]
        told = "".join(stack.format())
        seen: set[int] = set()
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            if isinstance(error, ValidationError | ResponseValidationError):
                places = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['type']}" for each in error.errors())
                told = told.replace(str(error), f"at {places}")
            error = error.__cause__ or error.__context__
        return told.rstrip()


def _line(seconds: float, level: str, logger: str, message: str) -> dict[str, Any]:
    line: dict[str, Any] = {
        "timestamp": datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds"),
        "level": LEVELS.get(level, level),
        "logger": logger,
        "message": message,
    }
    if (request := request_id.get()) is not None:
        line["request_id"] = request
    if (correlation := correlation_id.get()) is not None:
        line["correlation_id"] = correlation
    return line


def _encoded(line: dict[str, Any]) -> str:
    try:
        return to_json(line).decode()
    except ValueError:  # halves of characters, which JSON can hold and UTF-8 cannot
        return json.dumps(line)


class RequestLog:
    """Writes one line for each request: what was asked of which route and how it went, never data of the request itself."""

    def __init__(self, app: ASGIApp, function_name: str | None, out: TextIO) -> None:
        self.app = app
        self.function_name = function_name
        self.out = out
        # A request's line is no message that a level could silence: never below the level that Lambda was told to keep, or Lambda
        # would drop the metrics with it.
        lowest = logging.root.getEffectiveLevel()
        self.levels = [logging.getLevelName(max(level, lowest)) for level in (logging.INFO, logging.ERROR)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500
        correlation = _correlation(scope)
        token = correlation_id.set(correlation)
        # Made here, because what is put into a scope further in may be put into a copy.
        state = scope.setdefault("state", {})

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (CORRELATION_HEADER, correlation.encode())]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            milliseconds = round((time.perf_counter() - began) * 1000, 3)
            self._write(scope, status, milliseconds, state.get("principal"))
            correlation_id.reset(token)

    def _write(self, scope: Scope, status: int, milliseconds: float, principal: str | None) -> None:
        method, route, now, cold = scope["method"], scope.get("route"), time.time(), cold_start.get()
        template = getattr(route, "path", None)
        message = f"{method} {template or '(no route)'} {status}"
        line = _line(now, self.levels[status >= 500], "requests", message)
        line["method"] = method
        line["route"] = template
        line["status"] = status
        line["duration_ms"] = milliseconds
        line["cold_start"] = cold
        line["trace_id"] = _trace_id()
        line["principal"] = principal
        if self.function_name:
            # Without an operation of ours there are no metrics by operation: callers could make any number, each at a price.
            served = method in (getattr(route, "methods", None) or ())
            directives = BY_OPERATION if served else BY_FUNCTION
            line["_aws"] = {"Timestamp": int(now * 1000), "CloudWatchMetrics": directives}
            line["function"] = self.function_name
            if served:
                line["operation"] = f"{method} {template}"
            line |= zip(METRICS, (1, int(status >= 500), milliseconds, int(cold)), strict=True)
        # Past `logging`, which takes as long for this one line as all else here.
        self.out.write(_encoded(line) + "\n")
        self.out.flush()


def _correlation(scope: Scope) -> str:
    given = next((value for name, value in scope["headers"] if name == CORRELATION_HEADER), b"").decode("latin-1")
    return given if CORRELATION_ID.fullmatch(given) else os.urandom(16).hex()


def _trace_id() -> str | None:
    # Lambda sets it anew for every invocation.
    found = TRACE_ROOT.search(os.environ.get("_X_AMZN_TRACE_ID", ""))
    return found[1] if found else None


def configure(level: str) -> None:
    """Send the root logger's records, from `level` on, to standard output as JSON, in place of any earlier handler."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # They tell at INFO what they do inside, which says nothing about a request.
    for chatty in ("botocore", "mangum"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.root.level))


def install(app: FastAPI, function_name: str | None) -> None:
    """Log each request, as it came and as it was answered: outside of all that changes either. Metrics are a Lambda function's."""
    app.add_middleware(RequestLog, function_name=function_name, out=sys.stdout)
