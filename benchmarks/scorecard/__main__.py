"""Commands of the scorecard: python -m benchmarks.scorecard run | publish, and of its simulation: simulate | study | page | replay."""

from __future__ import annotations

import argparse
import json
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.scorecard import card, report, study, traces
from benchmarks.scorecard.arrivals import PROCESSES, Arrivals, Chunk
from benchmarks.scorecard.cost import MONTH_SECONDS, Prices, monthly
from benchmarks.scorecard.environments import KeepAlive
from benchmarks.scorecard.errors import ScorecardError
from benchmarks.scorecard.model import Design, Parameters, Progress, serve, summary, traffic
from sandbox.paths import ROOT

RESULTS = Path(__file__).parent / "results.json"
PAGE = ROOT / "docs" / "scorecard-simulation.md"
SCALE = (100_000_000, 500)
# The run that docs/scorecard.md shows.
CARD = Path(__file__).parent / "scorecard.json"
CARD_PAGE = ROOT / "docs" / "scorecard.md"
CARD_TEMPLATE = Path(__file__).parent / "card.template"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        command: Any = options.command
        command(options)
    except ScorecardError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"error: interrupted; {options.interrupted}", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scorecard", description=__doc__)
    parser.set_defaults(interrupted="nothing was written")
    commands = parser.add_subparsers(required=True)
    _add_run(commands)
    one = commands.add_parser("simulate", help="one function against one for each endpoint, under one traffic")
    one.add_argument("--requests", type=int, default=1_000_000, help="requests to simulate (1000000)")
    one.add_argument("--endpoints", type=int, default=20, help="number of endpoints (20)")
    one.add_argument(
        "--per-month", type=float, default=1e6, help="requests a month to all endpoints together (1000000)"
    )
    one.add_argument("--process", choices=PROCESSES, default="poisson", help="arrivals of each endpoint (poisson)")
    one.add_argument(
        "--cv", type=float, default=1.0, help="of gamma: deviation of the time between requests over its mean"
    )
    one.add_argument("--exponent", type=float, help="of Zipf's law, for the endpoints' popularity; 0 for equal (1)")
    one.add_argument("--keep-alive", type=float, nargs=2, metavar=("LOW", "HIGH"), help="seconds (300 420)")
    one.add_argument("--memory-mb", type=int, help="of the one function (512)")
    one.add_argument("--provisioned", type=int, default=0, help="provisioned environments of the one function (0)")
    one.add_argument(
        "--snap-start", type=int, default=0, metavar="VERSIONS", help="SnapStart with published versions (0)"
    )
    one.add_argument("--seed", type=int, default=1)
    one.add_argument(
        "--trace", type=Path, help="a CSV file (or .csv.gz): timestamp, endpoint, duration_ms; replaces the arrivals"
    )
    one.add_argument("--skip-invalid", action="store_true", help="leave out the trace's invalid lines")
    one.add_argument("--json", type=Path, help="write the results to this file")
    one.set_defaults(command=_simulate)
    every = commands.add_parser(
        "study", help="all questions; writes docs/scorecard-simulation.md, its pictures, results.json"
    )
    every.set_defaults(command=_study)
    page = commands.add_parser("page", help="the page and its pictures, from results.json as it is")
    page.set_defaults(command=_page)
    real = commands.add_parser(
        "replay", help="the same arrivals into real containers and the simulation; needs a Docker engine"
    )
    real.set_defaults(command=_replay)
    return parser


def _add_run(commands: Any) -> None:
    """Add the commands that need the sandbox, and import what they need only when they run."""
    run = commands.add_parser("run", help="the six metrics on both sides; needs a Docker engine, and minutes")
    run.add_argument("--only", nargs="+", choices=card.TITLES, default=list(card.TITLES), help="some metrics")
    run.add_argument("--resume", action="store_true", help="keep what an earlier run of this commit has measured")
    run.add_argument("--answers", type=Path, help="CSV file of docs/questionnaire.md")
    run.add_argument("--against", type=Path, help="JSON of an older run: print the ratios to it")
    run.add_argument("--workflow", type=Path, help="JSON of benchmarks.commit_to_live, to quote")
    run.add_argument("--rounds", type=int, default=5, help="edits of each side (5)")
    run.add_argument("--loads", type=int, default=2, help="times that the load is sent (2)")
    run.add_argument("--requests", type=int, default=100, help="requests of the load (100)")
    run.add_argument("--per-second", type=float, default=2.5, help="rate of the load (2.5)")
    run.add_argument("--out", type=Path, default=ROOT / ".reports" / "scorecard", help="folder (.reports/scorecard)")
    run.set_defaults(command=_run, interrupted="continue with --resume: what was measured is kept")
    publish = commands.add_parser("publish", help="docs/scorecard.md from a run's JSON")
    publish.add_argument("results", type=Path)
    publish.set_defaults(command=_publish)


