"""The repository of a resource: reads and writes its items in the table.

Besides the items, the table has an entry for each value of a lookup, and a counter of the references to an item. Transactions keep
them consistent. Each item lists its own entries and counters, so that only their owner removes them, whatever the declaration was when
it was written. `service.kit.backfill` adds those of older items.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic

from pydantic import ValidationError
from pydantic_core import to_json, to_jsonable_python

from service.kit.auth import Principal
from service.kit.errors import ApiError, Conflict, FieldError, NoOwner, NotFound
from service.kit.idempotency import Idempotency, IdempotencyKeyReused, Record
from service.kit.models import Body, Page, Stored, new_item, to_json_values, updated_item
from service.kit.parameters import Position, decode_cursor, encode_cursor, etag
from service.kit.preconditions import Preconditions
from service.kit.resource import UNRESTRICTED, Lookup, Public, Resource
from service.kit.table import BATCH, StaleRevision, Table, TransactItem
from service.kit.values import Item

# Lambda's response has at most 6 MB: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
PAGE_BYTES = 5 * 1024 * 1024
# How many items are examined for a page with more than one filter.
PAGE_EXAMINED = 1000
# DynamoDB's sort keys have at most 1,024 bytes; an entry's has a time and an id after the value.
KEY_BYTES = 900
COUNTER_SUFFIX = "-references"
Entry = tuple[str, str]
"""The primary key of a lookup's entry or of a counter."""
# No printable text begins with it.
DIGEST_MARK = "\x01"


class UnreadableItem(Exception):  # noqa: N818
    """A stored item does not match its public model. The message has the place and the rule, no data."""


@dataclass(frozen=True)
class Write(Generic[Public]):
    """A pending write: `commit` executes it, alone or with others in one transaction."""

    repository: "Repository[Public]"
    prepare: Callable[[], tuple[str, Public | None, list[TransactItem]]]
    """Reads what the write depends on; returns the id, the new item (None if deleted), and the transaction's items."""


