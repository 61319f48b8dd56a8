"""A stand-in for GitHub's REST API: the few paths that delivery.github calls, in memory, with the refusals of the real one.

A job's token is the text of its permissions (see tools.workflow), so a call that the job may not make is a 403, as on GitHub.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

MAX_BODY = 65_536
BOT = {"login": "github-actions[bot]", "type": "Bot"}


@dataclass
class GitHub:
    """What the repository team/parcels holds: comments by issue number, issues, and releases."""

    url: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)
    releases: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: dict[str, Any]) -> tuple[int, Any]:
        """Return status and JSON of a request for a path below the repository."""
        page, size = int(query.get("page", ["1"])[0]), int(query.get("per_page", ["30"])[0])
        window = slice((page - 1) * size, page * size)
        if len(body.get("body", "")) > MAX_BODY:
            return 422, {"message": "Validation Failed: body is too long (maximum is 65536 characters)"}
        match method, path.split("/"):
            case "GET", ["issues", number, "comments"]:
                return 200, [one for one in self.comments if one["issue"] == int(number)][window]
            case "POST", ["issues", number, "comments"]:
                made = {"id": len(self.comments) + 1, "issue": int(number), "user": BOT, **body}
                self.comments.append(made)
                return 201, made | {"html_url": f"https://github.test/comment/{made['id']}"}
            case "PATCH", ["issues", "comments", number]:
                self.comments[int(number) - 1] |= body
                return 200, {"html_url": f"https://github.test/comment/{number}"}
            case "GET", ["issues"]:
                return 200, [one for one in self.issues if one["state"] == query["state"][0]][window]
            case "POST", ["issues"]:
                made = {"number": len(self.issues) + 100, "state": "open", "user": BOT, **body}
                self.issues.append(made)
                return 201, made | {"html_url": f"https://github.test/issues/{made['number']}"}
            case "PATCH", ["issues", number]:
                self.issues[int(number) - 100] |= body
                return 200, {"html_url": f"https://github.test/issues/{number}"}
            case "POST", ["releases"]:
                if any(one["tag_name"] == body["tag_name"] for one in self.releases):
                    return 422, {"message": "Validation Failed: tag_name already_exists"}
                self.releases.append(body)
                return 201, {"html_url": f"https://github.test/releases/{body['tag_name']}"}
        return 404, {"message": "Not Found"}


# Method and path → the permissions of which one is needed.
NEEDED = (
    (r"POST issues/\d+/comments|PATCH issues/comments/\d+", {"issues=write", "pull-requests=write"}),
    (r"(POST|PATCH) issues.*", {"issues=write"}),
    (r"GET issues/\d+/comments", {"issues=write", "issues=read", "pull-requests=write", "pull-requests=read"}),
    (r"GET issues", {"issues=write", "issues=read"}),
    (r"POST releases", {"contents=write"}),
)


@contextmanager
def serve() -> Iterator[GitHub]:
    """Serve the API on a free port of this machine."""
    github = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
            pass

        def handle_request(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            url = urlsplit(self.path)
            prefix, path = "/repos/team/parcels/", url.path
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            called = f"{self.command} {path.removeprefix(prefix)}"
            needed = next((any_of for pattern, any_of in NEEDED if re.fullmatch(pattern, called)), None)
            if not token:
                status, answer = 401, {"message": "Requires authentication"}
            elif not path.startswith(prefix) or needed is None:
                status, answer = 404, {"message": "Not Found"}
            elif not needed & set(token.split(",")):
                status, answer = 403, {"message": "Resource not accessible by integration"}
            else:
                status, answer = github.answer(self.command, path.removeprefix(prefix), parse_qs(url.query), body)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = handle_request  # noqa: N815

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        github.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield github
        finally:
            server.shutdown()
            thread.join()
