"""python -m delivery on examples/canary-and-rollback, under load of eight clients: good and bad versions, lost runners.

The alarms are real ones of the emulator, which evaluates them when data arrives. Nothing there publishes API Gateway's metrics, so
a stand-in does, in a namespace of its own: `Clients` counts the responses with 5xx and publishes the number each half second.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from harness.root import Root
from sandbox import paths
from sandbox.emulator import Emulator
from tests.e2e.conftest import Deployable, gateway

NAME = "rollout-e2e"
REFUSED = 3
# Long enough for containers to start beside other tests.
MODULE = f'  name = "{NAME}"\n  function = {{ timeout_seconds = 29 }}\n'
# Without the module's alarms, since the emulator omits most of their attributes, so that every plan would change them.
# This one is in the root's output in their place.
LISTED = f"{NAME}-listed"
OUTPUT = f"""
output "alarm_arns" {{
  value = {{ listed = "arn:aws:cloudwatch:eu-central-1:000000000000:alarm:{LISTED}" }}
}}
"""
# Passes the smoke test. Fails, or dies, when the clients ask for it.
GOOD = '@app.get("/")\ndef hello() -> dict[str, str]:\n    return {{"message": "{}"}}\n'
BAD = """import os

from fastapi import HTTPException, Request


@app.get("/")
def hello(request: Request) -> dict[str, str]:
    if request.query_params.get("bad") == "fails":
        raise HTTPException(500, "the bad version")
    if request.query_params.get("bad") == "dies":
        os._exit(1)
    return {"message": "bad"}
"""
CLIENTS = 8


@dataclass
class Clients:
    """Eight clients that together send ten requests a second, and publish the number of responses with 5xx as a metric.

    `query` is asked for each request. `answers` has the time of the request, the status and the body.
    """

    emulator: Emulator
    endpoint: str
    alarm: str
    query: Callable[[], str] = str
    answers: list[tuple[float, int, str]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.cloudwatch = self.emulator.client("cloudwatch")
        put_alarm(self.cloudwatch, self.alarm)

    def failed(self) -> list[tuple[float, int, str]]:
        return [answer for answer in self.answers if answer[1] != 200]

    def send(self) -> None:
        with gateway(self.emulator, self.endpoint) as http:
            while not self.stop.is_set():
                at = time.time()
                try:
                    response = http.get(f"/?{self.query()}")
                    self.answers.append((at, response.status_code, response.text))
                except httpx2.HTTPError as error:
                    self.answers.append((at, 0, repr(error)))
                self.stop.wait(0.1 * CLIENTS)

    def publish(self) -> None:
        published = 0
        while not self.stop.wait(0.5):
            errors = sum(1 for answer in list(self.answers) if answer[1] >= 500)
            datum = {"MetricName": self.alarm, "Value": errors - published, "StorageResolution": 1}
            self.cloudwatch.put_metric_data(Namespace=NAME, MetricData=[datum])
            published = errors

    @contextmanager
    def sending(self) -> Iterator[Clients]:
        threads = [threading.Thread(target=work) for work in (*[self.send] * CLIENTS, self.publish)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()


def put_alarm(cloudwatch: Any, name: str) -> None:
    """Create an alarm that fires at one response with 5xx in ten seconds."""
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace=NAME,
        MetricName=name,
        Statistic="Sum",
        Period=10,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )


@dataclass
class Delivery:
    """The command, on one root."""

    root: Root
    environment: Mapping[str, str]
    lambda_: Any

    @property
    def journal(self) -> Path:
        return self.root.path / "delivery.json"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "delivery", arguments[0], "--root", str(self.root.path), "--journal"]
        return subprocess.Popen(
            [*command, str(self.journal), *arguments[1:]],
            cwd=paths.ROOT,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        with self.start(*arguments) as process:
            out = process.communicate(timeout=480)[0]
        return process.returncode, out

    def rollout(self, *alarms: str, more: str = "", steps: str = "10 50 100", seconds: float = 2) -> tuple[str, ...]:
        """The arguments of a rollout that watches these alarms and the one in the root's output."""
        watch = ["--minutes", str(seconds / 60), "--poll", "0.3", *(f"--alarm={alarm}" for alarm in alarms)]
        return ("rollout", "--steps", *steps.split(), *watch, *more.split())

    def current(self) -> dict[str, Any]:
        """The rollout that is under way in the journal; empty when none is."""
        with suppress(FileNotFoundError, ValueError):
            return json.loads(self.journal.read_text())["current"] or {}
        return {}

    def last(self) -> dict[str, Any]:
        entry: dict[str, Any] = json.loads(self.journal.read_text())["ended"][0]
        return entry

    def alias(self) -> tuple[str, dict[str, float]]:
        alias = self.lambda_.get_alias(FunctionName=NAME, Name="live")
        return alias["FunctionVersion"], alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})


