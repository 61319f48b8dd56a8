"""How an item looks in an old table, and in the new one, whose layout is the reference service's (docs/service.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

Item = dict[str, Any]
"""An item as Python values, with numbers as Decimal."""

# The old customers have no author, and no old item says who changed it last. The reference service requires both.
UNKNOWN = "unknown"
# What an item of the new table has besides the old attributes. `entries` is the reference service's.
ADDED = frozenset({"pk", "sk", "revision", "updated_by", "entries"})


@dataclass(frozen=True)
class Kind:
    """An old table's items. Each conversion returns a value that it cannot read as it is, so that nothing is lost."""

    name: str
    """Partition key of the items in the new table."""
    key: str
    """Key attribute of the old table."""
    names: Mapping[str, str]
    """Old attribute → new attribute. Others keep their names."""
    to_iso: Callable[[Any], Any]
    from_iso: Callable[[Any], Any]

    def to_new(self, item: Item) -> Item:
        """Return an old item in the new layout, without its revision."""
        new = {self.names.get(name, name): value for name, value in item.items()}
        for name in {"created_at", "updated_at"} & new.keys():
            new[name] = self.to_iso(new[name])
        return {"created_by": UNKNOWN, "updated_by": UNKNOWN} | new | {"pk": self.name, "sk": item[self.key]}

    def to_old(self, item: Item) -> Item:
        """Return a new item in the old layout."""
        names = {new: old for old, new in self.names.items()}
        old = {names.get(name, name): value for name, value in item.items() if name not in ADDED}
        for name in {names["created_at"], names["updated_at"]} & old.keys():
            old[name] = self.from_iso(old[name])
        if item.get("created_by") == UNKNOWN:
            del old[names.get("created_by", "created_by")]
        return old

    def differences(self, old: Item, new: Item) -> list[str]:
        """Return the new names of the attributes in which two copies of an item differ."""
        expected = self.to_new(old)
        compared = (expected.keys() | new.keys()) - ADDED
        return sorted(name for name in compared if expected.get(name) != new.get(name))


def _seconds_to_iso(value: Any) -> Any:
    if not isinstance(value, Decimal) or value != value.to_integral_value():
        return value
    try:
        return datetime.fromtimestamp(int(value), UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return value


def _iso_to_seconds(value: Any) -> Any:
    time = _time(value)
    return value if time is None else Decimal(int(time.timestamp()))


def _z_to_iso(value: Any) -> Any:
    try:
        return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).isoformat()
    except (TypeError, ValueError):
        return value


def _iso_to_z(value: Any) -> Any:
    time = _time(value)
    return value if time is None else f"{time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def _time(value: Any) -> datetime | None:
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return time if time.tzinfo else None


USER = Kind(
    name="user",
    key="userId",
    names={
        "userId": "id",
        "userName": "name",
        "emailAddress": "email",
        "createdAt": "created_at",
        "updatedAt": "updated_at",
        "createdBy": "created_by",
    },
    to_iso=_seconds_to_iso,
    from_iso=_iso_to_seconds,
)
CUSTOMER = Kind(
    name="customer",
    key="customerId",
    names={
        "customerId": "id",
        "customerName": "name",
        "contactEmail": "contact",
        "accountManager": "owner_id",
        "createdDate": "created_at",
        "modifiedDate": "updated_at",
    },
    to_iso=_z_to_iso,
    from_iso=_iso_to_z,
)
