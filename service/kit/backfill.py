"""Backfill: bring existing items up to a changed declaration.

A new lookup or reference applies to items that are written from then on. A backfill rewrites the others, each in its own transaction,
while the API serves. It can run again, or twice at once. It changes neither responses nor ETags.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from service.kit.errors import Conflict
from service.kit.repository import Repository, UnreadableItem, entry_kind
from service.kit.table import BATCH, StaleRevision, TransactItem
from service.kit.values import Item


@dataclass
class Progress:
    """The progress of a backfill of one kind."""

    kind: str
    read: int = 0
    written: int = 0
    deleted_entries: int = 0
    """Deleted entries of lookups whose items no longer have the value."""
    problems: list[str] = field(default_factory=list)
    """Items that could not be backfilled: id and reason, without their data."""
    after: str | None = None
    """The id of the last item that was read."""


def backfill(repository: Repository[Any], after: str | None = None) -> Iterator[Progress]:
    """Backfill the items of a kind after the id `after`, in the order of their ids; yield the progress after each 100."""
    progress = Progress(repository.resource.name, after=after)
    for items in _batches(repository, repository.resource.name, after):
        for item in items:
            _enter(repository, item, progress)
        progress.after = items[-1]["sk"]
        yield progress
    for lookup in repository.resource.lookups:
        for entries in _batches(repository, entry_kind(repository.resource.name, lookup), None):
            found = repository.table.batch_get(repository.resource.name, [entry["id"] for entry in entries])
            for entry in entries:
                if write := repository.orphaned(lookup, entry, found.get(entry["id"])):
                    _delete(repository, write, progress)
        yield progress


def _batches(repository: Repository[Any], kind: str, after: str | None) -> Iterator[list[Item]]:
    more = True
    while more:
        items, more = repository.table.query(kind, BATCH, after)
        if items:
            yield items
            after = items[-1]["sk"]


def _enter(repository: Repository[Any], item: Item, progress: Progress) -> None:
    progress.read += 1
    try:
        if items := repository.entering(item):
            repository.table.write(items)
            progress.written += 1
    except StaleRevision:
        pass  # whoever has written it since it was read has entered it
    except UnreadableItem as error:
        progress.problems.append(str(error))
    except Conflict as error:
        # A detail would have the value; a field's error has none.
        reasons = [f"{each.field}: {each.message}" for each in error.errors or []] or [
            "another one has its unique value"
        ]
        progress.problems.append(f"the {progress.kind} {item['id']} is not entered: {'; '.join(reasons)}")


def _delete(repository: Repository[Any], items: list[TransactItem], progress: Progress) -> None:
    try:
        repository.table.write(items)
        progress.deleted_entries += 1
    except StaleRevision:
        pass  # its item has been written since
