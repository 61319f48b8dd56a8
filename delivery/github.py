"""Write to GitHub from a workflow: a comment that is updated in place, an issue that is opened and closed, a release.

    python -m delivery.github comment --number 12 --key plan-dev FILE
    python -m delivery.github issue --key drift-prod --title "Drift in prod" FILE
    python -m delivery.github close-issue --key drift-prod --comment "No difference any more."
    python -m delivery.github release --tag v0.3.0 --title 0.3.0 FILE

Reads GITHUB_TOKEN, GITHUB_REPOSITORY and GITHUB_API_URL, as a job's environment has them. A comment or issue is found again by
its key, in a hidden first line, and only among those that a bot wrote. Exit code 1, with one sentence, when GitHub refuses.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import DeliveryError
from .rest import marker, pages, send

# Of the text of a comment or an issue, in characters.
MAX_BODY = 65_536
TRUNCATED = "\n\nThe rest is left out: GitHub's limit is 65,536 characters."


@dataclass(frozen=True)
class Repository:
    """A repository in GitHub's REST API. Errors of the API are DeliveryError."""

    api: str
    name: str
    token: str

    @classmethod
    def of_job(cls) -> Repository:
        """Return the repository of the running job; DeliveryError when a variable is missing."""
        missing = [name for name in ("GITHUB_TOKEN", "GITHUB_REPOSITORY") if not os.environ.get(name)]
        if missing:
            raise DeliveryError(
                f"{' and '.join(missing)} must be set, as in a GitHub Actions job with `env: GITHUB_TOKEN`."
            )
        api = os.environ.get("GITHUB_API_URL", "https://api.github.com")
        return cls(api.rstrip("/"), os.environ["GITHUB_REPOSITORY"], os.environ["GITHUB_TOKEN"])

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send a request to a path below the repository and return the response's JSON."""
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self.token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        return send("GitHub", method, path, f"{self.api}/repos/{self.name}/{path}", headers, body, _message)

    def pages(self, path: str) -> Iterator[dict[str, Any]]:
        """Return the items of a list, of all pages."""
        return pages(lambda page: self.request("GET", page), path)


def comment(repository: Repository, number: int, key: str, text: str) -> str:
    """Create or update the comment with this key on a pull request or an issue, and return its URL."""
    body = {"body": _body(key, text)}
    for existing in repository.pages(f"issues/{number}/comments"):
        if _is_own(existing, key):
            return str(repository.request("PATCH", f"issues/comments/{existing['id']}", body)["html_url"])
    return str(repository.request("POST", f"issues/{number}/comments", body)["html_url"])


def issue(repository: Repository, key: str, title: str, text: str) -> str:
    """Open the issue with this key, or update the open one, and return its URL."""
    body = {"title": title, "body": _body(key, text)}
    if existing := _open_issue(repository, key):
        return str(repository.request("PATCH", f"issues/{existing['number']}", body)["html_url"])
    return str(repository.request("POST", "issues", body)["html_url"])


def close_issue(repository: Repository, key: str, text: str) -> str | None:
    """Comment on the open issue with this key and close it. Return its URL, or None when there is none."""
    existing = _open_issue(repository, key)
    if existing is None:
        return None
    repository.request("POST", f"issues/{existing['number']}/comments", {"body": text})
    body = {"state": "closed", "state_reason": "completed"}
    return str(repository.request("PATCH", f"issues/{existing['number']}", body)["html_url"])


def release(repository: Repository, tag: str, title: str, text: str) -> str:
    """Publish a release of an existing tag, and return its URL."""
    body = {"tag_name": tag, "name": title, "body": text}
    return str(repository.request("POST", "releases", body)["html_url"])


def _open_issue(repository: Repository, key: str) -> dict[str, Any] | None:
    found = (item for item in repository.pages("issues?state=open") if "pull_request" not in item)
    return next((item for item in found if _is_own(item, key)), None)


def _is_own(item: dict[str, Any], key: str) -> bool:
    # Anyone may write the marker; a workflow's token writes as a bot.
    return (item.get("body") or "").startswith(marker(key)) and item["user"]["type"] == "Bot"


def _body(key: str, text: str) -> str:
    body = f"{marker(key)}\n{text}"
    return body if len(body) <= MAX_BODY else body[: MAX_BODY - len(TRUNCATED)] + TRUNCATED


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:200]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m delivery.github", description="Write to GitHub from a workflow.")
    commands = parser.add_subparsers(dest="command", required=True)
    commenting = commands.add_parser("comment", help="create or update a comment")
    commenting.add_argument("--number", type=int, required=True, help="of the pull request or issue")
    opening = commands.add_parser("issue", help="open or update an issue")
    opening.add_argument("--title", required=True)
    closing = commands.add_parser("close-issue", help="close the issue, if it is open")
    closing.add_argument("--comment", required=True)
    for command in (commenting, opening, closing):
        command.add_argument("--key", required=True, help="finds the comment or issue again")
    publishing = commands.add_parser("release", help="publish a release of a tag")
    publishing.add_argument("--tag", required=True)
    publishing.add_argument("--title", required=True)
    for command in (commenting, opening, publishing):
        command.add_argument("file", type=Path, help="the text, as Markdown")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parsed = _parser().parse_args(arguments)
    try:
        repository = Repository.of_job()
        if parsed.command == "close-issue":
            url = close_issue(repository, parsed.key, parsed.comment)
        else:
            text = parsed.file.read_text(encoding="utf-8")
            if parsed.command == "comment":
                url = comment(repository, parsed.number, parsed.key, text)
            elif parsed.command == "issue":
                url = issue(repository, parsed.key, parsed.title, text)
            else:
                url = release(repository, parsed.tag, parsed.title, text)
    except (DeliveryError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    print(url or "there is no open issue with this key")
    return 0


if __name__ == "__main__":
    sys.exit(main())
