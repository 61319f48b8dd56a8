"""docs/decision-record.md has every sentence of the decision record, and what it links to exists."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass

import pytest

from benchmarks.scorecard import card
from benchmarks.scorecard.claims import CONDITIONAL, CONFIRMED, REFUTED
from sandbox.paths import ROOT

PAGE = ROOT / "docs/decision-record.md"
RECORD = ROOT / "docs/decision-record/007-lambda-container-with-fastapi.md"
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (\w+) \| (.+) \|$", re.MULTILINE)
STATUS = re.compile(r"^\| (\w+) \| .+ \| (\d+) \|$", re.MULTILINE)
LINK = re.compile(r"\[(.+?)\]\((.+?)\)")
END_OF_SENTENCE = re.compile(r'(?<=[.!?)])\s+(?=[A-Z"(])')


@dataclass(frozen=True)
class Row:
    """A sentence of the record in the page: its beginning, or all of it."""

    number: int
    quote: str
    status: str
    where: str


def sentences(record: str) -> list[str]:
    """Return the sentences of the record, without headings and lead-ins that end with a colon."""
    _, _, text = record.partition("\n## ")
    lines = [re.sub(r"^(- |\d+\. )", "", line) for line in text.splitlines()[1:] if line and not line.startswith("#")]
    return [part for line in lines for part in END_OF_SENTENCE.split(line) if not part.endswith(":")]


ROWS = [Row(int(number), *rest) for number, *rest in ROW.findall(PAGE.read_text())]


def test_every_sentence_of_the_record_has_a_row() -> None:
    record = sentences(RECORD.read_text())
    assert [row.number for row in ROWS] == list(range(1, len(record) + 1))
    for row, sentence in zip(ROWS, record, strict=True):
        beginning, cut, _ = row.quote.partition(" …")
        assert sentence.startswith(beginning) if cut else sentence == row.quote


def test_each_status_is_explained_and_counted() -> None:
    assert Counter(row.status for row in ROWS) == {name: int(count) for name, count in STATUS.findall(PAGE.read_text())}


def test_what_is_not_given_or_open_says_where() -> None:
    # A link, or the rows with the links: "As 25 to 28."
    assert [
        row for row in ROWS if row.status not in {"given", "open"} and not re.search(r"\]\(|\bAs \d", row.where)
    ] == []


def test_rows_that_others_refer_to_have_links() -> None:
    references = [text for row in ROWS for text in re.findall(r"\b[Aa]s (\d[\d, toand]*)", row.where)]
    numbers = {int(number) for text in references for number in re.findall(r"\d+", text)}
    assert numbers
    assert [number for number in numbers if "](" not in ROWS[number - 1].where] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.number))
def test_linked_files_and_tests_exist(row: Row) -> None:
    for text, target in LINK.findall(row.where):
        path = PAGE.parent / target.partition("#")[0]
        assert path.exists(), target
        if text.startswith("`test_"):
            assert re.search(rf"^(async )?def {text.strip('`')}\(", path.read_text(), re.MULTILINE), text


VERDICTS = {
    16: "One function for all paths significantly reduces the frequency of cold starts",
    17: "Cost is comparable or better",
    43: "A single cold start may take longer than that of a small zip archive",
    44: "Provisioned concurrency mitigates cold starts on critical paths",
    61: "A request may cost more: more memory, and a framework",
    62: "Storing images in ECR costs a small amount more",
    70: "Average response times stay below 200 ms",
}


@pytest.mark.parametrize("number", VERDICTS)
def test_verdict_is_the_simulations(number: int) -> None:
    page = (ROOT / "docs/scorecard-simulation.md").read_text()
    (verdict,) = re.findall(rf"^\| {re.escape(VERDICTS[number])} \| \*\*(\w+)\*\*", page, re.MULTILINE)
    assert verdict in {CONFIRMED, CONDITIONAL, REFUTED}
    assert ROWS[number - 1].status == verdict


# Of the rows that quote the scorecard: its metric and figure.
SCORECARD = {
    53: ("functions", "Lambda functions"),
    67: ("functions", "Lambda functions"),
    68: ("deployment", "routine edit until it answers, median"),
    71: ("overhead", "one more endpoint: lines of Terraform"),
    76: ("overhead", "duplicated lines of Python"),
}


@pytest.mark.parametrize("number", SCORECARD)
def test_figures_are_the_scorecards(number: int) -> None:
    results = json.loads((ROOT / "benchmarks/scorecard/scorecard.json").read_text())
    metric, name = SCORECARD[number]
    (figure,) = [row for row in results["metrics"][metric]["rows"] if row["name"] == name]
    old, new = (card.shown(figure[side], figure["unit"]) for side in ("old", "new"))
    assert f"{old} to {new}" in ROWS[number - 1].where
