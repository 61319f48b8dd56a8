"""Both sides on the sandbox: applied, edited until the edit answers, extended by the endpoint, and under the same load.

The estate's functions run as the emulator runs zip archives: a Python process of its own on this machine, without a container, in the
emulator's Python. The module's function runs in a container from its image, with AWS's runtime client and Runtime Interface Emulator.
So times of both sides are compared only where LIMITS says that they can be.
"""

from __future__ import annotations

import random
import re
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.runs import own_emulator, terraform_environment
from benchmarks.scorecard.errors import ScorecardError
from benchmarks.scorecard.sides import ROOTS, SIDES, Say, add_endpoint, copied, path_with_uv
from harness import Root
from harness.errors import TerraformError
from sandbox import base_image, engine, issuer, overrides
from sandbox.emulator import Emulator
from sandbox.errors import SandboxError
from sandbox.issuer import Issuer
from sandbox.progress import Step

SECONDS = 60  # how long an edit may take to answer after the apply
MISSING = "0" * 32
NAMES = {"old": "scorecard-old", "new": "scorecard-new"}
# Users and customers that exist before the load.
ITEMS = 30
WORKERS = 32


@dataclass(frozen=True)
class Edit:
    """A routine change: a text in a source, and the request whose response has it."""

    file: str
    text: re.Pattern[str]
    replacement: str
    path: str


EDITS = {
    "old": Edit(
        "examples/legacy-lambdas/functions/GetUser/GetUser.py",
        re.compile(r'"message": "User not found.*?"'),
        '"message": "User not found {mark}"',
        f"/users/{MISSING}",
    ),
    "new": Edit(
        "service/app.py",
        re.compile(r'description="Users and customers.*?"'),
        'description="Users and customers {mark}"',
        "/openapi.json",
    ),
}


@dataclass
class Side:
    """An applied side."""

    name: str
    root: Root
    variables: dict[str, Any]
    aws: Emulator
    tokens: Issuer

    @property
    def copy(self) -> Path:
        """The copy of the project that it is in."""
        return self.root.path.parent.parent

    def client(self) -> httpx2.Client:
        """Return a client with all scopes."""
        # Python cannot resolve *.localhost, so the API's host name is sent in the Host header.
        if self.name == "old":
            host, base = f"{self.root.output('api_id', str)}.execute-api.localhost", f"{self.aws.url}/prod"
        else:
            host, base = self.root.output("endpoint", str).partition("://")[2].rstrip("/"), self.aws.url
        headers = {"host": host, "authorization": f"Bearer {self.tokens.token()}"}
        return httpx2.Client(base_url=base, headers=headers, timeout=SECONDS, trust_env=False)

    def release(self, mark: str) -> float:
        """Make the edit, apply it, and return the seconds until it answers."""
        edit = EDITS[self.name]
        source = self.copy / edit.file
        before = source.read_text(encoding="utf-8")
        source.write_text(edit.text.sub(edit.replacement.format(mark=mark), before), encoding="utf-8")
        return self.applied_until(lambda http: mark in http.get(edit.path).text, f"the edit {mark}")

    def add(self) -> float:
        """Add the endpoint, apply it, and return the seconds until it answers."""
        with self.client() as http:
            path = f"/customers/{create(http, self.name, 'customers', 'contact')}/contact"
        add_endpoint(self.name, self.copy)

        def answers(http: httpx2.Client) -> bool:
            response = http.get(path)
            return response.status_code == 200 and "contact@example.com" in response.text

        return self.applied_until(answers, path)

    def applied_until(self, answers: Callable[[httpx2.Client], bool], what: str) -> float:
        """Apply, ask until it answers, and return the seconds since the beginning.

        Raises:
            ScorecardError: it does not answer in time.
        """
        with self.client() as http:
            begin = time.perf_counter()
            self.root.apply(self.variables)
            deadline = time.perf_counter() + SECONDS
            while not _answers(answers, http):
                if time.perf_counter() > deadline:
                    raise ScorecardError(
                        f"{what} was applied on the {self.name} side, and does not answer in {SECONDS} s."
                    )
                time.sleep(0.05)
            return time.perf_counter() - begin

    def restart(self) -> None:
        """End all environments: the emulator does so when a function's environment variables are set, also to the same values."""
        lambda_ = self.aws.client("lambda")
        for page in lambda_.get_paginator("list_functions").paginate():
            for function in page["Functions"]:
                if (name := function["FunctionName"]).startswith(NAMES[self.name]):
                    variables = {"Variables": function["Environment"]["Variables"]}
                    lambda_.update_function_configuration(FunctionName=name, Environment=variables)
                    lambda_.get_waiter("function_updated_v2").wait(FunctionName=name)

    def image_bytes(self) -> int:
        """Return the compressed size of the image's layers."""
        return sum(self.aws.image_layers(self.root.output("image_uri", str)).values())


