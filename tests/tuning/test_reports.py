"""REPORT lines, as JSON and as text, and what is refused among them."""

from __future__ import annotations

import pytest

from tests.tuning.traffic import BEGIN, line
from tuning.errors import TuningError
from tuning.reports import Report, parse, parse_line

# As Lambda writes it with the log format Text.
TEXT = (
    "REPORT RequestId: 8f507cfc-4b6f-4a5d-9c0d-000000000000\tDuration: 2599.40 ms\tBilled Duration: 2600 ms\t"
    "Memory Size: 128 MB\tMax Memory Used: 94 MB\t"
)
COLD = TEXT + "Init Duration: 549.04 ms\t\n"
RESTORED = TEXT + "Restore Duration: 310.50 ms\tBilled Restore Duration: 311 ms\t\n"
# An event of Lambda's telemetry, which the JSON log lines have in common.
JSON = (
    '{"time":"2022-10-21T14:05:05.766Z","type":"platform.report","record":{"requestId":"459921b5","metrics":'
    '{"durationMs":2599.4,"billedDurationMs":2600,"memorySizeMB":128,"maxMemoryUsedMB":94,"initDurationMs":549.04},'
    '"status":"success"}}'
)
ENDED = 1666361105.766


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(TEXT, Report(128, 94, 2599.4), id="text, warm"),
        pytest.param(COLD, Report(128, 94, 2599.4, 549.04), id="text, cold"),
        pytest.param(RESTORED, Report(128, 94, 2599.4, 310.5, restored=True), id="text, restored"),
        pytest.param(f"{TEXT}Status: timeout\n", Report(128, 94, 2599.4, succeeded=False), id="text, timed out"),
        pytest.param(JSON, Report(128, 94, 2599.4, 549.04, ended=ENDED), id="JSON"),
        pytest.param(
            f"2022-10-21T14:05:05.766000+00:00 2022/10/21/[7]d0ac {TEXT}",
            Report(128, 94, 2599.4, ended=ENDED),
            id="text, as `aws logs tail` prints it",
        ),
        pytest.param(
            f"2022-10-21T14:05:06.000000+00:00 2022/10/21/[7]d0ac {JSON}",
            Report(128, 94, 2599.4, 549.04, ended=ENDED),
            id="JSON, as `aws logs tail` prints it",
        ),
        pytest.param(
            JSON.replace('"success"', '"error"'),
            Report(128, 94, 2599.4, 549.04, ended=ENDED, succeeded=False),
            id="JSON, failed",
        ),
    ],
)
def test_report_is_read(text: str, expected: Report) -> None:
    assert parse_line(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "START RequestId: 8f507cfc Version: $LATEST",
        '{"level": "INFO", "message": "no platform.report"}',
        '{"time":"2022-10-21T14:05:05.766Z","type":"platform.start","record":{"requestId":"459921b5"}}',
        "not JSON: {",
    ],
)
def test_other_lines_are_skipped(text: str) -> None:
    assert parse_line(text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(JSON[:120], "line 2: not a REPORT line", id="a truncated line"),
        pytest.param(JSON.replace('"durationMs":2599.4,', ""), "durationMs missing", id="no duration"),
        pytest.param(JSON.replace('"metrics"', '"other"'), "record.metrics is missing", id="no metrics"),
        pytest.param(JSON.replace("2599.4", "NaN"), "durationMs is nan", id="not a number"),
        pytest.param(JSON.replace("2599.4", '"fast"'), "could not convert", id="a word for a number"),
        pytest.param(JSON.replace("2599.4", "null"), "durationMs is no number", id="null for a number"),
        pytest.param(JSON.replace("2599.4", "-1"), "durationMs is -1", id="a negative duration"),
        pytest.param(JSON.replace('"memorySizeMB":128', '"memorySizeMB":64'), "64 MB is none of Lambda's", id="64 MB"),
        pytest.param(JSON.replace("2022-10-21T", "yesterday "), "Invalid isoformat", id="a time that is none"),
        pytest.param(TEXT.replace("Max Memory Used: 94 MB", ""), "maxMemoryUsedMB missing", id="text without memory"),
    ],
)
def test_unreadable_report_is_refused_by_line(text: str, reason: str) -> None:
    with pytest.raises(TuningError, match=r"^day\.log, line 2: ") as error:
        list(parse([line(512, 10, 90, BEGIN), text], "day.log"))
    assert reason in str(error.value)