@pytest.fixture(scope="module")
def root(example: Deployable, hello: str, emulator: Emulator) -> Root:
    put_alarm(emulator.client("cloudwatch"), LISTED)
    root = example("canary-and-rollback", module=MODULE + hello, root=OUTPUT)
    root.apply()
    return root


@pytest.fixture(scope="module")
def delivery(root: Root, terraform_environment: Mapping[str, str], aws: Callable[[str], Any]) -> Delivery:
    # TF_DATA_DIR: the harness shares it between equal roots.
    return Delivery(root, {**terraform_environment, **root.terraform.environment}, aws("lambda"))


def release(root: Root, route: str) -> None:
    """Edit the application, so that the next rollout has a version to deploy. `route` is what GET / does."""
    app = root.path.parent / "minimal/app/hello.py"
    app.write_text(app.read_text().partition('@app.get("/")')[0].partition("import os\n")[0] + route)


def at(event: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(event["at"]).timestamp()


def window(entry: Mapping[str, Any], share: int) -> tuple[float, float]:
    """From when until when the new version surely had this share: until the next apply began."""
    events = entry["events"]
    (start,) = [n for n, event in enumerate(events) if event.get("shares", {}).get(entry["new"]) == share]
    return at(events[start]), at(events[start + 1])


def returned_after(entry: Mapping[str, Any]) -> float:
    """Seconds from the decision to return until AWS sent all requests to the old version."""
    (begin,) = [at(event) for event in entry["events"] if event["text"].startswith("return to")]
    return at(entry["events"][-1]) - begin


def report(note: Callable[[str], None], trial: str, clients: Clients, entry: Mapping[str, Any]) -> None:
    seconds = f", returned in {returned_after(entry):.1f} s" if entry["result"] == "returned" else ""
    note(
        f"rollout, {trial}: {len(clients.answers)} requests, {len(clients.failed())} failed, {entry['result']}{seconds} "
        "(alarm data: stand-in publisher)"
    )


def test_good_version_goes_live_and_gets_its_shares(
    root: Root, delivery: Delivery, emulator: Emulator, note: Callable[[str], None]
) -> None:
    old = delivery.alias()[0]
    release(root, GOOD.format("second"))
    endpoint = root.output("endpoint", str)
    with Clients(emulator, endpoint, f"{NAME}-good").sending() as clients:
        with delivery.start(*delivery.rollout(clients.alarm, seconds=4)) as process:
            wait_for(process, lambda: delivery.current().get("percent") == 10)
            code, refusal = delivery.run(*delivery.rollout(clients.alarm))
            out = process.communicate(timeout=480)[0]
        assert (code, "a rollout is already running" in refusal) == (REFUSED, True), refusal
        assert process.returncode == 0, out
    entry = delivery.last()
    report(note, "a good version", clients, entry)
    assert clients.failed() == []
    assert delivery.alias() == (entry["new"], {})
    assert (entry["old"], entry["result"]) == (old, "live")
    assert f"version {old} 90 %, version {entry['new']} 10 %" in out

    for share in (10, 50):
        start, end = window(entry, share)
        bodies = [body for when, _, body in clients.answers if start <= when < end]
        new = sum("second" in body for body in bodies)
        note(f"rollout, share of {share} %: {new} of {len(bodies)} requests")
        assert len(bodies) >= 20
        assert abs(new - len(bodies) * share / 100) <= max(2, len(bodies) * 0.05)


def test_version_that_fails_an_alarm_at_ten_percent_is_returned(
    root: Root, delivery: Delivery, emulator: Emulator, note: Callable[[str], None]
) -> None:
    serving = delivery.alias()
    release(root, BAD)
    query = lambda: "bad=fails"  # noqa: E731
    with Clients(emulator, root.output("endpoint", str), f"{NAME}-fails", query).sending() as clients:
        code, out = delivery.run(*delivery.rollout(clients.alarm, seconds=60))
        assert code == 1, out
        assert_no_failure_from_now(clients)
    entry = delivery.last()
    report(note, "fails an alarm at 10 %", clients, entry)
    assert (entry["percent"], delivery.alias()) == (10, serving)
    assert f"the alarm {clients.alarm} is in ALARM" in out
    assert {answer[1:] for answer in clients.failed()} == {(500, '{"detail":"the bad version"}')}


def test_returned_version_is_not_rolled_out_again_by_itself(root: Root, delivery: Delivery) -> None:
    code, out = delivery.run(*delivery.rollout())
    assert code == 1
    assert "was returned before" in out
    assert "--again" in out


def test_version_that_dies_at_fifty_percent_is_returned(
    root: Root, delivery: Delivery, emulator: Emulator, note: Callable[[str], None]
) -> None:
    serving = delivery.alias()
    release(root, BAD)

    def query() -> str:
        return "bad=dies" if delivery.alias()[1].get(str(delivery.current().get("new"))) == 0.5 else ""

    with Clients(emulator, root.output("endpoint", str), f"{NAME}-dies", query).sending() as clients:
        code, out = delivery.run(*delivery.rollout(clients.alarm, more="--again", steps="50 100", seconds=60))
        assert code == 1, out
        assert_no_failure_from_now(clients)
    entry = delivery.last()
    report(note, "dies at 50 %", clients, entry)
    assert (entry["percent"], delivery.alias()) == (50, serving)
    assert {answer[1] for answer in clients.failed()} == {502}


def test_interrupted_rollout_is_returned(
    root: Root, delivery: Delivery, emulator: Emulator, note: Callable[[str], None]
) -> None:
    serving = delivery.alias()
    release(root, BAD)
    clients = Clients(emulator, root.output("endpoint", str), f"{NAME}-interrupted")
    command = delivery.rollout(clients.alarm, more="--again", seconds=60)
    with clients.sending(), delivery.start(*command) as process:
        wait_for(process, lambda: delivery.current().get("state") == "watching")
        process.send_signal(signal.SIGINT)
        out = process.communicate(timeout=480)[0]
    entry = delivery.last()
    report(note, "Ctrl-C at 10 %", clients, entry)
    assert (process.returncode, delivery.alias()) == (1, serving)
    assert "stopped by a signal" in out
    assert clients.failed() == []


def test_rollout_killed_at_every_step_is_resumed(
    root: Root, delivery: Delivery, emulator: Emulator, note: Callable[[str], None]
) -> None:
    old = delivery.alias()[0]
    release(root, GOOD.format("third"))

    def state(state: str, percent: int) -> Callable[[], bool]:
        return lambda: (delivery.current().get("state"), delivery.current().get("percent")) == (state, percent)

    moments = {
        "deploying": state("deploying", 0),
        "watching 10 %": state("watching", 10),
        # Before Terraform writes its state: it does not replace a local file at once, as S3 does.
        "shifting to 50 %": state("shifting", 50),
        "watching 100 %": state("watching", 100),
    }
    with Clients(emulator, root.output("endpoint", str), f"{NAME}-killed").sending() as clients:
        for moment in moments.values():
            with delivery.start(*delivery.rollout(clients.alarm)) as process:
                wait_for(process, moment)
                kill_tree(process.pid)
        code, status = delivery.run("status")
        assert (code, "half-done" in status) == (2, True), status
        code, out = delivery.run(*delivery.rollout(clients.alarm))
        assert code == 0, out
    entry = delivery.last()
    report(note, f"killed {len(moments)} times and resumed", clients, entry)
    assert (entry["old"], entry["result"], delivery.alias()) == (old, "live", (entry["new"], {}))
    assert clients.failed() == []


def test_lost_rollout_is_returned_when_the_roots_own_alarm_fires_meanwhile(
    root: Root, delivery: Delivery, aws: Callable[[str], Any]
) -> None:
    release(root, BAD)
    serving, cloudwatch = delivery.alias(), aws("cloudwatch")
    with delivery.start(*delivery.rollout(more="--again", seconds=60)) as process:
        wait_for(process, lambda: delivery.current().get("state") == "watching")
        kill_tree(process.pid)
    cloudwatch.set_alarm_state(AlarmName=LISTED, StateValue="ALARM", StateReason="told by the test")
    try:
        code, out = delivery.run(*delivery.rollout())
    finally:
        cloudwatch.set_alarm_state(AlarmName=LISTED, StateValue="OK", StateReason="told by the test")
    assert (code, delivery.alias()) == (1, serving)
    assert f"the alarm {LISTED} is in ALARM: told by the test" in out


def test_rollback_pins_the_version_that_served_before(root: Root, delivery: Delivery) -> None:
    serving = delivery.alias()[0]
    ended = json.loads(delivery.journal.read_text())["ended"]
    before = next(entry["old"] for entry in ended if (entry["new"], entry["result"]) == (serving, "live"))
    code, out = delivery.run("rollback", "--minutes", "0")
    assert code == 0, out
    assert delivery.alias() == (before, {})
    assert delivery.run("variables")[1].split() == [f"TF_VAR_release_version={before}", "TF_VAR_canary_percent=0"]


def wait_for(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 480
    while not condition():
        if process.poll() is not None:
            assert process.stdout is not None
            pytest.fail(f"the command ended early: {process.stdout.read()}")
        assert time.monotonic() < deadline
        time.sleep(0.05)


def assert_no_failure_from_now(clients: Clients) -> None:
    """After a return, requests succeed: the next twenty."""
    begin, deadline = time.time(), time.monotonic() + 120
    while len(later := [answer for answer in clients.answers if answer[0] >= begin]) < 20:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert [answer for answer in later if answer[1] != 200] == []


def kill_tree(pid: int) -> None:
    """SIGKILL a process and all of its descendants, as the end of a runner does."""
    children = [child for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]
    os.kill(pid, signal.SIGKILL)
    for child in children:
        with suppress(FileNotFoundError, ProcessLookupError):
            kill_tree(int(child))
