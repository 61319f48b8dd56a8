"""Write to GitLab from a job: a comment that is updated in place, an issue that is opened and closed, the plan's widget.

    python -m delivery.merge_request comment --key plan-dev FILE
    python -m delivery.merge_request issue --key drift-prod --title "Drift in prod" FILE
    python -m delivery.merge_request close-issue --key drift-prod --comment "No difference any more."
    python -m delivery.merge_request widget PLAN.json    # prints the JSON of artifacts:reports:terraform

Reads CI_API_V4_URL, CI_PROJECT_ID and CI_MERGE_REQUEST_IID, as a job's environment has them, and GITLAB_TOKEN: a project access
token with the scope api, since a job's own token may not comment. A comment or issue is found again by its key, in a hidden first
line, and only among those of the token's own user. Exit code 1, with one sentence, when GitLab refuses.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import DeliveryError
from .rest import marker, pages, send

# A plan's actions that GitLab's widget shows, by the same names.
COUNTED = ("create", "update", "delete")


@dataclass(frozen=True)
class Project:
    """A project in GitLab's REST API. Errors of the API are DeliveryError."""

    api: str
    id: str
    token: str

    @classmethod
    def of_job(cls) -> Project:
        """Return the project of the running job; DeliveryError when a variable is missing."""
        needed = ("CI_API_V4_URL", "CI_PROJECT_ID", "GITLAB_TOKEN")
        if missing := [name for name in needed if not os.environ.get(name)]:
            raise DeliveryError(
                f"{' and '.join(missing)} must be set: a job has the CI_ variables, and GITLAB_TOKEN is a masked variable with "
                "a project access token of the scope api."
            )
        return cls(*(os.environ[name].rstrip("/") for name in needed))

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send a request to a path below the project, or to one that begins with a slash, and return the response's JSON."""
        url = f"{self.api}{path}" if path.startswith("/") else f"{self.api}/projects/{self.id}/{path}"
        return send("GitLab", method, path, url, {"PRIVATE-TOKEN": self.token}, body)

    def find(self, path: str, key: str, text: str) -> dict[str, Any] | None:
        """Return the item of a list whose `text` begins with the key's marker and whose author is the token's user."""
        author = self.request("GET", "/user")["id"]
        items = pages(lambda page: self.request("GET", page), path)
        own = (item for item in items if item["author"]["id"] == author)
        return next((item for item in own if (item[text] or "").startswith(marker(key))), None)


def comment(project: Project, number: str, key: str, text: str) -> None:
    """Create or update the comment with this key on a merge request."""
    path = f"merge_requests/{number}/notes"
    body = {"body": f"{marker(key)}\n{text}"}
    if existing := project.find(path, key, "body"):
        project.request("PUT", f"{path}/{existing['id']}", body)
    else:
        project.request("POST", path, body)


def issue(project: Project, key: str, title: str, text: str) -> None:
    """Open the issue with this key, or update the open one."""
    body = {"title": title, "description": f"{marker(key)}\n{text}"}
    if existing := project.find("issues?state=opened", key, "description"):
        project.request("PUT", f"issues/{existing['iid']}", body)
    else:
        project.request("POST", "issues", body)


def close_issue(project: Project, key: str, text: str) -> None:
    """Comment on the open issue with this key and close it; nothing when there is none."""
    if existing := project.find("issues?state=opened", key, "description"):
        project.request("POST", f"issues/{existing['iid']}/notes", {"body": text})
        project.request("PUT", f"issues/{existing['iid']}", {"state_event": "close"})


def widget(plan: dict[str, Any]) -> dict[str, int]:
    """Return the counts that GitLab shows for a plan, which is its JSON; a replacement counts as delete and create."""
    counts = Counter(action for change in plan.get("resource_changes", []) for action in change["change"]["actions"])
    return {action: counts[action] for action in COUNTED}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m delivery.merge_request", description="Write to GitLab from a job.")
    commands = parser.add_subparsers(dest="command", required=True)
    commenting = commands.add_parser("comment", help="create or update a comment of the job's merge request")
    opening = commands.add_parser("issue", help="open or update an issue")
    opening.add_argument("--title", required=True)
    closing = commands.add_parser("close-issue", help="close the issue, if it is open")
    closing.add_argument("--comment", required=True)
    counting = commands.add_parser("widget", help="print the counts for GitLab's widget")
    for command in (commenting, opening, closing):
        command.add_argument("--key", required=True, help="finds the comment or issue again")
    for command in (commenting, opening, counting):
        command.add_argument("file", type=Path, help="the text, as Markdown; or the plan's JSON")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parsed = _parser().parse_args(arguments)
    try:
        if parsed.command == "widget":
            print(json.dumps(widget(json.loads(parsed.file.read_text(encoding="utf-8")))))
            return 0
        project = Project.of_job()
        if parsed.command == "close-issue":
            close_issue(project, parsed.key, parsed.comment)
        elif parsed.command == "issue":
            issue(project, parsed.key, parsed.title, parsed.file.read_text(encoding="utf-8"))
        else:
            number = os.environ.get("CI_MERGE_REQUEST_IID")
            if not number:
                raise DeliveryError("CI_MERGE_REQUEST_IID is not set: comments are for pipelines of a merge request.")
            comment(project, number, parsed.key, parsed.file.read_text(encoding="utf-8"))
    except (DeliveryError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
