"""Copy the old tables' items into the new one, and compare both: docs/migrating.md.

python -m people.data backfill --users legacy-people-users --customers legacy-people-customers --table migrating-api-data
python -m people.data verify --users legacy-people-users --customers legacy-people-customers --table migrating-api-data

Both run in the phase `copy`, while the API serves. They need boto3, and use the AWS CLI's settings.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from people.layout import CUSTOMER, USER, Item
from people.store import BATCH, CLIENT, Busy, Copies, Phase, Store

SAME, DIFFERENT, FAILED = 0, 1, 2
WORKERS = 4
TRANSACTION = 10
"""Items of one transaction, which is repeated one by one if a client changes one of them."""
PROGRESS = Path("backfill.json")


class DataError(Exception):
    """A failure that the user can fix, in one sentence."""


@dataclass
class Progress:
    """How far a backfill of one kind is."""

    read: int = 0
    written: int = 0
    after: str | None = None
    """The last id that was read; the next page begins after it."""
    done: bool = False


@dataclass
class Checkpoint:
    """The progress of all kinds in a file, written after each page."""

    file: Path
    kinds: dict[str, Progress] = field(default_factory=dict)

    def load(self) -> None:
        """Read an interrupted backfill's progress."""
        try:
            kinds = json.loads(self.file.read_text())
            self.kinds = {name: Progress(**progress) for name, progress in kinds.items()}
        except FileNotFoundError:
            raise DataError(f"--resume continues from {self.file}, which does not exist: begin without it.") from None
        except (ValueError, TypeError, AttributeError):
            raise DataError(f"{self.file} is no progress of a backfill: begin without --resume.") from None

    def save(self) -> None:
        """Write the file, so that it is never half written."""
        temporary = self.file.with_suffix(".tmp")
        try:
            temporary.write_text(json.dumps({name: asdict(progress) for name, progress in self.kinds.items()}))
            temporary.replace(self.file)
        except OSError as error:
            raise DataError(f"--progress: {self.file} cannot be written: {error.strerror}.") from None


def backfill(store: Store, progress: Progress) -> Iterator[Progress]:
    """Copy the old items after `progress.after`, then delete new ones without an old one; yield after each page.

    An item that a client changes meanwhile is read again, so the copy never overwrites a newer write.
    """
    with ThreadPoolExecutor(WORKERS) as pool:
        for items in _old_pages(store, progress.after):
            _require_complete(store)
            found = store.new_items([item[store.kind.key] for item in items])
            stale = {each: copies for each, copies in _pairs(store, items, found) if store.differences(copies)}
            progress.written += sum(pool.map(store.copy, _batches(stale)))
            progress.read += len(items)
            progress.after = items[-1][store.kind.key]
            yield progress
        for orphans in _orphans(store):
            progress.written += sum(pool.map(store.copy, _batches(orphans)))
    progress.done = True
    yield progress


def verify(store: Store) -> Iterator[tuple[int, list[str]]]:
    """Compare both copies of each item; yield the number of items of each page, and what differs, without its values."""
    for items in _old_pages(store, None):
        found = store.new_items([item[store.kind.key] for item in items])
        suspects = [each for each, copies in _pairs(store, items, found) if store.differences(copies)]
        yield len(items), _differing(store, suspects)
    for orphans in _orphans(store):
        yield 0, _differing(store, orphans)


def _pairs(store: Store, items: list[Item], found: dict[str, Item]) -> Iterator[tuple[str, Copies]]:
    for item in items:
        identity = item[store.kind.key]
        yield identity, Copies(item, found.get(identity))


def _batches(copies: dict[str, Copies]) -> Iterator[dict[str, Copies]]:
    pairs = list(copies.items())
    for start in range(0, len(pairs), TRANSACTION):
        yield dict(pairs[start : start + TRANSACTION])


