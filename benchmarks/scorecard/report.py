"""docs/scorecard-simulation.md: page.template, with tables from the study's results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.scorecard.claims import judge
from benchmarks.scorecard.cost import MONTH_SECONDS, Prices
from benchmarks.scorecard.model import Design, Parameters

TEMPLATE = Path(__file__).parent / "page.template"
DESIGNS = ("one", "separate")
# Of all simulated cells, those that the page shows; results.json has all.
SHOWN_ENDPOINTS, SHOWN_STARTS = {5, 20, 100, 500}, {1e4, 1e6, 1e8}


def markdown(results: dict[str, Any], parameters: Parameters, prices: Prices) -> str:
    """Return the page."""
    keep = parameters.keep_alive()
    parts = {
        "claims": _claims(results, parameters),
        "pays": _pays(results),
        "consolidation": _consolidation(results),
        "memory": _memory(results),
        "split": _split(results),
        "break_even": _break_even(results, prices),
        "starts": _starts(results),
        "prices": f"{prices.of('region')}, {prices.of('date')}",
        "designs": _designs(parameters),
        "keep_alive": f"{keep.low:g} and {keep.high:g}",
        "exponent": f"{parameters.table['popularity']['exponent']:g}",
        "sensitivity": _sensitivity(results),
        "validation": _validation(results),
        "replay": _replay(results.get("replay")),
        "scale": _scale(results.get("scale")),
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    for name, part in parts.items():
        text = text.replace(f"{{{{{name}}}}}", part)
    return text


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _claims(results: dict[str, Any], parameters: Parameters) -> str:
    rows = [(c["claim"], f"**{c['verdict']}**", c["rule"], c["figures"]) for c in judge(results, parameters)]
    return table(("Claim", "Verdict", "Rule", "Figures"), rows)


def _pays(results: dict[str, Any]) -> str:
    """By traffic: from how many endpoints on one function saves waiting, and dollars."""
    rows = results["consolidation"]

    def least(saves: Iterable[int]) -> str:
        number = min(saves, default=0)
        return f"from {number} on" if number else "no number of the study"

    cells = []
    for per_month in sorted({row["per_month"] for row in rows}):
        here = [row for row in rows if row["per_month"] == per_month]
        waiting = (row["endpoints"] for row in here if row["separate"]["waited_ms"] - row["one"]["waited_ms"] > 1)
        cheaper = (
            row["endpoints"] for row in here if row["one"]["dollars"]["total"] < row["separate"]["dollars"]["total"]
        )
        saved = [row["separate"]["waited_ms"] - row["one"]["waited_ms"] for row in here]
        gain = f"{min(saved):+,.1f} to {max(saved):+,.1f}"
        cells.append((f"{per_month:,.0f}", least(waiting), gain, least(cheaper)))
    header = (
        "requests a month",
        "saves more than 1 ms of waiting: endpoints",
        "ms saved per request",
        "costs less: endpoints",
    )
    return table(header, cells)


def _consolidation(results: dict[str, Any]) -> str:
    rows = [
        (
            _number(row["per_month"]),
            str(row["endpoints"]),
            *(_percent(row[design]["cold_share"]) for design in DESIGNS),
            *(f"{row[design]['waited_ms']:,.2f}" for design in DESIGNS),
            *(_latencies(row[design]["latency_ms"]) for design in DESIGNS),
            *(_latencies(row[design]["warm_latency_ms"]) for design in DESIGNS),
            *(_dollars(row[design]["dollars"]["total"]) for design in DESIGNS),
        )
        for row in results["consolidation"]
        if row["endpoints"] in SHOWN_ENDPOINTS
    ]
    header = ["requests a month", "endpoints", "cold, one", "cold, separate", "waited ms, one", "separate"]
    header += ["ms p50 / p99 / p99.9, one", "separate", "the same without cold starts, one", "separate"]
    return table([*header, "a month, one", "separate"], rows)


def _memory(results: dict[str, Any]) -> str:
    rows = [
        (
            str(row["memory_mb"]),
            *(f"{row[design]['warm_ms']:.1f}" for design in DESIGNS),
            *(_dollars(row[design]["dollars"]["total"]) for design in DESIGNS),
        )
        for row in results["memory"]
    ]
    return table(("memory MB", "warm mean ms, one", "separate", "a month, one", "separate"), rows)


def _split(results: dict[str, Any]) -> str:
    rows = [
        (
            f"{100 * row['heavy_share']:g} %",
            _dollars(row["together"]["dollars"]),
            _dollars(row["apart"]["dollars"]),
            f"{row['together']['hot_ms']:.0f} / {row['apart']['hot_ms']:.0f}",
            f"{row['together']['waited_ms']:.2f}",
            f"{row['apart']['hot_waited_ms']:.2f}",
            f"{row['apart']['heavy_waited_ms']:,.0f}",
        )
        for row in results["split"]
    ]
    header = ["heavy endpoint's share", "a month, together", "apart", "hot request ms, together / apart"]
    return table([*header, "waited ms, together", "apart, hot", "apart, heavy"], rows)


def _break_even(results: dict[str, Any], prices: Prices) -> str:
    starts = results["starts"]
    busy = " and ".join(f"{share:.0%} on {name}" for name, share in starts["provisioned_busy_share"].items())
    snapshot = 0.5 * MONTH_SECONDS * prices.of("snap_start.cache_gb_second")
    restore = 0.5 * prices.of("snap_start.restore_gb")
    saved = 2 * 0.5 * prices.of("lambda.gb_second.x86_64.on_demand")
    rows = [
        ("provisioned concurrency, dollars", f"each provisioned environment is busy for {busy} of the time", "priced: provisioned / (on demand - on provisioned)"),
        ("provisioned concurrency, waiting", "it has as many environments as requests overlap; fewer do not help requests that overlap", "simulated"),
        ("SnapStart, waiting", f"imports take more than {starts['snap_start_imports_ms']:.0f} ms: by so much a restore takes longer than the platform's own start", "parameters"),
        ("SnapStart, dollars", f"never at 512 MB with imports of 2 s: a version's snapshot costs {_dollars(snapshot)} a month and a restore ${restore:.6f}, while the initialisation that it saves costs ${saved:.6f}", "priced"),
    ]  # fmt: skip
    return table(("", "Breaks even if", "From"), rows)


def _starts(results: dict[str, Any]) -> str:
    rows = [
        (
            _number(row["per_month"]),
            row["design"],
            _percent(row["cold_share"]),
            f"{row['waited_ms']:.2f}",
            _latencies(row["latency_ms"]),
            _dollars(row["dollars"]["total"]),
        )
        for row in results["starts"]["rows"]
        if row["per_month"] in SHOWN_STARTS
    ]
    return table(("requests a month", "start", "cold", "waited ms", "ms p50 / p99 / p99.9", "a month"), rows)


def _designs(parameters: Parameters) -> str:
    rows = []
    for name, design in (("one function", Design(one=True)), ("separate functions", Design(one=False))):
        start = design.start(parameters)
        platform = f"{start.median_ms:g} ms median and {start.p90_ms:g} ms 90th percentile, and {start.constant_ms:g} ms of imports"
        warm = f"{design.warm_ms(parameters):.1f} ms"
        rows.append((name, f"{design.memory(parameters)} MB", warm, f"{platform}: {start.mean_ms:.0f} ms on average"))
    return table(("Design", "Memory", "Warm request, mean", "Start of an environment"), rows)


def _sensitivity(results: dict[str, Any]) -> str:
    rows = [
        (
            row["variant"],
            *(_percent(row[design]["cold_share"]) for design in DESIGNS),
            *(f"{row[design]['waited_ms']:.2f}" for design in DESIGNS),
        )
        for row in results["sensitivity"]
    ]
    return table(("Assumption", "cold, one", "cold, separate", "waited ms, one", "separate"), rows)


def _validation(results: dict[str, Any]) -> str:
    rows = [
        (
            check["name"],
            check["formula"],
            _percent(check["exact"]),
            _percent(check["simulated"]),
            f"{check['relative']:.2%}",
            _yes(check["holds"]),
        )
        for check in results["validation"]
    ]
    return table(("Case", "Closed form", "exact", "simulated", "difference", "accepted"), rows)


def _replay(replay: dict[str, Any] | None) -> str:
    if not replay:
        return "Not yet compared with real containers: run `python -m benchmarks.scorecard replay`.\n"
    rows = [
        (run["name"], str(run["requests"]), str(run["measured"]), str(run["simulated"]), _yes(run["holds"]))
        for run in replay["runs"]
    ]
    return (
        f"Against real containers, measured: {replay['endpoints']} endpoints with the application of `examples/minimal`, on two of the sandbox's emulators. An emulator removes, every half minute or later, the containers\n"
        f"that were idle for more than {replay['ttl']} s. The arrivals go through the simulation as well, with the times and durations that the client saw and the times at which the\n"
        "emulators removed containers. Cold starts measured are containers that the engine started.\n\n"
        + table(("Run", "requests", "cold, measured", "cold, simulated", f"within {replay['accepted']}"), rows)
        + "\nThis shows that the simulation counts environments as a real pool of containers does. It shows neither AWS's keep-alive times nor its choice\n"
        "among idle environments: the emulator takes the first.\n"
    )


def _scale(scale: dict[str, Any] | None) -> str:
    if not scale:
        return ""
    return (
        f"Scale, measured: {scale['requests']:,} requests to {scale['endpoints']} endpoints, each served by both designs, took {scale['cpu_seconds']:.0f} s of one core\n"
        f"({scale['seconds']:.0f} s on a machine with other load) and {scale['memory_mb']:,.0f} MB of memory, which does not grow with the number of requests.\n"
    )


def _latencies(row: dict[str, float]) -> str:
    return " / ".join(f"{row[name]:,.0f}" for name in ("p50", "p99", "p99.9"))


def _percent(share: float) -> str:
    percent = 100 * share
    digits = 1 if percent >= 10 else 2 if percent >= 0.1 or not percent else 4
    return f"{percent:.{digits}f} %"


def _dollars(value: float) -> str:
    return f"${value:.3f}" if value < 1 else f"${value:,.2f}"


def _number(value: float) -> str:
    return f"{value:,.0f}"


def _yes(holds: bool) -> str:
    return "yes" if holds else "**no**"