class Repository(Generic[Public]):
    """The items of one kind that a caller may use. Every method may raise Unavailable (see `Table`)."""

    def __init__(self, resource: Resource[Public], table: Table, caller: Principal) -> None:
        self.resource = resource
        self.table = table
        self.caller = caller
        self._kind = resource.name

    def create(self, body: Body, idempotency_key: str | None = None) -> Public:
        """Create an item. With the Idempotency-Key of an earlier call, return the item that it created, in its current state.

        Raises Conflict if a unique value is taken, a referenced item does not exist, or the key's item has been deleted; Unprocessable
        if the key was used with another body.
        """
        idempotency = Idempotency.of(idempotency_key, f"create_{self._kind}", body)
        item: Public = commit(self.creating(body), idempotency=idempotency)[0]
        return item

    def get(self, identity: str) -> Public:
        """Return an item. Raises NotFound."""
        return self.public(self._read(identity))

    def change(
        self,
        identity: str,
        fields: Callable[[Public], Mapping[str, Any]],
        preconditions: Preconditions | None = None,
        idempotency: Idempotency | None = None,
    ) -> Public:
        """Set the fields that a function returns for the current item, and return the new item.

        The function is called again if another writer changes the item in between. Raises NotFound, PreconditionFailed, the errors of
        `create`, and what the function raises.
        """
        item: Public = commit(self.changing(identity, fields, preconditions), idempotency=idempotency)[0]
        return item

    def update(
        self, identity: str, body: Body, preconditions: Preconditions | None = None, *, whole: bool = False
    ) -> Public:
        """Set the fields that the body has, or all of them (`whole`) with their defaults. Raises the errors of `change`."""
        fields = body.model_dump(mode="json", by_alias=False, round_trip=True, exclude_unset=not whole)
        item: Public = commit(self._changing(identity, lambda _: fields, preconditions))[0]
        return item

    def delete(self, identity: str, preconditions: Preconditions | None = None) -> None:
        """Delete an item. Raises NotFound, PreconditionFailed, and Conflict while another item refers to it."""
        commit(self.deleting(identity, preconditions))

    def creating(self, body: Body) -> Write[Public]:
        """Return the write of `create`."""

        def prepare() -> tuple[str, Public | None, list[TransactItem]]:
            item = self._with_entries(new_item(body, self._initial(), self.caller.subject))
            identity, new = item["id"], self.public(item)
            self._before_change(None, new)
            put = self.table.put_new(self._kind, identity, item, StaleRevision())
            return identity, new, [put, *self._moved({}, item)]

        return Write(self, prepare)

    def changing(
        self,
        identity: str,
        fields: Callable[[Public], Mapping[str, Any]],
        preconditions: Preconditions | None = None,
    ) -> Write[Public]:
        """Return the write of `change`."""

        def json_fields(before: Public) -> Item:
            values = fields(before)
            if unknown := values.keys() - (self.resource.public.model_fields.keys() - Stored.model_fields.keys()):
                raise ValueError(f"a change sets what the {self._kind} does not have: {sorted(unknown)}")
            after = before.model_copy(update=values)
            return after.model_dump(mode="json", by_alias=False, round_trip=True, include=set(values), warnings="error")

        return self._changing(identity, json_fields, preconditions)

    def _changing(
        self, identity: str, json_fields: Callable[[Public], Item], preconditions: Preconditions | None
    ) -> Write[Public]:
        def prepare() -> tuple[str, Public | None, list[TransactItem]]:
            old = self._read(identity)
            before = self.public(old)
            if preconditions:
                preconditions.check(etag(old))
            new = self._with_entries(updated_item(old, json_fields(before), self.caller.subject))
            after = self.public(new)
            self._before_change(before, after)
            put = self.table.replace(self._kind, identity, new, old)
            return identity, after, [put, *self._moved(old, new)]

        return Write(self, prepare)

    def deleting(self, identity: str, preconditions: Preconditions | None = None) -> Write[Public]:
        """Return the write of `delete`."""

        def prepare() -> tuple[str, Public | None, list[TransactItem]]:
            old = self._read(identity)
            if preconditions:
                preconditions.check(etag(old))
            if self.resource.before_change:
                self._before_change(self.public(old), None)
            referred = Conflict(f"Another resource still refers to the {self._kind} {identity}.")
            counter = self.table.delete_counter(self._kind + COUNTER_SUFFIX, identity, referred)
            delete = self.table.delete(self._kind, identity, old)
            return identity, None, [delete, counter, *self._moved(old, {})]

        return Write(self, prepare)

    def page(self, limit: int, cursor: str | None = None, filters: Mapping[str, Any] | None = None) -> Page[Public]:
        """Return a page of the items that match the filters, by id or in the order of the first filter's lookup.

        A page ends after `limit` items, or earlier: at 5 MB of JSON, or after 1,000 examined items if there is more than one filter.
        Raises BadRequest for a cursor of another list.
        """
        wanted = self._wanted(filters or {})
        index = next((lookup for lookup in self.resource.lookups if lookup.field in wanted), None)
        scope = [self._kind, index and (index.field, index.order, wanted[index.field])]
        position = decode_cursor(cursor, scope)
        found: list[Public] = []
        size = examined = 0
        while True:
            batch, more = self._batch(index, wanted, limit - len(found), position)
            examined += len(batch)
            for place, item in batch:
                if item is not None and all(_key_text(item.get(name)) == value for name, value in wanted.items()):
                    size += len(to_json(item))
                    if found and size > PAGE_BYTES:
                        return self._page(found, encode_cursor(position, scope))
                    found.append(self.public(item))
                position = place
            if not more:
                return self._page(found, None)
            if len(found) == limit or examined >= PAGE_EXAMINED:
                return self._page(found, encode_cursor(position, scope))

    def entering(self, item: Item) -> list[TransactItem]:
        """Return the transaction that adds an item's missing entries and defaults, [] if there are none.

        The item's representation and revision do not change. Raises UnreadableItem.
        """
        public = self.public(item)
        absent = {name: getattr(public, name) for name in self.resource.public.model_fields if name not in item}
        new = self._with_entries(item | to_json_values(absent))
        if new == item:
            return []
        put = self.table.replace(self._kind, item["id"], new, item)
        return _merged(self.table, [put, *self._moved(item, new)])

    def orphaned(self, lookup: Lookup, entry: Item, item: Item | None) -> list[TransactItem]:
        """Return the transaction that deletes a lookup's entry, [] if its item lists it."""
        kind = entry_kind(self._kind, lookup)
        if item and (kind, entry["sk"]) in (_listed(item) or self._entries(item)):
            return []
        return [
            self.table.delete_entry(kind, entry["sk"], entry["id"]),
            self.table.check_unchanged(self._kind, entry["id"], item),
        ]

    def public(self, item: Item) -> Public:
        """Return an item as the API returns it. Raises UnreadableItem."""
        model = self.resource.public
        try:
            public = model.model_validate(
                {name: item[name] for name in model.model_fields if name in item}, by_name=True
            )
        except ValidationError as error:
            faults = [
                f"{'.'.join(map(str, each['loc']))}: {each['type']}" for each in error.errors(include_input=False)
            ]
            # Not chained: Pydantic's message quotes the data.
            raise UnreadableItem(f"the {self._kind} {item['id']} cannot be read: {'; '.join(faults)}") from None
        public._etag = etag(item)
        return public

    def _page(self, items: list[Public], cursor: str | None) -> Page[Public]:
        return Page[self.resource.public](items=items, next_cursor=cursor)  # type: ignore[name-defined]

    def _batch(
        self, index: Lookup | None, wanted: Mapping[str, str], limit: int, position: Position
    ) -> tuple[list[tuple[Position, Item | None]], bool]:
        """Return the next items in their order, each with its position in the list, and whether there are more."""
        if index is None:
            items, more = self.table.query(self._kind, limit, position)
            return [(item["sk"], item) for item in items], more
        prefix = wanted[index.field]
        if not index.unique:
            prefix += "\n"
        after = None if position is None else prefix + position
        if index.unique:
            entry = None if position else self.table.get(entry_kind(self._kind, index), prefix)
            entries, more = [entry] if entry else [], False
        else:
            newest = index.order == "newest"
            kind = entry_kind(self._kind, index)
            entries, more = self.table.query(kind, min(limit, BATCH), after, prefix, descending=newest)
        # One may have been changed or deleted since its entry was read.
        found = self.table.batch_get(self._kind, [entry["id"] for entry in entries])
        return [(entry["sk"].removeprefix(prefix) or entry["id"], found.get(entry["id"])) for entry in entries], more

    def _wanted(self, filters: Mapping[str, Any]) -> dict[str, str]:
        wanted = {name: _key_text(to_jsonable_python(value)) for name, value in filters.items()}
        owner = self._owner()
        return wanted if owner is UNRESTRICTED else wanted | {self.resource.owner.field: _key_text(owner)}  # type: ignore[union-attr]

    def _owner(self) -> Any:
        if self.resource.owner is None:
            return UNRESTRICTED
        owner = self.resource.owner.of(self.caller)
        if owner is None:
            raise NoOwner
        return owner

    def _read(self, identity: str) -> Item:
        item, owner = self.table.get_or_404(self._kind, identity), self._owner()
        if owner is not UNRESTRICTED and item.get(self.resource.owner.field) != owner:  # type: ignore[union-attr]
            raise NotFound(self._kind, identity)
        return item

    def _initial(self) -> Item:
        fields = dict(self.resource.initial)
        if self.resource.owner and (owner := self._owner()) is not UNRESTRICTED:
            fields[self.resource.owner.field] = owner
        return to_json_values(fields)

    def _before_change(self, old: Public | None, new: Public | None) -> None:
        if self.resource.before_change:
            self.resource.before_change(old, new)

    def _entries(self, item: Item) -> list[Entry]:
        """Return the keys of an item's lookup entries and counters, by the current declaration."""
        lookups = [lookup for lookup in self.resource.lookups if item.get(lookup.field) is not None]
        references = [(kind, item[name]) for name, kind in self.resource.references.items() if item.get(name)]
        return [
            *((entry_kind(self._kind, lookup), _entry_key(lookup, item)) for lookup in lookups),
            *((kind + COUNTER_SUFFIX, identity) for kind, identity in references),
        ]

    def _moved(self, old: Item, new: Item) -> list[TransactItem]:
        """Return the TransactItems that remove an item's old entries and add its new ones."""
        entered = _listed(old)
        after = _listed(new) or []
        # Without a list, the entries are those of the declaration, or were when it was written: putting a lookup's entry again is harmless.
        before = self._entries(old) if entered is None else entered
        known = [entry for entry in before if _is_counter(entry)] if entered is None else before
        return [
            *(self._leave(entry, old, number) for entry, number in (Counter(before) - Counter(after)).items()),
            *(
                item
                for entry, number in (Counter(after) - Counter(known)).items()
                for item in self._enter(entry, new, number)
            ),
        ]

    def _leave(self, entry: Entry, old: Item, number: int) -> TransactItem:
        return self.table.add(*entry, -number) if _is_counter(entry) else self.table.delete_entry(*entry, old["id"])

    def _enter(self, entry: Entry, new: Item, number: int) -> list[TransactItem]:
        kind, identity = entry
        if not _is_counter(entry):
            return [self.table.put_entry(kind, identity, new["id"], self._taken(kind, new))]
        target = kind.removesuffix(COUNTER_SUFFIX)
        exists = self.table.condition_check(target, identity, self._missing(new, target, identity))
        return [exists, self.table.add(kind, identity, number)]

    def _with_entries(self, item: Item) -> Item:
        """Return an item with the list of its entries, which is valid for this revision."""
        return item | {"entries": {"revision": item["revision"], "keys": list(map(list, self._entries(item)))}}

    def _missing(self, item: Item, kind: str, identity: str) -> Conflict:
        name = next(name for name, to in self.resource.references.items() if to == kind and item.get(name) == identity)
        fault = FieldError(field=f"body.{name}", message=f"there is no such {kind}")
        return Conflict("The request refers to a resource that does not exist.", [fault])

    def _taken(self, kind: str, item: Item) -> Exception:
        for lookup in self.resource.lookups:
            if lookup.unique and kind == entry_kind(self._kind, lookup):
                return Conflict(f"There is already a {self._kind} with the {lookup.field} {item[lookup.field]}.")
        return StaleRevision()