def _run(options: argparse.Namespace) -> None:
    from benchmarks.scorecard import metrics, scorecard

    # A stopped run removes its sandbox, also one that a shell started in the background, which ignores SIGINT.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.default_int_handler)
    chosen = metrics.Options(
        options.rounds, options.loads, options.requests, options.per_second, options.answers, options.workflow
    )
    older = scorecard.read(options.against) if options.against else None
    names = [name for name in metrics.METRICS if name in options.only]
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ScorecardError(f"--out: {options.out} cannot be created: {error.strerror}.") from error
    results = scorecard.measure(chosen, names, options.out / "work", _say, resume=options.resume)
    data = json.dumps(_rounded(results), indent=2) + "\n"
    written = {"json": data, "md": card.markdown(results), "html": card.page(results)}
    for kind, text in written.items():
        (options.out / f"scorecard.{kind}").write_text(text, encoding="utf-8")
    print(card.text(results))
    if older:
        print(card.change(scorecard.against(results, older), older))
    print(f"wrote scorecard.json, scorecard.md and scorecard.html in {options.out}")
    if failed := [name for name in names if "failed" in results["metrics"][name]]:
        raise ScorecardError(
            f"not measured: {', '.join(failed)}; the reasons are above. The others are kept: --resume."
        )


def _say(text: str) -> None:
    print(f"    {text}", file=sys.stderr, flush=True)


def _publish(options: argparse.Namespace) -> None:
    from benchmarks.scorecard import scorecard

    results = scorecard.read(options.results)
    CARD.write_text(json.dumps(_rounded(results), indent=2) + "\n", encoding="utf-8")
    CARD_PAGE.write_text(card_page(results), encoding="utf-8")
    print(f"wrote {CARD.relative_to(ROOT)} and {CARD_PAGE.relative_to(ROOT)}")


def card_page(results: dict[str, Any]) -> str:
    """Return docs/scorecard.md."""
    return CARD_TEMPLATE.read_text(encoding="utf-8").replace("{{scorecard}}", card.markdown(results).rstrip())


def _progress(total: int, unit: str) -> Progress:
    """Return a function that prints how much is done to a terminal's standard error."""
    done, begin = 0, time.monotonic()

    def report_progress(more: int) -> None:
        nonlocal done
        done += more
        if sys.stderr.isatty() or done == total:
            end = "\n" if done == total else "\r"
            print(
                f"{done:,} of {total:,} {unit}, {time.monotonic() - begin:.0f} s", end=end, file=sys.stderr, flush=True
            )

    return report_progress


