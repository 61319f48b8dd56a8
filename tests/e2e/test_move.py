"""docs/migrating.md from the first moved route to the destroyed tables: its commands, under load of clients that audit their writes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from harness import Plan, Root
from migration.__main__ import main as migration
from people.layout import CUSTOMER, USER
from people.store import Phase, Store
from sandbox import overrides, paths
from sandbox.base_image import BaseImage
from sandbox.emulator import Emulator
from sandbox.issuer import Issuer
from tests.e2e.audit import CUSTOMERS, KINDS, USERS, Load, audit
from tests.e2e.conftest import Deployable, gateway
from tests.e2e.estate import Estate, applied
from tests.e2e.test_legacy_lambdas import requests

PREFIX = "legacy-e2e-move"
NAME = "move-e2e"
ITEMS = 1000
PAGE = (paths.ROOT / "docs/migrating.md").read_text()
ISSUER = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_example"
# The emulator's versions of one image share containers, and with them an environment (emulator_differences.yaml). So that each phase
# has its own containers, as on AWS, each has its own image: it contains the source hash.
IMAGE = """  image = {
    build = {
      context     = "app"
      log_file    = "build.log"
      args        = { BASE_IMAGE = var.base_image }
      source_hash = "people-${var.data_phase}"
    }
  }
