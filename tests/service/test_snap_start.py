"""SnapStart: environments from one snapshot share nothing that must be unique. The snapshot is simulated."""

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.paths import ROOT
from tests.service.test_startup import run_after_startup

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

SNAP_START = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}


def simulate(hooks: str) -> dict[str, Any]:
    """Return a simulated snapshot's open sockets, and the reports of two environments from it; "hooks" or "no-hooks"."""
    command = [sys.executable, "-m", "tests.service.simulated_snapshot", hooks]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | SNAP_START, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    simulated: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return simulated


def test_environments_from_one_snapshot_share_nothing(table: "Table") -> None:
    one, two = simulate("hooks")["restored"]
    for report in (one, two):
        assert report["statuses"] == [201, 201]
        assert report["repeated user"] == report["user"]
    assert one["user"] != two["user"]
    assert not set(one["correlation ids"]) & set(two["correlation ids"])
    assert not set(one["random numbers"]) & set(two["random numbers"])
    assert one["sockets"]
    assert not set(one["sockets"]) & set(two["sockets"])
    records = [item for item in table.scan()["Items"] if str(item["pk"]).startswith("idempotency-")]
    assert sorted(str(record["ids"]) for record in records) == sorted([str([one["user"]]), str([two["user"]])])


def test_snapshot_holds_no_open_connection(table: "Table") -> None:
    assert simulate("hooks")["sockets"] == []
    assert simulate("no-hooks")["sockets"]


def test_restored_environment_uses_its_own_credentials_and_settings(table: "Table") -> None:
    for name, report in zip(("one", "two"), simulate("hooks")["restored"], strict=True):
        assert report["access keys"] == [f"restored-{name}"]
        assert report["source hash"] == f"restored-{name}"


def test_environments_without_hooks_share_what_the_snapshot_holds(table: "Table") -> None:
    one, two = simulate("no-hooks")["restored"]
    assert one["random numbers"] == two["random numbers"]
    assert set(one["sockets"]) & set(two["sockets"])
    assert one["access keys"] == two["access keys"] == ["test"]
    assert one["source hash"] == two["source hash"] == "unknown"


REGISTERED = (
    "import snapshot_restore_py as hooks\nprint(len(hooks.get_before_snapshot()), len(hooks.get_after_restore()))"
)


@pytest.mark.parametrize(
    ("initialization", "registered"),
    [("snap-start", "1 1"), ("on-demand", "0 0"), ("provisioned-concurrency", "0 0")],
)
def test_hooks_are_registered_with_snap_start_only(initialization: str, registered: str) -> None:
    variables = {"AWS_LAMBDA_INITIALIZATION_TYPE": initialization}
    assert run_after_startup(REGISTERED, variables) == f"{registered}\n"


def test_start_without_the_library_warns_and_serves() -> None:
    ping = "print(service.aws_lambda.handler.handler({'ping': True}, None))"
    first = "import sys; sys.modules['snapshot_restore_py'] = None"
    warning, pong = run_after_startup(ping, SNAP_START, first=first).splitlines()
    assert json.loads(warning)["level"] == "WARN"
    assert "without runtime hooks" in json.loads(warning)["message"]
    assert pong == "{'pong': True}"
    assert run_after_startup(ping, first=first) == "{'pong': True}\n"
