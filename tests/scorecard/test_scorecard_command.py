from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.scorecard import report
from benchmarks.scorecard.__main__ import PAGE, RESULTS, main
from benchmarks.scorecard.claims import CONDITIONAL, CONFIRMED, REFUTED, judge
from benchmarks.scorecard.cost import Prices
from benchmarks.scorecard.model import Parameters


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RESULTS.read_text())
    return found


def simulate(tmp_path: Path, *options: str) -> dict[str, Any]:
    file = tmp_path / "result.json"
    assert main(["simulate", "--requests", "20000", "--json", str(file), *options]) == 0
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def test_one_function_has_fewer_cold_requests_than_twenty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = simulate(tmp_path, "--endpoints", "20", "--per-month", "100000")

    assert result["one"]["cold_share"] < 0.02 < 0.2 < result["separate"]["cold_share"]
    assert "Shares, times and environments are simulated, dollars are priced." in capsys.readouterr().out


def test_the_same_seed_gives_the_same_result(tmp_path: Path) -> None:
    first, second, other = (
        simulate(tmp_path, "--process", "bursts", "--seed", seed)["one"] for seed in ("1", "1", "2")
    )

    assert first == second != other


def test_options_of_the_one_function_apply(tmp_path: Path) -> None:
    plain = simulate(tmp_path)["one"]
    provisioned = simulate(tmp_path, "--provisioned", "4", "--memory-mb", "1024")["one"]
    snapshots = simulate(tmp_path, "--snap-start", "2")["one"]

    assert provisioned["cold_share"] == 0 < plain["cold_share"]
    assert provisioned["dollars"]["provisioned"] > 0
    assert provisioned["latency_ms"]["p50"] < plain["latency_ms"]["p50"]
    assert snapshots["dollars"]["snap_start"] > 2


def test_a_trace_replaces_the_arrivals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "trace.csv"
    # Two endpoints in turns, every 300 s: one function is warm, and separate ones are not.
    lines = "".join(f"{number * 300},{'ab'[number % 2]},20\n" for number in range(400))
    trace.write_text(f"timestamp,endpoint,duration_ms\nbroken\n{lines}")
    result = simulate(tmp_path, "--trace", str(trace), "--skip-invalid", "--keep-alive", "360", "360")

    assert result["requests"] == 400
    assert result["one"]["cold_share"] == 1 / 400
    assert result["separate"]["cold_share"] == 1
    assert result["skipped"] == [[2, "timestamp 'broken' is neither seconds nor an ISO 8601 time"]]
    assert "skipped 1 invalid lines in total" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--requests", "0"], "--requests, --endpoints and --per-month must be above 0"),
        (["--memory-mb", "64"], "--memory-mb must be 128 to 10240, Lambda's limits, not 64"),
        (["--provisioned", "1", "--snap-start", "1"], "Lambda refuses both for one function"),
        (["--keep-alive", "7", "5"], "0 <= low <= high"),
        (["--trace", "absent.csv"], "absent.csv cannot be read as CSV"),
        (["--process", "gamma", "--cv", "0"], "cv and burst_size must be above 0"),
        (["--requests", "10", "--json", "/absent/result.json"], "--json: /absent/result.json cannot be written"),
    ],
)
def test_impossible_options_are_refused_in_one_line(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", *options]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error


def test_the_page_shows_the_results(results: dict[str, Any], parameters: Parameters, prices: Prices) -> None:
    page = report.markdown(results, parameters, prices)

    assert PAGE.read_text() == page, "run `python -m benchmarks.scorecard page`"
    assert "{{" not in page


def test_every_recorded_check_holds(results: dict[str, Any]) -> None:
    assert all(check["holds"] for check in results["validation"])
    assert all(run["holds"] for run in results["replay"]["runs"])


def test_claims_are_judged_by_the_results(results: dict[str, Any], parameters: Parameters) -> None:
    def verdict(cells: list[dict[str, Any]]) -> str:
        return judge(results | {"consolidation": cells}, parameters)[0]["verdict"]

    cells = results["consolidation"]
    better = [cell for cell in cells if cell["one"]["cold_share"] < 0.5 * cell["separate"]["cold_share"]]
    worse = [cell for cell in cells if cell not in better]

    assert (verdict(better), verdict(cells), verdict(worse)) == (CONFIRMED, CONDITIONAL, REFUTED)


def test_every_parameter_has_a_source(parameters: Parameters) -> None:
    def rows(table: dict[str, Any]) -> list[dict[str, Any]]:
        inner = [row for row in table.values() if isinstance(row, dict)]
        return [table] if "source" in table else [row for part in inner for row in rows(part)] or [table]

    leaves = rows(parameters.table)
    assert len(leaves) > 12
    assert [row for row in leaves if not row.get("source")] == []
