"""Declarations added to existing data, before and after a backfill."""

import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

import service.app
from sandbox.emulator import Emulator
from sandbox.paths import ROOT
from service.kit.auth import Principal
from service.kit.backfill import Progress, backfill
from service.kit.errors import Conflict
from service.kit.models import Body, Id, Stored
from service.kit.repository import Repository, UnreadableItem
from service.kit.resource import Lookup, Resource

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

CALLER = Principal("ada", scopes=None)


class Team(Stored):
    name: str


class TeamCreate(Body):
    name: str


class Player(Stored):
    name: str
    email: str | None = None
    team_id: Id | None = None


class PlayerCreate(Body):
    name: str
    email: str | None = None
    team_id: Id | None = None


class RankedPlayer(Player):
    rank: str = "novice"


TEAM = Resource("team", Team, TeamCreate, TeamCreate)
BEFORE = Resource("player", Player, PlayerCreate, PlayerCreate)
AFTER = Resource(
    "player",
    RankedPlayer,
    PlayerCreate,
    PlayerCreate,
    lookups=[Lookup("email", unique=True), Lookup("rank")],
    references={"team_id": "team"},
)
RepositoryOf = Callable[[Resource[Any]], Repository[Any]]


@pytest.fixture
def repository_of(table: "Table") -> RepositoryOf:
    return lambda resource: Repository(resource, service.app.table(), CALLER)


def run(repository: Repository[Any], after: str | None = None) -> Progress:
    return [Progress(repository.resource.name), *backfill(repository, after)][-1]


def listed_ids(repository: Repository[Any], **filters: str) -> list[str]:
    return [item.id for item in repository.page(100, filters=filters).items]


def test_backfill_adds_existing_items_to_a_new_lookup(repository_of: RepositoryOf) -> None:
    ids = sorted(repository_of(BEFORE).create(PlayerCreate(name=f"{n}", email=f"{n}@example.com")).id for n in range(3))
    players = repository_of(AFTER)
    assert listed_ids(players, email="1@example.com") == []
    etags = [players.get(player_id).etag for player_id in ids]
    progress = run(players)
    assert (progress.read, progress.written, progress.problems) == (3, 3, [])
    assert len(listed_ids(players, email="1@example.com")) == 1
    assert listed_ids(players, rank="novice") == ids
    assert [players.get(player_id).etag for player_id in ids] == etags
    repeated = run(players)
    assert (repeated.read, repeated.written) == (3, 0)


def test_backfill_continues_after_an_item(repository_of: RepositoryOf) -> None:
    ids = sorted(repository_of(BEFORE).create(PlayerCreate(name=f"{n}")).id for n in range(4))
    assert run(repository_of(AFTER), after=ids[1]).read == 2


def test_duplicate_of_a_unique_value_is_reported_without_the_value(repository_of: RepositoryOf) -> None:
    for name in "ab":
        repository_of(BEFORE).create(PlayerCreate(name=name, email="same@example.com"))
    players = repository_of(AFTER)
    progress = run(players)
    (problem,) = progress.problems
    assert "another one has its unique value" in problem
    assert "same@example.com" not in problem
    (first,) = listed_ids(players, email="same@example.com")
    (second,) = {item.id for item in players.page(100).items} - {first}
    # Deleting the other item does not delete the entry.
    players.delete(second)
    assert listed_ids(players, email="same@example.com") == [first]
    with pytest.raises(Conflict):
        players.create(PlayerCreate(name="c", email="same@example.com"))
    players.delete(first)
    assert players.create(PlayerCreate(name="c", email="same@example.com")).name == "c"


def reference_count(table: "Table", team: str) -> int:
    item = table.get_item(Key={"pk": "team-references", "sk": team}).get("Item", {})
    return int(str(item.get("held_by", 0)))


def is_referenced(repository_of: RepositoryOf, team: str) -> bool:
    try:
        repository_of(TEAM).delete(team)
    except Conflict:
        return True
    return False


def test_backfill_counts_existing_references(repository_of: RepositoryOf, table: "Table") -> None:
    team = repository_of(TEAM).create(TeamCreate(name="Red")).id
    before = [repository_of(BEFORE).create(PlayerCreate(name=name, team_id=team)).id for name in "ab"]
    players = repository_of(AFTER)
    players.delete(before[0])
    assert reference_count(table, team) == 0
    last = players.create(PlayerCreate(name="c", team_id=team)).id
    run(players)
    assert reference_count(table, team) == 2
    for player_id in (before[1], last):
        assert is_referenced(repository_of, team)
        players.delete(player_id)
    assert not is_referenced(repository_of, team)


@pytest.mark.parametrize("action", ["backfill", "change", "delete"])
def test_items_without_an_entries_list_are_counted_once(
    repository_of: RepositoryOf, table: "Table", action: str
) -> None:
    team = repository_of(TEAM).create(TeamCreate(name="Red")).id
    players = repository_of(AFTER)
    ids = [players.create(PlayerCreate(name=name, team_id=team)).id for name in "abc"]
    for player_id in ids:
        table.update_item(Key={"pk": "player", "sk": player_id}, UpdateExpression="REMOVE entries")
    if action == "backfill":
        assert run(players).written == 3
    for player_id in ids:
        if action == "change":
            players.change(player_id, lambda old: {"name": old.name * 2})
        if action == "delete":
            players.delete(player_id)
    assert reference_count(table, team) == (0 if action == "delete" else 3)
    for player_id in ids if action != "delete" else []:
        assert is_referenced(repository_of, team)
        players.delete(player_id)
    assert not is_referenced(repository_of, team)
    assert table.scan()["Items"] == []


