"""Developers' answers before and after, analysed with as much confidence as their number allows: docs/questionnaire.md.

    python -m benchmarks.scorecard.satisfaction answers.csv [--json FILE]

A row has one respondent's answers at one time. All intervals are for 95 % and exact, or Agresti and Coull's for shares; all tests are
exact and two-sided, and their p values are adjusted by Holm for the number of scales. Nothing is concluded from fewer respondents than
MINIMUM: below it no exact interval of a median and no significant test exists.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.scorecard.errors import ScorecardError

TIMES = ("before", "after")
MINIMUM = 6
LEVEL = 0.05
Z = statistics.NormalDist().inv_cdf(1 - LEVEL / 2)
PROMOTERS, DETRACTORS = 9, 6


@dataclass(frozen=True)
class Scale:
    """A scale of the questionnaire: the columns that it is made of, the range of their answers, and how they become one score."""

    title: str
    columns: tuple[str, ...]
    lowest: int
    highest: int
    better: str
    score: Callable[[Sequence[float]], float] = statistics.fmean


def umux_lite(answers: Sequence[float]) -> float:
    """Return the score of 0 to 100 of two answers of 1 to 7 (Lewis, Utesch and Maher 2013, without the regression to SUS)."""
    return (sum(answers) - len(answers)) * 100 / (6 * len(answers))


SCALES = (
    Scale("UMUX-Lite, usability", ("umux_capabilities", "umux_ease"), 1, 7, "higher", umux_lite),
    Scale("SEQ, add an endpoint", ("seq_add_endpoint",), 1, 7, "higher"),
    Scale("SEQ, change an endpoint", ("seq_change_endpoint",), 1, 7, "higher"),
    Scale("SEQ, release", ("seq_release",), 1, 7, "higher"),
    Scale("SEQ, find the cause of an error", ("seq_find_error",), 1, 7, "higher"),
    Scale(
        "NASA-TLX raw, workload",
        ("tlx_mental", "tlx_physical", "tlx_temporal", "tlx_performance", "tlx_effort", "tlx_frustration"),
        0,
        100,
        "lower",
    ),
    Scale("would recommend the workflow", ("recommend",), 0, 10, "higher"),
)
COLUMNS = ("respondent", "when", *(column for scale in SCALES for column in scale.columns))
Answers = dict[str, dict[str, dict[str, float]]]
"""Time → respondent → column → answer. A question that was left out is absent."""


def read(file: Path) -> Answers:
    """Read a CSV file of answers; an empty cell is a question that was left out.

    Raises:
        ScorecardError: the file, a column, or an answer is missing or not valid; the message has line and column.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened)
            header = reader.fieldnames or []
            if missing := [name for name in COLUMNS if name not in header]:
                raise ScorecardError(
                    f"{file} has no column {missing[0]}: the first line must name {', '.join(COLUMNS)}."
                )
            answers: Answers = {time: {} for time in TIMES}
            for row in reader:
                _add(answers, row, f"{file}, line {reader.line_num}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ScorecardError(f"{file} cannot be read as CSV: {error}.") from error
    if not any(answers.values()):
        raise ScorecardError(f"{file} has no answers: a row has one respondent's answers before or after.")
    return answers


def _add(answers: Answers, row: Mapping[str, str | None], where: str) -> None:
    respondent, time = ((row[name] or "").strip() for name in ("respondent", "when"))
    if not respondent:
        raise ScorecardError(f"{where}: respondent is empty; a code, the same before and after, pairs the answers.")
    if time not in TIMES:
        raise ScorecardError(f"{where}: when is {time!r}, and must be before or after.")
    if respondent in answers[time]:
        raise ScorecardError(f"{where}: {respondent} has answered {time} already; an answer counts once.")
    given = {}
    for scale in SCALES:
        for column in scale.columns:
            if text := (row[column] or "").strip():
                given[column] = _answer(text, scale, f"{where}: {column}")
    answers[time][respondent] = given


def _answer(text: str, scale: Scale, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not scale.lowest <= value <= scale.highest:
        raise ScorecardError(f"{where} is {text!r}, and must be {scale.lowest} to {scale.highest}.")
    return value


def scores(answers: Answers, scale: Scale, time: str) -> dict[str, float]:
    """Return a scale's score by respondent; who left a question of it out has none."""
    complete = {name: row for name, row in answers[time].items() if all(column in row for column in scale.columns)}
    return {name: scale.score([row[column] for column in scale.columns]) for name, row in complete.items()}


def median_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the exact interval of a median, between two order statistics; None below six values, where there is none."""
    ordered, size = sorted(values), len(values)
    # How many values may lie on one side of the median, with probability LEVEL / 2 at most.
    rank, below = 0, 0.0
    while rank < size and below + math.comb(size, rank) / 2**size <= LEVEL / 2:
        below += math.comb(size, rank) / 2**size
        rank += 1
    return (ordered[rank - 1], ordered[size - rank]) if rank else None


def adjusted_wald(successes: float, size: float, added: float = Z**2) -> tuple[float, float]:
    """Return the interval of a share (Agresti and Coull 1998)."""
    total = size + added
    share = (successes + added / 2) / total
    half = Z * math.sqrt(share * (1 - share) / total)
    return max(share - half, 0.0), min(share + half, 1.0)


def net_promoters(values: Sequence[float]) -> tuple[float, float, float]:
    """Return promoters minus detractors as a share, with its adjusted-Wald interval (Rocks 2016): three answers are added."""
    promoters = sum(value >= PROMOTERS for value in values)
    detractors = sum(value <= DETRACTORS for value in values)
    size = len(values) + 3
    for_, against = (promoters + 0.75) / size, (detractors + 0.75) / size
    half = Z * math.sqrt((for_ + against - (for_ - against) ** 2) / size)
    net = for_ - against
    return (promoters - detractors) / len(values), max(net - half, -1.0), min(net + half, 1.0)


def sign_test(differences: Sequence[float]) -> float:
    """Return the exact p value; respondents without a difference are left out."""
    signs = [difference > 0 for difference in differences if difference]
    fewer = min(sum(signs), len(signs) - sum(signs))
    tail: float = sum(math.comb(len(signs), k) for k in range(fewer + 1)) / 2 ** len(signs)
    return min(1.0, 2 * tail)


def wilcoxon(differences: Sequence[float]) -> float:
    """Return the exact p value of the signed-rank test, also with ties (mid-ranks); respondents without a difference are left out."""
    values = [difference for difference in differences if difference]
    sizes = sorted(abs(value) for value in values)
    # Twice the mid-rank, which is an integer.
    doubled = {size: 2 * sizes.index(size) + sizes.count(size) + 1 for size in sizes}
    positive = sum(doubled[abs(value)] for value in values if value > 0)
    ways = [1]  # in how many of the equally likely assignments of signs the positive ranks have each sum
    for value in values:
        rank = doubled[abs(value)]
        ways = [a + b for a, b in zip([*ways, *[0] * rank], [*[0] * rank, *ways], strict=True)]
    smaller = min(positive, len(ways) - 1 - positive)
    tail: float = sum(ways[: smaller + 1]) / 2 ** len(values)
    return min(1.0, 2 * tail)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted for their number (Holm 1979)."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for done, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - done) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def analyse(answers: Answers) -> dict[str, Any]:
    """Return respondents, each scale before and after, and the paired comparison."""
    rows = [_row(answers, scale) for scale in SCALES]
    tested = [row for row in rows if row["pairs"] >= MINIMUM]
    for row, adjusted in zip(tested, holm([row["wilcoxon"] for row in tested]), strict=True):
        row["adjusted"] = adjusted
    for row in rows:
        row["verdict"] = _verdict(row)
    both = answers["before"].keys() & answers["after"].keys()
    return {
        "respondents": {time: len(answers[time]) for time in TIMES} | {"both": len(both)},
        "minimum": MINIMUM,
        "scales": rows,
    }


def _row(answers: Answers, scale: Scale) -> dict[str, Any]:
    by_time = {time: scores(answers, scale, time) for time in TIMES}
    names = sorted(by_time["before"].keys() & by_time["after"].keys())
    differences = [by_time["after"][name] - by_time["before"][name] for name in names]
    row: dict[str, Any] = {"scale": scale.title, "better": scale.better, "pairs": len(names)}
    row |= {time: _summary(list(values.values()), scale) for time, values in by_time.items()}
    row["improved"] = sum((each > 0) == (scale.better == "higher") for each in differences if each)
    row["worsened"] = sum(map(bool, differences)) - row["improved"]
    if names:
        row["difference"] = statistics.median(differences)
        row["interval"] = median_interval(differences)
        row["sign_test"], row["wilcoxon"] = sign_test(differences), wilcoxon(differences)
    return row


def _summary(values: Sequence[float], scale: Scale) -> dict[str, Any]:
    if not values:
        return {"n": 0}
    summary: dict[str, Any] = {"n": len(values), "median": statistics.median(values)}
    summary["interval"] = median_interval(values)
    if scale.columns == ("recommend",):
        net, low, high = net_promoters(values)
        promoters = sum(value >= PROMOTERS for value in values)
        summary |= {"enps": net, "enps_interval": (low, high)}
        summary["promoters_interval"] = adjusted_wald(promoters, len(values))
    return summary


def _verdict(row: Mapping[str, Any]) -> str:
    if row["pairs"] < MINIMUM:
        return f"no conclusion: {row['pairs']} answered both times, and {MINIMUM} are needed"
    if row["adjusted"] > LEVEL:
        return "no difference shown"
    return "better" if row["improved"] > row["worsened"] else "worse"


def text(result: Mapping[str, Any]) -> str:
    """Return the analysis as lines for a terminal."""
    people = result["respondents"]
    lines = [f"{people['before']} answered before, {people['after']} after, {people['both']} both times"]
    lines.append(f"{'':34}{'before':>20}{'after':>20}{'difference':>22}{'p, Holm':>9}  verdict")
    for row in result["scales"]:
        cells = [interval_text(row[time].get("median"), row[time].get("interval")) for time in TIMES]
        cells.append(interval_text(row.get("difference"), row.get("interval"), sign="+"))
        p = f"{row['adjusted']:.3f}" if "adjusted" in row else "-"
        lines.append(f"{row['scale']:34}{cells[0]:>20}{cells[1]:>20}{cells[2]:>22}{p:>9}  {row['verdict']}")
    net = [row for row in result["scales"] if "enps" in row["before"] or "enps" in row["after"]]
    for row in net:
        shown = [
            f"{time} {row[time]['enps']:+.0%} ({_percent(row[time]['enps_interval'])})"
            for time in TIMES
            if row[time]["n"]
        ]
        lines.append(f"eNPS, promoters minus detractors: {', '.join(shown)}")
    return "\n".join([*lines, "Medians with exact intervals of 95 %; - where there are too few answers for one."])


def interval_text(value: float | None, interval: Sequence[float] | None, sign: str = "") -> str:
    """Return a value with its interval, as text."""
    if value is None:
        return "-"
    shown = f"({interval[0]:{sign}g} to {interval[1]:{sign}g})" if interval else "(-)"
    return f"{value:{sign}g} {shown}"


def _percent(interval: Sequence[float]) -> str:
    return f"{interval[0]:+.0%} to {interval[1]:+.0%}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Analyse a file; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scorecard.satisfaction", description=__doc__)
    parser.add_argument("answers", type=Path, help="CSV file with the columns of docs/questionnaire.md")
    parser.add_argument("--json", type=Path, help="write the analysis to this file")
    options = parser.parse_args(arguments)
    try:
        result = analyse(read(options.answers))
        print(text(result))
        if options.json:
            options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    except ScorecardError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: --json: {options.json} cannot be written: {error.strerror}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
