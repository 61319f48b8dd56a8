"""The questions that the simulation answers, as data: how much traffic, which endpoints apart, which start to pay for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.scorecard import validation
from benchmarks.scorecard.arrivals import FLAT_DAY
from benchmarks.scorecard.cost import MONTH_SECONDS, Deployment, Prices, monthly, provisioned_break_even
from benchmarks.scorecard.environments import Fleet
from benchmarks.scorecard.model import Design, Parameters, Progress, compare, serve, silent, traffic

ENDPOINTS = (2, 5, 10, 20, 50, 100, 200, 500)
TRAFFIC = (1e3, 1e4, 1e5, 1e6, 1e7, 1e8)
# Of each comparison; more where a whole day has more.
REQUESTS = 300_000
EXAMPLE = (20, 1e5)
ONE, SEPARATE = Design(one=True), Design(one=False)
# The heavy endpoint beside a hot one: memory and imports of a data frame library, seconds of CPU.
HEAVY_MB, HEAVY_IMPORTS_MS, HEAVY_CPU_MS, HOT_PER_MONTH = 2048, 1500.0, 1000.0, 1e7
HEAVY_SHARES = (1e-4, 1e-3, 1e-2, 1e-1, 0.5)


def run(parameters: Parameters, prices: Prices, progress: Progress = silent) -> dict[str, Any]:
    """Simulate all of it. Progress is reported once per part, of 6."""
    parts: dict[str, Callable[[], Any]] = {
        "validation": lambda: [vars(c) | {"relative": c.relative, "holds": c.holds} for c in validation.checks()],
        "consolidation": lambda: consolidation(parameters, prices),
        "sensitivity": lambda: sensitivity(parameters, prices),
        "memory": lambda: memory(parameters, prices),
        "split": lambda: split(parameters, prices),
        "starts": lambda: starts(parameters, prices),
    }
    results: dict[str, Any] = {}
    for name, part in parts.items():
        results[name] = part()
        progress(1)
    return results


def long_enough(per_month: float) -> int:
    """Return how many requests to simulate: a whole day at least."""
    return max(REQUESTS, int(per_month / MONTH_SECONDS * 86_400))


def consolidation(parameters: Parameters, prices: Prices) -> list[dict[str, Any]]:
    """One function against one for each endpoint, by endpoints and traffic."""
    rows = []
    for per_month in TRAFFIC:
        for endpoints in ENDPOINTS:
            arrivals = traffic(parameters, endpoints, per_month)
            one, separate = compare((ONE, SEPARATE), arrivals, long_enough(per_month), per_month, parameters, prices)
            rows.append({"endpoints": endpoints, "per_month": per_month, "one": one, "separate": separate})
    return rows


def sensitivity(parameters: Parameters, prices: Prices) -> list[dict[str, Any]]:
    """The same comparison at one point, with one assumption changed at a time."""
    endpoints, per_month = EXAMPLE
    variants: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "as assumed": ({}, {}),
        "no daily cycle": ({"day": FLAT_DAY}, {}),
        "equally popular endpoints": ({"exponent": 0.0}, {}),
        "popularity Zipf 1.5": ({"exponent": 1.5}, {}),
        "gamma renewals, CV 3": ({"process": "gamma", "cv": 3.0}, {}),
        "bursts of 20 requests": ({"process": "bursts"}, {}),
        "keep-alive 10 minutes": ({}, {"keep_alive": "ten_minutes"}),
        "keep-alive 45 to 60 minutes": ({}, {"keep_alive": "long"}),
        "longest idle environment reused": ({}, {"reuse": "longest_idle"}),
    }
    rows = []
    for name, (of_traffic, of_design) in variants.items():
        arrivals = traffic(parameters, endpoints, per_month, **of_traffic)
        designs = (Design(one=True, **of_design), Design(one=False, **of_design))
        one, separate = compare(designs, arrivals, REQUESTS, per_month, parameters, prices)
        rows.append({"variant": name, "one": one, "separate": separate})
    return rows


def memory(parameters: Parameters, prices: Prices) -> list[dict[str, Any]]:
    """Both designs by memory, for a million requests a month to 20 endpoints."""
    rows = []
    for size in (128, 256, 512, 1024, 1769):
        designs = [Design(one=one, memory_mb=size) for one in (True, False)]
        one, separate = compare(designs, traffic(parameters, 20, 1e6), REQUESTS, 1e6, parameters, prices)
        warm = [design.warm_ms(parameters) for design in designs]
        rows.append({"memory_mb": size, "one": one | {"warm_ms": warm[0]}, "separate": separate | {"warm_ms": warm[1]}})
    return rows


def split(parameters: Parameters, prices: Prices) -> list[dict[str, Any]]:
    """A hot endpoint and a heavy one, in one function with the heavy one's memory and imports, or in two."""
    together = Design(one=True, memory_mb=HEAVY_MB, imports_ms=HEAVY_IMPORTS_MS)
    hot_ms, hot_together_ms = ONE.warm_ms(parameters), together.warm_ms(parameters)
    heavy_ms = parameters.value("duration", "wait_ms") + HEAVY_CPU_MS
    keep, rows = parameters.keep_alive(), []
    for share in HEAVY_SHARES:
        shares = np.array([1 - share, share])
        arrivals = replace(traffic(parameters, 2, HOT_PER_MONTH), rates=shares * HOT_PER_MONTH / MONTH_SECONDS)
        shared = Fleet([0, 0], [hot_together_ms, heavy_ms], keep, together.start(parameters))
        hot = Fleet([0, 1], [hot_ms, heavy_ms], keep, ONE.start(parameters))
        heavy = Fleet([0, 1], [hot_ms, heavy_ms], keep, together.start(parameters))
        requests = max(long_enough(HOT_PER_MONTH), min(int(2000 / share), 10_000_000))
        in_one, apart_hot, apart_heavy = serve(arrivals.chunks(requests, 1), (shared, hot, heavy))
        cost_one = monthly(in_one, Deployment(HEAVY_MB), prices, HOT_PER_MONTH)
        scale = HOT_PER_MONTH / requests
        second = scale / 1000 * prices.of("lambda.gb_second.x86_64.on_demand")
        duration = (
            second * float(apart_hot.billed_ms[0] * ONE.memory(parameters) + apart_heavy.billed_ms[1] * HEAVY_MB) / 1024
        )
        cost_apart = cost_one["gateway"] + cost_one["requests"] + duration
        rows.append(
            {
                "heavy_share": share,
                "together": {"dollars": cost_one["total"], "waited_ms": in_one.waited_ms, "hot_ms": hot_together_ms},
                "apart": {
                    "dollars": cost_apart,
                    "hot_ms": hot_ms,
                    "hot_waited_ms": float(apart_hot.started_ms[0] / apart_hot.requests[0]),
                    "heavy_waited_ms": float(apart_heavy.started_ms[1] / apart_heavy.requests[1]),
                    "heavy_cold_share": float(apart_heavy.cold[1] / apart_heavy.requests[1]),
                },
            }
        )  # fmt: skip
    return rows


