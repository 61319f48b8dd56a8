"""The monthly bill of both sides: API Gateway, Lambda and ECR, with durations and cold starts from the simulation, priced by prices.yaml.

The estate's functions have the memory, and its API the kind, that its plan says; so has the module's. Popularity is Zipf's over the ten
operations, reads first. What both sides pay alike (DynamoDB, logs by volume, data transfer) is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.scorecard.cost import Deployment, Prices, monthly
from benchmarks.scorecard.environments import Result
from benchmarks.scorecard.model import Design, Parameters, serve, summary, traffic
from benchmarks.scorecard.sides import Say
from benchmarks.scorecard.study import long_enough
from harness.plan import Plan

PER_MONTH = (1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
# The operations by expected traffic, by the beginning of a function's name; a popularity of its own for each is chosen, not measured.
ORDER = ("Get", "List", "Add", "Update", "Delete")


@dataclass(frozen=True)
class Paid:
    """What a side's bill depends on, from its plan."""

    memory_mb: tuple[int, ...]
    gateway: str
    alarm_metrics: int
    custom_metrics: int
    dashboards: int


def paid(plan: Plan) -> Paid:
    """Read a plan: functions in the order of their popularity."""
    functions = [values for address, values in plan.values.items() if _is(plan, address, "aws_lambda_function")]
    functions.sort(key=lambda values: (_rank(values["function_name"]), values["function_name"]))
    alarms = [values for address, values in plan.values.items() if _is(plan, address, "aws_cloudwatch_metric_alarm")]
    counts = plan.counts
    return Paid(
        memory_mb=tuple(values["memory_size"] for values in functions),
        gateway="rest" if counts.get("aws_api_gateway_rest_api") else "http",
        alarm_metrics=sum(max(1, _metrics(alarm)) for alarm in alarms),
        custom_metrics=counts.get("aws_cloudwatch_log_metric_filter", 0),
        dashboards=counts.get("aws_cloudwatch_dashboard", 0),
    )


def _is(plan: Plan, address: str, kind: str) -> bool:
    return plan.resources[address].type == kind


def _rank(name: str) -> int:
    operation = name.rpartition("-")[2]
    return next((rank for rank, beginning in enumerate(ORDER) if operation.startswith(beginning)), len(ORDER))


def _metrics(alarm: Mapping[str, Any]) -> int:
    return len([query for query in alarm.get("metric_query") or [] if query.get("metric")])


def monitoring(side: Paid, prices: Prices) -> float:
    """Return dollars a month for alarms, custom metrics and dashboards, whatever the traffic."""
    return float(
        side.alarm_metrics * prices.of("cloudwatch.alarm_metric")
        + side.custom_metrics * prices.of("cloudwatch.custom_metric")
        + side.dashboards * prices.of("cloudwatch.dashboard")
    )


def bills(
    old: Paid, new: Paid, parameters: Parameters, prices: Prices, say: Say, per_months: Sequence[float] = PER_MONTH
) -> list[dict[str, Any]]:
    """Return, for each number of requests a month, what the simulation says of both sides, and their dollars.

    Raises:
        ScorecardError: a price is missing; it is named.
    """
    rows = []
    for per_month in per_months:
        endpoints = len(old.memory_mb)
        arrivals = traffic(parameters, endpoints, per_month)
        separate, one = Design(one=False), Design(one=True, memory_mb=new.memory_mb[0])
        durations = [replace(separate, memory_mb=memory).warm_ms(parameters) for memory in old.memory_mb]
        fleets = [separate.fleet(endpoints, parameters, durations), one.fleet(endpoints, parameters)]
        results = serve(arrivals.chunks(long_enough(per_month), 1), fleets)
        deployments = [
            Deployment(mean_memory(results[0], old.memory_mb), endpoints, old.gateway),
            one.deployment(endpoints, parameters, new.gateway),
        ]
        sides = {
            name: summary(result, monthly(result, deployment, prices, per_month))
            for name, result, deployment in zip(("old", "new"), results, deployments, strict=True)
        }
        rows.append({"per_month": per_month} | sides)
        say(f"{per_month:,.0f} requests a month")
    return rows


def mean_memory(result: Result, memory_mb: Sequence[int]) -> float:
    """Return the mean memory by billed time, which costs what the functions' own memory does."""
    return float((result.billed_ms * memory_mb).sum() / result.billed_ms.sum())
