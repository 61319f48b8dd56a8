"""Draw the breakdown of the service's cold start from `make bench` results: `python -m tools.cold_start_picture`."""

from __future__ import annotations

import json

import matplotlib as mpl

from sandbox.paths import ROOT

mpl.use("Agg")
import matplotlib.pyplot as plt

RESULTS = ROOT / ".reports" / "bench" / "service_speed.json"
PICTURE = ROOT / "docs" / "cold-start.png"


def main() -> None:
    """Write docs/cold-start.png: one bar per stage, in percent of the total."""
    stages = json.loads(RESULTS.read_text())["stages"]
    ends = list(stages.values())
    starts = [0.0, *ends[:-1]]
    figure, axes = plt.subplots(figsize=(9, 4))
    for row, (_stage, start, end) in enumerate(zip(stages, starts, ends, strict=True)):
        axes.barh(row, (end - start) / ends[-1] * 100, left=start / ends[-1] * 100, color="#4472a8")
        share = f"{(end - start) / ends[-1]:.0%}"
        axes.text(end / ends[-1] * 100 + 0.8, row, share, va="center", fontsize=9)
    axes.set_yticks(range(len(stages)), list(stages))
    axes.invert_yaxis()
    axes.set_xlim(0, 108)
    axes.set_xlabel("share of the time from process start to first response, %")
    axes.set_title("Breakdown of the service's cold start")
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    main()
