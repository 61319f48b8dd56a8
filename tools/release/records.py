"""Recorded releases: releases/<version>.json, since tags may not travel with a copy of the repository."""

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
    """A release: the commit whose sources it is, its day, its examples, what was judged for it, and its interface."""

    version: str
    commit: str
    date: str
    examples: list[str]
    judged: list[dict[str, str]]
    interface: dict[str, Any]

    def write(self, project: Path) -> None:
        """Write the record into the project."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False, sort_keys=False)
        (project / FOLDER / f"{self.version}.json").write_text(text + "\n", encoding="utf-8")


def records(project: Path) -> list[Record]:
    """Return all recorded releases, the first one first."""
    found = [Record(**json.loads(path.read_text(encoding="utf-8"))) for path in (project / FOLDER).glob("*.json")]
    return sorted(found, key=lambda record: Version(record.version))


def last(project: Path) -> Record:
    """Return the last recorded release; ReleaseError when there is none."""
    found = records(project)
    if not found:
        raise ReleaseError(f"{FOLDER}/ records no release: there is nothing to compare with")
    return found[-1]


def git(project: Path, *arguments: str) -> bytes:
    """Run git in the project and return what it prints; ReleaseError with its own words when it fails."""
    result = subprocess.run(["git", *arguments], cwd=project, capture_output=True, check=False)
    if result.returncode:
        raise ReleaseError(f"git {' '.join(arguments)} failed: {result.stderr.decode().strip()}")
    return result.stdout


def sources(project: Path, commit: str, into: Path) -> Path:
    """Unpack the project as it was at a commit, and return `into`.

    ReleaseError when the repository does not have the commit: a shallow clone, or a copy without its history.
    """
    try:
        git(project, "cat-file", "-e", f"{commit}^{{commit}}")
    except ReleaseError as error:
        raise ReleaseError(
            f"commit {commit} is not here, and a release's sources come from it. In a shallow clone, run "
            "`git fetch --unshallow` (on a CI runner: fetch-depth: 0); a copy without .git cannot have them: clone it."
        ) from error
    with tarfile.open(fileobj=io.BytesIO(git(project, "archive", "--format=tar", commit))) as archive:
        archive.extractall(into, filter="data")
    return into