"""
# Route, status, content type, body.
Answer = tuple[str, int, str, Any]


def blocks(section: str) -> list[list[str]]:
    """Return the commands of each console block of a section."""
    text = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert text
    found = re.findall(r"^```console\n(.*?)^```", text[1], re.MULTILINE | re.DOTALL)
    return [[line.removeprefix("$ ") for line in block.splitlines()] for block in found]


(VERIFY,) = [line for block in blocks("Move the data") for line in block if " verify " in line]


@dataclass
class Runbook:
    """Runs the page's blocks, in their order."""

    environment: Mapping[str, str]
    replaced: Mapping[str, str]
    left: dict[str, list[list[str]]] = field(
        default_factory=lambda: {
            name: blocks(name) for name in ("Move the routes", "Move the data", "Remove the old functions")
        }
    )

    seconds: list[int] = field(default_factory=list)

    def run(self, section: str, root: Root, folder: str = ".") -> str:
        """Run the next block of a section, and return its output."""
        # The harness has initialised the copy.
        script = "\n".join(line for line in self.left[section].pop(0) if line != "terraform init")
        begin = time.monotonic()
        run = self.shell(script, root, folder)
        self.seconds.append(round(time.monotonic() - begin))
        assert run.returncode == 0, f"{script}\n{run.stdout[-3000:]}{run.stderr[-3000:]}"
        return run.stdout

    def shell(self, script: str, root: Root, folder: str = ".") -> subprocess.CompletedProcess[str]:
        """Run commands in a root's copy, with the names of this test."""
        for old, new in self.replaced.items():
            script = script.replace(old, new)
        return subprocess.run(
            ["bash", "-ec", script],
            cwd=root.path / folder,
            env={**os.environ, **root.terraform.environment, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )


@dataclass
class Move:
    """The finished move."""

    load: Load
    answers: list[tuple[Answer, Answer]]
    phases: list[str]
    removal: Plan
    forgotten: str
    left: list[str]
    before_last_step: dict[str, list[str]]
    """What the old tables lacked of the acknowledged writes, or had too much."""
    last: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def estate(
    terraform_roots: Callable[[str, Mapping[str, str] | None], Root], emulator: Emulator, issuer: Issuer
) -> Iterator[Estate]:
    with applied(terraform_roots, emulator, issuer, PREFIX) as estate:
        estate.seed(users=ITEMS, customers=ITEMS)
        yield estate


@pytest.fixture(scope="module")
def root(estate: Estate, example: Deployable, base_image: BaseImage) -> Root:
    """A copy of the new API's root, with the inventory where the page expects it, and with what differs here as variables."""
    root = example("migrate-from-lambdas", module=IMAGE, root=overrides.UNPROTECTED)
    # Containers reach the emulator by another name than this machine.
    keys_url = estate.issuer.keys_url.replace("localhost", "host.docker.internal")
    tables = {"users": f"{PREFIX}-users", "customers": f"{PREFIX}-customers"}
    variables = {
        "name": NAME,
        "base_image": base_image.reference,
        "keys_url": keys_url,
        "old_tables": json.dumps(tables),
    }
    root.terraform.environment.update({f"TF_VAR_{name}": value for name, value in variables.items()})
    with pytest.MonkeyPatch.context() as patch:
        for name, value in estate.emulator.environment().items():
            patch.setenv(name, value)
        assert migration(["inventory", "--api", PREFIX, "--out", str(root.path.parent.parent / "inventory")]) == 0
    return root


@pytest.fixture(scope="module")
def runbook(estate: Estate, terraform_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Runbook:
    programs = tmp_path_factory.mktemp("programs")
    (programs / "terraform").symlink_to(str(shutil.which(terraform_binary)))
    environment = {
        "PATH": f"{programs}:{paths.environment('dev')}:{os.environ['PATH']}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TF_CLI_ARGS_apply": "-auto-approve -input=false -no-color",
    }
    replaced = {"legacy-people": PREFIX, "migrating-api": NAME, ISSUER: estate.issuer.url}
    return Runbook(environment, replaced)


@pytest.fixture(scope="module")
def move(estate: Estate, root: Root, runbook: Runbook, aws: Callable[[str], Any], note: Callable[[str], None]) -> Move:
    """The whole runbook, under load from the second API on."""
    dynamodb = aws("dynamodb")
    tables = {"users": f"{PREFIX}-users", "customers": f"{PREFIX}-customers", "new": f"{NAME}-data"}
    root.resume({})
    runbook.run("Move the routes", root)
    endpoint, token = root.output("endpoint", str), estate.issuer.token()

    def client() -> httpx2.Client:
        return gateway(estate.emulator, endpoint, token)

    load = Load(client, names(dynamodb, tables, "old"))
    phases: list[str] = []

    def phase() -> None:
        with client() as http:
            phases.append(http.get("/healthz").raise_for_status().json()["phase"])

    begin = time.monotonic()
    with load.running():
        for _ in range(4):  # one route, back, all of users, all
            runbook.run("Move the routes", root)
        assert runbook.left["Move the routes"] == []
        with load.paused(), client() as new, estate.client() as old:
            answers = list(zip(requests(old, "old"), requests(new, "new"), strict=True))

        for folder in (".", ".", "app", ".", ".", "."):  # copy, back and again, backfill, switched, back and again, new
            if len(runbook.left["Move the data"]) == 1:  # before the last step
                verified = runbook.shell(VERIFY, root, "app")
                assert verified.returncode == 0, verified.stdout
                with load.paused():
                    old_items = names(dynamodb, tables, "old")
                    before_last_step = {path: audit(load.expected(path), found) for path, found in old_items.items()}
            runbook.run("Move the data", root, folder)
            phase()

        estate.root.write(overrides.NAME, overrides.AWS_PROVIDER)
        variables, _ = estate.root.applied or ({}, None)
        estate.root.terraform.environment.update({f"TF_VAR_{name}": value for name, value in variables.items()})
        runbook.run("Remove the old functions", estate.root)  # plans
        removal = estate.root.plan(variables)
        runbook.run("Remove the old functions", estate.root)
        forgotten = runbook.run("Remove the old functions", root)
        left = existing(aws)
        runbook.run("Remove the old functions", estate.root)
        assert runbook.left == {"Move the routes": [], "Move the data": [], "Remove the old functions": []}
        time.sleep(3)
    seconds = time.monotonic() - begin
    sent = ", ".join(f"{count} {name}" for name, count in load.log.sent.items())
    note(
        f"move under load: {load.log.sent.total()} requests in {seconds:.0f} s ({sent}), {len(load.log.failed)} failed, "
        f"{len(load.log.ambiguous)} ambiguous, none retried, slowest {load.log.slowest:.1f} s; seconds of each block: {runbook.seconds}"
    )
    last = names(dynamodb, tables, "new")
    return Move(load, answers, phases, removal, forgotten, left, before_last_step, last)


def names(dynamodb: Any, tables: Mapping[str, str], phase: str) -> dict[str, dict[str, str]]:
    """Return the names of all items by id, of the tables that a phase reads."""
    found = {}
    for kind, layout in ((USERS, USER), (CUSTOMERS, CUSTOMER)):
        store = Store(dynamodb, layout, tables[kind.path[1:]], tables["new"], Phase(phase))
        found[kind.path] = {item[kind.key]: item[kind.name] for page in store.pages() for item in page}
    return found


def existing(aws: Callable[[str], Any]) -> list[str]:
    """Return what is left of the estate."""
    found = [
        *(each["FunctionName"] for each in aws("lambda").list_functions()["Functions"]),
        *(each["RoleName"] for each in aws("iam").list_roles()["Roles"]),
        *(each["logGroupName"] for each in aws("logs").describe_log_groups()["logGroups"]),
        *(each["name"] for each in aws("apigateway").get_rest_apis()["items"]),
        *aws("dynamodb").list_tables()["TableNames"],
    ]
    return sorted(name for name in found if PREFIX in name)


def test_no_request_failed_and_no_write_is_ambiguous(move: Move) -> None:
    log = move.load.log
    assert (log.failed[:10], log.ambiguous[:10]) == ([], [])
    assert log.sent.total() > 500
    assert set(log.sent) == {"get", "list", "add", "update", "delete"}
    assert min(log.sent.values()) >= 5


def test_every_acknowledged_write_is_in_the_new_table_once(move: Move) -> None:
    for kind in KINDS:
        expected = move.load.expected(kind.path)
        assert audit(expected, move.last[kind.path]) == []
        added = [name for name in expected.values() if name.startswith("client ")]
        assert len(added) == len(set(added)) > 20
        assert any(client.gone[kind.path] for client in move.load.clients)


def test_audit_finds_lost_doubled_and_undeleted_items() -> None:
    assert audit({"1": "a", "2": "b"}, {"1": "a", "2": "b"}) == []
    assert audit({"1": "a", "2": "b"}, {"1": "older", "3": "b"}) == [
        "lost: 1 is 'older', not 'a'",
        "lost: 2 is None, not 'b'",
        "doubled or not deleted: 3, 'b'",
    ]


def test_old_tables_had_every_acknowledged_write_until_the_last_step(move: Move) -> None:
    assert move.before_last_step == {"/users": [], "/customers": []}


def test_each_phase_served_after_its_apply(move: Move) -> None:
    # The backfill, the third of the page's steps, changes no phase.
    assert move.phases == ["copy", "copy", "copy", "switched", "switched", "new"]


def test_container_responds_as_the_old_functions(move: Move) -> None:
    def comparable(answer: Answer) -> tuple[Any, ...]:
        route, status, content_type, body = answer
        return route, status, content_type, json.loads(body) if body else ""

    assert len(move.answers) > 15
    assert [(old, new) for old, new in move.answers if comparable(old) != comparable(new)] == []


def test_removal_destroys_the_old_functions_and_changes_nothing_else(move: Move) -> None:
    actions = {change.actions for change in move.removal.resources.values() if change.changes}
    assert actions == {("delete",)}
    destroyed = [move.removal.resources[address].type for address in move.removal.destroyed]
    for kind in ("aws_lambda_function", "aws_iam_role", "aws_cloudwatch_log_group", "aws_iam_role_policy"):
        assert destroyed.count(kind) == 10, kind
    assert destroyed.count("aws_api_gateway_rest_api") == 1
    assert move.removal.counts == {"aws_dynamodb_table": 2}


def test_new_root_no_longer_needs_the_old_routes(move: Move) -> None:
    assert "No changes." in move.forgotten


def test_only_the_tables_are_left_of_the_estate(move: Move) -> None:
    assert move.left == [f"{PREFIX}-customers", f"{PREFIX}-users"]


def test_second_apply_changes_nothing(move: Move, root: Root) -> None:
    root.assert_idempotent()
