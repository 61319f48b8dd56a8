"""The decision record's claims on cold starts and cost, each judged by a rule from the study's results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.scorecard.model import Design, Parameters

CONFIRMED, CONDITIONAL, REFUTED = "confirmed", "conditional", "refuted"
# What the record's words are taken to mean.
SIGNIFICANT, COMPARABLE, LATENCY_MS = 0.5, 1.10, 200.0


def judge(results: dict[str, Any], parameters: Parameters) -> list[dict[str, str]]:
    """Return each claim with its rule, its verdict and the figures behind it."""
    cells = results["consolidation"]
    by_design: dict[str, list[dict[str, Any]]] = {}
    for row in results["starts"]["rows"]:
        by_design.setdefault(row["design"], []).append(row)
    one, separate = Design(one=True), Design(one=False)
    cold = [cell["one"]["cold_share"] <= SIGNIFICANT * cell["separate"]["cold_share"] for cell in cells]
    wait = [cell["one"]["waited_ms"] <= cell["separate"]["waited_ms"] for cell in cells]
    price = [cell["one"]["dollars"]["total"] <= COMPARABLE * cell["separate"]["dollars"]["total"] for cell in cells]
    mean = [one.warm_ms(parameters) + cell["one"]["waited_ms"] < LATENCY_MS for cell in cells]
    provisioned = [row["cold_share"] <= 0.1 * demand["cold_share"] for row, demand in zip(by_design["provisioned 1"], by_design["on demand"], strict=True)]  # fmt: skip
    start_one, start_separate = one.start(parameters).mean_ms, separate.start(parameters).mean_ms
    gb_ms = {design: design.warm_ms(parameters) * design.memory(parameters) for design in (one, separate)}
    same = Design(one=True, memory_mb=separate.memory(parameters)).warm_ms(parameters) / separate.warm_ms(parameters)
    image = cells[0]["one"]["dollars"]["images"]
    starts = results["starts"]
    return [
        {
            "claim": "One function for all paths significantly reduces the frequency of cold starts",
            "rule": "the share of cold requests is at most half of the separate functions', in every cell of the study",
            "verdict": _verdict(cold),
            "figures": f"{_count(cold)}. {_where(cells, cold, 'per_month', 'It does not at')} With little traffic, requests are cold in both designs; "
            "with a lot of it, a few separate functions are warm too, and what is left are requests that overlap.",
        },
        {
            "claim": "Response times become more consistent, particularly for rarely used operations",
            "rule": "the mean time that a request waits for a start is not longer than with separate functions, in every cell",
            "verdict": _verdict(wait),
            "figures": f"{_count(wait)}. A cold start of the one function takes {start_one:.0f} ms, of a separate one {start_separate:.0f} ms: "
            f"fewer starts must make up for longer ones. {_where(cells, wait, 'per_month', 'They do not at')}",
        },
        {
            "claim": "Cost is comparable or better",
            "rule": f"dollars a month, of API Gateway, Lambda and ECR, are at most {COMPARABLE:.2f} of the separate functions', in every cell",
            "verdict": _verdict(price),
            "figures": f"{_count(price)}. {_where(cells, price, 'per_month', 'It is not at')} With few requests, the image in ECR, {_dollars(image)} a month, is most of the difference.",
        },
        {
            "claim": "A single cold start may take longer than that of a small zip archive",
            "rule": "the mean start of the one function takes longer (from parameters, measured elsewhere)",
            "verdict": _verdict([start_one > start_separate]),
            "figures": f"{start_one:.0f} ms and {start_separate:.0f} ms on average.",
        },
        {
            "claim": "Provisioned concurrency mitigates cold starts on critical paths",
            "rule": "one provisioned environment removes nine of ten cold requests, at every traffic",
            "verdict": _verdict(provisioned),
            "figures": "One environment suffices only while requests do not overlap: "
            + "; ".join(
                f"{row['per_month']:,.0f} a month: {demand['cold_share']:.3%} cold without, {row['cold_share']:.3%} with"
                for row, demand in zip(by_design["provisioned 1"], by_design["on demand"], strict=True)
            )
            + ". As many environments as requests at once remove them all.",
        },
        {
            "claim": "A request may cost more: more memory, and a framework",
            "rule": "a warm request takes more GB-seconds in the one function",
            "verdict": _verdict([gb_ms[one] > gb_ms[separate]]),
            "figures": f"{gb_ms[one] / gb_ms[separate] - 1:+.0%} at {one.memory(parameters)} MB beside {separate.memory(parameters)} MB, "
            f"and {same - 1:+.0%} at the same memory. It is then also faster: {one.warm_ms(parameters):.0f} ms beside {separate.warm_ms(parameters):.0f} ms.",
        },
        {
            "claim": "Average response times stay below 200 ms",
            "rule": "the mean time in Lambda, starts included, in every cell; API Gateway and network come on top",
            "verdict": _verdict(mean),
            "figures": f"{_count(mean)}. {_where(cells, mean, 'per_month', 'Not at')}",
        },
        {
            "claim": "Storing images in ECR costs a small amount more",
            "rule": "less than a dollar a month for one image",
            "verdict": _verdict([image < 1]),
            "figures": f"{_dollars(image)} a month for {parameters.table['image_gb']['value']} GB; each retained image that shares no layer costs the same again.",
        },
        {
            "claim": "SnapStart as a mitigation (not in the record; the module has it)",
            "rule": "requests wait less for starts with SnapStart, for imports as the service's and of two seconds",
            "verdict": _verdict([
                _sum(by_design[f"SnapStart{kind}"]) < _sum(by_design[f"on demand{other}"])
                for kind, other in ((", versions: 1", ""), (", imports of 2 s", ", imports of 2 s"))
            ]),
            "figures": f"It pays in time if imports take more than {starts['snap_start_imports_ms']:.0f} ms; the service's take "
            f"{parameters.table['start']['imports_one_ms']['value']} ms.",
        },
    ]  # fmt: skip


def _verdict(held: Iterable[bool]) -> str:
    held = list(held)
    return CONFIRMED if all(held) else CONDITIONAL if any(held) else REFUTED


def _count(held: list[bool]) -> str:
    return f"Holds in {sum(held)} of {len(held)} cells"


def _where(cells: list[dict[str, Any]], held: list[bool], key: str, words: str) -> str:
    """Return where a claim does not hold: traffic, and the endpoints at it."""
    failed: dict[float, list[int]] = {}
    for cell, holds in zip(cells, held, strict=True):
        if not holds:
            failed.setdefault(cell[key], []).append(cell["endpoints"])
    texts = [
        f"{traffic:,.0f} requests a month ({_range(endpoints)} endpoints)" for traffic, endpoints in failed.items()
    ]
    return f"{words} {', '.join(texts)}." if texts else ""


def _range(endpoints: list[int]) -> str:
    return str(endpoints[0]) if len(endpoints) == 1 else f"{min(endpoints)} to {max(endpoints)}"


def _dollars(value: float) -> str:
    return f"${value:.3f}" if value < 0.1 else f"${value:,.2f}"


def _sum(rows: list[dict[str, Any]]) -> float:
    return float(sum(row["waited_ms"] for row in rows))
