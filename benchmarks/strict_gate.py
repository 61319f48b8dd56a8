"""What the strict gate costs: requests, and applies of an example, with it and without.

    python -m benchmarks.strict_gate [ROUNDS]

Two emulators run, one of them without the gate, and are asked in turns. The ratio of the medians is the result; the seconds are
this machine's. Needs a Docker engine, as the applied tests do.
"""

from __future__ import annotations

import http.client
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.runs import own_emulator, spread, terraform_environment
from harness import Root
from harness.root import copy_project
from sandbox import base_image, emulator, engine, overrides
from sandbox.emulator import Emulator
from sandbox.paths import EXAMPLE_SOURCES, ROOT
from sandbox.progress import Step

ROUNDS = 5
REQUESTS = 300
MOST = 1.10
WITHOUT = (
    "import asyncio, os\n"
    "from sandbox.emulator_server import __main__ as server, faults\n"
    "server.held = faults.handled\n"
    "asyncio.run(server.main(int(os.environ['GATEWAY_PORT'])))\n"
)
# One of each protocol in use: path, service that it is signed for, further headers, body.
FORM = {"content-type": "application/x-www-form-urlencoded"}
ECR = {
    "content-type": "application/x-amz-json-1.1",
    "x-amz-target": "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories",
}
CBOR = {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
ASKED: dict[str, tuple[str, str, dict[str, str], bytes]] = {
    "rest-json": ("/2015-03-31/functions", "lambda", {}, b""),
    "json": ("/", "ecr", ECR, b'{"maxResults": 5}'),
    "query": ("/", "iam", FORM, b"Action=ListRoles&Version=2010-05-08&MaxItems=5"),
    "cbor": ("/service/GraniteServiceVersion20100801/operation/DescribeAlarms", "monitoring", CBOR, b"\xa0"),
    "rest-xml": ("/2013-04-01/hostedzone", "route53", {}, b""),
}


def request(asked: str, connection: http.client.HTTPConnection) -> float:
    """Send a request and return its milliseconds."""
    path, service, more, body = ASKED[asked]
    credential = f"AWS4-HMAC-SHA256 Credential=test/20260101/{emulator.REGION}/{service}/aws4_request, Signature=0"
    begin = time.perf_counter()
    connection.request("POST" if body else "GET", path, body or None, {"authorization": credential, **more})
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise SystemExit(f"{asked}: {answer.status}")
    return (time.perf_counter() - begin) * 1000


def requests(emulators: dict[str, Emulator]) -> None:
    """Ask both emulators in turns; print the medians for each protocol, and what the gate adds to the fastest request."""
    connections = {name: http.client.HTTPConnection("127.0.0.1", made.port) for name, made in emulators.items()}
    for asked in ASKED:
        taken: dict[str, list[float]] = {name: [] for name in emulators}
        for _ in range(REQUESTS):
            for name, connection in connections.items():
                taken[name].append(request(asked, connection))
        medians = {name: statistics.median(milliseconds) for name, milliseconds in taken.items()}
        added = medians["with"] - medians["without"]
        print(
            f"{asked:10} {medians['without']:5.2f} ms without, {medians['with']:5.2f} ms with the gate: +{added:.2f} ms"
        )


def roots(folder: Path, emulators: dict[str, Emulator], image: str) -> dict[str, Root]:
    """Return the example for each emulator, ready to apply."""
    arguments = f'args = {{ BASE_IMAGE = "{image}" }}'
    build = f'  image = {{ build = {{ context = "app", log_file = "build.log", {arguments} }} }}\n'
    made = {}
    for name, aws in emulators.items():
        copy_project(ROOT, folder / name, EXAMPLE_SOURCES)
        root = Root(folder / name / "examples" / "minimal", environment=terraform_environment(aws))
        root.write(overrides.NAME, overrides.applied(aws.registry, overrides.NO_ALARMS + build))
        for file, text in overrides.native().items():
            root.write(file, text)
        root.init()
        made[name] = root
    return made


def applies(made: dict[str, Root], rounds: int) -> float:
    """Apply and destroy the example by turns, print the medians, and return their ratio."""
    taken: dict[str, list[float]] = {name: [] for name in made}
    for number in range(rounds + 1):
        for name, root in made.items():
            begin = time.perf_counter()
            try:
                root.apply()
                seconds = time.perf_counter() - begin
            finally:
                root.destroy()
            if number:  # the first one builds the image
                taken[name].append(seconds)
    medians = {name: statistics.median(times) for name, times in taken.items()}
    for name, times in taken.items():
        print(f"examples/minimal {name} the gate: {spread(times)}")
    return medians["with"] / medians["without"]


def main(rounds: int = ROUNDS) -> None:
    """Measure, and fail where the gate costs more than it may."""
    with own_emulator() as held, own_emulator(("-c", WITHOUT)) as not_held, tempfile.TemporaryDirectory() as folder:
        started = {"with": held, "without": not_held}
        requests(started)
        engine.ensure(held.home, Step("Docker engine"))
        image = base_image.ensure(Step("Base image"))
        ratio = applies(roots(Path(folder) / "roots", started, image.reference), rounds)
    print(f"with the gate / without: {ratio:.2f} (at most {MOST:.2f})")
    if ratio > MOST:
        raise SystemExit(1)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
