"""Scan what the project ships with checkov: its HCL, the plan of its main example, its Dockerfiles and its workflows.

    python -m tests.policy.scan [FOLDER] [--plan ROOT]

FOLDER is the project (this one by default), ROOT a root module in it to plan on an emulator (examples/complete by default,
none for another folder). Neither HCL nor plan alone shows everything: a dynamic block that is off passes falsely in the
first, policy documents are read only there. Exit codes: 0 clean, 1 findings, 2 could not scan.

A finding is mended, or skipped where it arises, with a reason: `#checkov:skip=CKV_AWS_50:tracing is the caller's choice`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox import emulator, providers
from sandbox.errors import SandboxError
from tests.harness import Root, TerraformError, copy_project

PROJECT = Path(__file__).resolve().parents[2]
CHECKOV = PROJECT / ".venvs" / "policy" / "bin" / "checkov"
SECONDS = 300
# What is shipped; tests hold bad examples on purpose.
SCANNED = ("modules", "examples", "Dockerfile", ".github")
FRAMEWORKS = {"terraform": "**/*.tf", "dockerfile": "**/Dockerfile", "github_actions": ".github/workflows/*"}
NO_REASON = "No comment provided"


class CannotScanError(Exception):
    """Nothing can be said about the project, because the scan itself did not work."""


@dataclass(frozen=True, order=True)
class Finding:
    """A check that failed, or that is skipped without a reason; `place` is file:line within the project."""

    place: str
    check: str
    says: str
    resource: str

    def __str__(self) -> str:
        return f"{self.place}: {self.check} {self.says} ({self.resource})"


@dataclass(frozen=True)
class Scan:
    """One framework's result: how many things it looked at, how many checks passed, which failed, which are skipped."""

    name: str
    resources: int
    passed: int
    skipped: int
    findings: list[Finding] = field(default_factory=list)


def scan(project: Path, plans: Sequence[str] = ()) -> list[Scan]:
    """Scan a project's sources, and the plans of the named roots in it. CannotScanError says why it is not possible."""
    present = [name for name in SCANNED if (project / name).exists()]
    if not present:
        raise CannotScanError(f"{project} has none of {', '.join(SCANNED)}: there is nothing to scan")
    with tempfile.TemporaryDirectory(prefix="policy-scan-") as folder:
        # A copy, so that neither .terraform folders nor other leftovers are scanned.
        copy = copy_project(project.resolve(), Path(folder) / "project", present)
        expected = [name for name, pattern in FRAMEWORKS.items() if any(copy.glob(pattern))]
        if "terraform" not in expected:
            raise CannotScanError(f"{project} has no .tf file in {', '.join(present)}: there is nothing to scan")
        scans = _checkov(copy, expected, "--directory", str(copy), "--framework", *expected)
        for root in plans:
            plan = _plan(project, root, Path(folder))
            options = ["--file", str(plan), "--framework", "terraform_plan"]
            # Without the sources, checkov does not see the skips and their reasons.
            scans += _checkov(copy, ["terraform_plan"], *options, "--repo-root-for-plan-enrichment", str(copy))
    return scans


def _plan(project: Path, root: str, folder: Path) -> Path:
    """Plan a root in a copy of the project, on an emulator of its own, and return the file with the plan as JSON."""
    home = folder / "emulator"
    try:
        aws = emulator.start(home, emulator.free_port())
        try:
            environment = aws.environment() | providers.configure(home).environment()
            copy = copy_project(project.resolve(), folder / "planned")
            under_test = Root(copy / root, environment=environment)
            under_test.write("emulator_override.tf", emulator.AWS_PROVIDER)
            under_test.init()
            shown = under_test.plan().raw
        finally:
            emulator.stop(home)
    except (SandboxError, TerraformError, FileNotFoundError) as error:
        raise CannotScanError(f"{root} cannot be planned: {error}") from error
    plan = folder / "plan.json"
    plan.write_text(json.dumps(shown), encoding="utf-8")
    return plan


