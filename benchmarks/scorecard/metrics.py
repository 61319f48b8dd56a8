"""The six metrics of the decision record, as rows: a figure of both sides, its unit, and whether it is measured, simulated or priced."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.commit_to_live import GOAL
from benchmarks.runs import own_emulator, terraform_environment
from benchmarks.scorecard import bill, deployed, satisfaction, sides, starts
from benchmarks.scorecard.cost import Prices
from benchmarks.scorecard.duplicates import WINDOW, duplicates
from benchmarks.scorecard.errors import ScorecardError, read_json
from benchmarks.scorecard.model import Parameters
from benchmarks.scorecard.sides import SIDES
from harness import Plan, Root
from sandbox import overrides, paths

LIMITS = Path(__file__).parent / "limits.yaml"
MEASURED, SIMULATED, PRICED, NOT_ASKED = "measured", "simulated", "priced", "not asked"
LEAST_ROUNDS = 5
SHOWN_PER_MONTH = (1e4, 1e5, 1e6)
Row = dict[str, Any]
Result = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """How much is measured.

    Attributes:
        rounds: edits of each side.
        loads, requests, per_second: how often the load is sent, its requests, and its rate.
        answers: CSV file of the questionnaire.
        workflow: JSON of `python -m benchmarks.commit_to_live`.
    """

    rounds: int = LEAST_ROUNDS
    loads: int = 2
    requests: int = 100
    per_second: float = 2.5
    answers: Path | None = None
    workflow: Path | None = None

    def check(self) -> None:
        """Raise ScorecardError if an option is out of its range."""
        if self.rounds < LEAST_ROUNDS:
            raise ScorecardError(f"--rounds must be at least {LEAST_ROUNDS}: the figure is the median of the edits.")
        if self.loads < 1 or self.requests < 100 or not 0 < self.per_second <= 50:
            raise ScorecardError(
                "--loads must be at least 1, --requests at least 100 for a p99, and --per-second above 0 and at most 50, "
                "which the emulator can take."
            )


def row(name: str, values: Mapping[str, float | None], unit: str = "count", kind: str = MEASURED) -> Row:
    """Return a figure of both sides."""
    return {"name": name, "old": values["old"], "new": values["new"], "unit": unit, "kind": kind}


def limits(metric: str, **names: Any) -> list[str]:
    """Return the lines of limits.yaml that stand beside a metric."""
    table = yaml.safe_load(LIMITS.read_text(encoding="utf-8"))
    return [" ".join(line.split()).format(**names) for line in table[metric]]


@dataclass
class Run:
    """What metrics share: plans, the sandbox, and the results so far."""

    options: Options
    stack: ExitStack
    say: sides.Say
    results: dict[str, Result] = field(default_factory=dict)

    @cached_property
    def folder(self) -> Path:
        """A temporary folder."""
        return Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="scorecard-")))

    @cached_property
    def plans(self) -> dict[str, tuple[Plan, Plan, sides.Added]]:
        """By side: the plan, the plan with one more endpoint, and what the endpoint adds. Nothing is applied."""
        made = {}
        with own_emulator() as aws:
            environment = terraform_environment(aws)
            for side, path in sides.ROOTS.items():
                copy = sides.copied(self.folder / f"plan-{side}")
                root = Root(copy / path, environment=environment)
                root.write(overrides.NAME, overrides.planned(root.path))
                variables = {"issuer": "https://login.example.com"} if side == "old" else {}
                before = root.plan(variables)
                added = sides.add_endpoint(side, copy)
                made[side] = before, root.plan(variables), added
                self.say(f"planned the {side} side, before and after the endpoint")
        return made

    @cached_property
    def sandbox(self) -> dict[str, deployed.Side]:
        """Both sides, applied."""
        return self.stack.enter_context(deployed.sandbox(self.say))

    def detail(self, metric: str) -> Any:
        """Return another metric's details.

        Raises:
            ScorecardError: it has none, since it was not measured or failed.
        """
        if "detail" not in self.results.get(metric, {}):
            raise ScorecardError(f"it needs the metric {metric}, which has no result.")
        return self.results[metric]["detail"]


def functions(run: Run) -> Result:
    """Functions and resources, from the plans."""
    counts = {side: plan.counts for side, (plan, _, _) in run.plans.items()}

    def of(*types: str) -> dict[str, float]:
        return {
            side: sum(number for kind, number in each.items() if not types or kind in types)
            for side, each in counts.items()
        }

    rows = [
        row("Lambda functions", of("aws_lambda_function")),
        row("IAM roles", of("aws_iam_role")),
        row("log groups", of("aws_cloudwatch_log_group")),
        row("routes", of("aws_api_gateway_method", "aws_apigatewayv2_route")),
        row("alarms", of("aws_cloudwatch_metric_alarm")),
        row("Terraform resources", of()),
    ]
    paid = {side: asdict(bill.paid(plan)) for side, (plan, _, _) in run.plans.items()}
    return {"rows": rows, "limits": limits("functions"), "detail": {"paid": paid, "types": counts}}


def overhead(run: Run) -> Result:
    """Return lines, files, packages and duplicated lines, and what one more endpoint adds."""
    copy = sides.copied(run.folder / "code")
    size = {side: sides.terraform_size(copy / root) for side, root in sides.ROOTS.items()}
    module_files, module_lines = sides.terraform_size(copy / paths.MODULE)
    python = {side: duplicates(sides.sources(copy / path, "*.py")) for side, path in sides.CODE.items()}
    terraform = {side: duplicates(sides.sources(copy / path, "*.tf")) for side, path in sides.ROOTS.items()}
    added = {side: asdict(added) for side, (_, _, added) in run.plans.items()}
    resources = {side: len(after.resources) - len(before.resources) for side, (before, after, _) in run.plans.items()}
    required = sides.requirements(copy)
    packages = packed(copy, list(required), run.say)
    variants = {tuple(each) for each in required.values()}

    def adds(what: str) -> dict[str, float]:
        return {side: each[what] for side, each in added.items()}

    rows = [
        row("one more endpoint: lines of Terraform", adds("terraform_lines"), "lines"),
        row("one more endpoint: lines in total", adds("lines"), "lines"),
        row("one more endpoint: new files", adds("new_files")),
        row("one more endpoint: edited files", adds("changed_files")),
        row("one more endpoint: Terraform resources", resources),
        row("Terraform files", {side: files for side, (files, _) in size.items()}),
        row("lines of Terraform", {side: lines for side, (_, lines) in size.items()}, "lines"),
        row("duplicated lines of Terraform", {side: each.share for side, each in terraform.items()}, "share"),
        row("lines of Python", {side: each.lines for side, each in python.items()}, "lines"),
        row("duplicated lines of Python", {side: each.share for side, each in python.items()}, "share"),
        row("lists of requirements", {"old": len(required), "new": 1}),
        row("different lists of requirements", {"old": len(variants), "new": 1}),
        row("installed packages, all copies", {"old": sum(packages.values()), "new": len(sides.pinned(copy))}),
    ]
    texts = limits("overhead", window=WINDOW, module_lines=f"{module_lines:,}", module_files=module_files)
    return {
        "rows": rows,
        "limits": texts,
        "detail": {"requirements": required, "packages": packages, "added": added},
    }


def packed(copy: Path, names: Sequence[str], say: sides.Say) -> dict[str, int]:
    """Pack each function as its Terraform does, and return the number of packages in each archive."""
    folder = copy / paths.LEGACY
    environment = os.environ | {"PATH": sides.path_with_uv()}
    packages = {}
    for name in names:
        command = [sys.executable, "package.py", name]
        result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if result.returncode:
            reason = (result.stderr.strip().splitlines() or ["no reason"])[-1]
            raise ScorecardError(f"`package.py {name}` failed; is the package index reachable? {reason}")
        with zipfile.ZipFile(folder / f"build/{name}.zip") as archive:
            packages[name] = len({path for path in archive.namelist() if path.endswith(".dist-info/METADATA")})
    say(f"packed {len(names)} functions")
    return packages


def cost(run: Run) -> Result:
    """Return the monthly bill, priced."""
    paid = {side: bill.Paid(**values) for side, values in run.detail("functions")["paid"].items()}
    prices = Prices.read()
    standing = {side: bill.monitoring(each, prices) for side, each in paid.items()}
    months = bill.bills(paid["old"], paid["new"], Parameters.read(), prices, run.say)
    rows = []
    for month in months:
        dollars = {side: month[side]["dollars"] for side in SIDES}
        name = f"{month['per_month']:,.0f} requests a month"
        rows.append(row(name, {side: each["total"] for side, each in dollars.items()}, "$", PRICED))
        of_lambda = {side: each["requests"] + each["duration"] for side, each in dollars.items()}
        rows.append(row(f"{name}, Lambda alone", of_lambda, "$", PRICED))
    rows.append(row("alarms and dashboard, at any traffic", standing, "$", PRICED))
    old_memory = f"{min(paid['old'].memory_mb)} to {max(paid['old'].memory_mb)}"
    names = {"old_memory": old_memory, "new_memory": f"{paid['new'].memory_mb[0]:,}"}
    texts = limits("cost", region=prices.of("region"), date=prices.of("date"), **names)
    return {"rows": rows, "limits": texts, "detail": {"months": months, "monitoring": standing}}


def satisfied(run: Run) -> Result:
    """Return the developers' answers, if they were asked."""
    if run.options.answers is None:
        rows = [row("questionnaire", {"old": None, "new": None}, "", NOT_ASKED)]
        return {"rows": rows, "limits": limits("not_asked"), "detail": None}
    result = satisfaction.analyse(satisfaction.read(run.options.answers))
    rows = [
        row(
            f"{scale['scale']}: {scale['verdict']}",
            {"old": scale["before"].get("median"), "new": scale["after"].get("median")},
            "score",
        )
        for scale in result["scales"]
    ]
    texts = limits("satisfaction", minimum=result["minimum"], **result["respondents"])
    return {"rows": rows, "limits": texts, "detail": result}


