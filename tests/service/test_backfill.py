"""A declaration that is added over existing data: what holds at once, and what after a backfill."""

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
Declared = Callable[[Resource[Any]], Repository[Any]]


@pytest.fixture
def declared(table: "Table") -> Declared:
    return lambda resource: Repository(resource, service.app.table(), CALLER)


def run(repository: Repository[Any], after: str | None = None) -> Progress:
    return [Progress(repository.resource.name), *backfill(repository, after)][-1]


def found(repository: Repository[Any], **filters: str) -> list[str]:
    return [item.id for item in repository.page(100, filters=filters).items]


def test_a_backfill_enters_what_was_there_before_a_lookup(declared: Declared) -> None:
    made = sorted(declared(BEFORE).create(PlayerCreate(name=f"{n}", email=f"{n}@example.com")).id for n in range(3))
    players = declared(AFTER)
    assert found(players, email="1@example.com") == []
    etags = [players.get(each).etag for each in made]
    progress = run(players)
    assert (progress.read, progress.written, progress.problems) == (3, 3, [])
    assert len(found(players, email="1@example.com")) == 1
    assert found(players, rank="novice") == made
    assert [players.get(each).etag for each in made] == etags
    again = run(players)
    assert (again.read, again.written) == (3, 0)


def test_a_backfill_goes_on_behind_an_item(declared: Declared) -> None:
    made = sorted(declared(BEFORE).create(PlayerCreate(name=f"{n}")).id for n in range(4))
    assert run(declared(AFTER), after=made[1]).read == 2


def test_two_items_with_one_unique_value_are_told_without_the_value(declared: Declared) -> None:
    for name in "ab":
        declared(BEFORE).create(PlayerCreate(name=name, email="same@example.com"))
    players = declared(AFTER)
    progress = run(players)
    (problem,) = progress.problems
    assert "another one has its unique value" in problem
    assert "same@example.com" not in problem
    (first,) = found(players, email="same@example.com")
    (second,) = {item.id for item in players.page(100).items} - {first}
    # The entry stays its owner's, whatever becomes of the other one.
    players.delete(second)
    assert found(players, email="same@example.com") == [first]
    with pytest.raises(Conflict):
        players.create(PlayerCreate(name="c", email="same@example.com"))
    players.delete(first)
    assert players.create(PlayerCreate(name="c", email="same@example.com")).name == "c"


def counted(table: "Table", team: str) -> int:
    item = table.get_item(Key={"pk": "team-references", "sk": team}).get("Item", {})
    return int(str(item.get("held_by", 0)))


def is_held(declared: Declared, team: str) -> bool:
    try:
        declared(TEAM).delete(team)
    except Conflict:
        return True
    return False


def test_a_reference_to_what_was_there_before_holds_after_a_backfill(declared: Declared, table: "Table") -> None:
    team = declared(TEAM).create(TeamCreate(name="Red")).id
    before = [declared(BEFORE).create(PlayerCreate(name=name, team_id=team)).id for name in "ab"]
    players = declared(AFTER)
    players.delete(before[0])
    assert counted(table, team) == 0
    last = players.create(PlayerCreate(name="c", team_id=team)).id
    run(players)
    assert counted(table, team) == 2
    for each in (before[1], last):
        assert is_held(declared, team)
        players.delete(each)
    assert not is_held(declared, team)


@pytest.mark.parametrize("how", ["backfill", "change", "delete"])
def test_items_of_a_release_that_listed_nothing_stay_counted_once(declared: Declared, table: "Table", how: str) -> None:
    team = declared(TEAM).create(TeamCreate(name="Red")).id
    players = declared(AFTER)
    made = [players.create(PlayerCreate(name=name, team_id=team)).id for name in "abc"]
    for each in made:
        table.update_item(Key={"pk": "player", "sk": each}, UpdateExpression="REMOVE entries")
    if how == "backfill":
        assert run(players).written == 3
    for each in made:
        if how == "change":
            players.change(each, lambda old: {"name": old.name * 2})
        if how == "delete":
            players.delete(each)
    assert counted(table, team) == (0 if how == "delete" else 3)
    for each in made if how != "delete" else []:
        assert is_held(declared, team)
        players.delete(each)
    assert not is_held(declared, team)
    assert table.scan()["Items"] == []


