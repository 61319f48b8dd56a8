"""The seed data of `make dev`."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import cli, issuer
from sandbox.emulator import Emulator
from sandbox.paths import ROOT
from sandbox.seed import CUSTOMERS, USERS


@pytest.fixture
def table(emulator: Emulator) -> Iterator[str]:
    name = f"seed-{uuid.uuid4().hex}"
    client = emulator.client("dynamodb")
    client.create_table(TableName=name, **cli.TABLE_SCHEMA)
    yield name
    client.delete_table(TableName=name)


def run_seed(emulator: Emulator, table: str, **environment: str) -> subprocess.CompletedProcess[str]:
    tokens = issuer.ensure(emulator)
    environ = cli.dev_environment(emulator, tokens, table) | {"SANDBOX_TOKEN": tokens.token()}
    command = [sys.executable, "-m", "sandbox.seed"]
    return subprocess.run(command, cwd=ROOT, env=environ | environment, capture_output=True, text=True, check=False)


def items(emulator: Emulator, table: str) -> list[dict[str, Any]]:
    scanned: list[dict[str, Any]] = emulator.client("dynamodb").scan(TableName=table)["Items"]
    return sorted(scanned, key=str)


def test_empty_table_is_seeded_once(emulator: Emulator, table: str) -> None:
    first = run_seed(emulator, table)
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines() == [
        f"Created {len(USERS) + len(CUSTOMERS)} users and customers in the empty table (sandbox/seed.py)."
    ]
    created = items(emulator, table)

    second = run_seed(emulator, table)

    assert (second.returncode, second.stdout) == (0, "")
    assert items(emulator, table) == created


def test_error_response_is_reported(emulator: Emulator, table: str) -> None:
    refused = run_seed(emulator, table, TABLE_NAME=f"{table}-gone")
    assert refused.returncode == 1
    assert "the service rejects the data in sandbox/seed.py: GET /users: 50" in refused.stderr