def commit(*writes: Write[Any], idempotency: Idempotency | None = None) -> list[Any]:
    """Execute all writes, of any kinds, in one transaction or none of them; return the new items, None for deleted ones.

    With an Idempotency-Key that the caller has used before, return the items of the first request in their current state. Raises the
    errors of each write, and ValueError for two writes of one item or more than DynamoDB's 100 items.
    """
    table, caller = writes[0].repository.table, writes[0].repository.caller
    record = Record(table, caller.identity, idempotency) if idempotency else None

    def attempt() -> list[Any]:
        try:
            prepared = [write.prepare() for write in writes]
            items = [item for _, _, own in prepared for item in own]
            if record:
                items.insert(0, record.transact_item([identity for identity, _, _ in prepared]))
            table.write(_merged(table, items))
        except (ApiError, IdempotencyKeyReused) as error:
            # A repeated request gets its response even if a new one would be refused now.
            if record and (identities := record.identities()) is not None:
                return _current(identities, writes)
            if isinstance(error, IdempotencyKeyReused):
                raise StaleRevision from None  # its record expired a moment ago
            raise
        return [item for _, item, _ in prepared]

    return table.retry_on_conflict(attempt)


def _current(identities: list[str], writes: Iterable[Write[Any]]) -> list[Any]:
    """Return the current items of an earlier request. Raises Conflict if one has been deleted."""
    found = []
    for identity, write in zip(identities, writes, strict=True):
        try:
            found.append(write.repository.get(identity))
        except NotFound:
            kind = write.repository.resource.name
            raise Conflict(
                f"The {kind} {identity}, which was created with this Idempotency-Key, has been deleted."
            ) from None
    return found


