"""A kind of thing that the API serves, and all that is done to things of it in the table.

What must hold between things is declared, and kept by transactions: beside the things themselves the table has an item for each
value of a looked-up field, and a counter of what refers to a thing.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.kit.errors import Conflict, FieldError, PreconditionFailed
from service.kit.idempotency import Record, Repeated
from service.kit.models import Body, Page, Stored, new_item, updated_item
from service.kit.parameters import encoded, etag, names
from service.kit.table import Changed, Item, Part, Table, settled


@dataclass(frozen=True)
class Lookup:
    """A field by which lists are filtered, and the type of its values. Where it is unique, no two things share a value."""

    field: str
    type: Any
    unique: bool = False


NO_LOOKUP = Lookup("", None)
"""No thing has a field without a name, so that none is looked up."""


@dataclass(frozen=True)
class Resource:
    """What a kind of thing is called, how it looks, and what holds between it and others."""

    name: str
    """In the singular, as "user"; the path is /users."""
    write: type[Body]
    """A whole one, to create or to replace it."""
    update: type[Body]
    """The fields to change."""
    shown: type[Stored]
    """One as the API shows it."""
    lookup: Lookup = NO_LOOKUP
    references: Mapping[str, str] = field(default_factory=dict)
    """The fields that hold an id, and the kind of thing that has it: {"owner_id": "user"}. That one must exist, and cannot be
    deleted before what refers to it. A kind cannot refer to itself."""

    def __post_init__(self) -> None:
        if self.name in self.references.values():
            # DynamoDB takes one write of an item in a transaction: a thing that refers to itself would need two.
            raise ValueError(f"references of {self.name!r}: a kind of thing cannot refer to itself")


class Repository:
    """Things of one kind in a table, and who makes and changes them (`by`)."""

    def __init__(self, resource: Resource, table: Table, by: str) -> None:
        self._resource = resource
        self._kind = resource.name
        self._lookup = resource.lookup
        self._lookup_kind = f"{resource.name}-{resource.lookup.field}"
        self._table = table
        self._by = by

    def create(self, body: Body, key: str | None = None) -> Item:
        """Store a new thing, or return what was stored first under the same idempotency key.

        Raises Conflict when its unique value is taken or it refers to nothing, Unprocessable when the key had another body.
        """
        return settled(lambda: self._create(body, key))

    def get(self, identity: str) -> Item:
        """Return a thing. Raises NotFound."""
        return self._table.existing(self._kind, identity)

    def page(self, limit: int, after: str | None, value: str | None = None) -> Page[Any]:
        """Return a page of things in the order of their ids; with a `value`, of those whose looked-up field has it."""
        if value is None:
            items, more = self._table.page(self._kind, limit, after)
            last = items[-1]["id"] if more else None
        else:
            entries, more = self._entries(value, limit, after)
            # One may have been changed or deleted since its entry was read.
            found = self._table.several(self._kind, [entry["id"] for entry in entries])
            items = [item for item in found if self._value(item) == value]
            last = entries[-1]["id"] if more else None
        return Page(items=items, next_cursor=encoded(last))

    def change(self, identity: str, fields: dict[str, Any], if_match: str) -> Item:
        """Set fields of a thing. Raises NotFound, PreconditionFailed, and the errors of `create`."""
        return settled(lambda: self._change(identity, fields, if_match))

    def delete(self, identity: str, if_match: str) -> None:
        """Remove a thing. Raises NotFound, PreconditionFailed, and Conflict while another refers to it."""
        settled(lambda: self._delete(identity, if_match))

    def _create(self, body: Body, key: str | None) -> Item:
        item = new_item(body, self._by)
        parts = [self._table.new(self._kind, item["id"], item, Changed()), *self._kept({}, item)]
        if key is None:
            self._table.write(*parts)
            return item
        record = Record(self._table, self._kind, self._by, key, body)
        try:
            self._table.write(record.part(item), *parts)
        except Repeated:
            return record.first()
        return item

    def _change(self, identity: str, fields: dict[str, Any], if_match: str) -> Item:
        old = self._expected(identity, if_match)
        new = updated_item(old, fields, self._by)
        part = self._table.replacement(self._kind, identity, new, old["revision"])
        self._table.write(part, *self._kept(old, new))
        return new

    def _delete(self, identity: str, if_match: str) -> None:
        old = self._expected(identity, if_match)
        referred = Conflict(f"Something else still refers to the {self._kind} {identity}.")
        self._table.write(
            self._table.removal(self._kind, identity, old["revision"]),
            self._table.removal_at_zero(_counter(self._kind), identity, referred),
            *self._kept(old, {}),
        )

    def _expected(self, identity: str, if_match: str) -> Item:
        item = self._table.existing(self._kind, identity)
        if not names(if_match, item):
            raise PreconditionFailed(
                f"The {self._kind} {identity} has the ETag {etag(item)}, which If-Match does not name."
            )
        return item

    def _kept(self, old: Item, new: Item) -> list[Part]:
        """Return the parts of a write that keep true what is declared, as one thing changes; {} is a thing that is not there."""
        return [*self._looked_up(old, new), *self._referred(old, new)]

    def _looked_up(self, old: Item, new: Item) -> list[Part]:
        before, after = self._value(old), self._value(new)
        if before == after:
            return []
        parts = []
        if after is not None:
            taken = Conflict(f"There is a {self._kind} with the {self._lookup.field} {after} already.")
            entry = self._entry(after, new["id"])
            parts.append(self._table.new(self._lookup_kind, entry, {"id": new["id"]}, taken))
        if before is not None:
            parts.append(self._table.removal(self._lookup_kind, self._entry(before, old["id"])))
        return parts

    def _referred(self, old: Item, new: Item) -> list[Part]:
        parts = []
        now, before = Counter(self._targets(new)), Counter(self._targets(old))
        for target in now.keys() | before.keys():
            change = now[target] - before[target]
            kind, identity = target
            if change > 0:
                missing = FieldError(field=f"body.{self._field_of(new, target)}", message=f"there is no such {kind}")
                absent = Conflict("The request refers to what does not exist.", [missing])
                parts.append(self._table.presence(kind, identity, absent))
            if change:
                parts.append(self._table.count(_counter(kind), identity, change))
        return parts

    def _targets(self, item: Item) -> list[tuple[str, str]]:
        return [(kind, item[name]) for name, kind in self._resource.references.items() if item.get(name)]

    def _field_of(self, item: Item, target: tuple[str, str]) -> str:
        return next(name for name, kind in self._resource.references.items() if (kind, item.get(name)) == target)

    def _value(self, item: Item) -> str | None:
        return item.get(self._lookup.field)

    def _entry(self, value: str, identity: str) -> str:
        # A unique value stands alone, so that a second one meets the first. No value has a line break.
        return value if self._lookup.unique else f"{value}\n{identity}"

    def _entries(self, value: str, limit: int, after: str | None) -> tuple[list[Item], bool]:
        if not self._lookup.unique:
            return self._table.page(
                self._lookup_kind, limit, after and self._entry(value, after), prefix=self._entry(value, "")
            )
        entry = self._table.get(self._lookup_kind, value)
        return [entry] if entry and (after is None or entry["id"] > after) else [], False


def _counter(kind: str) -> str:
    return f"{kind}-references"