def deployment(run: Run) -> Result:
    """Return seconds from an edit to its answer, and of one more endpoint, by `terraform apply` on both sides."""
    times: dict[str, list[float]] = {side: [] for side in run.sandbox}
    for number in range(1, run.options.rounds + 1):
        for name, side in run.sandbox.items():
            times[name].append(side.release(f"(edit {number})"))
            run.say(f"edit {number} of {run.options.rounds}, {name} side: {times[name][-1]:.1f} s")
    median = {side: statistics.median(each) for side, each in times.items()}
    archives, image = deployed.zip_bytes(run.sandbox["old"].root.path), run.sandbox["new"].image_bytes()
    added = {name: side.add() for name, side in run.sandbox.items()}
    rows = [
        row("routine edit until it answers, median", median, "s"),
        row("share of the goal of 5 minutes", {side: each / GOAL for side, each in median.items()}, "share"),
        row("one more endpoint until it answers, once", added, "s"),
        row(f"packages: {len(archives)} archives, one image", {"old": sum(archives), "new": image}, "bytes"),
    ]
    texts, detail = limits("deployment"), {"seconds": times}
    if run.options.workflow:
        live = live_for_all(run.options.workflow)
        rows.append(row("by the workflows, live for all", {"old": None, "new": live}, "s"))
        texts += limits("workflow")
    return {"rows": rows, "limits": texts, "detail": detail}


