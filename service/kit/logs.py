"""Logs as lines of JSON on standard output, where Lambda collects them: messages, and one line for each request.

The request's line is in CloudWatch's embedded metric format as well, so that CloudWatch extracts metrics from it.
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
"""Lambda's id of the current request, None outside of Lambda."""
correlation_id: ContextVar[str | None] = ContextVar("correlation_id", default=None)
"""The correlation id of the current request, from its header or generated; None between requests."""
cold_start: ContextVar[bool] = ContextVar("cold_start", default=False)
"""Whether Lambda started the environment for the current request."""

# Lambda treats an unknown level as INFO, and drops such a line if it keeps warnings only.
LEVELS = {"WARNING": "WARN", "CRITICAL": "FATAL"}
CORRELATION_HEADER = b"x-correlation-id"
# Restricted, so that it cannot inject anything into tools that read the logs.
CORRELATION_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
TRACE_ROOT = re.compile(r"(?:^|;)Root=([^;]*)")  # of "Root=1-…;Parent=…;Sampled=0"
METRICS = {"Requests": "Count", "Errors": "Count", "Latency": "Milliseconds", "ColdStarts": "Count"}


def _directives(namespace: str, *dimensions: list[str]) -> list[dict[str, Any]]:
    metrics = [{"Name": name, "Unit": unit} for name, unit in METRICS.items()]
    return [{"Namespace": namespace, "Dimensions": dimensions, "Metrics": metrics}]


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON, with its attribute `fields` and its stack trace, if any."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = _line(record.created, record.levelname, record.name, record.getMessage())
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encoded(line)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return the stack trace. Validation errors quote the input; only their places and types are kept."""
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
    """Writes one line for each request: route, status and duration, never data of the request itself."""

    def __init__(self, app: ASGIApp, namespace: str, function_name: str | None, out: TextIO) -> None:
        self.app = app
        self.function_name = function_name
        self.by_function = _directives(namespace, ["function"])
        self.by_operation = _directives(namespace, ["function"], ["function", "operation"])
        self.out = out
        # The request's line is always written, at a level that Lambda keeps: Lambda would drop its metrics otherwise.
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
        # Set here: middleware further in may work on a copy of the scope.
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
            # No metrics by operation for unknown routes: callers could create any number of metrics, and each is billed.
            served = method in (getattr(route, "methods", None) or ())
            directives = self.by_operation if served else self.by_function
            line["_aws"] = {"Timestamp": int(now * 1000), "CloudWatchMetrics": directives}
            line["function"] = self.function_name
            if served:
                line["operation"] = f"{method} {template}"
            line |= zip(METRICS, (1, int(status >= 500), milliseconds, int(cold)), strict=True)
        # Without `logging`, which would double the time of this middleware.
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
    # Their INFO messages are about their internals.
    for chatty in ("botocore", "mangum"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.root.level))


def install(app: FastAPI, function_name: str | None) -> None:
    """Log each request with its final status: install it last. On Lambda, the metrics' namespace is the application's title."""
    app.add_middleware(RequestLog, namespace=app.title, function_name=function_name, out=sys.stdout)
