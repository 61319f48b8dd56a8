"""Recorded releases in releases/<version>.json, since a copy of the repository may lack tags."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from packaging.version import Version

from .errors import ReleaseError

FOLDER = "releases"
MODULE = "modules/lambda_container_api"


@dataclass(frozen=True)
class Record:
    """A release: commit, date, examples, judgements, and interface."""

    version: str
    commit: str
    date: str
    examples: list[str]
    judged: list[dict[str, str]]
    interface: dict[str, Any]

    def write(self, project: Path) -> None:
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False, sort_keys=False)
        (project / FOLDER / f"{self.version}.json").write_text(text + "\n", encoding="utf-8")


def records(project: Path) -> list[Record]:
    """Return all recorded releases, oldest first."""
    releases = [Record(**json.loads(path.read_text(encoding="utf-8"))) for path in (project / FOLDER).glob("*.json")]
    return sorted(releases, key=lambda record: Version(record.version))


def last(project: Path) -> Record:
    """Return the last recorded release; ReleaseError when there is none."""
    releases = records(project)
    if not releases:
        raise ReleaseError(f"{FOLDER}/ has no recorded release to compare with")
    return releases[-1]


def git(project: Path, *arguments: str) -> bytes:
    """Run git in the project and return its output; ReleaseError with git's error when it fails."""
    result = subprocess.run(["git", *arguments], cwd=project, capture_output=True, check=False)
    if result.returncode:
        raise ReleaseError(f"git {' '.join(arguments)} failed: {result.stderr.decode().strip()}")
    return result.stdout


def sources(project: Path, commit: str, into: Path) -> Path:
    """Unpack the project at a commit, and return `into`.

    ReleaseError when the repository lacks the commit, such as in a shallow clone or a copy without history.
    """
    try:
        git(project, "cat-file", "-e", f"{commit}^{{commit}}")
    except ReleaseError as error:
        raise ReleaseError(
            f"commit {commit} with a release's sources is missing. In a shallow clone, run "
            "`git fetch --unshallow` (on a CI runner: fetch-depth: 0); instead of a copy without .git, use a clone."
        ) from error
    with tarfile.open(fileobj=io.BytesIO(git(project, "archive", "--format=tar", commit))) as archive:
        archive.extractall(into, filter="data")
    return into
