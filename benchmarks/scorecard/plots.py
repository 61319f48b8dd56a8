"""The study's pictures. Needs matplotlib (requirements/docs.txt), which nothing else here does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.colors import TwoSlopeNorm
from matplotlib.ticker import FuncFormatter

BLUE, ORANGE, GREY = "#2f6aa8", "#d9772b", "#8a8a8a"
SIMULATED = "simulated, dollars priced; assumptions in docs/scorecard-simulation.md"


def draw(results: dict[str, Any], folder: Path) -> list[Path]:
    """Draw all pictures into a folder, and return their files."""
    pictures = {
        "simulation-cold-share.png": cold_share,
        "simulation-consolidation.png": consolidation,
        "simulation-cost.png": cost,
        "simulation-split.png": split,
    }
    for name, picture in pictures.items():
        figure = picture(results)
        figure.get_layout_engine().set(rect=(0, 0.035, 1, 0.965))
        figure.text(0.995, 0.008, SIMULATED, ha="right", va="bottom", fontsize=7.5, color=GREY)
        figure.savefig(folder / name, dpi=110)
        plt.close(figure)
    return [folder / name for name in pictures]


def cold_share(results: dict[str, Any]) -> Any:
    """Share of cold requests by traffic: one line for the one function, and one for each number of separate ones."""
    figure, axes = plt.subplots(figsize=(8.5, 5), layout="constrained")
    for endpoints, shade in ((5, 0.4), (20, 0.6), (100, 0.8), (500, 1.0)):
        rows = [row for row in results["consolidation"] if row["endpoints"] == endpoints]
        x, y = [row["per_month"] for row in rows], [row["separate"]["cold_share"] for row in rows]
        axes.plot(x, y, color=ORANGE, alpha=shade, marker="o", markersize=4)
        axes.annotate(
            f"{endpoints} functions",
            (x[-1], y[-1]),
            xytext=(6, -3),
            textcoords="offset points",
            fontsize=9,
            color=ORANGE,
        )
    rows = [row for row in results["consolidation"] if row["endpoints"] == 20]
    x, y = [row["per_month"] for row in rows], [row["one"]["cold_share"] for row in rows]
    axes.plot(x, y, color=BLUE, marker="o", linewidth=2.5)
    axes.annotate("one function", (x[-1], y[-1]), xytext=(6, -3), textcoords="offset points", fontsize=9, color=BLUE)
    axes.annotate(
        "requests begin to overlap:\na second environment starts, and\nis idle for longer than its keep-alive time",
        (x[3], y[3]), xytext=(1.6e4, 1.6e-5), fontsize=8, color=GREY, arrowprops={"arrowstyle": "->", "color": GREY},
    )  # fmt: skip
    axes.set(xscale="log", yscale="log", ylim=(1e-5, 1.5), xlim=(7e2, 1e9))
    axes.set_xlabel("requests per month to all endpoints together")
    axes.set_ylabel("requests with a cold start")
    axes.xaxis.set_major_formatter(FuncFormatter(_count))
    axes.set_xticks([1e3, 1e4, 1e5, 1e6, 1e7, 1e8])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:g} %"))
    axes.set_title("Share of cold requests: one function, or one for each endpoint")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def consolidation(results: dict[str, Any]) -> Any:
    """What the one function saves of the mean time that a request waits for a start, by endpoints and traffic."""
    rows = results["consolidation"]
    traffic, endpoints = (sorted({row[key] for row in rows}) for key in ("per_month", "endpoints"))
    saved = np.zeros((len(endpoints), len(traffic)))
    for row in rows:
        place = endpoints.index(row["endpoints"]), traffic.index(row["per_month"])
        saved[place] = row["separate"]["waited_ms"] - row["one"]["waited_ms"]
    figure, axes = plt.subplots(figsize=(8.5, 5), layout="constrained")
    image = axes.imshow(saved, cmap="RdBu", norm=TwoSlopeNorm(0, -150, 150), aspect="auto", origin="lower")
    for (row, column), value in np.ndenumerate(saved):
        text = f"{value:+.0f}" if abs(value) >= 10 else f"{value:+.1f}" if abs(value) >= 0.05 else "0"
        axes.text(
            column, row, text, ha="center", va="center", fontsize=9, color="white" if abs(value) > 90 else "black"
        )
    axes.set_xticks(range(len(traffic)), [_count(value) for value in traffic])
    axes.set_yticks(range(len(endpoints)), endpoints)
    axes.set_xlabel("requests per month to all endpoints together")
    axes.set_ylabel("endpoints")
    axes.set_title(
        "Waiting for cold starts that one function saves, in ms per request\n(blue: one function is better; red: separate functions are)",
        fontsize=11,
    )
    figure.colorbar(image, ax=axes, label="ms per request, mean")
    return figure


def cost(results: dict[str, Any]) -> Any:
    """Dollars of one function over those of separate ones, by traffic."""
    figure, axes = plt.subplots(figsize=(8.5, 4.5), layout="constrained")
    for endpoints, colour in ((20, BLUE), (500, ORANGE)):
        rows = [row for row in results["consolidation"] if row["endpoints"] == endpoints]
        for kinds, style, label in ((None, "-", "whole bill"), (("duration", "requests"), "--", "Lambda only")):
            y = [_sum(row["one"], kinds) / _sum(row["separate"], kinds) for row in rows]
            axes.plot(
                [row["per_month"] for row in rows],
                y,
                style,
                color=colour,
                marker="o",
                markersize=4,
                label=f"{endpoints} endpoints, {label}",
            )
    axes.axhline(1, color=GREY, linewidth=1)
    axes.annotate(
        "the image in ECR is most of\na bill of a few cents", (1e3, 13), xytext=(2.2e3, 11), fontsize=8, color=GREY
    )
    axes.set(xscale="log", yscale="log", ylim=(0.2, 20))
    axes.set_yticks([0.2, 0.5, 1, 2, 5, 10, 20], ["0.2", "0.5", "1", "2", "5", "10", "20"])
    axes.minorticks_off()
    axes.set_xticks([1e3, 1e4, 1e5, 1e6, 1e7, 1e8])
    axes.xaxis.set_major_formatter(FuncFormatter(_count))
    axes.set_xlabel("requests per month to all endpoints together")
    axes.set_ylabel("dollars: one function / separate functions")
    axes.set_title("Cost of one function at 512 MB over separate ones at 256 MB")
    axes.legend(frameon=False, fontsize=9)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def split(results: dict[str, Any]) -> Any:
    """A hot and a heavy endpoint together or apart: waiting of the heavy one, and dollars for Lambda's durations."""
    rows = results["split"]
    shares = [row["heavy_share"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.3), layout="constrained")
    lines = (
        (left, "apart", "dollars", ORANGE, "-", "apart"),
        (left, "together", "dollars", BLUE, "-", "together"),
        (right, "apart", "heavy_waited_ms", ORANGE, "-", "apart: heavy endpoint"),
        (right, "apart", "hot_waited_ms", ORANGE, ":", "apart: hot endpoint"),
        (right, "together", "waited_ms", BLUE, "-", "together: both"),
    )
    for axes, design, figure_of, colour, style, label in lines:
        values = [row[design][figure_of] for row in rows]
        axes.plot(shares, values, color=colour, linestyle=style, marker="o", label=label)
    left.set(xscale="log", yscale="log", ylabel="dollars a month for 10 million requests", title="Cost")
    left.set_yticks([10, 20, 50, 100, 200], ["10", "20", "50", "100", "200"])
    left.minorticks_off()
    right.set(
        xscale="log", yscale="log", ylabel="waiting for starts, mean, ms per request", title="Waiting for cold starts"
    )
    for axes in (left, right):
        axes.set_xlabel("share of the requests that the heavy endpoint gets")
        axes.set_xticks(shares, [f"{100 * share:g} %" for share in shares])
        axes.xaxis.set_tick_params(which="minor", bottom=False)
        axes.legend(frameon=False, fontsize=9)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle("A hot endpoint (512 MB) beside a heavy one (2,048 MB, 1.5 s of imports, 1 s of CPU)")
    return figure


def _sum(row: dict[str, Any], kinds: tuple[str, ...] | None) -> float:
    return float(sum(row["dollars"][kind] for kind in kinds) if kinds else row["dollars"]["total"])


def _count(value: float, _position: int = 0) -> str:
    return f"{value / 1e6:g} M" if value >= 1e6 else f"{value:,.0f}"