def live_for_all(file: Path) -> float:
    """Return the seconds of the workflows; ScorecardError when the file is not of benchmarks.commit_to_live."""
    found = read_json(file, "--workflow")
    if not isinstance(found, dict) or not isinstance(found.get("live_for_all"), int | float):
        raise ScorecardError(f"--workflow: {file} has no live_for_all, so it is not of benchmarks.commit_to_live.")
    return float(found["live_for_all"])


def latency(run: Run) -> Result:
    """Return milliseconds under the same load and of the code's start, and the simulated shares of cold requests."""
    options = run.options
    sent = deployed.latencies(run.sandbox, options.loads, options.requests, options.per_second, run.say)
    started = starts.measure(run.say)
    rows = []
    for kind, title in (("warm", "without cold starts"), ("cold", "with cold starts, the emulator's")):
        for name, of in FIGURES.items():
            rows.append(row(f"{title}: {name}", {side: of(sent[side][kind].milliseconds) for side in SIDES}, "ms"))
        rows.append(row(f"{title}: failed requests", {side: len(sent[side][kind].failed) for side in SIDES}))
    rows.append(row("start of the code, median", {side: statistics.median(started[side]) for side in SIDES}, "ms"))
    texts = limits("latency", requests=options.requests, per_second=f"{options.per_second:g}", loads=options.loads)
    months = run.results.get("cost", {}).get("detail", {}).get("months")
    if months:
        rows += simulated(months)
    detail: dict[str, Any] = {"starts": started}
    for what in ("milliseconds", "failed"):
        detail[what] = {side: {kind: getattr(each, what) for kind, each in of.items()} for side, of in sent.items()}
    texts += limits("simulated" if months else "not_simulated")
    return {"rows": rows, "limits": texts, "detail": detail}


def simulated(months: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return the simulated rows of latency, from the simulation behind the cost."""
    rows = []
    for month in months:
        if month["per_month"] in SHOWN_PER_MONTH:
            title = f"{month['per_month']:,.0f} requests a month"
            shares = {side: month[side]["cold_share"] for side in SIDES}
            rows.append(row(f"{title}: cold requests", shares, "share", SIMULATED))
            p99 = {side: month[side]["latency_ms"]["p99"] for side in SIDES}
            rows.append(row(f"{title}: p99", p99, "ms", SIMULATED))
    return rows


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile by linear interpolation."""
    return float(np.quantile(values, share))


FIGURES: dict[str, Callable[[Sequence[float]], float]] = {
    "average": statistics.fmean,
    "p50": lambda values: percentile(values, 0.5),
    "p99": lambda values: percentile(values, 0.99),
}
# In the order in which they are measured: what needs no engine comes first.
METRICS: dict[str, Callable[[Run], Result]] = {
    "functions": functions,
    "overhead": overhead,
    "cost": cost,
    "satisfaction": satisfied,
    "deployment": deployment,
    "latency": latency,
}
