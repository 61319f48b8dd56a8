"""The users and customers that `make dev` begins with."""

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


def seeded(emulator: Emulator, table: str, **environment: str) -> subprocess.CompletedProcess[str]:
    tokens = issuer.ensure(emulator)
    known = cli.dev_environment(emulator, tokens, table) | {"SANDBOX_TOKEN": tokens.token()}
    command = [sys.executable, "-m", "sandbox.seed"]
    return subprocess.run(command, cwd=ROOT, env=known | environment, capture_output=True, text=True, check=False)


def items(emulator: Emulator, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = emulator.client("dynamodb").scan(TableName=table)["Items"]
    return sorted(found, key=str)


def test_an_empty_table_is_seeded_once(emulator: Emulator, table: str) -> None:
    first = seeded(emulator, table)
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines() == [
        f"The empty table has been given {len(USERS) + len(CUSTOMERS)} users and customers (sandbox/seed.py)."
    ]
    made = items(emulator, table)

    second = seeded(emulator, table)

    assert (second.returncode, second.stdout) == (0, "")
    assert items(emulator, table) == made


def test_a_seed_that_the_service_refuses_is_quoted(emulator: Emulator, table: str) -> None:
    refused = seeded(emulator, table, TABLE_NAME=f"{table}-gone")
    assert refused.returncode == 1
    assert "sandbox/seed.py does not fit the service: GET /users: 50" in refused.stderr
