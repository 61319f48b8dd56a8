"""The service's speed compared with a typical implementation, Powertools, Chalice and a bare handler: cold start, warm overhead, memory.

    python -m benchmarks.service_speed [--cold-rounds 25] [--warm-rounds 7]

Each application is installed into a tree of its own, as its image would hold it, and run by awslambdaric, the runtime client of
Lambda's images, against a stub of Lambda's Runtime API; a stub of DynamoDB responds at once. Applications take turns, round by
round. The result is the median of the rounds' ratios, so that other load on the machine affects both sides of a ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.runtime import FOUND, ITEM, Runtime
from sandbox.paths import ROOT
from service.aws_lambda.cold_start.precompiled import FILE
from service.aws_lambda.cold_start.trim_botocore import trim

PINS = ROOT / "requirements" / "bench.txt"
RESULTS = ROOT / ".reports" / "bench"
WARM_REQUESTS = 400
PRECOMPILED = Path("service/aws_lambda/cold_start") / FILE
IDENTITY = "0" * 32
CALLER = {"jwt": {"claims": {"sub": "bench", "scope": "users:read users:write"}, "scopes": None}}


@dataclass(frozen=True)
class Application:
    """An application in its tree."""

    name: str
    tree: Path
    handler: str
    payload: str = "2.0"
    """The version of API Gateway's events that it takes."""
    environment: Mapping[str, str] = field(default_factory=dict)
    table: bool = True
    """Whether it uses boto3's table, to which a client answers in Python's types, or the client itself."""
    unlogged: str | None = None
    """The handler that logs no line for a request, where the other one does."""


def events(method: str, path: str, template: str, body: str | None = None) -> dict[str, dict[str, Any]]:
    """Return a request of a caller whom the authorizer knows, as API Gateway's event in each version of its payload."""
    headers = {"host": "bench.example.com", "content-type": "application/json"}
    common = {"headers": headers, "body": body, "isBase64Encoded": False}
    context = {
        "accountId": "000000000000",
        "apiId": "bench",
        "authorizer": CALLER,
        "domainName": "bench.example.com",
        "domainPrefix": "bench",
        "requestId": "bench",
        "stage": "$default",
    }
    http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "bench"}
    http_api = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "requestContext": context
        | {"http": http, "routeKey": "$default", "time": "01/Jan/2026:00:00:00 +0000", "timeEpoch": 1767225600000},
    }
    rest_api = {
        "resource": template,
        "path": path,
        "httpMethod": method,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"identity": IDENTITY} if "{" in template else None,
        "stageVariables": None,
        "requestContext": context
        | {"httpMethod": method, "path": path, "resourcePath": template, "identity": {"sourceIp": "127.0.0.1"}},
    }
    return {"2.0": common | http_api, "1.0": common | rest_api}


HEALTH = events("GET", "/healthz", "/healthz")
READ = events("GET", f"/users/{IDENTITY}", "/users/{identity}")
REFUSED = events("POST", "/users", "/users", json.dumps({"email": "nobody", "name": ""}))
# What stands in for DynamoDB: its client, or the network.
WARM = {
    "warm: a route that does nothing, µs": (HEALTH, "client"),
    "warm: a read, the client responding from memory, µs": (READ, "client"),
    "warm: a create that is refused, µs": (REFUSED, "client"),
    "warm: a read, DynamoDB responding at once, µs": (READ, "network"),
}
UNLOGGED = "warm: the route that does nothing, no line logged, µs"


def install(tree: Path, *requirements: str) -> None:
    """Install packages into a tree, at the pinned versions."""
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "pip", "install", "--quiet", "--python", sys.executable, "--target", str(tree)]
    # Copies: a tree is trimmed without changing the others.
    subprocess.run([*command, "--link-mode", "copy", *requirements], check=True)


def compiled(tree: Path, *options: str) -> None:
    """Compile a tree to bytecode."""
    subprocess.run([sys.executable, "-m", "compileall", "-q", *options, str(tree)], check=True)


def precompile(packages: Path, source: Path, file: Path) -> None:
    """Precompile what a source's imports compile into a file, as the image's build does."""
    script = ROOT / PRECOMPILED.with_name("precompiled.py")
    # -S: without what else is installed here, as in an image.
    command = [sys.executable, "-S", "-B", str(script), str(packages), str(source), str(file), "dynamodb"]
    subprocess.run(command, check=True)


def service(folder: Path, *, cold_start: bool = True) -> Path:
    """Build the service's tree in a folder, with the stage that shortens the cold start or without it, and return the tree."""
    tree = folder / ("service" if cold_start else "service-plain")
    install(tree, "--requirement", str(ROOT / "service/requirements.txt"))
    left_out = ["__pycache__", "trim_*" if cold_start else "cold_start"]
    shutil.copytree(ROOT / "service", tree / "service", ignore=shutil.ignore_patterns(*left_out))
    if cold_start:
        trim(tree, {"dynamodb"})
        shutil.rmtree(tree / "pydantic" / "v1")
        precompile(tree, tree / "service", tree / PRECOMPILED)
    shutil.copy(ROOT / "benchmarks/apps/service_unlogged.py", tree / "unlogged.py")
    compiled(tree, "--invalidation-mode", "unchecked-hash")
    return tree


