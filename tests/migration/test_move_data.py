"""python -m people.data: backfill and verify, beside clients, after a kill, and with bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from people.data import DIFFERENT, FAILED, SAME, DataError, Progress, backfill, main
from people.layout import CUSTOMER, USER
from sandbox.emulator import Emulator
from sandbox.paths import ROOT
from tests.migration.move_tables import Tables, customer, tables, user

APP = ROOT / "examples/migrate-from-lambdas/app"


@pytest.fixture
def at(emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Tables]:
    """Tables, with a folder of the test's own as the current one and the emulator in the environment."""
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    with tables(emulator) as made:
        yield made


def seed(at: Tables, number: int) -> None:
    """Write users and customers into the old tables as seed.py does."""
    for table, items in (
        (at.users, [user(n) for n in range(number)]),
        (at.customers, [customer(n) for n in range(number)]),
    ):
        for start in range(0, number, 25):
            puts = [{"PutRequest": {"Item": _attributes(item)}} for item in items[start : start + 25]]
            at.client.batch_write_item(RequestItems={table: puts})


def _attributes(item: dict[str, object]) -> dict[str, dict[str, str]]:
    return {name: {"N" if isinstance(value, Decimal) else "S": str(value)} for name, value in item.items()}


def test_backfill_copies_all_items_and_repeats_without_a_write(at: Tables, capsys: pytest.CaptureFixture[str]) -> None:
    seed(at, 130)
    assert main(["backfill", *at.arguments()]) == SAME
    for kind in (USER, CUSTOMER):
        assert at.copies(kind) == {each: kind.to_new(item) | {"revision": 1} for each, item in at.old(kind).items()}
        assert len(at.copies(kind)) == 130
    assert "user: 100 read, 100 written" in capsys.readouterr().err
    assert not Path("backfill.json").exists()

    assert main(["backfill", *at.arguments()]) == SAME
    assert "user: 130 read, 0 written" in capsys.readouterr().err
    assert {item["revision"] for item in at.copies().values()} == {1}


def test_backfill_copies_what_was_written_in_the_phase_old_and_deletes_what_was_deleted(at: Tables) -> None:
    for number in range(3):
        at.store("copy").write(user(number)["userId"], lambda _, number=number: user(number))  # type: ignore[misc]
    # Back in the phase old, and forward again.
    at.store("old").write(user(0)["userId"], lambda _: None)
    at.put(user(1, userName="Ada"))
    at.put(user(5))
    assert main(["verify", *at.arguments()]) == DIFFERENT
    assert main(["backfill", *at.arguments()]) == SAME
    assert main(["verify", *at.arguments()]) == SAME
    assert {each: USER.to_old(item) for each, item in at.copies().items()} == at.old()
    assert at.copies()[user(1)["userId"]]["revision"] == 2


def test_verify_names_what_differs_without_values(at: Tables, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 2, 3):
        at.store("copy").write(user(number)["userId"], lambda _, number=number: user(number))  # type: ignore[misc]
    at.put(user(1, userName="Ada", emailAddress="ada@example.com"))
    at.store("old").write(user(2)["userId"], lambda _: None)
    at.put(customer(4))

    assert main(["verify", *at.arguments()]) == DIFFERENT
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        f"user {user(1)['userId']}: email, name",
        f"user {user(2)['userId']}: not in the old table",
        f"customer {customer(4)['customerId']}: missing in the new table",
        "3 items compared, 3 differ",
    ]


def test_backfill_never_overwrites_a_newer_write(at: Tables) -> None:
    seed(at, 60)
    stop = threading.Event()
    acknowledged: dict[str, str | None] = {}

    def change() -> None:
        store, number = at.store("copy"), 0
        while not stop.is_set():
            number += 1
            identity = user(number % 60)["userId"]
            name = f"Change {number}"
            if number % 7 == 0:
                store.write(identity, lambda _: None)
                acknowledged[identity] = None
            else:
                item = user(number % 60, userName=name)
                store.write(identity, lambda _, item=item: item)  # type: ignore[misc]
                acknowledged[identity] = name

    client = threading.Thread(target=change)
    client.start()
    try:
        for _ in range(3):
            list(backfill(at.store("copy"), Progress()))
    finally:
        stop.set()
        client.join()
    assert len(acknowledged) > 5
    copies = at.copies()
    assert {each: copies[each]["name"] if each in copies else None for each in acknowledged} == acknowledged
    assert main(["verify", *at.arguments()]) == DIFFERENT  # the customers are not copied
    assert all(not at.store("copy").differences(at.store("copy").read_together(each)) for each in at.old())


def test_backfill_is_resumed_after_a_kill(at: Tables, emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    seed(at, 420)
    command = [sys.executable, "-m", "people.data", "backfill", *at.arguments()]
    environment = os.environ | {"PYTHONPATH": str(APP), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        first = process.stderr.readline()
        process.send_signal(signal.SIGKILL)
    assert first == "user: 100 read, 100 written\n"
    assert process.returncode == -signal.SIGKILL
    kept = json.loads(Path("backfill.json").read_text())["user"]
    assert 100 <= kept["read"] < 420

    assert main(["backfill", "--resume", *at.arguments()]) == SAME
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"user: {kept['read'] + 100} read, ")
    assert main(["verify", *at.arguments()]) == SAME
    assert capsys.readouterr().out == "840 items compared, 0 differ\n"


def test_interrupted_backfill_says_how_to_continue(
    at: Tables, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    seed(at, 3)
    with emulator.refusing("dynamodb.TransactWriteItems", containing=at.new, times=None):
        assert main(["backfill", *at.arguments()]) == FAILED
    error = capsys.readouterr().err
    assert "Continue with the same command and --resume" in error
    assert "TransactWriteItems: refused by the test." in error
    assert at.copies() == {}


@pytest.mark.parametrize("command", ["backfill", "verify"])
def test_command_refuses_once_the_old_tables_are_incomplete(
    at: Tables, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    at.put(user())
    at.store("new").write(user()["userId"], lambda _: user(userName="Newer"))
    assert main([command, *at.arguments()]) == FAILED
    assert "newer items than the old ones since the phase new" in capsys.readouterr().err
    assert at.copies()[user()["userId"]]["name"] == "Newer"


def test_backfill_stops_when_the_phase_new_begins(at: Tables) -> None:
    seed(at, 130)
    steps = backfill(at.store("copy"), Progress())
    assert next(steps).written == 100
    at.store("new").write(user()["userId"], lambda _: user(userName="Newer"))
    with pytest.raises(DataError, match="newer items"):
        next(steps)
    assert at.copies()[user()["userId"]]["name"] == "Newer"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume"], "--resume continues from backfill.json, which does not exist"),
        (["--resume", "--progress", "bad.json"], "bad.json is no progress of a backfill"),
        (["--progress", "missing/there.json"], "--progress: missing/there.json cannot be written: No such file"),
        (["--customers", "missing"], "Check --users, --customers, --table, and the region"),
        (["--table", "missing"], "Check --users, --customers, --table, and the region"),
    ],
)
def test_bad_input_is_one_sentence(
    at: Tables, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("bad.json").write_text("[1]")
    assert main(["backfill", *at.arguments(), *arguments]) == FAILED
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last
