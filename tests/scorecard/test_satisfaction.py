"""The analysis of answers, against published values and closed forms."""

from __future__ import annotations

import csv
import itertools
import json
import math
import re
import statistics
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scorecard.errors import ScorecardError
from benchmarks.scorecard.satisfaction import (
    COLUMNS,
    MINIMUM,
    SCALES,
    adjusted_wald,
    analyse,
    holm,
    main,
    median_interval,
    net_promoters,
    read,
    sign_test,
    umux_lite,
    wilcoxon,
)
from sandbox.paths import ROOT

# Hollander and Wolfe (1973), page 29: Hamilton depression scale of nine patients, as in R's documentation of wilcox.test.
FIRST = (1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30)
SECOND = (0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29)
SMALL = st.lists(st.integers(-4, 4), min_size=1, max_size=9)


def test_wilcoxon_has_the_published_p_value() -> None:
    # R: V = 40, p-value = 0.01953 one-sided.
    assert wilcoxon([b - a for a, b in zip(FIRST, SECOND, strict=True)]) == pytest.approx(2 * 0.01953, abs=1e-5)


@given(SMALL)
def test_wilcoxon_is_the_share_of_all_signs_with_as_extreme_a_sum(differences: list[int]) -> None:
    sizes = [abs(each) for each in differences if each]
    ranks = [statistics.fmean(i for i, s in enumerate(sorted(sizes), 1) if s == size) for size in sizes]
    seen = sum(rank for rank, each in zip(ranks, filter(None, differences), strict=True) if each > 0)
    middle = sum(ranks) / 2
    sums = [sum(itertools.compress(ranks, signs)) for signs in itertools.product((0, 1), repeat=len(ranks))]
    share = sum(abs(each - middle) >= abs(seen - middle) - 1e-9 for each in sums) / len(sums)
    assert wilcoxon(differences) == pytest.approx(share)


@given(SMALL)
def test_tests_do_not_depend_on_direction_or_order(differences: list[int]) -> None:
    mirrored = [-each for each in reversed(differences)]
    assert wilcoxon(differences) == pytest.approx(wilcoxon(mirrored))
    assert sign_test(differences) == sign_test(mirrored)


def test_sign_test_is_the_binomial() -> None:
    assert sign_test([1] * 9 + [-1]) == pytest.approx(2 * (1 + 10) / 1024)
    assert sign_test([1, 1, 1, 1, 1, 0]) == pytest.approx(2 / 32)
    assert sign_test([0, 0]) == sign_test([1, -1]) == 1


@pytest.mark.parametrize(
    ("size", "ranks"), [(6, (1, 6)), (8, (1, 8)), (9, (2, 8)), (10, (2, 9)), (20, (6, 15)), (25, (8, 18))]
)
def test_median_interval_has_the_published_ranks(size: int, ranks: tuple[int, int]) -> None:
    # Conover, Practical Nonparametric Statistics; the same as of the sign test's critical values.
    assert median_interval(range(1, size + 1)) == ranks


@given(st.integers(1, 60))
def test_median_interval_covers_95_percent_and_a_narrower_one_does_not(size: int) -> None:
    interval = median_interval(range(1, size + 1))
    if size < MINIMUM:
        assert interval is None
        return
    assert interval is not None
    outside = int(interval[0])
    tail = sum(math.comb(size, k) for k in range(outside)) / 2**size
    assert 2 * tail <= 0.05 < 2 * (tail + math.comb(size, outside) / 2**size)


def test_adjusted_wald_has_the_published_interval() -> None:
    # Sauro and Lewis, Quantifying the User Experience: 7 of 10 completed the task, 39 % to 90 %.
    low, high = adjusted_wald(7, 10)
    assert (round(low, 2), round(high, 2)) == (0.39, 0.90)
    assert adjusted_wald(0, 5)[0] == 0
    assert adjusted_wald(5, 5)[1] == 1


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_adjusted_wald_is_symmetric_and_has_the_share(case: tuple[int, int]) -> None:
    successes, size = case
    low, high = adjusted_wald(successes, size)
    assert adjusted_wald(size - successes, size) == pytest.approx((1 - high, 1 - low))
    assert low <= successes / size <= high


def test_net_promoters_adds_three_answers() -> None:
    # 5 promoters, 2 passives and 1 detractor: (5.75 - 1.75) / 11, with the variance of a difference of two shares.
    net, low, high = net_promoters([10, 10, 9, 9, 9, 8, 7, 2])
    assert net == 0.5
    centre = 4 / 11
    half = 1.959964 * math.sqrt((7.5 / 11 - centre**2) / 11)
    assert (low, high) == pytest.approx((centre - half, centre + half), abs=1e-6)
    assert net_promoters([0] * 3)[1] >= -1


def test_holm_multiplies_the_smallest_by_the_number_of_tests() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


@pytest.mark.parametrize(("answers", "score"), [((1, 1), 0), ((7, 7), 100), ((4, 4), 50), ((6, 5), 75)])
def test_umux_lite_is_from_0_to_100(answers: tuple[int, int], score: float) -> None:
    assert umux_lite(answers) == pytest.approx(score)


def write(file: Path, rows: list[dict[str, Any]], columns: tuple[str, ...] = COLUMNS) -> Path:
    with file.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, columns)
        writer.writeheader()
        writer.writerows(rows)
    return file


