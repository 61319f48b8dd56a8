from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scorecard.duplicates import WINDOW, Duplicates, code_lines, duplicates

LINES = st.lists(st.sampled_from(["a()", "b()", "c()", "d()", "    e()", "# no", "", "import x"]), max_size=12)


def numbered(*names: str) -> str:
    return "".join(f"{name}()\n" for name in names)


def test_lines_of_a_shared_window_are_counted_in_each_file() -> None:
    found = duplicates({"one": numbered("x", "a", "b", "c", "d"), "two": numbered("a", "b", "c", "d", "y")})
    assert found == Duplicates(lines=10, duplicated=8)
    assert found.share == 0.8


def test_windows_that_overlap_count_their_lines_once() -> None:
    same = numbered("a", "b", "c", "d", "e")
    assert duplicates({"one": same, "two": same, "three": ""}) == Duplicates(lines=10, duplicated=10)


def test_three_equal_lines_are_too_few() -> None:
    assert duplicates({"one": numbered("a", "b", "c"), "two": numbered("a", "b", "c")}).duplicated == 0


def test_repetition_within_a_file_is_none_of_several_files() -> None:
    assert duplicates({"one": numbered(*"abcd", *"abcd")}).duplicated == 0


def test_blanks_comments_imports_and_indentation_do_not_count() -> None:
    plain = {
        "one": numbered(*"abcd"),
        "two": "import os\n\nfrom x import y\n# comment\n  a()\n\n  b()\n  c()\n  # more\n  d()\n",
    }
    assert duplicates(plain) == Duplicates(lines=8, duplicated=8)


def test_no_files_have_no_share() -> None:
    assert duplicates({}).share == 0


@given(LINES)
def test_a_copy_is_duplicated_completely_or_too_short(lines: list[str]) -> None:
    text = "\n".join(lines)
    found = duplicates({"one": text, "two": text})
    counted = len(code_lines(text))
    assert found.duplicated == (2 * counted if counted >= WINDOW else 0)


@given(LINES, LINES)
def test_the_order_of_files_does_not_matter_and_no_line_counts_twice(one: list[str], two: list[str]) -> None:
    files = {"one": "\n".join(one), "two": "\n".join(two)}
    found = duplicates(files)
    assert found == duplicates(dict(reversed(files.items())))
    assert 0 <= found.duplicated <= found.lines