def _simulate(options: argparse.Namespace) -> None:
    parameters, prices = Parameters.read(), Prices.read()
    if options.requests < 1 or options.endpoints < 1 or options.per_month <= 0:
        raise ScorecardError("--requests, --endpoints and --per-month must be above 0: a share needs requests.")
    if options.memory_mb is not None and not 128 <= options.memory_mb <= 10240:
        raise ScorecardError(f"--memory-mb must be 128 to 10240, Lambda's limits, not {options.memory_mb}.")
    if min(options.provisioned, options.snap_start) < 0 or (options.provisioned and options.snap_start):
        raise ScorecardError(
            "--provisioned and --snap-start are 0 or more, and one of them is 0: Lambda refuses both for one function."
        )
    keep = KeepAlive(*options.keep_alive) if options.keep_alive else "typical"
    one = Design(True, options.memory_mb, options.provisioned, options.snap_start, keep_alive=keep)
    separate = Design(False, keep_alive=keep)
    notes: dict[str, Any] = {}
    if options.trace:
        trace = traces.read(options.trace, skip_invalid=options.skip_invalid)
        chunks: Iterable[Chunk] = trace.chunks()
        requests, endpoints, durations = len(trace.times), len(trace.names), [1.0] * len(trace.names)
        if not trace.times[-1]:
            raise ScorecardError(
                f"{options.trace} has requests at one instant only: a month cannot be derived from it."
            )
        per_month = requests / float(trace.times[-1]) * MONTH_SECONDS
        notes = {"skipped": trace.skipped, "gaps": trace.gaps}
        _tell(trace)
    else:
        arrivals = _arrivals(options, parameters)
        chunks = arrivals.chunks(options.requests, options.seed)
        requests, endpoints, durations, per_month = options.requests, options.endpoints, None, options.per_month
    fleets = [design.fleet(endpoints, parameters, durations) for design in (one, separate)]
    begin = time.process_time()
    results = serve(chunks, fleets, _progress(requests, "requests"))
    seconds = time.process_time() - begin
    rows = {}
    for name, design, result in zip(("one", "separate"), (one, separate), results, strict=True):
        rows[name] = summary(result, monthly(result, design.deployment(endpoints, parameters), prices, per_month))
    cpu = {"cpu_seconds": seconds, "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    print(_text(rows, requests, endpoints, per_month, traced=bool(options.trace)))
    if options.json:
        data = {"requests": requests, "endpoints": endpoints, "per_month": per_month} | rows | cpu | notes
        try:
            options.json.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise ScorecardError(f"--json: {options.json} cannot be written: {error.strerror}.") from error


def _arrivals(options: argparse.Namespace, parameters: Parameters) -> Arrivals:
    changes: dict[str, Any] = {"process": options.process, "cv": options.cv}
    if options.exponent is not None:
        changes["exponent"] = options.exponent
    return traffic(parameters, options.endpoints, options.per_month, **changes)


def _tell(trace: traces.Trace) -> None:
    """Say what was left out of a trace, and what may be missing from it."""
    for line, reason in trace.skipped[:5]:
        print(f"skipped line {line}: {reason}", file=sys.stderr)
    if trace.skipped:
        print(f"skipped {len(trace.skipped)} invalid lines in total", file=sys.stderr)
    for begin, length in trace.gaps[:5]:
        print(
            f"no requests for {length / 3600:.1f} h, from {begin / 3600:.1f} h after the first: counted as idle time. "
            "If the log has a gap there, simulate the parts before and after it separately.",
            file=sys.stderr,
        )


def _text(rows: dict[str, Any], requests: int, endpoints: int, per_month: float, *, traced: bool) -> str:
    """Return the results as a table."""
    source = "of a trace" if traced else "generated"
    lines = [
        f"{requests:,} requests {source}, {endpoints} endpoints, {per_month:,.0f} requests a month",
        f"{'':28}{'one function':>16}{'separate':>16}",
    ]
    for row_name, of in _ROWS.items():
        lines.append(f"{row_name:28}{of(rows['one']):>16}{of(rows['separate']):>16}")
    return "\n".join([*lines, "Shares, times and environments are simulated, dollars are priced."])


def _latency(kind: str, quantile: str) -> Callable[[dict[str, Any]], str]:
    return lambda row: f"{row[kind][quantile]:,.0f} ms"


_ROWS: dict[str, Callable[[dict[str, Any]], str]] = {
    "cold requests": lambda row: f"{row['cold_share']:.4%}",
    "waited for starts, mean": lambda row: f"{row['waited_ms']:.2f} ms",
    **{f"latency {q}": _latency("latency_ms", q) for q in ("p50", "p95", "p99", "p99.9")},
    **{f"without cold starts {q}": _latency("warm_latency_ms", q) for q in ("p50", "p99", "p99.9")},
    "environments at once, most": lambda row: f"{row['peak_environments']:,}",
    "dollars a month": lambda row: f"${row['dollars']['total']:,.2f}",
}


def _study(_options: argparse.Namespace) -> None:
    parameters, prices = Parameters.read(), Prices.read()
    _plots()  # refuse before the work
    results = study.run(parameters, prices, _progress(6, "parts"))
    _write(results | {"scale": _scale(parameters)})


def _page(_options: argparse.Namespace) -> None:
    _plots()
    _write({})


def _plots() -> ModuleType:
    try:
        from benchmarks.scorecard import plots
    except ImportError:
        raise ScorecardError("pictures need matplotlib: pip install -r requirements/docs.txt first.") from None
    return plots


def _scale(parameters: Parameters) -> dict[str, Any]:
    """Serve the largest number of requests that is claimed, and return what it took."""
    requests, endpoints = SCALE
    arrivals = traffic(parameters, endpoints, requests)
    fleets = [Design(one=one).fleet(endpoints, parameters) for one in (True, False)]
    cpu, begin = time.process_time(), time.monotonic()
    serve(arrivals.chunks(requests, 1), fleets, _progress(requests, "requests"))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    taken = {"cpu_seconds": time.process_time() - cpu, "seconds": time.monotonic() - begin, "memory_mb": memory}
    return {"requests": requests, "endpoints": endpoints} | taken


def _replay(_options: argparse.Namespace) -> None:
    from benchmarks.scorecard import replay  # needs boto3, which the others do not

    _plots()
    _write({"replay": replay.run()})


def _write(results: dict[str, Any]) -> None:
    """Write results.json, with the other command's results as they were, the page, and its pictures."""
    earlier = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    results = _rounded(earlier | results)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    if "consolidation" not in results:
        raise ScorecardError(f"wrote {RESULTS.name}; the page needs the study's results as well: run study.")
    PAGE.write_text(report.markdown(results, Parameters.read(), Prices.read()), encoding="utf-8")
    _plots().draw(results, PAGE.parent)
    print(f"wrote {RESULTS.relative_to(ROOT)}, {PAGE.relative_to(ROOT)} and its pictures")


def _rounded(value: Any) -> Any:
    """Return data with floats of six digits, so that files differ only where results do."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


if __name__ == "__main__":
    sys.exit(main())