def zip_bytes(root: Path) -> list[int]:
    """Return the size of each function's archive."""
    return [path.stat().st_size for path in sorted(root.glob("build/*.zip"))]


def _answers(answers: Callable[[httpx2.Client], bool], http: httpx2.Client) -> bool:
    """Ask; no response is no answer yet."""
    try:
        return answers(http)
    except httpx2.HTTPError:
        return False


@dataclass(frozen=True)
class Request:
    """A request of the load, as neither side writes it: an operation, a resource, and which item."""

    operation: str
    resource: str
    item: int


# What clients do, by weight: mostly reads.
MIX = {"get": 10, "list": 4, "add": 2, "update": 3, "delete": 1}
STATUS = {"get": {200}, "list": {200}, "add": {201}, "update": {200}, "delete": {200, 204}}


def load(requests: int, seed: int) -> list[Request]:
    """Return the same requests for both sides. Each deleted item is another one, which exists for that."""
    rng = random.Random(seed)  # noqa: S311 - a load, no secret
    operations = rng.choices(list(MIX), list(MIX.values()), k=requests)
    chosen = [(operation, rng.choice(("users", "customers"))) for operation in operations]
    deleted: dict[str, int] = {"users": 0, "customers": 0}
    made = []
    for operation, resource in chosen:
        item = rng.randrange(ITEMS)
        if operation == "delete":
            item = ITEMS + deleted[resource]
            deleted[resource] += 1
        made.append(Request(operation, resource, item))
    return made


def as_sent(
    side: str, request: Request, ids: Mapping[str, Sequence[str]], unique: str
) -> tuple[str, str, dict[str, Any]]:
    """Return method, path and httpx's arguments of a request, in a side's own terms; `unique` makes an e-mail address unique."""
    path = f"/{request.resource}"
    if request.operation == "list":
        limit = "limit" if side == "new" or request.resource == "users" else "pageSize"
        return "GET", path, {"params": {limit: 20}}
    if request.operation == "add":
        return "POST", path, {"json": body(side, request.resource, unique)}
    path = f"{path}/{ids[request.resource][request.item]}"
    if request.operation == "get":
        return "GET", path, {}
    headers = {"if-match": "*"} if side == "new" else {}
    if request.operation == "delete":
        return "DELETE", path, {"headers": headers}
    name = {"users": "userName", "customers": "customerName"}[request.resource] if side == "old" else "name"
    return "PUT" if side == "old" else "PATCH", path, {"json": {name: unique}, "headers": headers}


def body(side: str, resource: str, unique: str) -> dict[str, str]:
    """Return a new item as a side's clients write it."""
    address = f"{unique}@example.com"
    if side == "new":
        return {"users": {"email": address, "name": unique}, "customers": {"name": unique, "contact": address}}[
            resource
        ]
    return {
        "users": {"userName": unique, "emailAddress": address},
        "customers": {"customerName": unique, "contactEmail": address},
    }[resource]


def create(http: httpx2.Client, side: str, resource: str, unique: str) -> str:
    """Create an item and return its id.

    Raises:
        ScorecardError: the response is another than 201.
    """
    response = http.post(f"/{resource}", json=body(side, resource, unique))
    if response.status_code != 201:
        raise ScorecardError(
            f"the {side} side responded to POST /{resource} with {response.status_code}: {response.text[:200]}"
        )
    key = {"users": "userId", "customers": "customerId"}[resource] if side == "old" else "id"
    identity: str = response.json()[key]
    return identity


def prepare(side: Side, requests: Sequence[Request]) -> dict[str, list[str]]:
    """Add the items that the load needs, and return their ids by resource."""
    ids: dict[str, list[str]] = {}
    with side.client() as http:
        for resource in ("users", "customers"):
            count = 1 + max(request.item for request in requests if request.resource == resource)
            ids[resource] = [create(http, side.name, resource, uuid.uuid4().hex) for _ in range(count)]
    return ids


