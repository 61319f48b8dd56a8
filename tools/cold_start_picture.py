"""Draw where the service's cold start goes, from what `make bench` has measured: `python -m tools.cold_start_picture`."""

from __future__ import annotations

import json

import matplotlib as mpl

from sandbox.paths import ROOT

mpl.use("Agg")
import matplotlib.pyplot as plt

MEASURED = ROOT / ".reports" / "bench" / "service_speed.json"
PICTURE = ROOT / "docs" / "cold-start.png"


def main() -> None:
    """Write docs/cold-start.png: one bar for each stage, as a share of the whole."""
    reached = json.loads(MEASURED.read_text())["stages"]
    ends = list(reached.values())
    starts = [0.0, *ends[:-1]]
    figure, axes = plt.subplots(figsize=(9, 4))
    for place, (_stage, start, end) in enumerate(zip(reached, starts, ends, strict=True)):
        axes.barh(place, (end - start) / ends[-1] * 100, left=start / ends[-1] * 100, color="#4472a8")
        share = f"{(end - start) / ends[-1]:.0%}"
        axes.text(end / ends[-1] * 100 + 0.8, place, share, va="center", fontsize=9)
    axes.set_yticks(range(len(reached)), list(reached))
    axes.invert_yaxis()
    axes.set_xlim(0, 108)
    axes.set_xlabel("share of the time from the process's start to its first response, %")
    axes.set_title("Where the service's cold start goes")
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    main()
