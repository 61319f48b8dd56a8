"""Runs jobs of GitLab CI and AWS CodeBuild: every script line as it is written, in an environment as the product makes it.

What a product does around the scripts has stand-ins: a clone of the repository, files carried from job to job, ID tokens.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from sandbox.paths import ROOT

SECONDS = 900
# Keys of a job that the runner acts upon, or that GitLab itself does.
GITLAB_KEYS = {
    *("script", "before_script", "variables", "artifacts", "needs", "id_tokens", "extends"),
    *("image", "services", "cache", "rules", "stage", "environment", "resource_group", "timeout", "interruptible"),
}


class CiError(Exception):
    """A file has something that the product would refuse, or that this runner does not know."""


@dataclass
class Result:
    """A finished job: its exit code, its log, and the files that it keeps."""

    code: int
    log: str
    kept: dict[str, bytes] = field(default_factory=dict)


def gitlab_jobs(file: Path, repository: Path) -> dict[str, dict[str, Any]]:
    """Return the visible jobs of a GitLab CI file, with its includes and `extends` resolved."""
    document = yaml.safe_load(file.read_text())
    jobs: dict[str, Any] = {}
    for include in document.get("include", []):
        jobs |= yaml.safe_load((repository / include["local"]).read_text())
    jobs |= document
    keywords = ("include", "workflow", "stages", "variables", "default")
    names = [name for name in jobs if not name.startswith(".") and name not in keywords]
    resolved = {name: _extended(name, jobs) for name in names}
    for name, job in resolved.items():
        if unknown := job.keys() - GITLAB_KEYS:
            raise CiError(f"job {name} has keys that this runner does not know: {', '.join(sorted(unknown))}")
        if missing := [needed for needed in job.get("needs", []) if needed not in resolved]:
            raise CiError(f"job {name} needs {', '.join(missing)}, which does not exist")
        if job["stage"] not in document["stages"]:
            raise CiError(f"job {name} is in the stage {job['stage']}, which is not listed")
    return resolved


def _extended(name: str, jobs: Mapping[str, Any]) -> dict[str, Any]:
    """Merge as GitLab does: mappings by key, everything else is replaced; later parents win, and the job itself last."""
    job = jobs[name]
    parents = job.get("extends", [])
    merged: dict[str, Any] = {}
    for parent in [parents] if isinstance(parents, str) else parents:
        if parent not in jobs:
            raise CiError(f"{name} extends {parent}, which does not exist")
        merged = _merged(merged, _extended(parent, jobs))
    return _merged(merged, {key: value for key, value in job.items() if key != "extends"})


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **base,
        **{
            key: _merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
            for key, value in over.items()
        },
    }


def run_gitlab(
    job: Mapping[str, Any], workspace: Path, environment: Mapping[str, str], given: Mapping[str, bytes]
) -> Result:
    """Run a job in a fresh clone, with the artifacts of the jobs that it needs."""
    predefined = {**environment, "CI": "true", "GITLAB_CI": "true", "CI_PROJECT_DIR": str(workspace)}
    # A variable of the caller, as of the project's settings, wins over one of the file.
    variables = {name: _expanded(str(value), predefined) for name, value in job.get("variables", {}).items()}
    tokens = {name: f"token for {token['aud']}" for name, token in job.get("id_tokens", {}).items()}
    write(workspace, given)
    script = "\n".join(["set -eo pipefail", *job.get("before_script", []), *job["script"]])
    result = _bash(script, workspace, {**tokens, **variables, **predefined})
    artifacts = job.get("artifacts", {})
    if result.code == 0 or artifacts.get("when") == "always":
        reports = [path for path in artifacts.get("reports", {}).values() if isinstance(path, str)]
        result.kept = read(workspace, [*artifacts.get("paths", []), *reports])
    return result


def _expanded(text: str, variables: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda match: variables.get(match[1], ""), text)


# Of the reference of version 0.2.
BUILDSPEC_KEYS = {"version", "run-as", "env", "proxy", "batch", "phases", "reports", "artifacts", "cache"}
ENV_KEYS = {"shell", "variables", "parameter-store", "exported-variables", "secrets-manager", "git-credential-helper"}
PHASES = ("install", "pre_build", "build", "post_build")
PHASE_KEYS = {"run-as", "on-failure", "runtime-versions", "commands", "finally"}
ARTIFACT_KEYS = {"files", "name", "discard-paths", "base-directory", "exclude-paths", "enable-symlinks", "s3-prefix"}


def buildspec(file: Path) -> dict[str, Any]:
    """Read a buildspec; CiError on a key that its reference does not have."""
    document: dict[str, Any] = yaml.safe_load(file.read_text())
    parts = [
        (document, BUILDSPEC_KEYS),
        (document.get("env", {}), ENV_KEYS),
        (document["phases"], {*PHASES}),
        (document.get("artifacts", {}), ARTIFACT_KEYS),
        (document.get("cache", {}), {"key", "fallback-keys", "action", "paths"}),
        *((phase, PHASE_KEYS) for phase in document["phases"].values()),
    ]
    for part, keys in parts:
        if unknown := part.keys() - keys:
            raise CiError(f"{file.name} has unknown keys: {', '.join(sorted(unknown))}")
    if str(document["version"]) != "0.2":
        raise CiError(f"{file.name} must have version 0.2")
    return document


def run_codebuild(
    document: Mapping[str, Any], workspace: Path, environment: Mapping[str, str], secrets: Mapping[str, str]
) -> Result:
    """Run a build's phases in one shell; a failed command ends the build, and the artifacts are taken all the same."""
    env = document.get("env", {})
    shell = env.get("shell", "sh")
    if shell != "bash":
        raise CiError(f"this runner has bash, not {shell}")
    variables = {name: str(value) for name, value in env.get("variables", {}).items()}
    named = {name: secrets[secret] for name, secret in env.get("secrets-manager", {}).items()}
    commands = [command for phase in PHASES for command in document["phases"].get(phase, {}).get("commands", [])]
    builtin = {"CODEBUILD_SRC_DIR": str(workspace), "CODEBUILD_BUILD_ID": "deliver:1"}
    result = _bash("\n".join(["set -e", *commands]), workspace, {**variables, **named, **builtin, **environment})
    artifacts = document.get("artifacts", {})
    base = workspace / artifacts.get("base-directory", ".")
    result.kept = read(base, artifacts.get("files", []))
    return result


