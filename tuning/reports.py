"""REPORT lines of Lambda's platform, from files or from CloudWatch Logs: one per request, as JSON or as text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tuning.errors import TuningError

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

# Of text lines, by field.
TEXT = {
    "durationMs": re.compile(r"\bRequestId: \S+\s+Duration: ([\d.]+) ms"),
    "billedDurationMs": re.compile(r"\bBilled Duration: ([\d.]+) ms"),
    "memorySizeMB": re.compile(r"\bMemory Size: (\d+) MB"),
    "maxMemoryUsedMB": re.compile(r"\bMax Memory Used: (\d+) MB"),
    "initDurationMs": re.compile(r"\bInit Duration: ([\d.]+) ms"),
    "restoreDurationMs": re.compile(r"(?<!Billed )\bRestore Duration: ([\d.]+) ms"),
}
JSON_TYPE = re.compile(r'"type"\s*:\s*"platform\.report"')
TEXT_STATUS = re.compile(r"\bStatus: (\w+)")
# `aws logs tail` begins each line with the event's time.
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?")
REQUIRED = ("durationMs", "memorySizeMB", "maxMemoryUsedMB")


@dataclass(frozen=True)
class Report:
    """What the platform reports of one request.

    Attributes:
        memory_mb: function.memory_mb of the version that served.
        used_mb: the most that its environment has used so far.
        duration_ms: time in the handler, without initialisation.
        start_ms: initialisation, or restoration from a snapshot; 0 if the environment was warm.
        restored: whether the environment was restored from a snapshot (SnapStart).
        ended: seconds since 1970; None if the line has no time.
        succeeded: False after an error or a time-out.
    """

    memory_mb: int
    used_mb: int
    duration_ms: float
    start_ms: float = 0
    restored: bool = False
    ended: float | None = None
    succeeded: bool = True


def parse(lines: Iterable[str], source: str) -> Iterator[Report]:
    """Yield the reports among a log's lines: JSON or text, after a time and a stream's name or not. Other lines are skipped.

    Raises:
        TuningError: a report without duration or memory, or with values that cannot be; it names source and line.
    """
    for number, line in enumerate(lines, start=1):
        try:
            report = parse_line(line)
        except ValueError as error:
            raise TuningError(f"{source}, line {number}: not a REPORT line of Lambda: {error}") from error
        if report:
            yield report


def parse_line(line: str) -> Report | None:
    """Return a line's report, or None if it is none. ValueError if it is one but cannot be read."""
    text_begin, json_begin = line.find("REPORT RequestId:"), line.find("{")
    if text_begin >= 0 and (json_begin < 0 or text_begin < json_begin):
        found = {name: match[1] for name, pattern in TEXT.items() if (match := pattern.search(line))}
        status = TEXT_STATUS.search(line)
        return _report(found, status[1] if status else "success", _prefixed_time(line[:text_begin]))
    if json_begin < 0 or not JSON_TYPE.search(line):
        return None
    event = json.loads(line[json_begin:])
    if event.get("type") != "platform.report":
        return None
    try:
        record, time = event["record"], event.get("time")
        metrics = dict(record["metrics"])
    except (KeyError, TypeError) as error:
        raise ValueError("record.metrics is missing") from error
    ended = _timestamp(time) if isinstance(time, str) else _prefixed_time(line[:json_begin])
    return _report(metrics, str(record.get("status", "success")), ended)


def _report(metrics: Mapping[str, Any], status: str, ended: float | None) -> Report:
    missing = [name for name in REQUIRED if name not in metrics]
    if missing:
        raise ValueError(f"{', '.join(missing)} missing")
    duration = _number(metrics, "durationMs")
    memory, used = _number(metrics, "memorySizeMB"), _number(metrics, "maxMemoryUsedMB")
    if not 128 <= memory <= 10240:
        raise ValueError(f"a memory size of {memory:g} MB is none of Lambda's (128 to 10240)")
    restored = "restoreDurationMs" in metrics
    start = _number(metrics, "restoreDurationMs" if restored else "initDurationMs")
    return Report(int(memory), math.ceil(used), duration, start, restored, ended, status == "success")


def _number(metrics: Mapping[str, Any], name: str) -> float:
    try:
        value = float(metrics.get(name, 0))
    except TypeError as error:
        raise ValueError(f"{name} is no number") from error
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} is {value}")
    return value


def _timestamp(text: str) -> float:
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _prefixed_time(prefix: str) -> float | None:
    found = TIME.search(prefix)
    return _timestamp(found[0]) if found else None


def from_cloudwatch(logs: CloudWatchLogsClient, function: str, hours: float) -> Iterator[Report]:
    """Yield a function's reports of the last hours, from /aws/lambda/<function>, which must be in JSON as the module configures it.

    Needs logs:FilterLogEvents.

    Raises:
        botocore.exceptions.ClientError: no such log group, or no permission.
    """
    begin = datetime.now(UTC) - timedelta(hours=hours)
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=f"/aws/lambda/{function}",
        filterPattern='{ $.type = "platform.report" }',
        startTime=int(begin.timestamp() * 1000),
    )
    for page in pages:
        yield from parse((event["message"] for event in page["events"]), f"/aws/lambda/{function}")