def applications(folder: Path) -> list[Application]:
    """Build the trees: the service as its Dockerfile does, the peers with pip's bytecode, as their documentation has it."""
    apps = ROOT / "benchmarks" / "apps"

    def peer(name: str, *packages: str, trimmed: bool = False) -> Path:
        tree = folder / (f"{name}-trimmed" if trimmed else name)
        install(tree, "--constraint", str(PINS), "boto3", "pydantic", *packages)
        shutil.copy(apps / f"{name}.py", tree / "app.py")
        shutil.copy(apps / "things.py", tree)
        if (logged := apps / f"{name}_logged.py").exists():
            shutil.copy(logged, tree / "logged.py")
        if trimmed:
            trim(tree, {"dynamodb"})
            shutil.rmtree(tree / "pydantic" / "v1")
        compiled(tree, *(["--invalidation-mode", "unchecked-hash"] if trimmed else []))
        return tree

    tuned = peer("typical", "fastapi", "mangum", trimmed=True)
    (tuned / "app.py").write_text(floor((apps / "typical.py").read_text()))
    stage = PRECOMPILED.parent
    shutil.copytree(ROOT / stage, tuned / stage, ignore=shutil.ignore_patterns("__pycache__", "trim_*"))
    sources = folder / "typical-sources"
    sources.mkdir()
    (sources / "app.py").write_text("import boto3.dynamodb.conditions, fastapi, mangum")
    precompile(tuned, sources, tuned / PRECOMPILED)
    compiled(tuned, "--invalidation-mode", "unchecked-hash")
    quiet = {"POWERTOOLS_SERVICE_NAME": "bench"}
    powertools = ("powertools", "aws-lambda-powertools")
    plain = peer(*powertools)
    handlers: Any = {"handler": "service.aws_lambda.handler.handler", "table": False, "unlogged": "unlogged.handler"}
    return [
        Application("service", service(folder), **handlers),
        Application("service, plain", service(folder, cold_start=False), **handlers),
        Application("typical", peer("typical", "fastapi", "mangum"), "app.handler"),
        Application("floor", tuned, "app.handler"),
        Application("powertools", plain, "app.handler", environment=quiet),
        Application("powertools, logged", plain, "logged.handler", unlogged="app.handler"),
        Application("powertools, trimmed", peer(*powertools, trimmed=True), "app.handler", environment=quiet),
        Application("chalice", peer("chalice", "chalice"), "app.handler", payload="1.0"),
        Application("bare", peer("bare"), "app.handler"),
    ]


def floor(typical: str) -> str:
    """Return *typical* with the service's levers, and nothing of what the service adds: the cost of FastAPI and boto3 themselves."""
    routes = re.sub(r"^def (?!existing)", "async def ", typical, flags=re.MULTILINE)
    served = routes.replace("Mangum(app)", 'Mangum(app, lifespan="off")')
    return f"from service.aws_lambda.cold_start import startup\n{served}\nstartup.finish()\n"