@dataclass
class Sent:
    """Milliseconds of the requests with a good response, and the reasons of the others."""

    milliseconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def send(
    side: Side, requests: Sequence[Request], ids: Mapping[str, Sequence[str]], per_second: float | None, into: Sent
) -> None:
    """Send each request at its time, whether or not earlier ones have a response, and count milliseconds from that time on.

    Without a rate, send one after the other: on this machine, containers that start at once take so long that each exceeds its
    timeout.
    """
    with side.client() as http, ThreadPoolExecutor(WORKERS if per_second else 1) as pool:
        first = time.perf_counter() + 0.1

        def one(number: int) -> tuple[float, str]:
            due = first + number / per_second if per_second else time.perf_counter()
            time.sleep(max(due - time.perf_counter(), 0))
            method, path, options = as_sent(side.name, requests[number], ids, uuid.uuid4().hex)
            try:
                response = http.request(method, path, **options)
            except httpx2.HTTPError as error:
                return 0.0, f"{method} {path}: {error!r}"
            elapsed = (time.perf_counter() - due) * 1000
            good = response.status_code in STATUS[requests[number].operation]
            return elapsed, "" if good else f"{method} {path}: {response.status_code} {response.text[:200]}"

        for elapsed, failure in pool.map(one, range(len(requests))):
            if failure:
                into.failed.append(failure)
            else:
                into.milliseconds.append(elapsed)


def latencies(
    sides: Mapping[str, Side], rounds: int, requests: int, per_second: float, say: Say
) -> dict[str, dict[str, Sent]]:
    """Send the load to each side: `cold` on no environment, one request after the other, and `warm` at its rate after that.

    Raises:
        ScorecardError: no request of a side had a good response; the first reason is in the message.
    """
    sent = {name: {"cold": Sent(), "warm": Sent()} for name in sides}
    for number in range(rounds):
        made = load(requests, number)
        for name, side in sides.items():
            for kind, into in sent[name].items():
                ids = prepare(side, made)
                if kind == "cold":
                    side.restart()
                send(side, made, ids, per_second if kind == "warm" else None, into)
                if not into.milliseconds:
                    raise ScorecardError(f"the {name} side failed every request of the load: {into.failed[0]}")
                p50 = statistics.median(into.milliseconds)
                say(f"load {number + 1} of {rounds}, {name} side, {kind}: p50 {p50:.0f} ms, {len(into.failed)} failed")
    return sent


@contextmanager
def sandbox(say: Say) -> Iterator[dict[str, Side]]:
    """Apply both sides on an emulator of their own; yield them by name. The emulator is removed with all that they have.

    Raises:
        ScorecardError: no Docker engine, no base image, or an apply failed; Terraform's reason is in the message.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scorecard-")))
        try:
            aws = stack.enter_context(own_emulator())
            engine.ensure(aws.home, Step("Docker engine"))
            base = base_image.ensure(Step("Base image"))
            say(f"base image: {base.reference} ({base.kind})")
            tokens = issuer.ensure(aws)
            environment = terraform_environment(aws) | {"PATH": path_with_uv()}
            variables: dict[str, dict[str, Any]] = {
                "old": {"prefix": NAMES["old"], "issuer": tokens.url, "keys_url": tokens.keys_url},
                "new": {
                    "name": NAMES["new"],
                    "base_image": base.reference,
                    "jwt_issuer": tokens.url,
                    "jwt_audience": tokens.audience,
                },
            }
            files = {
                "old": {overrides.NAME: overrides.LEGACY},
                "new": {overrides.NAME: overrides.applied(aws.registry, overrides.NO_ALARMS, overrides.UNPROTECTED)}
                | overrides.native(),
            }
            sides = {}
            for name in SIDES:
                root = Root(copied(folder / name) / ROOTS[name], environment=environment)
                for file, text in files[name].items():
                    root.write(file, text)
                root.init()
                begin = time.perf_counter()
                root.apply(variables[name])
                say(f"{name} side applied in {time.perf_counter() - begin:.0f} s")
                sides[name] = Side(name, root, variables[name], aws, tokens)
        except (SandboxError, TerraformError) as error:
            raise ScorecardError(f"the sandbox could not deploy both sides: {error}") from error
        yield sides
