"""The same arrivals into real containers and into the simulation: how many cold starts each has.

Two of the sandbox's emulators run the application of examples/minimal: one as a function for each endpoint, the other as one
function for all. An emulator's containers are removed when they were idle for TTL seconds and it looks, every half minute or so.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import boto3
import numpy as np
from botocore.config import Config

from benchmarks.runs import own_emulator
from benchmarks.scorecard.arrivals import Arrivals, Chunk, zipf
from benchmarks.scorecard.environments import Fleet, KeepAlive, Start
from benchmarks.scorecard.errors import ScorecardError
from benchmarks.strict_gate import roots
from sandbox import base_image, engine
from sandbox.emulator import INSTANCE_LABEL, REGION, Emulator
from sandbox.errors import SandboxError
from sandbox.progress import Step

TTL = 5
# Few, since each start takes seconds of this machine: slow starts make requests overlap, and more of them start.
ENDPOINTS, REQUESTS, PER_SECOND = 4, 80, 0.25
# A start may take long on a busy machine, and a repeated request would be one more.
TIMEOUT_SECONDS = 300
# Cold starts by which both may differ: requests that come within the client's inaccuracy of a removal.
ACCEPTED = 3
WORKERS = 32
# The emulator with another keep-alive time than its default; the sandbox passes on no settings of MiniStack's.
SERVER = (
    "-c",
    f"import os, runpy; os.environ['LAMBDA_WARM_TTL_SECONDS'] = '{TTL}'; "
    "runpy.run_module('sandbox.emulator_server', run_name='__main__')",
)
# A pause between removals that is longer than one takes: what comes after it is the emulator's next look.
LOOK_SECONDS = 15.0
ASKED = {
    "version": "2.0",
    "routeKey": "$default",
    "rawPath": "/",
    "rawQueryString": "",
    "headers": {"host": "api.example.com"},
    "requestContext": {
        "http": {"method": "GET", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "replay"},
        "stage": "$default",
    },
    "isBase64Encoded": False,
}


def run(requests: int = REQUESTS, seed: int = 11) -> dict[str, Any]:
    """Deploy, send, simulate, and return both counts of each run.

    Raises:
        ScorecardError: no Docker engine, or a request failed.
    """
    arrivals = Arrivals(zipf(ENDPOINTS, 1.0) * PER_SECOND, process="gamma", cv=1.5)
    (chunk,) = arrivals.chunks(requests, seed)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        emulators = {name: stack.enter_context(own_emulator(SERVER)) for name in ("one", "separate")}
        try:
            engine.ensure(emulators["one"].home, Step("Docker engine"))
            image = base_image.ensure(Step("Base image"))
        except SandboxError as error:
            raise ScorecardError(str(error)) from error
        for root in roots(folder, emulators, image.reference).values():
            root.apply()  # not destroyed: the emulators are removed with all that they have
        names = {"one": ["replay"] * ENDPOINTS, "separate": [f"replay-{number}" for number in range(ENDPOINTS)]}
        for name, functions in names.items():
            _create(emulators[name], sorted(set(functions)))
        with ThreadPoolExecutor(len(names)) as pool:
            sent = dict(
                zip(names, pool.map(lambda name: _send(emulators[name], names[name], chunk), names), strict=True)
            )
    runs = [compare(name, chunk, *sent[name]) for name in names]
    return {"ttl": TTL, "endpoints": ENDPOINTS, "accepted": ACCEPTED, "runs": runs}


def _create(aws: Emulator, names: Sequence[str]) -> None:
    """Create functions with the deployed example's image."""
    lambda_ = aws.client("lambda")
    deployed = lambda_.get_function(FunctionName="hello-api")
    for name in names:
        lambda_.create_function(
            FunctionName=name,
            PackageType="Image",
            Code={"ImageUri": deployed["Code"]["ImageUri"]},
            Role=deployed["Configuration"]["Role"],
            MemorySize=512,
            Timeout=TIMEOUT_SECONDS,
        )
        lambda_.get_waiter("function_active_v2").wait(FunctionName=name)


def _send(aws: Emulator, functions: Sequence[str], chunk: Chunk) -> tuple[list[tuple[float, float]], int, list[float]]:
    """Send each request at its time; return when each began and ended, containers started, and when the emulator looked."""
    lambda_ = boto3.client(
        "lambda",
        endpoint_url=aws.url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the emulator accepts any
        config=Config(
            read_timeout=TIMEOUT_SECONDS + 30, retries={"total_max_attempts": 1}, max_pool_connections=WORKERS
        ),
    )
    spans: list[tuple[float, float]] = [(0.0, 0.0)] * len(chunk.times)

    def send(number: int) -> None:
        begin = time.time()
        payload = json.dumps(ASKED).encode()
        response = lambda_.invoke(FunctionName=functions[chunk.endpoints[number]], Payload=payload)
        body = json.load(response["Payload"])
        if response.get("FunctionError") or body.get("statusCode") != 200:
            raise ScorecardError(f"request {number} to {functions[chunk.endpoints[number]]} failed: {body}")
        spans[number] = begin, time.time()

    with _container_events(aws) as events, ThreadPoolExecutor(WORKERS) as pool:
        first = time.time() + 1
        sent: list[Future[None]] = []
        for number, moment in enumerate(chunk.times):
            time.sleep(max(first + moment - time.time(), 0))
            sent.append(pool.submit(send, number))
            # A failed request ends the run at once.
            for request in filter(Future.done, sent):
                request.result()
        for request in sent:
            request.result()
    started = sum(action == "start" for action, _ in events)
    return spans, started, looks([moment for action, moment in events if action == "kill"])


def looks(removals: Sequence[float]) -> list[float]:
    """Return when the emulator looked for idle containers: the first of removals that follow each other closely."""
    return [moment for before, moment in pairwise((-LOOK_SECONDS, *removals)) if moment - before >= LOOK_SECONDS]


@contextmanager
def _container_events(aws: Emulator) -> Iterator[list[tuple[str, float]]]:
    """Collect what happens to an emulator's containers: action and time."""
    events: list[tuple[str, float]] = []
    command = ["docker", "events", "--format", "{{.Action}} {{.TimeNano}}", "--filter", "type=container"]
    command += ["--filter", f"label={INSTANCE_LABEL}={aws.instance}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:

        def read() -> None:
            for line in process.stdout or ():
                action, _, nanoseconds = line.rpartition(" ")
                events.append((action, int(nanoseconds) / 1e9))

        reader = threading.Thread(target=read)
        reader.start()
        time.sleep(1)  # until the engine sends events
        try:
            yield events
        finally:
            time.sleep(1)  # until it has sent the last
            process.terminate()
            reader.join()


def compare(
    name: str, chunk: Chunk, spans: Sequence[tuple[float, float]], started: int, looked: Sequence[float]
) -> dict[str, Any]:
    """Simulate the requests as they were sent."""
    begins, ends = np.array(spans).T
    order = np.argsort(begins)
    first = begins[order[0]]
    seen = Chunk(begins[order] - first, chunk.endpoints[order], 1000 * (ends - begins)[order])
    keep = KeepAlive(TTL, TTL, ticks=tuple(look - first for look in looked))
    function_of = [0] * ENDPOINTS if name == "one" else range(ENDPOINTS)
    simulated = int(Fleet(list(function_of), [1.0] * ENDPOINTS, keep, Start(), reuse="first").serve(seen).sum())
    holds = abs(simulated - started) <= ACCEPTED
    title = {"one": "one function", "separate": "one function for each endpoint"}[name]
    return {"name": title, "requests": len(spans), "measured": started, "simulated": simulated, "holds": holds}
