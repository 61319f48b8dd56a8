"""examples/migrate-from-lambdas/app: layouts and phases, on the emulator's DynamoDB, with writers of neighbouring phases at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from people.layout import CUSTOMER, USER, Item, Kind
from people.store import Busy, Store
from sandbox.emulator import Emulator
from service.customers.routes import CUSTOMERS
from service.kit.auth import Principal
from service.kit.backfill import backfill as add_entries
from service.kit.repository import Repository
from service.kit.table import open_table
from service.users.routes import USERS
from tests.migration.move_tables import Tables, customer, tables, user

PHASES = ("old", "copy", "switched", "new")
NEIGHBOURS = [("old", "copy"), ("copy", "switched"), ("switched", "new")]
ID = user()["userId"]
ids = st.text("0123456789abcdef", min_size=32, max_size=32)
texts = st.text(max_size=20)
seconds = st.integers(0, 4_000_000_000).map(Decimal)


@pytest.fixture
def at(emulator: Emulator) -> Iterator[Tables]:
    with tables(emulator) as made:
        yield made


# --- Layouts ---


@given(
    st.fixed_dictionaries(
        {"userId": ids},
        optional={
            "userName": texts | st.none() | seconds,
            "emailAddress": texts,
            "createdAt": seconds | texts.filter(lambda text: "T" not in text and not text.isdigit()),
            "updatedAt": seconds | st.decimals("0.1", "0.9"),
            "createdBy": texts.filter(lambda text: text != "unknown"),
            "nickname": texts,
        },
    )
)
def test_user_is_the_same_after_both_conversions(item: Item) -> None:
    assert USER.to_old(USER.to_new(item)) == item


@given(
    st.fixed_dictionaries(
        {"customerId": ids},
        optional={
            "customerName": texts,
            "createdDate": st.datetimes().map(lambda time: f"{time.replace(microsecond=0).isoformat()}Z"),
            "contactEmail": texts,
        },
    )
)
def test_customer_is_the_same_after_both_conversions(item: Item) -> None:
    assert CUSTOMER.to_old(CUSTOMER.to_new(item)) == item


def test_difference_of_two_copies_is_named_by_attribute() -> None:
    new = USER.to_new(user()) | {"revision": 7, "updated_by": "ada", "email": "other@example.com"}
    del new["name"]
    assert USER.differences(user(), new) == ["email", "name"]
    assert USER.differences(user(), USER.to_new(user()) | {"revision": 7}) == []


def test_reference_service_reads_what_was_copied(
    at: Tables, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)
    at.store("copy").write(ID, lambda _: user())
    at.store("copy", CUSTOMER).write(ID, lambda _: customer(accountManager=ID))
    table, caller = open_table(at.new), Principal("ada", scopes=None)

    for resource in (USERS, CUSTOMERS):
        assert [progress.problems for progress in add_entries(Repository(resource, table, caller))][-1] == []
    users: Repository[Any] = Repository(USERS, table, caller)
    assert [(item.id, item.name) for item in users.page(10, filters={"email": "user1@example.com"}).items] == [
        (ID, "User 1")
    ]
    found: Any = Repository(CUSTOMERS, table, caller).get(ID)
    assert (found.contact, found.owner_id, found.created_at.year) == ("office@example.org", ID, 2024)
    # And what the reference service has written is still an item for the old contract.
    users.change(ID, lambda _: {"name": "Ada"})
    after = at.store("new").get(ID)
    assert after
    assert after.keys() == user().keys()
    assert (after["userName"], after["createdAt"]) == ("Ada", user()["createdAt"])


# --- Phases ---


@pytest.mark.parametrize("phase", PHASES)
def test_item_is_created_changed_listed_and_deleted(at: Tables, phase: str) -> None:
    store = at.store(phase)
    assert store.write(ID, lambda _: user()) == (None, user())
    changed = user(userName="Ada")
    assert store.write(ID, lambda before: before and before | {"userName": "Ada"}) == (user(), changed)
    assert store.get(ID) == changed
    assert list(store.pages()) == [[changed]]
    assert store.write(ID, lambda _: None) == (changed, None)
    assert (store.get(ID), store.page()) == (None, ([], None))
    assert at.old() == at.copies() == {}


@pytest.mark.parametrize(
    ("phase", "in_old", "in_new"),
    [("old", True, False), ("copy", True, True), ("switched", True, True), ("new", False, True)],
)
@pytest.mark.parametrize(("kind", "item"), [(USER, user()), (CUSTOMER, customer())], ids=["user", "customer"])
def test_phase_writes_to_its_tables(at: Tables, phase: str, in_old: bool, in_new: bool, kind: Kind, item: Item) -> None:
    at.store(phase, kind).write(ID, lambda _: item)
    assert at.old(kind) == ({ID: item} if in_old else {})
    assert at.copies(kind) == ({ID: kind.to_new(item) | {"revision": 1}} if in_new else {})


@pytest.mark.parametrize("phase", PHASES)
def test_pages_have_each_item_once(at: Tables, phase: str) -> None:
    store = at.store(phase)
    for number in range(7):
        store.write(user(number)["userId"], lambda _, number=number: user(number))  # type: ignore[misc]
    found, after = store.page(3)
    while after:
        items, after = store.page(3, after)
        found += items
    assert sorted(item["userId"] for item in found) == [user(number)["userId"] for number in range(7)]


@pytest.mark.parametrize(
    ("earlier", "later"), NEIGHBOURS[:2] + [(later, earlier) for earlier, later in NEIGHBOURS[1:2]]
)
def test_next_phase_has_what_the_one_before_has_written(at: Tables, earlier: str, later: str) -> None:
    at.store(earlier).write(ID, lambda _: user())
    assert at.store(later).get(ID) == user()


def test_mark_is_set_by_the_first_write_without_the_old_table(at: Tables) -> None:
    for phase in ("old", "copy", "switched"):
        at.store(phase).write(ID, lambda _: user())
    assert not at.store("old").mirror_stopped()
    at.store("new").get(ID)
    assert not at.store("old").mirror_stopped()
    at.store("new").write(ID, lambda _: None)
    assert at.store("old").mirror_stopped()


# --- Writers at the same time ---


def count(store: Store, times: int, barrier: threading.Barrier) -> int:
    """Add 1 to the visits of the item, so often; return how many writes were acknowledged."""
    barrier.wait()
    done = 0
    for _ in range(times):
        try:
            store.write(ID, lambda before: before and before | {"visits": before["visits"] + 1})
        except Busy:
            continue
        done += 1
    return done


@pytest.mark.parametrize("phases", [(phase, phase) for phase in PHASES] + NEIGHBOURS, ids="+".join)
def test_no_write_is_lost_or_doubled_by_writers_of_neighbouring_phases(at: Tables, phases: tuple[str, str]) -> None:
    first = at.store("copy" if "new" not in phases else "switched")
    first.write(ID, lambda _: user(visits=Decimal(0)))
    barrier = threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        acknowledged = sum(pool.map(lambda n: count(at.store(phases[n % 2]), 10, barrier), range(4)))

    truth = at.old()[ID] if phases[1] in {"old", "copy"} else USER.to_old(at.copies()[ID])
    assert acknowledged >= 20
    assert truth["visits"] == acknowledged
    if phases in {("copy", "copy"), ("switched", "switched"), ("copy", "switched")}:
        assert USER.differences(at.old()[ID], at.copies()[ID]) == []


def test_phases_that_are_no_neighbours_lose_writes(at: Tables) -> None:
    at.store("copy").write(ID, lambda _: user(visits=Decimal(0)))
    at.store("old").write(ID, lambda before: before and before | {"visits": Decimal(1)})
    assert at.store("switched").get(ID) == user(visits=Decimal(0))


def test_deleted_and_created_again_is_not_taken_for_unchanged(at: Tables) -> None:
    store = at.store("new")
    store.write(ID, lambda _: user())

    def recreated_meanwhile(before: Item | None) -> Item | None:
        if before and before["userName"] == "User 1":
            other = at.store("new")
            other.write(ID, lambda _: None)
            other.write(ID, lambda _: user(userName="Second"))
        return before and before | {"emailAddress": "new@example.com"}

    _, after = store.write(ID, recreated_meanwhile)
    assert after == user(userName="Second", emailAddress="new@example.com")


def test_item_that_never_rests_raises_busy_and_nothing_is_written(at: Tables) -> None:
    at.put(user())
    attempts = []

    def always_changed(before: Item | None) -> Item | None:
        attempts.append(before)
        at.store("old").write(ID, lambda _: user(userName=f"Other {len(attempts)}"))
        return user(userName="Mine")

    with pytest.raises(Busy):
        at.store("copy").write(ID, always_changed)
    assert len(attempts) > 5
    assert at.old()[ID]["userName"] == f"Other {len(attempts)}"
    assert at.copies() == {}