def _differing(store: Store, suspects: Iterable[str]) -> list[str]:
    """Return what still differs if both copies are read at one moment: a client may have written between the two reads."""
    return [
        f"{store.kind.name} {identity}: {', '.join(differences)}"
        for identity in suspects
        if (differences := store.differences(store.read_together(identity)))
    ]


def _old_pages(store: Store, after: str | None) -> Iterator[list[Item]]:
    more = True
    while more:
        items, after = store.old_page(BATCH, after)
        if items:
            yield items
        more = after is not None


def _orphans(store: Store) -> Iterator[dict[str, Copies]]:
    """Yield the items of the new table that the old one does not have."""
    more, after = True, None
    while more:
        items, after = store.new_page(BATCH, after)
        found = store.old_items([item["sk"] for item in items])
        if orphans := {item["sk"]: Copies(None, item) for item in items if item["sk"] not in found}:
            yield orphans
        more = after is not None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m people.data", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("backfill", _backfill, "copy the items of the old tables"),
        ("verify", _verify, "compare the tables; exit code 1 if they differ"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--users", required=True, metavar="TABLE", help="the old table of users")
        command.add_argument("--customers", required=True, metavar="TABLE", help="the old table of customers")
        command.add_argument("--table", required=True, metavar="TABLE", help="the new table")
        command.set_defaults(run=run)
        if run is _backfill:
            command.add_argument("--resume", action="store_true", help="continue an interrupted backfill")
            command.add_argument("--progress", type=Path, default=PROGRESS, metavar="FILE", help="where it is kept")
    given = parser.parse_args(arguments)
    try:
        code: int = given.run(given, _stores(given))
    except (DataError, BotoCoreError, Busy, ClientError) as error:
        print(f"error: {_sentence(error)}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return FAILED
    return code


def _stores(given: argparse.Namespace) -> list[Store]:
    client = boto3.client("dynamodb", config=CLIENT)
    stores = [
        Store(client, kind, old_table, given.table, Phase.COPY)
        for kind, old_table in ((USER, given.users), (CUSTOMER, given.customers))
    ]
    _require_complete(stores[0])
    return stores


def _require_complete(store: Store) -> None:
    """Raise DataError if the old tables may lack newer items, which a backfill would overwrite."""
    if store.mirror_stopped():
        raise DataError(
            "the new table has newer items than the old ones since the phase new: nothing is copied or compared."
        )


def _backfill(given: argparse.Namespace, stores: list[Store]) -> int:
    checkpoint = Checkpoint(given.progress)
    if given.resume:
        checkpoint.load()
    checkpoint.save()
    try:
        for store in stores:
            progress = checkpoint.kinds.setdefault(store.kind.name, Progress())
            if not progress.done:
                for now in backfill(store, progress):
                    checkpoint.save()
                    print(f"{store.kind.name}: {now.read} read, {now.written} written", file=sys.stderr, flush=True)
    except (BotoCoreError, Busy, ClientError, KeyboardInterrupt):
        print("What was copied is kept. Continue with the same command and --resume.", file=sys.stderr)
        raise
    given.progress.unlink()
    return SAME


def _verify(_: argparse.Namespace, stores: list[Store]) -> int:
    read, differences = 0, 0
    for store in stores:
        for number, found in verify(store):
            read, differences = read + number, differences + len(found)
            for line in found:
                print(line, flush=True)
            print(f"{store.kind.name}: {number} more compared", file=sys.stderr, flush=True)
    print(f"{read} items compared, {differences} differ")
    return DIFFERENT if differences else SAME


def _sentence(error: Exception) -> str:
    if isinstance(error, Busy):
        return "an item is being changed all the time: run the command again."
    if isinstance(error, ClientError):
        fault: Any = error.response["Error"]
        missing = fault["Code"] == "ResourceNotFoundException"
        hint = " Check --users, --customers, --table, and the region." if missing else ""
        return f"{error.operation_name}: {fault['Message']}.{hint}".replace("..", ".")
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
