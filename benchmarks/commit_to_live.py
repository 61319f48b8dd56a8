"""How long it takes from a commit to the first response of the new version, by the workflows that a team copies.

    python -m benchmarks.commit_to_live [--json FILE]

Runs `apply` (plan, then the saved plan) and `rollout` step by step on the sandbox, as GitHub would, for an edit of the source. What only
GitHub does is not in the time: queues, starting two or three runners, approvals. Each step of the rollout is watched for two seconds
instead of minutes, and those are subtracted. The decision record's goal is under five minutes; the seconds are this machine's.
A Docker engine is needed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.runs import own_emulator
from sandbox import base_image, emulator, engine, providers, terraform
from sandbox.emulator import REGION, Emulator
from sandbox.paths import ROOT
from sandbox.progress import Step
from tools.workflow import Run
from tools.workflow.runner import load
from tools.workflow.stand_ins import (
    ALARM,
    BUCKET,
    EXAMPLE,
    Machine,
    git,
    make_repository,
    make_tools,
    prepare_account,
    runner_environment,
)

GOAL = 300  # seconds
STEPS = (50, 100)
WATCHED = 2  # seconds a step
API = "parcels-dev"
ROLE = "arn:aws:iam::111111111111:role/deployer"
OLD, NEW = '{"message": "hello"}', '{"message": "hello from the commit"}'
INPUTS: dict[str, Any] = {
    "root": EXAMPLE,
    "environment": "dev",
    "region": REGION,
    "apply-role-arn": ROLE,
    "backend-config": "environments/dev.s3.tfbackend",
    "var-file": "environments/dev.tfvars",
}


@dataclass
class Answers:
    """Asks the API until it returns the new message; `at` is the first time that it did."""

    aws: Emulator
    host: str
    at: float | None = None
    failures: int = 0
    sent: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        """Send a request every fifth of a second, until stopped."""
        while not self._stop.wait(0.2):
            self.sent += 1
            try:
                status, body = self.aws.get("/", self.host, 30)
            except OSError:
                self.failures += 1
                continue
            self.failures += status != 200
            if self.at is None and "from the commit" in body:
                self.at = time.perf_counter()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Ask in the background."""
        thread = threading.Thread(target=self.ask)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()


def run(
    machine: Machine, workflow: str, job: str, inputs: dict[str, Any], into: Run | None = None
) -> tuple[Run, float]:
    """Run one job of a workflow and return the run and its seconds; RuntimeError with its log when it fails."""
    document = load(ROOT / f".github/workflows/{workflow}.yml")
    defaults = {name: one.get("default", "") for name, one in document["on"]["workflow_call"]["inputs"].items()}
    running = into or machine.start(secrets={"plan-passphrase": "only for this benchmark"})
    begin = time.perf_counter()
    result = running.job(document, job, defaults | inputs)
    if result.result != "success":
        raise RuntimeError(f"{workflow}, {job}: {result.result}\n{result.log[-3000:]}")
    return running, time.perf_counter() - begin


def measure(aws: Emulator, folder: Path) -> dict[str, Any]:
    """Deploy the example, commit an edit, and return the seconds by stage."""
    base = base_image.ensure(Step("Base image")).reference
    environment = providers.configure(aws.home).environment() | emulator.engine_of_the_client()
    repository = make_repository(folder / "repository", aws.registry, base)
    (folder / "home").mkdir()
    tools = make_tools(folder / "tools", terraform.program())
    runner = runner_environment(environment, folder / "home")
    machine = Machine(repository, folder, runner, aws.environment(), tools)
    prepare_account(aws)
    inputs = INPUTS | {"plan-role-arn": ROLE}
    first, _ = run(machine, "apply", "plan", inputs)
    run(machine, "apply", "apply", inputs, first)
    (api,) = (api for api in aws.client("apigatewayv2").get_apis()["Items"] if api["Name"] == API)
    answers = Answers(aws, api["ApiEndpoint"].partition("://")[2])

    source = repository / "examples/minimal/app/hello.py"
    source.write_text(source.read_text().replace(OLD, NEW))
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "an edit")
    steps = {"steps": " ".join(map(str, STEPS)), "minutes": f"{WATCHED / 60:.4f}", "alarms": ALARM}
    begin = time.perf_counter()
    with answers.running():
        second, plan = run(machine, "apply", "plan", inputs)
        _, apply = run(machine, "apply", "apply", inputs, second)
        rolled = inputs | steps | {"journal": f"s3://{BUCKET}/rollouts.json"}
        _, rollout = run(machine, "rollout", "rollout", {k: v for k, v in rolled.items() if k != "plan-role-arn"})
    total = time.perf_counter() - begin - len(STEPS) * WATCHED
    return {
        "stages": {"plan": plan, "apply the saved plan": apply, "rollout": rollout - len(STEPS) * WATCHED},
        "first_response": None if answers.at is None else answers.at - begin,
        "live_for_all": total,
        "goal": GOAL,
        "requests": answers.sent,
        "failed": answers.failures,
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print a line for each stage. Exit code 1 when a request failed, or the new version never answered."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commit_to_live", description="From a commit to live.")
    parser.add_argument("--json", type=Path, help="file to write the result to")
    parsed = parser.parse_args(arguments)
    with own_emulator() as aws, tempfile.TemporaryDirectory() as folder:
        engine.ensure(aws.home, Step("Docker engine"))
        result = measure(aws, Path(folder))
    for stage, seconds in result["stages"].items():
        print(f"{stage:22} {seconds:6.1f} s")
    first = result["first_response"]
    print(f"{'first response':22} {first:6.1f} s" if first is not None else "the new version never answered")
    print(
        f"{'live for all requests':22} {result['live_for_all']:6.1f} s, {result['live_for_all'] / GOAL:.2f} of the goal"
    )
    print(f"{result['requests']} requests meanwhile, {result['failed']} failed")
    if parsed.json:
        parsed.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return int(first is None or result["failed"] > 0)


if __name__ == "__main__":
    sys.exit(main())