def _merged(table: Table, items: list[TransactItem]) -> list[TransactItem]:
    """Return the items with one for each key, as DynamoDB requires in a transaction."""
    merged: dict[Entry, TransactItem] = {}
    for item in items:
        other = merged.pop(item.key, None)
        if other is None:
            merged[item.key] = item
        elif item.amount and other.amount:
            if amount := item.amount + other.amount:
                merged[item.key] = table.add(*item.key, amount)
        else:
            merged[item.key] = _joined(other, item)
    if len(merged) > BATCH:
        raise ValueError(f"a transaction has at most {BATCH} items (DynamoDB's limit), this one {len(merged)}")
    return list(merged.values())


def _joined(one: TransactItem, other: TransactItem) -> TransactItem:
    """Return one TransactItem for two with the same key. An item that is written passes the other's check of existence."""
    checks = [item for item in (one, other) if item.action == "ConditionCheck"]
    writes = [item for item in (one, other) if item.action != "ConditionCheck"]
    if len(writes) > 1:
        raise ValueError(f"two writes of a transaction change the same item of the kind {one.kind}")
    if checks and writes and writes[0].action == "Delete":
        raise checks[0].error
    return next(iter([*writes, *checks]))


def _listed(item: Item) -> list[Entry] | None:
    """Return the entries that an item lists; None if the list is of another revision, because an older release wrote the item."""
    entries = item.get("entries") if item else {"revision": None, "keys": []}
    if entries is None or entries["revision"] != item.get("revision"):
        return None
    return [(kind, identity) for kind, identity in entries["keys"]]


def _is_counter(entry: Entry) -> bool:
    return entry[0].endswith(COUNTER_SUFFIX)


def entry_kind(kind: str, lookup: Lookup) -> str:
    """Return the kind (partition key) of a lookup's entries."""
    return f"{kind}-{lookup.field}" + ("-newest" if lookup.order == "newest" else "")


def _entry_key(lookup: Lookup, item: Item) -> str:
    # Only the value if it is unique, so that a second one has the same key.
    parts = [_key_text(item[lookup.field])]
    if not lookup.unique:
        parts += [item["created_at"], item["id"]] if lookup.order == "newest" else [item["id"]]
    return "\n".join(parts)


def _key_text(value: Any) -> str:
    """Return a lookup's value as a part of a sort key: itself, or its digest if it is too long or not printable."""
    text = value if isinstance(value, str) else json.dumps(value)
    if not text or len(text.encode()) > KEY_BYTES or not text.isprintable():
        return DIGEST_MARK + hashlib.sha256(text.encode()).hexdigest()
    return text