def starts(parameters: Parameters, prices: Prices) -> dict[str, Any]:
    """Provisioned concurrency and SnapStart of the one function, by traffic."""
    rows = []
    for per_month in TRAFFIC[1:]:
        arrivals = traffic(parameters, 20, per_month)
        designs = {f"provisioned {number}": Design(one=True, provisioned=number) for number in (1, 2, 4)}
        designs |= {
            f"SnapStart, versions: {number}": Design(one=True, snap_start_versions=number) for number in (1, 10)
        }
        designs |= {
            "on demand, imports of 2 s": Design(one=True, imports_ms=2000),
            "SnapStart, imports of 2 s": Design(one=True, snap_start_versions=1, imports_ms=2000),
        }
        designs = {"on demand": ONE} | designs
        results = compare(list(designs.values()), arrivals, long_enough(per_month), per_month, parameters, prices)
        rows += [{"per_month": per_month, "design": name} | row for name, row in zip(designs, results, strict=True)]
    restore, platform = (parameters.start(packaging, 0.0).mean_ms for packaging in ("snap_start", "container"))
    return {
        "rows": rows,
        "provisioned_busy_share": {a: provisioned_break_even(prices, a) for a in ("arm64", "x86_64")},
        "snap_start_imports_ms": restore - platform,
    }
