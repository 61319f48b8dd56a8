"""Comments, issues and releases, on the stand-in for GitHub's API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from delivery.github import MAX_BODY, main
from tests.delivery.github_api import BOT, GitHub, serve


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    with serve() as github:
        monkeypatch.setenv("GITHUB_API_URL", github.url)
        monkeypatch.setenv("GITHUB_REPOSITORY", "team/parcels")
        monkeypatch.setenv("GITHUB_TOKEN", "issues=write,pull-requests=write,contents=write")
        yield github


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "text.md"
    file.write_text("### Plan: no changes\n")
    return file


def comment(text: Path, key: str = "plan-dev", number: str = "12") -> int:
    return main(["comment", "--number", number, "--key", key, str(text)])


def test_comment_is_updated_in_place(github: GitHub, text: Path) -> None:
    github.comments += [{"id": n, "issue": 12, "user": BOT, "body": "other"} for n in range(1, 151)]  # a page has 100
    assert comment(text) == 0
    text.write_text("### Plan: 1 to create\n")
    assert comment(text) == 0
    assert [one["body"] for one in github.comments[150:]] == ["<!-- delivery: plan-dev -->\n### Plan: 1 to create\n"]


def test_each_key_and_pull_request_has_its_own_comment(github: GitHub, text: Path) -> None:
    assert [comment(text), comment(text, key="plan-prod"), comment(text, number="13")] == [0, 0, 0]
    assert len(github.comments) == 3


def test_marker_in_a_persons_comment_is_ignored(github: GitHub, text: Path) -> None:
    person = {"login": "someone", "type": "User"}
    github.comments.append({"id": 1, "issue": 12, "user": person, "body": "<!-- delivery: plan-dev -->\nmine"})
    assert comment(text) == 0
    assert [one["body"].splitlines()[1] for one in github.comments] == ["mine", "### Plan: no changes"]


def test_too_long_text_is_cut_with_a_sentence(github: GitHub, text: Path) -> None:
    text.write_text("x" * (MAX_BODY + 1))
    assert comment(text) == 0
    (made,) = github.comments
    assert len(made["body"]) == MAX_BODY
    assert made["body"].endswith("limit is 65,536 characters.")


def test_one_issue_is_opened_updated_and_closed(github: GitHub, text: Path) -> None:
    for title in ("one", "two"):
        assert main(["issue", "--key", "drift", "--title", title, str(text)]) == 0
    (issue,) = github.issues
    assert (issue["title"], issue["state"]) == ("two", "open")
    for _ in range(2):  # the second finds none
        assert main(["close-issue", "--key", "drift", "--comment", "Gone."]) == 0
    assert (issue["state"], [one["body"] for one in github.comments]) == ("closed", ["Gone."])
    assert main(["issue", "--key", "drift", "--title", "again", str(text)]) == 0
    assert len(github.issues) == 2


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (
            "GITHUB_TOKEN",
            "contents=read",
            "GitHub refused GET issues/12/comments?per_page=100&page=1 with 403: Resource not",
        ),
        ("GITHUB_TOKEN", "", "GITHUB_TOKEN must be set"),
        ("GITHUB_API_URL", "http://127.0.0.1:9", "GitHub did not respond to GET"),
    ],
)
def test_refusal_is_one_sentence(
    variable: str,
    value: str,
    message: str,
    github: GitHub,
    text: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    assert comment(text) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1