def _bash(script: str, folder: Path, environment: Mapping[str, str]) -> Result:
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return Result(done.returncode, done.stdout)


def read(folder: Path, patterns: list[str]) -> dict[str, bytes]:
    """Return the files of a folder that match, by path; a pattern of a folder means all files in it."""
    found: dict[str, bytes] = {}
    for pattern in patterns:
        for path in folder.glob(pattern):
            files = sorted(path.rglob("*")) if path.is_dir() else [path]
            found |= {str(file.relative_to(folder)): file.read_bytes() for file in files if file.is_file()}
    return found


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files by their paths relative to a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def image_programs(folder: Path, search_path: str, python: str) -> Path:
    """Make a PATH as of the jobs' image: this machine's programs without Terraform and Docker, and one Python."""
    folder.mkdir(parents=True)
    for directory in map(Path, search_path.split(":")):
        for program in directory.iterdir() if directory.is_dir() else ():
            target = folder / program.name
            if not target.is_symlink() and not program.name.startswith(
                ("terraform", "tofu", "docker", "python", "pip")
            ):
                target.symlink_to(program)
    (folder / "python3").write_text(f'#!/bin/sh\nexec {python} "$@"\n')
    (folder / "python3").chmod(0o755)
    return folder


GITLAB_FILES = sorted((ROOT / "delivery/gitlab").glob("*.yml"))
JOBS = gitlab_jobs(ROOT / "delivery/gitlab/example.gitlab-ci.yml", ROOT)
BUILDSPECS = {
    file.name.partition(".")[0]: buildspec(file) for file in (ROOT / "delivery/codebuild").glob("*.buildspec.yml")
}

TOKEN = "project-access-token"
ME = {"id": 7, "username": "project_1_bot"}


@dataclass
class GitLab:
    """A stand-in for GitLab's REST API: notes of merge requests and issues of project 1, in memory."""

    url: str = ""
    notes: list[dict[str, Any]] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        match method, path.strip("/").split("/"):
            case "GET", ["user"]:
                return 200, ME
            case "GET", ["projects", "1", "merge_requests", number, "notes"]:
                return 200, [note for note in self.notes if note["merge_request"] == number]
            case "POST", ["projects", "1", "merge_requests", number, "notes"]:
                self.notes.append({"id": len(self.notes), "merge_request": number, "author": ME, **body})
                return 201, self.notes[-1]
            case "PUT", ["projects", "1", "merge_requests", _, "notes", number]:
                self.notes[int(number)] |= body
                return 200, self.notes[int(number)]
            case "GET", ["projects", "1", "issues"]:
                return 200, [issue for issue in self.issues if issue["state"] == "opened"]
            case "POST", ["projects", "1", "issues"]:
                self.issues.append({"iid": len(self.issues), "state": "opened", "author": ME, "comments": [], **body})
                return 201, self.issues[-1]
            case "POST", ["projects", "1", "issues", number, "notes"]:
                self.issues[int(number)]["comments"].append(body["body"])
                return 201, body
            case "PUT", ["projects", "1", "issues", number]:
                if body.pop("state_event", None) == "close":
                    body["state"] = "closed"
                self.issues[int(number)] |= body
                return 200, self.issues[int(number)]
        return 404, {"error": "404 Not Found"}


@contextmanager
def serving(gitlab: GitLab, releases: Path) -> Iterator[None]:
    """Serve the API, and below /terraform the files of a folder, as Terraform's releases are served."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def handle_request(self) -> None:
            url = urlsplit(self.path)
            if url.path.startswith("/terraform/"):
                file = releases / Path(url.path).name
                self._send(200 if file.exists() else 404, file.read_bytes() if file.exists() else b"")
                return
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            status, answer = 401, {"message": "401 Unauthorized"}
            if self.headers.get("PRIVATE-TOKEN") == TOKEN:
                status, answer = gitlab.answer(self.command, url.path.removeprefix("/api/v4"), body)
            if isinstance(answer, list) and not url.query.endswith("page=1"):
                answer = []
            self._send(status, json.dumps(answer).encode())

        def _send(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = handle_request  # noqa: N815

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        gitlab.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