def test_a_change_by_a_release_that_keeps_no_list_is_followed(declared: Declared, table: "Table") -> None:
    players = declared(AFTER)
    player = players.create(PlayerCreate(name="a", email="a@example.com")).id
    # As such a release does it: the item and its entries, and the list stays as it was.
    table.update_item(
        Key={"pk": "player", "sk": player},
        UpdateExpression="SET email = :email ADD revision :one",
        ExpressionAttributeValues={":email": "b@example.com", ":one": 1},
    )
    table.delete_item(Key={"pk": "player-email", "sk": "a@example.com"})
    table.put_item(Item={"pk": "player-email", "sk": "b@example.com", "id": player})
    players.change(player, lambda _: {"email": "c@example.com"})
    for email, count in (("a@example.com", 0), ("b@example.com", 0), ("c@example.com", 1)):
        assert len(found(players, email=email)) == count
    players.create(PlayerCreate(name="b", email="b@example.com"))


def test_a_counter_never_goes_below_zero(declared: Declared, table: "Table") -> None:
    team = declared(TEAM).create(TeamCreate(name="Red")).id
    players = declared(AFTER)
    player = players.create(PlayerCreate(name="a", team_id=team)).id
    table.delete_item(Key={"pk": "team-references", "sk": team})
    players.delete(player)
    assert counted(table, team) == 0
    assert not is_held(declared, team)


def test_a_lookup_that_is_no_longer_declared_leaves_no_entry(declared: Declared, table: "Table") -> None:
    player = declared(AFTER).create(PlayerCreate(name="a", email="a@example.com")).id
    declared(BEFORE).delete(player)
    assert table.scan()["Items"] == []


def test_a_backfill_deletes_entries_whose_items_do_not_have_the_value(declared: Declared, table: "Table") -> None:
    player = declared(AFTER).create(PlayerCreate(name="a", email="a@example.com")).id
    for value, owner in (("lost@example.com", "0" * 32), ("old@example.com", player)):
        table.put_item(Item={"pk": "player-email", "sk": value, "id": owner})
    with pytest.raises(Conflict):
        declared(AFTER).create(PlayerCreate(name="b", email="lost@example.com"))
    assert run(declared(AFTER)).deleted_entries == 2
    assert found(declared(AFTER), email="a@example.com") == [player]
    assert declared(AFTER).create(PlayerCreate(name="b", email="lost@example.com")).name == "b"


def test_a_backfill_beside_another_and_beside_changes_counts_each_item_once(
    declared: Declared, table: "Table", monkeypatch: pytest.MonkeyPatch
) -> None:
    team = declared(TEAM).create(TeamCreate(name="Red")).id
    made = [declared(BEFORE).create(PlayerCreate(name=name, team_id=team)).id for name in "abc"]
    players = declared(AFTER)
    entering = Repository.entering

    def late(repository: Repository[Any], item: dict[str, Any]) -> Any:
        prepared = entering(repository, item)
        monkeypatch.setattr(Repository, "entering", entering)
        run(players)
        players.change(made[1], lambda _: {"name": "changed"})
        players.delete(made[2])
        return prepared

    monkeypatch.setattr(Repository, "entering", late)
    assert run(players).problems == []
    assert counted(table, team) == 2
    assert players.get(made[1]).name == "changed"


def test_a_field_that_is_added_with_a_default_is_read_from_older_items(declared: Declared) -> None:
    old = declared(BEFORE).create(PlayerCreate(name="a"))
    assert declared(AFTER).get(old.id).rank == "novice"


class StrictPlayer(Player):
    rank: str


def test_an_item_without_a_required_field_is_told_by_place_and_rule_alone(declared: Declared, table: "Table") -> None:
    class StrictCreate(PlayerCreate):
        rank: str

    old = declared(BEFORE).create(PlayerCreate(name="a", email="ada@example.com"))
    players = declared(Resource("player", StrictPlayer, StrictCreate, StrictCreate))
    with pytest.raises(UnreadableItem) as error:
        players.get(old.id)
    assert str(error.value) == f"the player {old.id} cannot be read: rank: missing"
    assert error.value.__suppress_context__
    assert run(players).problems == [str(error.value)]


def command(emulator: Emulator, table: "Table", *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = emulator.environment() | {"TABLE_NAME": table.name, "PATH": "/usr/bin:/bin"}
    call = [sys.executable, "-m", "service.backfill", *arguments]
    return subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_the_command_tells_its_progress_and_its_problems(emulator: Emulator, table: "Table") -> None:
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
def test_the_command_refuses_what_makes_no_sense(
    emulator: Emulator, table: "Table", arguments: list[str], reason: str
) -> None:
    done = command(emulator, table, *arguments)
    assert done.returncode == 2
    assert reason in done.stderr