def answer(respondent: str, when: str, level: int) -> dict[str, Any]:
    """One respondent's answers: `level` of 1 to 7, the higher the better."""
    by_range = {7: level, 100: 100 - 10 * level, 10: level + 3}
    given = {column: by_range[scale.highest] for scale in SCALES for column in scale.columns}
    return {"respondent": respondent, "when": when} | given


def paired(people: int) -> list[dict[str, Any]]:
    before = [answer(f"r{number}", "before", 2 + number % 2) for number in range(people)]
    return before + [answer(f"r{number}", "after", 5 + number % 3) for number in range(people)]


def test_nine_who_all_improve_are_better_on_every_scale(tmp_path: Path) -> None:
    result = analyse(read(write(tmp_path / "a.csv", paired(9))))

    assert result["respondents"] == {"before": 9, "after": 9, "both": 9}
    assert {row["verdict"] for row in result["scales"]} == {"better"}
    (workload,) = [row for row in result["scales"] if "TLX" in row["scale"]]
    assert workload["difference"] < 0 < workload["improved"] == 9
    assert all(row["wilcoxon"] == pytest.approx(2 / 512) for row in result["scales"])
    assert all(row["adjusted"] == pytest.approx(7 * 2 / 512) for row in result["scales"])


def test_swapped_answers_are_worse(tmp_path: Path) -> None:
    swap = {"before": "after", "after": "before"}
    rows = [row | {"when": swap[row["when"]]} for row in paired(9)]
    assert {row["verdict"] for row in analyse(read(write(tmp_path / "a.csv", rows)))["scales"]} == {"worse"}


def test_few_pairs_have_no_conclusion(tmp_path: Path) -> None:
    rows = [*paired(MINIMUM - 1), answer("alone", "before", 1), answer("other", "after", 7)]
    result = analyse(read(write(tmp_path / "a.csv", rows)))

    assert result["respondents"]["both"] == MINIMUM - 1
    assert {row["verdict"] for row in result["scales"]} == {"no conclusion: 5 answered both times, and 6 are needed"}
    assert all(row["interval"] is None for row in result["scales"])


def test_equal_answers_show_no_difference(tmp_path: Path) -> None:
    rows = [answer(f"r{number}", when, 4) for number in range(8) for when in ("before", "after")]
    result = analyse(read(write(tmp_path / "a.csv", rows)))
    assert {row["verdict"] for row in result["scales"]} == {"no difference shown"}


def test_a_question_left_out_leaves_its_scale_out(tmp_path: Path) -> None:
    rows = [row | ({"tlx_effort": ""} if row["respondent"] == "r0" else {}) for row in paired(7)]
    by_scale = {row["scale"]: row["pairs"] for row in analyse(read(write(tmp_path / "a.csv", rows)))["scales"]}
    assert by_scale["NASA-TLX raw, workload"] == 6
    assert by_scale["UMUX-Lite, usability"] == 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seq_release": "8"}, r"line 3: seq_release is '8', and must be 1 to 7"),
        ({"recommend": "-1"}, r"line 3: recommend is '-1', and must be 0 to 10"),
        ({"tlx_mental": "low"}, r"line 3: tlx_mental is 'low', and must be 0 to 100"),
        ({"umux_ease": "nan"}, r"line 3: umux_ease is 'nan', and must be 1 to 7"),
        ({"when": "later"}, r"line 3: when is 'later', and must be before or after"),
        ({"respondent": " "}, r"line 3: respondent is empty"),
        ({"respondent": "r0"}, r"line 3: r0 has answered before already"),
    ],
)
def test_an_answer_that_is_not_valid_is_named(tmp_path: Path, change: dict[str, str], message: str) -> None:
    rows = [answer("r0", "before", 3), answer("r1", "before", 3) | change]
    with pytest.raises(ScorecardError, match=message):
        read(write(tmp_path / "a.csv", rows))


def test_a_missing_column_an_empty_file_and_no_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(ScorecardError, match="has no column recommend: the first line must name respondent, when"):
        read(write(tmp_path / "a.csv", [], COLUMNS[:-1]))
    with pytest.raises(ScorecardError, match="has no answers"):
        read(write(tmp_path / "b.csv", []))
    with pytest.raises(ScorecardError, match=r"absent\.csv cannot be read as CSV"):
        read(tmp_path / "absent.csv")


def test_command_prints_the_analysis_and_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = write(tmp_path / "a.csv", paired(9)), tmp_path / "out.json"

    assert main([str(file), "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "9 answered before, 9 after, 9 both times" in printed
    assert re.search(r"^UMUX-Lite, usability .*better$", printed, re.MULTILINE)
    assert "eNPS" in printed
    assert len(json.loads(out.read_text())["scales"]) == len(SCALES)


def test_command_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "a.csv", paired(2))
    assert main([str(tmp_path / "absent.csv")]) == 1
    assert main([str(file), "--json", str(tmp_path / "absent/out.json")]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in errors] == ["error", "error"]
    assert "cannot be written" in errors[1]


def test_page_has_the_columns_and_ranges_of_the_analysis() -> None:
    page = (ROOT / "docs/questionnaire.md").read_text()
    asked = re.findall(r"^\| `(\w+)` \| .+ \| (\d+) .+ to (\d+) .+ \|$", page, re.MULTILINE)
    assert asked == [(column, str(scale.lowest), str(scale.highest)) for scale in SCALES for column in scale.columns]
    (header,) = re.findall(r"^(respondent,.*)$", page, re.MULTILINE)
    assert tuple(header.split(",")) == COLUMNS
