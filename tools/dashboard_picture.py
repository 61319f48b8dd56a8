"""Render a CloudWatch dashboard as a picture with sample data, for the documentation.

    python -m tools.dashboard_picture BODY.json PICTURE.png

BODY.json is the dashboard's body (`aws cloudwatch get-dashboard`). Titles, labels, axes, positions and sizes come from it;
the data are samples: a day of an API with a peak at noon and one bad deployment.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

HOURS = np.linspace(0, 24, 24 * 12)
NOISE = np.random.default_rng(7)
BUSY = 0.15 + np.exp(-((HOURS - 13) ** 2) / 18)
BAD = (HOURS > 15.2) & (HOURS < 15.7)  # the bad deployment

# By metric and, if it matters, statistic. Values are per five minutes, in the metric's unit.
SAMPLES: dict[str, Any] = {
    "Count": 4000 * BUSY,
    "4xx": 90 * BUSY,
    "5xx": 60 * BAD,
    "Errors": 40 * BAD,
    "Throttles": 0 * HOURS,
    "Latency p50": 14 + 4 * BUSY,
    "Latency p90": 38 + 12 * BUSY,
    "Latency p99": 120 + 40 * BUSY + 150 * BAD,
    "IntegrationLatency p99": 105 + 38 * BUSY + 140 * BAD,
    "ConcurrentExecutions": 9 * BUSY,
    "ProvisionedConcurrentExecutions": np.minimum(9 * BUSY, 6),
    "ProvisionedConcurrencySpilloverInvocations": 30 * np.maximum(BUSY - 0.9, 0),
    "Duration": 4000 * BUSY * 22,
    "Invocations": 4000 * BUSY,
    "usd": 0.0014 + 0.0006 * np.exp(-BUSY * 4) + 0.0004 * BAD,  # more cold starts per request while it is quiet
    "used_mb": 96 + 18 * (HOURS > 13) + 40 * BAD,
    "configured_mb": 512 + 0 * HOURS,
    "cold_starts": 2 + 6 * BUSY,
    "p50_ms": 420 + 0 * HOURS,
    "p99_ms": 780 + 60 * BUSY,
}
CONFIGURED = {"configured_mb"}  # a setting has no noise


def sample(name: str, statistic: str) -> Any:
    """Return a day of samples for a metric, one per five minutes."""
    shape = SAMPLES.get(f"{name} {statistic}", SAMPLES.get(name))
    if shape is None:
        raise SystemExit(f"no sample data for metric {name} ({statistic}): add it to SAMPLES")
    return shape if name in CONFIGURED else np.maximum(shape * NOISE.normal(1, 0.06, HOURS.size), 0)


def draw_metrics(axes: Any, properties: dict[str, Any]) -> None:
    """Draw a metric widget: its visible metrics, and expressions of the form FILL(id, 0) * factor / divisor."""
    hidden: dict[str, Any] = {}
    right = None
    for metric in reversed(properties["metrics"]):
        options = metric[-1] if isinstance(metric[-1], dict) else {}
        if "expression" in options:
            match = re.fullmatch(r"FILL\((\w+), 0\) \* ([\d.]+) / ([\d.]+)", options["expression"])
            if not match:
                raise SystemExit(f"cannot evaluate the expression {options['expression']!r}")
            values = hidden[match[1]] * float(match[2]) / float(match[3])
        else:
            values = sample(metric[1], options.get("stat", "Average"))
            hidden[options.get("id", "")] = values
        if options.get("visible", True):
            target = axes
            if options.get("yAxis") == "right":
                target = right = right or axes.twinx()
            target.plot(
                HOURS,
                values,
                label=options.get("label", ""),
                linewidth=1.1,
                color=None if target is axes else "0.6",
            )
    axes.set_ylabel(properties["yAxis"]["left"]["label"])
    lines = [line for a in (axes, right) if a for line in a.get_lines()]
    axes.legend(lines, [str(line.get_label()) for line in lines], fontsize=7, loc="upper left", frameon=False)


def draw_query(axes: Any, properties: dict[str, Any]) -> None:
    """Draw a log widget: one line per `… as name` in its query's stats command."""
    stats = properties["query"].partition("| stats ")[2]
    for name in re.findall(r" as (\w+)", stats):
        axes.plot(HOURS, sample(name, ""), label=name, linewidth=1.1)
    axes.legend(fontsize=7, loc="upper left", frameon=False)


def draw(body: dict[str, Any], picture: Path) -> None:
    """Draw all widgets on CloudWatch's grid of 24 columns."""
    rows = max(w["y"] + w["height"] for w in body["widgets"])
    plt.rcParams["ytick.labelsize"] = 7
    figure = plt.figure(figsize=(14, rows * 0.55))
    for widget in body["widgets"]:
        position = (
            widget["x"] / 24 + 0.045,
            1 - (widget["y"] + widget["height"]) / rows + 0.035,
            widget["width"] / 24 - 0.08,
            widget["height"] / rows - 0.085,
        )
        axes = figure.add_axes(position)
        axes.set_title(widget["properties"]["title"], loc="left", fontsize=10, fontweight="bold")
        axes.set_xlim(0, 24)
        axes.set_xticks(range(0, 25, 4), [f"{h:02}:00" for h in range(0, 25, 4)], fontsize=7)
        axes.grid(alpha=0.25)
        {"metric": draw_metrics, "log": draw_query}[widget["type"]](axes, widget["properties"])
        axes.set_ylim(0, axes.get_ylim()[1] * 1.15)  # room for the legend
    figure.savefig(picture, dpi=80)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