def _checkov(copy: Path, expected: Sequence[str], *options: str) -> list[Scan]:
    """Run checkov and read its report. It exits with 0 on files that it cannot parse and on none at all: both are told apart here."""
    if not CHECKOV.exists():
        raise CannotScanError(
            f"{CHECKOV.relative_to(PROJECT)} is missing: run `make policy`, or `make .venvs/policy/.ready`"
        )
    # Offline: no policies are fetched, and nothing is sent.
    command = [str(CHECKOV), *options, "--skip-download", "--output", "json"]
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=SECONDS, env=os.environ | {"LOG_LEVEL": "ERROR"}
    )
    reports = {report["check_type"]: report for report in _reports(result.stdout) if "check_type" in report}
    scans = []
    for name in expected:
        if name not in reports:
            raise CannotScanError(
                f"checkov reports nothing about {name} (exit code {result.returncode}): {result.stderr[-2000:]}"
            )
        scans.append(_read(name, reports[name], copy))
    return scans


def _reports(text: str) -> Iterator[dict[str, Any]]:
    """Yield checkov's reports: an object for one framework, a list for several, a bare counter when there is nothing."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise CannotScanError(f"checkov printed no JSON: {text[-2000:] or 'nothing at all'}") from error
    yield from found if isinstance(found, list) else [found]


def _read(name: str, report: dict[str, Any], copy: Path) -> Scan:
    results, summary = report["results"], report["summary"]
    if unreadable := results["parsing_errors"]:
        files = ", ".join(sorted(_within(copy, path) for path in unreadable))
        raise CannotScanError(f"{name}: checkov cannot parse {files}")
    checks = [*results["passed_checks"], *results["failed_checks"], *results["skipped_checks"]]
    if not checks:
        raise CannotScanError(f"{name}: checkov found nothing to check")
    # checkov counts no resources in workflows, so its own count will not do.
    resources = len({(check["file_path"], check["resource"]) for check in checks})
    unexplained = [
        check
        for check in results["skipped_checks"]
        if check["check_result"].get("suppress_comment") in {None, "", NO_REASON}
    ]
    findings = {_finding(check, check["check_name"], copy) for check in results["failed_checks"]}
    findings |= {_finding(check, "is skipped without a reason", copy) for check in unexplained}
    return Scan(name, resources, summary["passed"], summary["skipped"], sorted(findings))


def _finding(check: dict[str, Any], says: str, copy: Path) -> Finding:
    return Finding(
        f"{_within(copy, check['file_path'])}:{check['file_line_range'][0]}", check["check_id"], says, check["resource"]
    )


def _within(copy: Path, path: str) -> str:
    return path.removeprefix(str(copy)).lstrip("/")


def table(scans: Sequence[Scan]) -> str:
    """Return the result as a table, and under it each finding once: a module's own shows in every scan of a caller."""
    rows = [f"{'scan':<16}{'resources':>10}{'passed':>8}{'failed':>8}{'skipped':>9}"]
    rows += [f"{s.name:<16}{s.resources:>10}{s.passed:>8}{len(s.findings):>8}{s.skipped:>9}" for s in scans]
    return "\n".join([*rows, *map(str, sorted({finding for s in scans for finding in s.findings}))])


def main(arguments: Sequence[str] | None = None) -> int:
    """Scan, print the table and the findings, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.policy.scan", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("folder", type=Path, nargs="?", default=PROJECT, help="the project to scan (this one)")
    parser.add_argument(
        "--plan", action="append", metavar="ROOT", help="root module to plan and scan (examples/complete)"
    )
    given = parser.parse_args(arguments)
    own = given.folder.resolve() == PROJECT
    try:
        scans = scan(given.folder, given.plan or (["examples/complete"] if own else []))
    except CannotScanError as error:
        sys.stderr.write(f"could not scan: {error}\n")
        return 2
    sys.stdout.write(f"{table(scans)}\n")
    return 1 if any(s.findings for s in scans) else 0


if __name__ == "__main__":
    sys.exit(main())
