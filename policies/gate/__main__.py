"""Scan sources and plans with checkov and this pack. Exit code 0: everything was scanned, and every finding is accepted.

    python policies/gate FOLDER [--only NAME ...] [--plan ROOT=PLAN.json ...]
                         [--register SKIPS.yaml] [--inherit SKIPS.yaml ...] [--reports FOLDER]

Run it with the Python that checkov is installed for. Sources are scanned as HCL, Dockerfiles, GitHub workflows and for
secrets; plans come from `terraform show -json`. Both are needed: each contains values that the other lacks. Exit codes:

    0  clean
    1  a finding, or a skip that the register does not justify
    2  could not scan: nothing to scan, a file that cannot be read, a plan that is missing, a check that crashed

An accepted finding has an in-line `#checkov:skip=ID:reason` at the resource, and an entry with the same reason in the register:
`check`, `where` (a file, relative to the register), `resource` (not for a Dockerfile), `why`, and either `until` (a date) or
`lifted_by`. The gate scans without the in-line skips, so it knows which of them still match a finding. An entry may be unused
if it has `deployed: true`, for a finding in plans of an existing resource only (its attributes that are not set are "" there,
and null in a first plan), or if its register is inherited: that of a module whose sources are in the folder.
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
TIMEOUT_SECONDS = 600
# Folders of tools, and dot folders in general; --only scans such a folder anyway.
IGNORED = shutil.ignore_patterns(".[!g]*", ".git", "__pycache__", "node_modules", "*.tfstate*")
FRAMEWORKS = {"terraform": "**/*.tf", "dockerfile": "**/Dockerfile*", "github_actions": "**/.github/workflows/*.y*ml"}
INLINE = re.compile(r"#\s*checkov:skip=(?P<check>[\w]+)(?P<reason>:[^\n]*)?")
# checkov logs these errors and continues, as if the check had passed.
CRASHED = re.compile(
    r"^.*(?:Failed to run check|Cannot load external check|Failed to invoke|is not valid|Traceback).*$", re.M
)
CALLER = re.compile(r"^(?:module\.[\w-]+\.)+(?=[\w-]+\.)")
INSTANCE = re.compile(r"\[(?:\d+|\"[^\"]*\")\]")
MIN_REASON_LENGTH = 15
# CKV_LCA_14 judges the versions of modules in all their forms. These two refuse the tag of a release, and other forms.
REPLACED = "CKV_TF_1,CKV_TF_2"


class CannotScanError(Exception):
    """The scan itself failed, so there is no result."""


@dataclass(frozen=True, order=True)
class Finding:
    """A failed check. `resource` is the address within its module."""

    where: str
    line: int
    check: str
    resource: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}:{self.line}: {self.check} {self.message} ({self.resource})"


@dataclass(frozen=True)
class Skip:
    """An entry of a register: its position, and the finding that it accepts."""

    entry: str
    check: str
    where: str
    resource: str
    why: str
    inherited: bool = False
    deployed: bool = False

    def covers(self, finding: Finding) -> bool:
        same = (self.check, self.where) == (finding.check, finding.where)
        return same and self.resource in {"", finding.resource}

    def __str__(self) -> str:
        return f"{self.check} in {self.where}{f' of {self.resource}' if self.resource else ''}"


@dataclass(frozen=True)
class Scan:
    """The result of one scan: the number of resources, the number of passed checks, and the findings."""

    name: str
    resources: int
    passed: int
    findings: list[Finding]


def scan(
    folder: Path, only: Sequence[str], plans: Mapping[str, Path], pack: Path, reports: Path
) -> tuple[list[Scan], dict[tuple[str, str], list[str]]]:
    """Return the scans, and the reasons of in-line skips by check and file. CannotScanError if a scan fails."""
    if missing := [str(path) for path in plans.values() if not path.is_file()]:
        raise CannotScanError(f"{', '.join(missing)}: no such plan file; create it with `terraform show -json`")
    if not CHECKOV.exists():
        raise CannotScanError(f"checkov is not installed for {sys.executable}")
    with tempfile.TemporaryDirectory(prefix="policy-gate-") as scratch:
        copy = _copy_sources(folder, only, Path(scratch) / "sources")
        declared = _disable_skips(copy)
        expected = [name for name, pattern in FRAMEWORKS.items() if any(copy.glob(pattern))]
        if "terraform" not in expected:
            raise CannotScanError(f"{folder} has no .tf file in {', '.join(only) or 'it'}: nothing to scan")
        configured = {root: _matching_addresses(path, root, copy) for root, path in plans.items()}
        sources = ["--directory", ".", "--framework", *expected, "secrets"]
        planned = ["--framework", "terraform_plan", "--repo-root-for-plan-enrichment", "."]
        planned += ["--file", *(str(path.resolve()) for path in plans.values())]
        with ThreadPoolExecutor(2) as pool:
            running = [pool.submit(_run_checkov, copy, pack, reports / "sources", sources)]
            running += [pool.submit(_run_checkov, copy, pack, reports / "plans", planned)] if plans else []
            found = [one.result() for one in running]
        scans = [_parse_report(name, found[0].get(name), copy) for name in expected]
        # checkov has no report for secrets if it found none.
        scans += (
            [_parse_report("secrets", found[0]["secrets"], copy)]
            if "secrets" in found[0]
            else [Scan("secrets", 0, 0, [])]
        )
        scans += [
            _parse_plan_report(root, path, found[1].get("terraform_plan"), configured[root])
            for root, path in plans.items()
        ]
    return scans, declared


def _copy_sources(folder: Path, only: Sequence[str], into: Path) -> Path:
    """Copy the sources, because the scan removes in-line skips from them; without folders like .terraform."""
    if not folder.is_dir():
        raise CannotScanError(f"{folder} is not a folder: nothing to scan")
    if missing := [name for name in only if not (folder / name).exists()]:
        raise CannotScanError(f"{folder} has no {', '.join(missing)}: it cannot be scanned")
    if not only:
        return Path(shutil.copytree(folder, into, ignore=IGNORED, symlinks=True))
    for name in only:
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        if (folder / name).is_dir():
            shutil.copytree(folder / name, into / name, ignore=IGNORED, symlinks=True)
        else:
            shutil.copy(folder / name, into / name)
    return into


def _disable_skips(copy: Path) -> dict[tuple[str, str], list[str]]:
    """Disable the in-line skips, without moving lines, and return their reasons by check and file."""
    declared: dict[tuple[str, str], list[str]] = {}
    files = {path for pattern in FRAMEWORKS.values() for path in copy.glob(pattern)}
    for path in sorted(files):
        text = path.read_text(encoding="utf-8")
        for skip in INLINE.finditer(text):
            reasons = declared.setdefault((skip["check"], str(path.relative_to(copy))), [])
            reasons.append((skip["reason"] or "").removeprefix(":").strip())
        path.write_text(INLINE.sub("# skipped", text), encoding="utf-8")
    return declared


def _run_checkov(copy: Path, pack: Path, reports: Path, options: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Run checkov and return its reports by framework; SARIF stays in `reports`."""
    reports.mkdir(parents=True, exist_ok=True)
    command = [str(CHECKOV), *options, "--external-checks-dir", str(pack.resolve()), "--skip-download"]
    command += ["--skip-check", REPLACED]
    command += ["--output", "json", "--output", "sarif", "--output-file-path", str(reports)]
    # Offline: checkov downloads no policies and sends no data.
    environment = os.environ | {"LOG_LEVEL": "ERROR"}
    result = subprocess.run(  # noqa: S603 - checkov, beside this Python
        command, cwd=copy, env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS
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


def _parse_report(name: str, report: dict[str, Any] | None, copy: Path) -> Scan:
    if report is None:
        raise CannotScanError(f"{name}: checkov found nothing to check")
    if unreadable := report["results"]["parsing_errors"]:
        files = sorted(file.removeprefix(f"{copy}/") for file in unreadable)
        raise CannotScanError(f"{name}: checkov cannot parse {', '.join(files)}")
    return _scan_of(name, report["results"]["passed_checks"], report["results"]["failed_checks"])


def _matching_addresses(plan: Path, root: str, copy: Path) -> set[str]:
    """Return the addresses in a plan. CannotScanError if it is not a plan, or not of these sources."""
    configured = _planned_addresses(plan)
    if unknown := configured - _source_addresses(copy / root):
        raise CannotScanError(f"{plan} is not a plan of {root}, which has no {', '.join(sorted(unknown))}: plan again")
    return configured


def _parse_plan_report(root: str, plan: Path, report: dict[str, Any] | None, configured: set[str]) -> Scan:
    if report is None:
        raise CannotScanError(f"{plan}: checkov found no plan in it")
    if unreadable := report["results"]["parsing_errors"]:
        raise CannotScanError(f"checkov cannot parse {', '.join(sorted(unreadable))}")
    passed, failed = (
        [c for c in report["results"][f"{verdict}_checks"] if Path(c["file_abs_path"]) == plan.resolve()]
        for verdict in ("passed", "failed")
    )
    # checkov maps a failed check to its source by name. Without a source, neither a skip nor the register could match it.
    unmapped = {c["resource"] for c in failed if not c["file_path"].endswith(".tf")}
    if unmapped := {address for address in unmapped if INSTANCE.sub("", address) in configured}:
        raise CannotScanError(f"{plan}: checkov did not find {', '.join(sorted(unmapped))} in the sources of {root}")
    return _scan_of(f"plan of {root}", passed, failed)


def _planned_addresses(plan: Path) -> set[str]:
    """Return the addresses of resources and module calls in the planned root module."""
    try:
        module = json.loads(plan.read_text(encoding="utf-8"))["configuration"]["root_module"]
    except (ValueError, KeyError) as error:
        raise CannotScanError(f"{plan} is not a plan as `terraform show -json` writes it") from error
    managed = {resource["address"] for resource in module.get("resources", []) if resource["mode"] == "managed"}
    return managed | {f"module.{name}" for name in module.get("module_calls", {})}


def _source_addresses(root: Path) -> set[str]:
    """Return the addresses of resources and module calls in a root's sources."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in root.glob("*.tf"))
    resources = {".".join(names) for names in re.findall(r'^resource "([^"]+)" "([^"]+)"', text, re.MULTILINE)}
    return resources | {f"module.{name}" for name in re.findall(r'^module "([^"]+)"', text, re.MULTILINE)}


def _scan_of(name: str, passed: list[dict[str, Any]], failed: list[dict[str, Any]]) -> Scan:
    resources = {(c["file_path"], c["resource"]) for c in [*passed, *failed]}
    if not resources:
        raise CannotScanError(f"{name}: checkov found nothing to check")
    return Scan(name, len(resources), len(passed), sorted({f for check in failed for f in _findings(check)}))


def _findings(check: dict[str, Any]) -> Iterable[Finding]:
    """Return a finding for each detail of a failed check, or one for a check without details."""
    # The address within the module, without the caller's prefix.
    resource = CALLER.sub("", INSTANCE.sub("", check["resource"]))
    for detail in check.get("details") or [""]:
        yield Finding(
            str(check["file_path"]).lstrip("/"),
            check["file_line_range"][0],
            check["check_id"],
            resource,
            f"{check['check_name']}: {detail}" if detail else check["check_name"],
        )


def read_register(file: Path, folder: Path, today: date, *, inherited: bool) -> tuple[list[Skip], list[str]]:
    """Return a register's entries, and the problems in the entries themselves."""
    try:
        entries = yaml.safe_load(file.read_text(encoding="utf-8")) or []
        base = file.resolve().parent.relative_to(folder.resolve())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise CannotScanError(f"{file} cannot be read, or is outside {folder}: {error}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CannotScanError(f"{file} must be a list of entries with check, where, why and until or lifted_by")
    skips, problems = [], []
    for number, entry in enumerate(entries, 1):
        check, where, resource, why = (str(entry.get(key, "")).strip() for key in ("check", "where", "resource", "why"))
        deployed = entry.get("deployed") is True
        skip = Skip(f"{file.name}, entry {number}", check, str(base / where), resource, why, inherited, deployed)
        skips.append(skip)
        problems += [f"{skip.entry}: {skip} {problem}" for problem in _entry_problems(skip, entry, today)]
    return skips, problems


def _entry_problems(skip: Skip, entry: Mapping[str, Any], today: date) -> Iterable[str]:
    until = entry.get("until")
    unknown = entry.keys() - {"check", "where", "resource", "why", "until", "lifted_by", "deployed"}
    if not isinstance(entry.get("deployed", False), bool):
        yield f"must set `deployed` to true or false, not {entry['deployed']!r}"
    if unknown or not skip.check or not entry.get("where"):
        yield f"must have check, where and why, and no unknown keys ({', '.join(sorted(unknown))})"
    if len(skip.why) < MIN_REASON_LENGTH:
        yield f"has no reason: `why` must have at least {MIN_REASON_LENGTH} characters"
    if until is None and not str(entry.get("lifted_by", "")).strip():
        yield "must set `until` (a date) or `lifted_by` (what would end it)"
    elif until is not None and not isinstance(until, date):
        yield f"has no valid date: `until` must be one such as 2027-01-31, not {until!r}"
    elif isinstance(until, date) and until < today:
        yield f"expired on {until}"


def judge(
    scans: Iterable[Scan], declared: Mapping[tuple[str, str], list[str]], skips: Sequence[Skip]
) -> tuple[list[Finding], list[str]]:
    """Return the findings that are not accepted, and the mismatches between register and in-line skips."""
    findings = {finding for one in scans for finding in one.findings}
    problems = []
    for skip in (skip for skip in skips if not skip.inherited):
        if not skip.deployed and not any(skip.covers(finding) for finding in findings):
            problems.append(f"{skip.entry}: {skip} no longer matches a finding: remove it")
        # A plan file, where findings in remote modules are reported, cannot have in-line skips.
        if not skip.where.endswith(".json") and skip.why not in declared.get((skip.check, skip.where), []):
            problems.append(f"{skip.entry}: {skip} has no in-line skip with the same reason in that file")
    for (check, where), reasons in declared.items():
        known = {skip.why for skip in skips if (skip.check, skip.where) == (check, where)}
        problems += [f"{where}: the in-line skip of {check} is not in the register" for r in reasons if r not in known]
    return sorted(f for f in findings if not any(skip.covers(f) for skip in skips)), problems


def table(scans: Sequence[Scan], skips: Sequence[Skip]) -> str:
    """Return the summary, a line for each scan."""
    width = max(len(one.name) for one in scans)
    rows = [f"{'scan':<{width}}{'resources':>11}{'passed':>8}{'accepted':>10}{'failed':>8}"]
    for one in scans:
        accepted = sum(any(skip.covers(finding) for skip in skips) for finding in one.findings)
        failed = len(one.findings) - accepted
        rows.append(f"{one.name:<{width}}{one.resources:>11}{one.passed:>8}{accepted:>10}{failed:>8}")
    return "\n".join(rows)


def write_reports(reports: Path, scans: Sequence[Scan], skips: Sequence[Skip]) -> None:
    """Write JUnit, and mark accepted findings in SARIF as suppressed, with their reasons."""
    suites = []
    for one in scans:
        cases = [TestCase(f"{one.passed} checks passed", one.name)] if one.passed else []
        for finding in one.findings:
            case = TestCase(f"{finding.check} {finding.message}", f"{finding.where}:{finding.line} {finding.resource}")
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


def _registers(args: argparse.Namespace) -> tuple[list[Skip], list[str]]:
    files = [(file, True) for file in args.inherit] + ([(args.register, False)] if args.register else [])
    today = date.today()  # noqa: DTZ011 - the time zone does not matter
    read = [read_register(file, args.folder, today, inherited=inherited) for file, inherited in files]
    return [skip for skips, _ in read for skip in skips], [problem for _, problems in read for problem in problems]


def _plan_argument(argument: str) -> tuple[str, Path]:
    root, separator, path = argument.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{argument!r} must be ROOT=PLAN.json: the root module's folder and its plan")
    return root, Path(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Scan, print the summary and the problems, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python policies/gate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="project to scan")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="files and folders to scan (default: all)"
    )
    parser.add_argument("--plan", action="append", default=[], type=_plan_argument, metavar="ROOT=PLAN.json")
    parser.add_argument("--register", type=Path, help="register of accepted findings (default: none)")
    parser.add_argument("--inherit", type=Path, action="append", default=[], help="register of a module in the folder")
    parser.add_argument(
        "--reports", type=Path, help="folder for junit.xml, sources.sarif and plans.sarif (default: none)"
    )
    parser.add_argument("--pack", type=Path, default=PACK, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        reports = args.reports or Path(scratch)
        reports.mkdir(parents=True, exist_ok=True)
        try:
            skips, problems = _registers(args)
            scans, declared = scan(args.folder, args.only, dict(args.plan), args.pack, reports.resolve())
        except CannotScanError as error:
            sys.stderr.write(f"could not scan: {error}\n")
            return 2
        write_reports(reports, scans, skips)
    findings, mismatches = judge(scans, declared, skips)
    sys.stdout.write(f"{table(scans, skips)}\n")
    for line in [*map(str, findings), *(f"register: {problem}" for problem in [*problems, *mismatches])]:
        sys.stdout.write(f"{line}\n")
    return 1 if findings or problems or mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
