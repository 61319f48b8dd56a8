"""A run of the scorecard without a Docker engine: what is kept, resumed, refused and compared."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scorecard import bill, metrics, scorecard
from benchmarks.scorecard.__main__ import CARD_PAGE, _parser, main
from benchmarks.scorecard.cost import Prices, tiered
from benchmarks.scorecard.errors import ScorecardError
from benchmarks.scorecard.model import Parameters
from benchmarks.scorecard.satisfaction import COLUMNS
from sandbox.paths import ROOT

OLD = bill.Paid((128, 256), "rest", 0, 0, 0)
NEW = bill.Paid((1024,), "http", 8, 1, 1)


def quiet(_line: str) -> None:
    pass


def row(name: str, old: float | None, new: float | None) -> metrics.Row:
    return metrics.row(name, {"old": old, "new": new})


def results(*rows: metrics.Row, metric: str = "functions", **more: Any) -> dict[str, Any]:
    machine = {"cpu": "a CPU", "cores": 2, "load": 0.1, "python": "3.13.0"}
    made = {"rows": list(rows), "limits": [], "detail": None}
    return {"schema": 1, "date": "2026-11-30", "commit": "abc", "machine": machine, "metrics": {metric: made}} | more


def test_without_answers_satisfaction_is_not_asked(tmp_path: Path) -> None:
    (asked,) = scorecard.measure(metrics.Options(), ["satisfaction"], tmp_path, quiet)["metrics"]["satisfaction"][
        "rows"
    ]
    assert (asked["old"], asked["new"], asked["kind"]) == (None, None, "not asked")


def test_a_metric_that_fails_has_its_reason_and_the_others_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path)]

    # cost needs the plan's memory, which no metric has read.
    assert main(["run", "--only", "cost", "satisfaction", *out]) == 1

    printed = capsys.readouterr()
    assert "not measured: it needs the metric functions, which has no result." in printed.out
    assert printed.err.splitlines()[-1].startswith("error: not measured: cost; the reasons are above.")
    written = json.loads((tmp_path / "scorecard.json").read_text())["metrics"]
    assert (set(written["cost"]), "rows" in written["satisfaction"]) == ({"failed"}, True)
    assert "Not measured: it needs the metric functions" in (tmp_path / "scorecard.md").read_text()
    assert "Not measured: it needs the metric functions" in (tmp_path / "scorecard.html").read_text()


def test_resume_measures_what_failed_and_keeps_the_rest(tmp_path: Path) -> None:
    work, answers = tmp_path / "work", tmp_path / "answers.csv"
    options = metrics.Options(answers=answers)
    first = scorecard.measure(options, ["satisfaction"], work, quiet)
    assert "failed" in first["metrics"]["satisfaction"]
    counted = {"rows": [row("Lambda functions", 2, 1)], "limits": [], "detail": None}
    (work / "functions.json").write_text(json.dumps({"commit": first["commit"], "result": counted}))
    cells = ("a", "before", *("5" for _ in COLUMNS[2:]))
    answers.write_text(f"{','.join(COLUMNS)}\n{','.join(cells)}\n")
    said: list[str] = []

    again = scorecard.measure(options, ["functions", "satisfaction"], work, said.append, resume=True)["metrics"]

    assert said == ["measuring satisfaction"]
    assert again["functions"] == counted
    assert again["satisfaction"]["detail"]["respondents"] == {"before": 1, "after": 0, "both": 0}


def test_an_interruption_says_how_to_continue_and_keeps_what_was_measured(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    counted = {"rows": [], "limits": [], "detail": {"paid": {"old": vars(OLD), "new": vars(NEW)}}}
    stored = json.dumps({"commit": scorecard.about()["commit"], "result": counted})
    (tmp_path / "work/functions.json").write_text(stored)
    command = [sys.executable, "-m", "benchmarks.scorecard", "run", "--resume", "--only", "functions", "cost"]

    with subprocess.Popen([*command, "--out", tmp_path], cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        assert process.stderr.readline().strip() == "measuring cost"
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()

    assert process.returncode == 130
    assert rest.splitlines()[-1] == "error: interrupted; continue with --resume: what was measured is kept"
    assert json.loads((tmp_path / "work/functions.json").read_text()) == json.loads(stored)


def test_what_another_commit_measured_is_measured_again(tmp_path: Path) -> None:
    file, said = tmp_path / "functions.json", list[str]()
    file.write_text(json.dumps({"commit": "older", "result": {"rows": []}}))

    assert scorecard.kept(file, "newer", said.append) is None
    assert said == ["functions was measured at commit older, and this is newer: measuring it again"]
    assert scorecard.kept(file, "older", said.append) == {"rows": []}


def test_a_run_without_resume_forgets_earlier_results(tmp_path: Path) -> None:
    (tmp_path / "latency.json").write_text("{}")
    scorecard.measure(metrics.Options(), ["satisfaction"], tmp_path, quiet)
    assert [file.name for file in tmp_path.iterdir()] == ["satisfaction.json"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rounds", "4"], "--rounds must be at least 5"),
        (["--requests", "99"], "--requests at least 100 for a p99"),
        (["--per-second", "0"], "--per-second above 0"),
        (["--loads", "0"], "--loads must be at least 1"),
        (["--against", "absent.json"], "results: absent.json cannot be read as JSON"),
        (["--out", "/proc/absent"], "--out: /proc/absent cannot be created"),
    ],
)
def test_impossible_options_are_refused_before_anything_is_measured(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--only", "satisfaction", "--out", str(tmp_path / "out"), *arguments]) == 1
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert message in error


def test_answers_that_are_not_valid_fail_their_metric_alone(tmp_path: Path) -> None:
    options = metrics.Options(answers=tmp_path / "absent.csv")
    result = scorecard.measure(options, ["satisfaction"], tmp_path / "work", quiet)["metrics"]["satisfaction"]
    assert "absent.csv cannot be read as CSV" in result["failed"]


def test_a_file_of_another_schema_is_not_compared(tmp_path: Path) -> None:
    file = tmp_path / "old.json"
    file.write_text(json.dumps(results() | {"schema": 0}))
    with pytest.raises(ScorecardError, match="has schema 0, and this version reads 1: they are not comparable"):
        scorecard.read(file)
    file.write_text("[]")
    with pytest.raises(ScorecardError, match="has schema None"):
        scorecard.read(file)


def test_ratios_to_an_older_run_leave_out_what_has_none() -> None:
    older = results(row("a", 10, 4), row("zero", 0, 2), row("gone", 1, 1))
    newer = results(row("a", 10, 2), row("zero", 5, 2), row("added", 1, 1))
    assert scorecard.against(newer, older) == [
        {"metric": "functions", "name": "a", "kind": "measured", "old": 1, "new": 0.5},
        {"metric": "functions", "name": "zero", "kind": "measured", "new": 1},
    ]
    failed = results() | {"metrics": {"functions": {"failed": "no engine"}}}
    assert scorecard.against(newer, failed) == scorecard.against(failed, newer) == []


def test_against_prints_the_ratios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    older = tmp_path / "older.json"
    older.write_text(json.dumps(results(row("questionnaire", 1, 2), metric="satisfaction")))
    assert main(["run", "--only", "satisfaction", "--out", str(tmp_path / "out"), "--against", str(older)]) == 0
    assert "Against 2026-11-30, commit abc, a CPU:" in capsys.readouterr().out


def test_the_machine_is_described_without_its_name() -> None:
    about = scorecard.about()
    assert set(about) == {"date", "commit", "machine"}
    assert set(about["machine"]) == {"cpu", "cores", "load", "python"}
    assert Path("/etc/hostname").read_text().strip() not in json.dumps(about)


def test_dollars_are_those_of_the_planned_memory_and_gateway(parameters: Parameters, prices: Prices) -> None:
    (month,) = bill.bills(OLD, NEW, parameters, prices, quiet, [1e5])
    old, new = month["old"]["dollars"], month["new"]["dollars"]

    assert old["gateway"] == pytest.approx(1e5 * 0.0000035)
    assert new["gateway"] == pytest.approx(1e5 * 0.000001)
    assert new["images"] > 0
    assert "images" not in old
    larger = bill.bills(OLD, bill.Paid((2048,), "http", 8, 1, 1), parameters, prices, quiet, [1e5])[0]["new"]["dollars"]
    assert new["duration"] < larger["duration"] < 2.1 * new["duration"]


def test_functions_of_one_size_have_that_as_their_mean(parameters: Parameters, prices: Prices) -> None:
    same = bill.bills(bill.Paid((256, 256), "http", 0, 0, 0), NEW, parameters, prices, quiet, [1e5])[0]["old"]
    mixed = bill.bills(bill.Paid((256, 512), "http", 0, 0, 0), NEW, parameters, prices, quiet, [1e5])[0]["old"]
    assert same["dollars"]["gateway"] == mixed["dollars"]["gateway"]
    assert same["dollars"]["duration"] != mixed["dollars"]["duration"]


def test_alarms_and_dashboard_are_paid_at_any_traffic(prices: Prices) -> None:
    assert bill.monitoring(NEW, prices) == pytest.approx(8 * 0.10 + 0.30 + 3.00)
    assert bill.monitoring(OLD, prices) == 0


def test_a_missing_price_is_named_and_nothing_is_summed() -> None:
    with pytest.raises(ScorecardError, match=r"the price cloudwatch\.alarm_metric is missing for us-east-1, 2026-11"):
        bill.monitoring(NEW, Prices({"region": "us-east-1", "date": "2026-11"}))


@given(st.floats(1e3, 1e9))
def test_a_rest_api_costs_more_at_any_traffic(requests: float) -> None:
    prices = Prices.read()
    assert tiered(prices.of("gateway.rest"), requests) > tiered(prices.of("gateway.http"), requests)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30), st.floats(0, 1))
def test_percentiles_are_between_values_and_grow(values: list[float], share: float) -> None:
    assert min(values) <= metrics.percentile(values, share) <= max(values)
    assert metrics.percentile(values, share) <= metrics.percentile(values, 1) == max(values)
    assert metrics.percentile([1, 2, 3, 4, 5], 0.5) == 3
    assert metrics.percentile([0, 10], 0.99) == pytest.approx(9.9)


def test_the_workflows_figure_is_quoted_from_its_own_command(tmp_path: Path) -> None:
    file = tmp_path / "workflow.json"
    file.write_text('{"live_for_all": 61.5}')
    assert metrics.live_for_all(file) == 61.5
    file.write_text('{"something": 1}')
    with pytest.raises(ScorecardError, match=r"has no live_for_all, so it is not of benchmarks\.commit_to_live"):
        metrics.live_for_all(file)


def test_every_metric_has_its_limits() -> None:
    texts = metrics.limits("latency", requests=1, per_second=2, loads=3)
    assert "the same load after that, at 2 a second" in texts[0]
    assert not any("{" in line for line in texts)
    with pytest.raises(KeyError):
        metrics.limits("latency")


def make(*words: str) -> str:
    """Run make as a user would, also within a make that runs the tests, and return its output."""
    clean = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}}
    run = subprocess.run(["make", *words], cwd=ROOT, env=clean, capture_output=True, text=True, check=True)
    return run.stdout


def test_latency_shows_the_simulation_of_the_costs_months() -> None:
    side = {"cold_share": 0.2, "latency_ms": {"p99": 300.0}}
    months = [{"per_month": per_month, "old": side, "new": side} for per_month in bill.PER_MONTH]
    rows = metrics.simulated(months)
    assert [each["name"] for each in rows[:2]] == [
        "10,000 requests a month: cold requests",
        "10,000 requests a month: p99",
    ]
    assert len(rows) == 2 * len(metrics.SHOWN_PER_MONTH)
    assert {each["kind"] for each in rows} == {"simulated"}


def test_commands_of_the_page_are_those_of_the_makefile() -> None:
    commands = re.findall(r"^\$ make (scorecard[^#\n]*)", CARD_PAGE.read_text(), re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        (line,) = [line for line in make("--dry-run", *shlex.split(command)).splitlines() if "scorecard run" in line]
        _, _, arguments = line.partition("benchmarks.scorecard ")
        assert _parser().parse_args(shlex.split(arguments)).out == ROOT / ".reports" / "scorecard"


def test_make_scorecard_runs_the_command(tmp_path: Path) -> None:
    assert "not asked" in make("scorecard", f"OPTIONS=--only satisfaction --out {tmp_path}")
    assert {file.name for file in tmp_path.glob("scorecard.*")} == {"scorecard.json", "scorecard.md", "scorecard.html"}