class Bench:
    """Runs applications against the stubs."""

    def __init__(self, runtime: Runtime, folder: Path) -> None:
        self.runtime = runtime
        self.client = folder / "client"
        install(self.client, "--constraint", str(PINS), "awslambdaric")
        compiled(self.client)
        # An environment of its own, without the packages that this machine's Python loads at its start.
        venv.create(folder / "python", symlinks=True)
        self.python = [str(folder / "python/bin/python3"), "-s"]

    def _environment(self, application: Application) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_ENDPOINT_URL": self.runtime.dynamodb,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_NAME": "bench",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_RUNTIME_API": self.runtime.address,
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_SECRET_ACCESS_KEY": "test",
            "LOG_LEVEL": "WARNING",
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{application.tree}{os.pathsep}{self.client}",
            "TABLE_NAME": "bench",
            **application.environment,
        }

    def cold(self, application: Application, event: Mapping[str, Any] | None = None) -> dict[str, float]:
        """Start a process; return seconds and CPU seconds until its response to an event (a read), and its memory in MB then."""
        self.runtime.serve(dict(event or READ[application.payload]))
        begin = time.perf_counter()
        process = subprocess.Popen(
            [*self.python, "-m", "awslambdaric", application.handler],
            cwd=application.tree,
            env=self._environment(application),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            answer = self.runtime.answer(seconds=60)
            seconds = time.perf_counter() - begin
            if json.loads(answer)["statusCode"] != 200:
                raise RuntimeError(f"{application.name} answered {answer!r}")
            status = Path(f"/proc/{process.pid}/status").read_text()
            ticks = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        finally:
            self.runtime.dismiss(process)
        memory = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        cpu = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
        return {"seconds": seconds, "cpu": cpu, "memory": memory / 1024}

    def warm(self, application: Application, request: Mapping[str, Any], where: str) -> float:
        """Return the median time of the handler in microseconds, in its own process, without a network."""
        answer = {"Item": ITEM | {"revision": 1}} if where == "client" and application.table else FOUND
        command = [*self.python, str(Path(__file__).with_name("warm.py")), application.handler]
        command += [json.dumps(request[application.payload]), str(WARM_REQUESTS), where, json.dumps(answer)]
        result = subprocess.run(
            command,
            cwd=application.tree,
            env=self._environment(application),
            capture_output=True,
            text=True,
            check=True,
        )
        return float(result.stdout.splitlines()[-1])

    def stages(self, application: Application, rounds: int) -> dict[str, float]:
        """Return the stages of the service's start in cumulative milliseconds, medians of `rounds` starts."""
        script = Path(__file__).with_name("stages.py")
        runs = []
        for _ in range(rounds):
            result = subprocess.run(
                [*self.python, str(script), json.dumps(READ[application.payload])],
                cwd=application.tree,
                env=self._environment(application) | {"BENCH_BEGIN": str(time.time())},
                capture_output=True,
                text=True,
                check=True,
            )
            runs.append(json.loads(result.stdout.splitlines()[-1]))
        return {name: statistics.median(run[name] for run in runs) for name in runs[0]}

    def routes(self, application: Application) -> dict[str, float]:
        """Return the cost of one more route in milliseconds, by kind and number of routes."""
        script = Path(__file__).with_name("routes.py")
        result = subprocess.run(
            [*self.python, str(script), application.name],
            cwd=application.tree,
            env=self._environment(application),
            capture_output=True,
            text=True,
            check=True,
        )
        costs: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
        return costs


def measure(bench: Bench, compared: list[Application], cold: int, warm: int) -> dict[str, dict[str, list[float]]]:
    """Return the measurements of all rounds by figure and application."""
    figures: dict[str, dict[str, list[float]]] = {}

    def note(figure: str, application: Application, value: float) -> None:
        figures.setdefault(figure, {}).setdefault(application.name, []).append(value)

    for _ in range(cold):
        for application in compared:
            run = bench.cold(application)
            note("cold start, ms", application, run["seconds"] * 1000)
            note("cold start, CPU ms", application, run["cpu"] * 1000)
            note("memory after the first request, MB", application, run["memory"])
    for _ in range(warm):
        for application in compared:
            for figure, (request, where) in WARM.items():
                note(figure, application, bench.warm(application, request, where))
            alone = replace(application, handler=application.unlogged or application.handler)
            note(UNLOGGED, application, bench.warm(alone, HEALTH, "client"))
    return figures


def rows(figures: Mapping[str, Mapping[str, list[float]]]) -> Iterable[dict[str, Any]]:
    """Yield for each figure and peer both medians, the median of the rounds' ratios, and their quartiles."""
    for figure, values in figures.items():
        ours = values["service"]
        for peer, theirs in values.items():
            if peer != "service":
                low, ratio, high = statistics.quantiles([a / b for a, b in zip(ours, theirs, strict=True)], n=4)
                yield {
                    "figure": figure,
                    "ours": round(statistics.median(ours), 1),
                    "peer": peer,
                    "theirs": round(statistics.median(theirs), 1),
                    "ratio": round(ratio, 2),
                    "runs": len(ours),
                    "spread": [round(low, 2), round(high, 2)],
                }


def main() -> None:
    """Build, measure, print the table, and write it as JSON with the stages of the service's start."""
    parser = argparse.ArgumentParser(description="The service's speed against its peers.")
    parser.add_argument(
        "--cold-rounds", type=int, default=25, help="starts of each application (at least 2; default: 25)"
    )
    parser.add_argument("--warm-rounds", type=int, default=7, help="processes of 400 requests (at least 2; default: 7)")
    rounds = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Runtime() as runtime:
        bench = Bench(runtime, Path(folder))
        compared = applications(Path(folder))
        by_name = {each.name: each for each in compared}
        for application in compared:
            bench.cold(application)  # into the page cache
        table = list(rows(measure(bench, compared, rounds.cold_rounds, rounds.warm_rounds)))
        stages = bench.stages(by_name["service"], rounds.cold_rounds)
        routed = [by_name["service"], by_name["typical"]]
        runs = [{each.name: bench.routes(each) for each in routed} for _ in range(rounds.warm_rounds)]
    per_route = {
        name: {figure: statistics.median(run[name][figure] for run in runs) for figure in costs}
        for name, costs in runs[0].items()
    }
    for row in table:
        spread = "{:.2f} to {:.2f}".format(*row["spread"])
        print(f"{row['figure']:<52}{row['ours']:>8} {row['peer']:<20}{row['theirs']:>8}   {row['ratio']:.2f}  {spread}")
    for figure, cost in per_route["service"].items():
        theirs = per_route["typical"][figure]
        print(f"{figure:<52}{cost:>8.2f} {'typical':<20}{theirs:>8.2f}   {cost / theirs:.2f}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    results = {"table": table, "stages": stages, "routes": per_route}
    (RESULTS / "service_speed.json").write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
