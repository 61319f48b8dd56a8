"""The picture of a proposal: duration and cost by memory."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from tuning.model import Proposal


def draw(proposal: Proposal, picture: Path) -> None:
    """Write a PNG: predicted mean and p99, cost, and the proposed memory size."""
    sizes = [option.memory_mb for option in proposal.options]
    figure, left = plt.subplots(figsize=(9, 4.5))
    left.plot(
        sizes, [option.p99_ms for option in proposal.options], "o-", color="tab:orange", markersize=3, label="p99"
    )
    left.plot(sizes, [option.mean_ms for option in proposal.options], "o-", markersize=3, label="mean")
    right = left.twinx()
    right.plot(
        sizes, [option.usd for option in proposal.options], "s--", color="0.5", markersize=3, label="cost (right)"
    )
    left.axvline(
        proposal.chosen.memory_mb, color="tab:green", linewidth=1, label=f"proposed: {proposal.chosen.memory_mb} MB"
    )
    left.axvline(proposal.current.memory_mb, color="0.7", linewidth=1, label=f"now: {proposal.current.memory_mb} MB")
    left.set(xlabel="memory_mb", ylabel="duration, ms")
    right.set(ylabel="dollars per 1,000 requests")
    for axes in (left, right):
        axes.set_ylim(bottom=0)
    lines = [line for axes in (left, right) for line in axes.get_lines()]
    left.legend(lines, [str(line.get_label()) for line in lines], loc="center right", fontsize=8)
    left.grid(alpha=0.25)
    figure.tight_layout()
    figure.savefig(picture, dpi=100)
    plt.close(figure)
