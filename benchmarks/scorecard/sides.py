"""The two sides of the scorecard: the estate of separate functions and the module with the service, in a copy of the project."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scorecard.duplicates import code_lines
from benchmarks.scorecard.errors import ScorecardError
from harness.root import copy_project
from sandbox import paths
from sandbox.paths import ROOT

Say = Callable[[str], None]
"""Reports progress, a line at a time."""
ENDPOINT = Path(__file__).parent / "endpoint"
SIDES = ("old", "new")
ROOTS = {"old": paths.LEGACY, "new": "examples/complete"}
PATCHES = {"old": "legacy.patch", "new": "service.patch"}
CODE = {"old": "examples/legacy-lambdas/functions", "new": "service"}


@dataclass(frozen=True)
class Added:
    """What a change adds: files and lines, in total and of Terraform."""

    new_files: int
    changed_files: int
    lines: int
    terraform_lines: int
    removed_lines: int


def copied(folder: Path) -> Path:
    """Copy what both sides need, and return the copy."""
    return copy_project(ROOT, folder, paths.EXAMPLE_SOURCES)


def add_endpoint(side: str, copy: Path, patches: Path = ENDPOINT) -> Added:
    """Add the endpoint to a side in a copy of the project, and count what it adds.

    Raises:
        ScorecardError: the patch does not fit, since the project has changed.
    """
    patch = patches / PATCHES[side]
    counted = _git_apply(copy, patch, "--numstat")
    before = {path for path in _paths(counted) if (copy / path).exists()}
    _git_apply(copy, patch)
    rows = [line.split("\t") for line in counted.splitlines()]
    return Added(
        new_files=len(rows) - len(before),
        changed_files=len(before),
        lines=sum(int(added) for added, _, _ in rows),
        terraform_lines=sum(int(added) for added, _, path in rows if path.endswith(".tf")),
        removed_lines=sum(int(removed) for _, removed, _ in rows),
    )


def _git_apply(copy: Path, patch: Path, *options: str) -> str:
    # In a repository, git would leave out what the repository ignores, such as a folder for temporary files.
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(copy.resolve().parent)}
    command = ["git", "apply", "-p0", *options, str(patch.resolve())]
    result = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ScorecardError(
            f"{patch.name} does not fit the project any more: make the change again in a copy, and write it with "
            f"`git diff --no-prefix`. git says: {result.stderr.partition(chr(10))[0]}"
        )
    return result.stdout


def _paths(numstat: str) -> Iterable[str]:
    return (line.split("\t")[2] for line in numstat.splitlines())


def sources(folder: Path, pattern: str) -> dict[str, str]:
    """Return the text of a folder's files by path; generated ones are left out."""
    files = sorted(path for path in folder.rglob(pattern) if not {"__pycache__", "build"} & set(path.parts))
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in files}


def terraform_size(root: Path) -> tuple[int, int]:
    """Return the number of a root's Terraform files, and of their lines without blanks and comments."""
    files = [path.read_text(encoding="utf-8") for path in sorted(root.glob("*.tf"))]
    return len(files), sum(len(code_lines(text)) for text in files)


def path_with_uv() -> str:
    """Return a PATH with uv, with which the estate's package.py is faster."""
    return f"{paths.environment('dev')}{os.pathsep}{os.environ['PATH']}"


def requirements(copy: Path) -> dict[str, list[str]]:
    """Return the estate's requirements by function, as written."""
    files = sources(copy / CODE["old"], "requirements.txt")
    return {Path(name).parent.name: text.split() for name, text in files.items()}


def pinned(copy: Path) -> list[str]:
    """Return the service's packages, each at one version."""
    text = (copy / "service/requirements.txt").read_text(encoding="utf-8")
    return re.findall(r"^([\w.-]+==\S+)", text, re.MULTILINE)