def test_change_by_an_older_release_is_followed(repository_of: RepositoryOf, table: "Table") -> None:
    players = repository_of(AFTER)
    player = players.create(PlayerCreate(name="a", email="a@example.com")).id
    # An older release changes the item and its entries, but not the list of entries.
    table.update_item(
        Key={"pk": "player", "sk": player},
        UpdateExpression="SET email = :email ADD revision :one",
        ExpressionAttributeValues={":email": "b@example.com", ":one": 1},
    )
    table.delete_item(Key={"pk": "player-email", "sk": "a@example.com"})
    table.put_item(Item={"pk": "player-email", "sk": "b@example.com", "id": player})
    players.change(player, lambda _: {"email": "c@example.com"})
    for email, count in (("a@example.com", 0), ("b@example.com", 0), ("c@example.com", 1)):
        assert len(listed_ids(players, email=email)) == count
    players.create(PlayerCreate(name="b", email="b@example.com"))


def test_reference_count_is_never_negative(repository_of: RepositoryOf, table: "Table") -> None:
    team = repository_of(TEAM).create(TeamCreate(name="Red")).id
    players = repository_of(AFTER)
    player = players.create(PlayerCreate(name="a", team_id=team)).id
    table.delete_item(Key={"pk": "team-references", "sk": team})
    players.delete(player)
    assert reference_count(table, team) == 0
    assert not is_referenced(repository_of, team)


def test_removed_lookup_leaves_no_entries(repository_of: RepositoryOf, table: "Table") -> None:
    player = repository_of(AFTER).create(PlayerCreate(name="a", email="a@example.com")).id
    repository_of(BEFORE).delete(player)
    assert table.scan()["Items"] == []


def test_backfill_deletes_stale_entries(repository_of: RepositoryOf, table: "Table") -> None:
    player = repository_of(AFTER).create(PlayerCreate(name="a", email="a@example.com")).id
    for value, owner in (("lost@example.com", "0" * 32), ("old@example.com", player)):
        table.put_item(Item={"pk": "player-email", "sk": value, "id": owner})
    with pytest.raises(Conflict):
        repository_of(AFTER).create(PlayerCreate(name="b", email="lost@example.com"))
    assert run(repository_of(AFTER)).deleted_entries == 2
    assert listed_ids(repository_of(AFTER), email="a@example.com") == [player]
    assert repository_of(AFTER).create(PlayerCreate(name="b", email="lost@example.com")).name == "b"


def test_concurrent_backfills_and_changes_count_each_item_once(
    repository_of: RepositoryOf, table: "Table", monkeypatch: pytest.MonkeyPatch
) -> None:
    team = repository_of(TEAM).create(TeamCreate(name="Red")).id
    ids = [repository_of(BEFORE).create(PlayerCreate(name=name, team_id=team)).id for name in "abc"]
    players = repository_of(AFTER)
    entering = Repository.entering

    def late(repository: Repository[Any], item: dict[str, Any]) -> Any:
        prepared = entering(repository, item)
        monkeypatch.setattr(Repository, "entering", entering)
        run(players)
        players.change(ids[1], lambda _: {"name": "changed"})
        players.delete(ids[2])
        return prepared

    monkeypatch.setattr(Repository, "entering", late)
    assert run(players).problems == []
    assert reference_count(table, team) == 2
    assert players.get(ids[1]).name == "changed"


def test_new_field_with_a_default_is_read_from_old_items(repository_of: RepositoryOf) -> None:
    old = repository_of(BEFORE).create(PlayerCreate(name="a"))
    assert repository_of(AFTER).get(old.id).rank == "novice"


class StrictPlayer(Player):
    rank: str


def test_unreadable_item_is_reported_without_its_values(repository_of: RepositoryOf, table: "Table") -> None:
    class StrictCreate(PlayerCreate):
        rank: str

    old = repository_of(BEFORE).create(PlayerCreate(name="a", email="ada@example.com"))
    players = repository_of(Resource("player", StrictPlayer, StrictCreate, StrictCreate))
    with pytest.raises(UnreadableItem) as error:
        players.get(old.id)
    assert str(error.value) == f"the player {old.id} cannot be read: rank: missing"
    assert error.value.__suppress_context__
    assert run(players).problems == [str(error.value)]


def command(emulator: Emulator, table: "Table", *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = emulator.environment() | {"TABLE_NAME": table.name, "PATH": "/usr/bin:/bin"}
    call = [sys.executable, "-m", "service.backfill", *arguments]
    return subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_command_prints_progress_and_problems(emulator: Emulator, table: "Table") -> None:
    table.put_item(Item={"pk": "customer", "sk": "0" * 32, "id": "0" * 32, "name": "Engines", "revision": 1})
    done = command(emulator, table, "customer")
    assert done.returncode == 1
    assert "customer: 1 read, 0 written, 0 entries deleted, 1 problems; continue with --after" in done.stderr
    assert done.stdout.startswith(f"the customer {'0' * 32} cannot be read: created_at: missing;")
    assert "Engines" not in done.stdout
    table.delete_item(Key={"pk": "customer", "sk": "0" * 32})
    assert command(emulator, table).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(["person"], "there is no kind person; there are user, customer"), (["--after", "x"], "give only that kind")],
)
def test_command_rejects_invalid_arguments(
    emulator: Emulator, table: "Table", arguments: list[str], reason: str
) -> None:
    done = command(emulator, table, *arguments)
    assert done.returncode == 2
    assert reason in done.stderr
