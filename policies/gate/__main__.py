"""Scan sources and plans with checkov and this pack, so that a green run means that all was looked at and nothing is wrong.

    python policies/gate FOLDER [--only NAME ...] [--plan ROOT=PLAN.json ...]
                         [--register SKIPS.yaml] [--inherit SKIPS.yaml ...] [--reports FOLDER]

To be run by the Python that checkov is installed for. Sources are scanned as HCL, Dockerfiles, GitHub workflows and for
secrets, plans (`terraform show -json`) as such: each alone is blind to what only the other shows. Exit codes:

    0  clean
    1  a finding, or a skip that the register does not justify
    2  could not scan: nothing to scan, a file that cannot be read, a plan that is missing, a check that crashed

An accepted finding has an in-line `#checkov:skip=ID:reason` where it arises, and an entry with the same reason in the register:
`check`, `where` (a file, relative to the register), `resource` (not for a Dockerfile), `why`, and either `until` (a date) or
`lifted_by`. The gate scans without the in-line skips, so it knows which of them still hold something back. An inherited register
is that of a module that came with its sources: it accepts, and need not match anything.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from junit_xml import TestCase, TestSuite, to_xml_report_string

PACK = Path(__file__).resolve().parents[1]
CHECKOV = Path(sys.executable).with_name("checkov")
SECONDS = 600
# Tools' own folders, and what others keep in a project under a dot; named by --only, such a folder is scanned all the same.
NOT_SCANNED = shutil.ignore_patterns(".[!g]*", ".git", "__pycache__", "node_modules", "*.tfstate*")
FRAMEWORKS = {"terraform": "**/*.tf", "dockerfile": "**/Dockerfile*", "github_actions": ".github/workflows/*.y*ml"}
INLINE = re.compile(r"#\s*checkov:skip=(?P<check>[\w]+)(?P<reason>:[^\n]*)?")
# What checkov logs and then goes on from, as if the check had found nothing.
CRASHED = re.compile(
    r"^.*(?:Failed to run check|Cannot load external check|Failed to invoke|is not valid|Traceback).*$", re.M
)
CALLER = re.compile(r"^(?:module\.[\w-]+\.)+(?=[\w-]+\.)")
INSTANCE = re.compile(r"\[(?:\d+|\"[^\"]*\")\]")
LEAST_REASON = 15


class CannotScanError(Exception):
    """Nothing can be said, because the scan itself did not work."""


@dataclass(frozen=True, order=True)
class Finding:
    """A check that failed in a file, of a resource by its address within its module."""

    where: str
    line: int
    check: str
    resource: str
    says: str

    def __str__(self) -> str:
        return f"{self.where}:{self.line}: {self.check} {self.says} ({self.resource})"


@dataclass(frozen=True)
class Skip:
    """An entry of a register: where it stands, and what it accepts."""

    entry: str
    check: str
    where: str
    resource: str
    why: str
    inherited: bool = False

    def covers(self, finding: Finding) -> bool:
        """Tell whether this is the finding that the entry accepts."""
        same = (self.check, self.where) == (finding.check, finding.where)
        return same and self.resource in {"", finding.resource}

    def __str__(self) -> str:
        return f"{self.check} in {self.where}{f' of {self.resource}' if self.resource else ''}"


@dataclass(frozen=True)
class Scan:
    """What one scan looked at: how many things, how many checks passed, and what failed."""

    name: str
    things: int
    passed: int
    findings: list[Finding]


def scan(
    folder: Path, only: Sequence[str], plans: Mapping[str, Path], pack: Path, reports: Path
) -> tuple[list[Scan], dict[tuple[str, str], list[str]]]:
    """Scan, and return the scans and, by check and file, the reasons of in-line skips. CannotScanError says what is in the way."""
    if missing := [str(path) for path in plans.values() if not path.is_file()]:
        raise CannotScanError(f"{', '.join(missing)}: there is no such plan; `terraform show -json` writes one")
    if not CHECKOV.exists():
        raise CannotScanError(f"checkov is not installed for {sys.executable}")
    with tempfile.TemporaryDirectory(prefix="policy-gate-") as scratch:
        copy = _copied(folder, only, Path(scratch) / "sources")
        declared = _without_skips(copy)
        expected = [name for name, pattern in FRAMEWORKS.items() if any(copy.glob(pattern))]
        if "terraform" not in expected:
            raise CannotScanError(f"{folder} has no .tf file in {', '.join(only) or 'it'}: there is nothing to scan")
        configured = {root: _configured_of(path, root, copy) for root, path in plans.items()}
        sources = ["--directory", ".", "--framework", *expected, "secrets"]
        planned = ["--framework", "terraform_plan", "--repo-root-for-plan-enrichment", "."]
        planned += ["--file", *(str(path.resolve()) for path in plans.values())]
        with ThreadPoolExecutor(2) as pool:
            running = [pool.submit(_checkov, copy, pack, reports / "sources", sources)]
            running += [pool.submit(_checkov, copy, pack, reports / "plans", planned)] if plans else []
            found = [one.result() for one in running]
        scans = [_read(name, found[0].get(name), copy) for name in expected]
        # checkov says nothing of secrets where there are none.
        scans += [_read("secrets", found[0]["secrets"], copy)] if "secrets" in found[0] else [Scan("secrets", 0, 0, [])]
        scans += [
            _read_plan(root, path, found[1].get("terraform_plan"), configured[root]) for root, path in plans.items()
        ]
    return scans, declared


def _copied(folder: Path, only: Sequence[str], into: Path) -> Path:
    """Copy what is to be scanned: skips are taken out of it, and folders like .terraform are not a part of it."""
    if not folder.is_dir():
        raise CannotScanError(f"{folder} is not a folder: there is nothing to scan")
    if missing := [name for name in only if not (folder / name).exists()]:
        raise CannotScanError(f"{folder} has no {', '.join(missing)}: it cannot be scanned")
    if not only:
        return Path(shutil.copytree(folder, into, ignore=NOT_SCANNED, symlinks=True))
    for name in only:
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        if (folder / name).is_dir():
            shutil.copytree(folder / name, into / name, ignore=NOT_SCANNED, symlinks=True)
        else:
            shutil.copy(folder / name, into / name)
    return into


def _without_skips(copy: Path) -> dict[tuple[str, str], list[str]]:
    """Disarm the in-line skips, each on its line, and return their reasons by check and file."""
    declared: dict[tuple[str, str], list[str]] = {}
    files = {path for pattern in FRAMEWORKS.values() for path in copy.glob(pattern)}
    for path in sorted(files):
        text = path.read_text(encoding="utf-8")
        for skip in INLINE.finditer(text):
            reasons = declared.setdefault((skip["check"], str(path.relative_to(copy))), [])
            reasons.append((skip["reason"] or "").removeprefix(":").strip())
        path.write_text(INLINE.sub("# skipped", text), encoding="utf-8")
    return declared


def _checkov(copy: Path, pack: Path, reports: Path, options: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Run checkov and return its reports by framework; SARIF stays in `reports`."""
    reports.mkdir(parents=True, exist_ok=True)
    command = [str(CHECKOV), *options, "--external-checks-dir", str(pack.resolve()), "--skip-download"]
    command += ["--output", "json", "--output", "sarif", "--output-file-path", str(reports)]
    # Offline: no policies are fetched, and nothing is sent.
    environment = os.environ | {"LOG_LEVEL": "ERROR"}
    result = subprocess.run(  # noqa: S603 - checkov, beside this Python
        command, cwd=copy, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    if crashed := CRASHED.search(result.stderr):
        raise CannotScanError(f"a check crashed: {crashed[0].strip()}\n{result.stderr[-1000:]}")
    file = reports / "results_json.json"
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise CannotScanError(
            f"checkov ended with {result.returncode} and no report: {result.stderr[-2000:]}"
        ) from error
    finally:
        file.unlink(missing_ok=True)
    return {r["check_type"]: r for r in (found if isinstance(found, list) else [found]) if "check_type" in r}


def _read(name: str, report: dict[str, Any] | None, copy: Path) -> Scan:
    if report is None:
        raise CannotScanError(f"{name}: checkov found nothing to check")
    if unreadable := report["results"]["parsing_errors"]:
        files = sorted(file.removeprefix(f"{copy}/") for file in unreadable)
        raise CannotScanError(f"{name}: checkov cannot parse {', '.join(files)}")
    return _summed(name, report["results"]["passed_checks"], report["results"]["failed_checks"])


def _configured_of(plan: Path, root: str, copy: Path) -> set[str]:
    """Return what was planned; refuse, before anything is scanned, a plan that is none or that is not of these sources."""
    configured = _configured(plan)
    if strange := configured - _written(copy / root):
        raise CannotScanError(f"{plan} is no plan of {root}, which has no {', '.join(sorted(strange))}: plan again")
    return configured


def _read_plan(root: str, plan: Path, report: dict[str, Any] | None, configured: set[str]) -> Scan:
    """Return the part of the report that is about one plan."""
    if report is None:
        raise CannotScanError(f"{plan}: checkov found no plan in it")
    if unreadable := report["results"]["parsing_errors"]:
        raise CannotScanError(f"checkov cannot parse {', '.join(sorted(unreadable))}")
    passed, failed = (
        [c for c in report["results"][f"{verdict}_checks"] if Path(c["file_abs_path"]) == plan.resolve()]
        for verdict in ("passed", "failed")
    )
    # checkov ties what failed to its source by name; where it does not, no skip and no register would find it.
    loose = {c["resource"] for c in failed if not c["file_path"].endswith(".tf")}
    if loose := {address for address in loose if INSTANCE.sub("", address) in configured}:
        raise CannotScanError(f"{plan}: checkov did not find {', '.join(sorted(loose))} in the sources of {root}")
    return _summed(f"plan of {root}", passed, failed)


def _configured(plan: Path) -> set[str]:
    """Return the resources and module calls of the root module that was planned."""
    try:
        module = json.loads(plan.read_text(encoding="utf-8"))["configuration"]["root_module"]
    except (ValueError, KeyError) as error:
        raise CannotScanError(f"{plan} is not what `terraform show -json` writes of a plan") from error
    managed = {resource["address"] for resource in module.get("resources", []) if resource["mode"] == "managed"}
    return managed | {f"module.{name}" for name in module.get("module_calls", {})}


def _written(root: Path) -> set[str]:
    """Return the resources and module calls that a root's sources hold."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in root.glob("*.tf"))
    resources = {".".join(names) for names in re.findall(r'^resource "([^"]+)" "([^"]+)"', text, re.MULTILINE)}
    return resources | {f"module.{name}" for name in re.findall(r'^module "([^"]+)"', text, re.MULTILINE)}


def _summed(name: str, passed: list[dict[str, Any]], failed: list[dict[str, Any]]) -> Scan:
    things = {(c["file_path"], c["resource"]) for c in [*passed, *failed]}
    if not things:
        raise CannotScanError(f"{name}: checkov found nothing to check")
    return Scan(name, len(things), len(passed), sorted({_finding(check) for check in failed}))


def _finding(check: dict[str, Any]) -> Finding:
    # As the module itself knows it, whoever calls it.
    resource = CALLER.sub("", INSTANCE.sub("", check["resource"]))
    return Finding(
        str(check["file_path"]).lstrip("/"),
        check["file_line_range"][0],
        check["check_id"],
        resource,
        check["check_name"],
    )


def read_register(file: Path, folder: Path, today: date, *, inherited: bool) -> tuple[list[Skip], list[str]]:
    """Return a register's entries, and what is wrong with them as such."""
    try:
        entries = yaml.safe_load(file.read_text(encoding="utf-8")) or []
        base = file.resolve().parent.relative_to(folder.resolve())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise CannotScanError(f"{file} cannot be read, or lies outside of {folder}: {error}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CannotScanError(f"{file} must be a list of entries with check, where, why and until or lifted_by")
    skips, wrong = [], []
    for number, entry in enumerate(entries, 1):
        check, where, resource, why = (str(entry.get(key, "")).strip() for key in ("check", "where", "resource", "why"))
        skip = Skip(f"{file.name}, entry {number}", check, str(base / where), resource, why, inherited)
        skips.append(skip)
        wrong += [f"{skip.entry}: {skip} {problem}" for problem in _wrong(skip, entry, today)]
    return skips, wrong


def _wrong(skip: Skip, entry: Mapping[str, Any], today: date) -> Iterable[str]:
    until = entry.get("until")
    unknown = entry.keys() - {"check", "where", "resource", "why", "until", "lifted_by"}
    if unknown or not skip.check or not entry.get("where"):
        yield f"must hold check, where and why, and nothing unknown ({', '.join(sorted(unknown))})"
    if len(skip.why) < LEAST_REASON:
        yield f"has no reason: `why` must say it in {LEAST_REASON} characters or more"
    if until is None and not str(entry.get("lifted_by", "")).strip():
        yield "must say `until` when it holds, or what it would be `lifted_by`"
    elif until is not None and not isinstance(until, date):
        yield f"must be a date such as 2027-01-31, and is {until!r}: `until`"
    elif isinstance(until, date) and until < today:
        yield f"expired on {until}"


def judge(
    scans: Iterable[Scan], declared: Mapping[tuple[str, str], list[str]], skips: Sequence[Skip]
) -> tuple[list[Finding], list[str]]:
    """Return the findings that nobody accepted, and what is wrong between register and in-line skips."""
    findings = {finding for one in scans for finding in one.findings}
    wrong = []
    for skip in (skip for skip in skips if not skip.inherited):
        if not any(skip.covers(finding) for finding in findings):
            wrong.append(f"{skip.entry}: {skip} matches no finding any more: take it away")
        # In a plan's own file, which holds what comes of modules elsewhere, nothing can be written.
        if not skip.where.endswith(".json") and skip.why not in declared.get((skip.check, skip.where), []):
            wrong.append(f"{skip.entry}: {skip} has no in-line skip with the same reason in that file")
    for (check, where), reasons in declared.items():
        known = {skip.why for skip in skips if (skip.check, skip.where) == (check, where)}
        wrong += [f"{where}: the in-line skip of {check} is not in the register" for r in reasons if r not in known]
    return sorted(f for f in findings if not any(skip.covers(f) for skip in skips)), wrong


def table(scans: Sequence[Scan], skips: Sequence[Skip]) -> str:
    """Return one line for each scan."""
    width = max(len(one.name) for one in scans)
    rows = [f"{'scan':<{width}}{'things':>8}{'passed':>8}{'accepted':>10}{'failed':>8}"]
    for one in scans:
        accepted = sum(any(skip.covers(finding) for skip in skips) for finding in one.findings)
        failed = len(one.findings) - accepted
        rows.append(f"{one.name:<{width}}{one.things:>8}{one.passed:>8}{accepted:>10}{failed:>8}")
    return "\n".join(rows)


def write_reports(reports: Path, scans: Sequence[Scan], skips: Sequence[Skip]) -> None:
    """Write JUnit, and mark in SARIF what the register accepts as suppressed, with its reason."""
    suites = []
    for one in scans:
        cases = [TestCase(f"{one.passed} checks passed", one.name)] if one.passed else []
        for finding in one.findings:
            case = TestCase(f"{finding.check} {finding.says}", f"{finding.where}:{finding.line} {finding.resource}")
            accepted = next((skip.why for skip in skips if skip.covers(finding)), None)
            case.add_skipped_info(accepted) if accepted else case.add_failure_info(str(finding))
            cases.append(case)
        suites.append(TestSuite(one.name, cases))
    (reports / "junit.xml").write_text(to_xml_report_string(suites), encoding="utf-8")
    for file in reports.glob("*/results_sarif.sarif"):
        sarif = json.loads(file.read_text())
        for result in (result for run in sarif["runs"] for result in run["results"]):
            place = result["locations"][0]["physicalLocation"]
            where = place["artifactLocation"]["uri"].lstrip("/")
            found = {(f.check, f.where, f.line): f for one in scans for f in one.findings}
            same = found.get((result["ruleId"], where, place["region"]["startLine"]))
            why = next((skip.why for skip in skips if same and skip.covers(same)), None)
            if why:
                result["suppressions"] = [{"kind": "inSource", "justification": why}]
        (reports / f"{file.parent.name}.sarif").write_text(json.dumps(sarif, indent=2), encoding="utf-8")
        shutil.rmtree(file.parent)


def _registers(given: argparse.Namespace) -> tuple[list[Skip], list[str]]:
    files = [(file, True) for file in given.inherit] + ([(given.register, False)] if given.register else [])
    today = date.today()  # noqa: DTZ011 - a day more or less does no harm
    read = [read_register(file, given.folder, today, inherited=inherited) for file, inherited in files]
    return [skip for skips, _ in read for skip in skips], [problem for _, wrong in read for problem in wrong]


def _plan(argument: str) -> tuple[str, Path]:
    root, separator, path = argument.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{argument!r} must be ROOT=PLAN.json: the root module's folder and its plan")
    return root, Path(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Scan, print the table and what is wrong, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python policies/gate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="project to scan")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="files and folders of it (all)")
    parser.add_argument("--plan", action="append", default=[], type=_plan, metavar="ROOT=PLAN.json")
    parser.add_argument("--register", type=Path, help="file of accepted findings (none are accepted)")
    parser.add_argument("--inherit", type=Path, action="append", default=[], help="register of a module in the folder")
    parser.add_argument("--reports", type=Path, help="folder for junit.xml, sources.sarif and plans.sarif (none)")
    parser.add_argument("--pack", type=Path, default=PACK, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        reports = given.reports or Path(scratch)
        reports.mkdir(parents=True, exist_ok=True)
        try:
            skips, wrong = _registers(given)
            scans, declared = scan(given.folder, given.only, dict(given.plan), given.pack, reports.resolve())
        except CannotScanError as error:
            sys.stderr.write(f"could not scan: {error}\n")
            return 2
        write_reports(reports, scans, skips)
    findings, mismatches = judge(scans, declared, skips)
    sys.stdout.write(f"{table(scans, skips)}\n")
    for line in [*map(str, findings), *(f"register: {problem}" for problem in [*wrong, *mismatches])]:
        sys.stdout.write(f"{line}\n")
    return 1 if findings or wrong or mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
