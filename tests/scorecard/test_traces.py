from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from benchmarks.scorecard import traces
from benchmarks.scorecard.errors import ScorecardError

HEADER = "timestamp,endpoint,duration_ms\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "trace.csv"


def test_a_trace_is_sorted_and_starts_at_zero(file: Path) -> None:
    file.write_text(f"{HEADER}105.5,POST /users,30\n100,GET /users,10\n101,GET /users,20\n")
    trace = traces.read(file)

    assert trace.times.tolist() == [0, 1, 5.5]
    assert [trace.names[endpoint] for endpoint in trace.endpoints] == ["GET /users", "GET /users", "POST /users"]
    assert trace.durations_ms.tolist() == [10, 20, 30]


def test_a_trace_may_be_compressed_and_have_iso_times_and_more_columns(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv.gz"
    lines = "endpoint,status,duration_ms,timestamp\na,200,5,2026-11-29T12:00:00Z\na,200,5,2026-11-29T13:00:01+01:00\n"
    file.write_bytes(gzip.compress(lines.encode()))

    assert traces.read(file).times.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",a,5", "line 3: timestamp is empty"),
        ("yesterday,a,5", "line 3: timestamp 'yesterday' is neither seconds nor an ISO 8601 time"),
        ("nan,a,5", "line 3: timestamp 'nan' is not finite"),
        ("1,,5", "line 3: endpoint is empty"),
        ("1,a,", "line 3: duration_ms '' is not a number"),
        ("1,a,-5", "line 3: duration_ms -5 is not between 0 and 900000"),
        ("1", "line 3: duration_ms None is not a number"),
    ],
)
def test_an_invalid_line_is_named_and_can_be_left_out(file: Path, line: str, reason: str) -> None:
    file.write_text(f"{HEADER}0,a,5\n{line}\n2,a,5\n")

    with pytest.raises(ScorecardError, match="1 of 3 lines are invalid, the first is") as error:
        traces.read(file)
    assert reason in str(error.value)
    trace = traces.read(file, skip_invalid=True)
    assert trace.times.tolist() == [0, 2]
    assert [number for number, _ in trace.skipped] == [3]


def test_a_pause_that_may_be_missing_data_is_named(file: Path) -> None:
    times = [*range(0, 6000, 10), *range(100_000, 106_000, 10)]
    file.write_text(HEADER + "".join(f"{time},a,5\n" for time in times))

    assert traces.read(file).gaps == [(5990, 94_010)]


def test_pauses_of_rare_requests_are_no_gaps(file: Path) -> None:
    file.write_text(HEADER + "".join(f"{time * 7200},a,5\n" for time in range(100)))

    assert traces.read(file).gaps == []


@pytest.mark.parametrize(
    ("text", "message"),
    [("time,endpoint\n1,a\n", "has no column timestamp, duration_ms"), (HEADER, "has no requests")],
)
def test_a_file_that_is_no_trace_is_refused(file: Path, text: str, message: str) -> None:
    file.write_text(text)

    with pytest.raises(ScorecardError, match=message):
        traces.read(file)


def test_a_file_in_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScorecardError, match="cannot be read as CSV"):
        traces.read(tmp_path / "absent.csv")
    binary = tmp_path / "trace.parquet"
    binary.write_bytes(b"PAR1\xff\xfe\x00")
    with pytest.raises(ScorecardError, match="Convert other formats to CSV first"):
        traces.read(binary)
