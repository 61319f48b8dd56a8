"""delivery.merge_request against the stand-in for GitLab's API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from delivery.merge_request import main
from tests.delivery.ci import TOKEN, GitLab, serving


@pytest.fixture
def gitlab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitLab]:
    api = GitLab()
    with serving(api, tmp_path):
        monkeypatch.setenv("CI_API_V4_URL", f"{api.url}/api/v4")
        monkeypatch.setenv("CI_PROJECT_ID", "1")
        monkeypatch.setenv("CI_MERGE_REQUEST_IID", "3")
        monkeypatch.setenv("GITLAB_TOKEN", TOKEN)
        yield api


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "text.md"
    file.write_text("first")
    return file


def test_comment_is_updated_in_place(gitlab: GitLab, text: Path) -> None:
    assert main(["comment", "--key", "plan-dev", str(text)]) == 0
    text.write_text("second")
    assert main(["comment", "--key", "plan-dev", str(text)]) == 0
    assert main(["comment", "--key", "plan-prod", str(text)]) == 0
    assert [note["body"] for note in gitlab.notes] == [
        "<!-- delivery: plan-dev -->\nsecond",
        "<!-- delivery: plan-prod -->\nsecond",
    ]


def test_issue_is_opened_updated_and_closed(gitlab: GitLab, text: Path) -> None:
    assert main(["issue", "--key", "drift", "--title", "Drift", str(text)]) == 0
    assert main(["issue", "--key", "drift", "--title", "Drift again", str(text)]) == 0
    assert main(["close-issue", "--key", "drift", "--comment", "Gone."]) == 0
    (issue,) = gitlab.issues
    assert (issue["title"], issue["state"], issue["comments"]) == ("Drift again", "closed", ["Gone."])


def test_refused_token_is_one_sentence(
    gitlab: GitLab, text: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITLAB_TOKEN", "wrong")
    assert main(["comment", "--key", "plan-dev", str(text)]) == 1
    assert capsys.readouterr().err.startswith("error: GitLab refused GET /user with 401: ")
    assert gitlab.notes == []


def test_widget_counts_a_replacement_as_delete_and_create(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(
        '{"resource_changes": [{"change": {"actions": ["delete", "create"]}}, {"change": {"actions": ["no-op"]}}]}'
    )
    assert main(["widget", str(plan)]) == 0
    assert capsys.readouterr().out == '{"create": 1, "update": 0, "delete": 1}\n'
