"""The states of a rollout, with a fake Terraform and a fake AWS; tests/e2e/test_rollout.py has the real ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from delivery.aws import Routing
from delivery.errors import DeliveryError, RefusedError
from delivery.journal import Entry
from tests.delivery.world import World, rollout

NOTHING_ELSE = "changes more than the alias"


def entry(folder: Path, **changes: Any) -> Entry:
    """Leave a half-done rollout from version 1 to 2 in the journal."""
    world = World()
    left = rollout(folder, world)
    left._connect()
    made = Entry("1", "2", [10, 50, 100], 0, ["errors"], **changes)
    with left.journal.locked():
        left.journal.begin(made)
    return made


def half_done(version: str, weights: dict[str, float]) -> World:
    return World(version=version, weights=weights, published=["1", "2"], deploys=False)


def test_steps_are_applied_one_by_one(tmp_path: Path) -> None:
    world = World()
    ended = rollout(tmp_path, world).run()
    assert (ended.result, ended.old, ended.new) == ("live", "1", "2")
    assert world.applied == [(1, 0), (1, 10), (1, 50), (2, 0)]
    shares = [event["shares"] for event in ended.events if "shares" in event]
    assert shares == [{"1": 100}, {"1": 90, "2": 10}, {"1": 50, "2": 50}, {"2": 100}]


def test_root_without_a_new_version_is_live_already(tmp_path: Path) -> None:
    world = World(deploys=False)
    ended = rollout(tmp_path, world).run()
    assert ended.result == "live"
    assert "no new version" in ended.reason


@pytest.mark.parametrize("share", [10, 50, 100])
def test_alarm_returns_at_each_step(tmp_path: Path, share: int) -> None:
    world = World()

    def fire(pins: Mapping[str, int]) -> None:
        if pins["canary_percent"] == share % 100 and world.published[-1] == "2":
            world.alarms["errors"] = "ALARM"

    world.during = fire
    ended = rollout(tmp_path, world).run()
    assert (ended.result, ended.percent, world.version, world.weights) == ("returned", share, "1", {})
    assert "the alarm errors is in ALARM: above 1" in ended.reason


@pytest.mark.parametrize("percent", [0, 10, 50])
def test_failed_apply_returns(tmp_path: Path, percent: int) -> None:
    world = World()
    failures = iter([True])

    def fail(pins: Mapping[str, int]) -> None:
        if pins["canary_percent"] == percent and next(failures, False):
            raise DeliveryError("no UpdateAlias now")

    world.during = fail
    ended = rollout(tmp_path, world).run()
    assert (ended.result, world.version, world.weights) == ("returned", "1", {})
    assert "no UpdateAlias now" in ended.reason


def test_step_that_changes_more_than_the_alias_is_not_applied(tmp_path: Path) -> None:
    world = World()

    def drift(pins: Mapping[str, int]) -> None:
        world.pending = ["aws_dynamodb_table.this"] if pins["canary_percent"] == 10 else []

    world.during = drift
    ended = rollout(tmp_path, world).run()
    assert NOTHING_ELSE in ended.reason
    assert "aws_dynamodb_table.this" in ended.reason
    # The last attempt of a return accepts other changes, rather than to leave a share with the new version.
    assert (ended.result, world.applied[-1]) == ("returned", (1, 0))
    assert (1, 50) not in world.applied


def test_failed_return_says_what_serves_and_how_to_go_on(tmp_path: Path) -> None:
    world = World()

    def fail(pins: Mapping[str, int]) -> None:
        world.alarms["errors"] = "ALARM" if pins["canary_percent"] == 10 else world.alarms["errors"]
        if world.weights:
            raise DeliveryError("no network")

    world.during = fail
    ended = rollout(tmp_path, world).run()
    assert ended.result == "unknown"
    assert "Served now: version 1 90 %, version 2 10 %" in ended.reason
    assert f"delivery rollback --root {tmp_path} --to 1" in ended.reason

    # It stays half-done, so that the next run returns it.
    world.during = lambda _: None
    again = rollout(tmp_path, world)
    assert again.run().result == "returned"
    assert (world.version, world.weights) == ("1", {})


def test_alias_that_somebody_else_changed_is_left_alone(tmp_path: Path) -> None:
    world = World(published=["1"])
    run = rollout(tmp_path, world, minutes=1, poll=0.01)
    looks = iter(range(10))

    def describe(**_: Any) -> dict[str, Any]:
        if world.weights and next(looks) == 2:
            world.version, world.weights = "7", {}
        return {"MetricAlarms": [{"AlarmName": "errors", "StateValue": "OK"}]}

    world.describe_alarms = describe  # type: ignore[method-assign, assignment]
    ended = run.run()
    assert (ended.result, world.version) == ("unknown", "7")
    assert "somebody else changed the alias" in ended.reason


def test_stop_before_the_deployment_changes_nothing(tmp_path: Path) -> None:
    world = World()
    run = rollout(tmp_path, world)
    run.stop.set()
    with pytest.raises(RefusedError, match="before anything was changed"):
        run.run()
    assert world.applied == []


def test_stop_during_a_step_returns(tmp_path: Path) -> None:
    world = World()
    run = rollout(tmp_path, world, minutes=1)
    world.during = lambda pins: run.ask_to_stop() if pins["canary_percent"] == 10 else None
    ended = run.run()
    assert (ended.result, ended.reason, world.version, world.weights) == ("returned", "stopped by a signal", "1", {})


# --- Half-done rollouts: the state in the journal, the alias, and what the next run does ---

LOST: dict[str, tuple[dict[str, Any], World, str, str]] = {
    "before any traffic": ({"state": "deploying"}, half_done("1", {}), "live", "2"),
    "at ten percent": ({"state": "watching", "percent": 10}, half_done("1", {"2": 0.1}), "live", "2"),
    "after the alias moved": ({"state": "shifting", "percent": 50}, half_done("1", {"2": 0.5}), "live", "2"),
    "at a hundred percent": ({"state": "watching", "percent": 100}, half_done("2", {}), "live", "2"),
    "while it returned": ({"state": "returning", "percent": 50}, half_done("1", {"2": 0.5}), "returned", "1"),
    "after it returned": ({"state": "returning", "percent": 50}, half_done("1", {}), "returned", "1"),
}


@pytest.mark.parametrize("lost", LOST)
def test_lost_rollout_is_finished_or_returned(tmp_path: Path, lost: str) -> None:
    left, world, result, version = LOST[lost]
    entry(tmp_path, **left)
    ended = rollout(tmp_path, world).run()
    assert (ended.result, world.version, world.weights) == (result, version, {})


def test_lost_rollout_is_returned_when_an_alarm_fires(tmp_path: Path) -> None:
    entry(tmp_path, state="watching", percent=10)
    world = half_done("1", {"2": 0.1})
    world.alarms["errors"] = "ALARM"
    assert rollout(tmp_path, world).run().result == "returned"
    assert world.weights == {}


def test_lost_rollout_is_returned_from_a_newer_checkout(tmp_path: Path) -> None:
    entry(tmp_path, state="watching", percent=10)
    world = half_done("1", {"2": 0.1})
    world.deploys = True
    ended = rollout(tmp_path, world).run()
    assert (ended.result, world.version, world.weights) == ("returned", "1", {})
    assert any("also applies" in event["text"] for event in ended.events)


def test_canary_without_a_journal_is_found_on_the_alias(tmp_path: Path) -> None:
    world = half_done("1", {"2": 0.5})
    ended = rollout(tmp_path, world).run()
    assert (ended.result, world.version, world.applied) == ("live", "2", [(2, 0)])


def test_refusal_names_a_half_done_rollout(tmp_path: Path) -> None:
    world = half_done("1", {"2": 0.5})
    with pytest.raises(RefusedError, match=r"other does not exist.*half-done, version 1 50 %, version 2 50 % serve"):
        rollout(tmp_path, world, alarms=["other"]).run()


# --- Rollbacks ---


def test_rollback_goes_to_what_served_before(tmp_path: Path) -> None:
    world = World(published=["1", "2", "3"], version="1")
    rollout(tmp_path, world).run()
    assert world.version == "4"
    ended = rollout(tmp_path, world).roll_back()
    assert (ended.kind, ended.result, world.version) == ("rollback", "live", "1")


def test_rollback_returns_a_half_done_rollout(tmp_path: Path) -> None:
    entry(tmp_path, state="watching", percent=50)
    world = half_done("1", {"2": 0.5})
    assert rollout(tmp_path, world).roll_back().result == "returned"
    assert (world.version, world.weights) == ("1", {})


def test_rollback_returns_a_canary_that_no_journal_knows(tmp_path: Path) -> None:
    world = half_done("1", {"2": 0.5})
    assert rollout(tmp_path, world).roll_back().result == "returned"
    assert (world.version, world.weights) == ("1", {})


@pytest.mark.parametrize(("version", "result"), [("1", "live"), ("2", "returned")])
def test_lost_rollback_is_closed_before_the_next_rollout(tmp_path: Path, version: str, result: str) -> None:
    left = rollout(tmp_path, World())
    left._connect()
    with left.journal.locked():
        left.journal.begin(Entry("2", "1", [100], 0, [], kind="rollback", state="shifting", percent=100))
    world = half_done(version, {})
    run = rollout(tmp_path, world)
    run.run()
    assert [ended.result for ended in run.journal.document.ended] == ["live", result]


def test_journal_that_cannot_be_written_does_not_keep_a_bad_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    run = rollout(tmp_path, world)

    def fail(_: object) -> None:
        raise DeliveryError("no space")

    def break_journal(pins: Mapping[str, int]) -> None:
        if pins["canary_percent"]:
            monkeypatch.setattr(run.journal.store, "write", fail)

    world.during = break_journal
    assert run.run().result == "returned"
    assert (world.version, world.weights) == ("1", {})


def test_failed_rollback_says_that_nothing_changed(tmp_path: Path) -> None:
    world = World(published=["1", "2"], version="2", deploys=False)

    def fail(_: Mapping[str, int]) -> None:
        raise DeliveryError("smoke test failed")

    world.during = fail
    ended = rollout(tmp_path, world).roll_back("1")
    assert (ended.result, world.version) == ("returned", "2")
    assert "version 2 100 % serve as before: smoke test failed" in ended.reason


def test_rollback_works_while_an_alarm_is_in_alarm_and_says_so(tmp_path: Path) -> None:
    world = World(published=["1", "2"], version="2", deploys=False, alarms={"errors": "ALARM"})
    ended = rollout(tmp_path, world).roll_back()
    assert (ended.result, world.version) == ("live", "1")
    assert "still in ALARM: errors" in ended.reason


REFUSALS: dict[str, tuple[World, str]] = {
    "a version that is gone": (
        World(version="2", published=["2"], deploys=False),
        "version 1 of orders does not exist",
    ),
    "other changes": (World(version="2", published=["1", "2"]), NOTHING_ELSE),
    "the version that serves": (World(published=["1"], deploys=False), "already serves"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_rollback_is_refused(tmp_path: Path, refusal: str) -> None:
    world, message = REFUSALS[refusal]
    with pytest.raises(RefusedError, match=message):
        rollout(tmp_path, world).roll_back("1")
    assert world.applied == []


def test_returned_version_is_not_released_again_unless_asked(tmp_path: Path) -> None:
    world = World()
    world.during = lambda pins: world.alarms.update(errors="ALARM" if pins["canary_percent"] == 10 else "OK")
    assert rollout(tmp_path, world).run().result == "returned"
    world.during = lambda _: None
    world.alarms["errors"] = "OK"
    again = rollout(tmp_path, world).run()
    assert (again.result, "was returned before" in again.reason) == ("returned", True)
    assert rollout(tmp_path, world, again=True).run().result == "live"


# --- Settings and refusals before anything changes ---

SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "descending steps": ({"steps": [50, 10, 100]}, "must ascend"),
    "a repeated step": ({"steps": [10, 10, 100]}, "must ascend"),
    "steps that end below 100": ({"steps": [10, 50]}, "to 100"),
    "a step of 0": ({"steps": [0, 100]}, "from 1 or more"),
    "negative minutes": ({"minutes": -1}, "must not be negative"),
    "no pause": ({"poll": 0}, "above 0"),
    "a saved plan that is missing": ({"plan": Path("missing.tfplan")}, "does not exist"),
    "an alarm that does not exist": ({"alarms": ["other"]}, "the alarm other does not exist in eu-central-1"),
}


@pytest.mark.parametrize("refusal", SETTINGS)
def test_rollout_is_refused(tmp_path: Path, refusal: str) -> None:
    settings, message = SETTINGS[refusal]
    world = World()
    with pytest.raises(RefusedError, match=message):
        rollout(tmp_path, world, **settings).run()
    assert world.applied == []


WORLDS: dict[str, tuple[Callable[[], World], str]] = {
    "an alarm in ALARM": (lambda: World(alarms={"errors": "ALARM"}), "is in ALARM already"),
    "$LATEST": (lambda: World(version="$LATEST"), r"serves \$LATEST"),
    "a pin that is gone": (lambda: World(version="1", published=["2"]), "version 1 of orders does not exist"),
}


@pytest.mark.parametrize("refusal", WORLDS)
def test_rollout_is_refused_in_this_world(tmp_path: Path, refusal: str) -> None:
    make, message = WORLDS[refusal]
    world = make()
    with pytest.raises(RefusedError, match=message):
        rollout(tmp_path, world).run()
    assert world.applied == []


def test_alarm_without_data_does_not_refuse(tmp_path: Path) -> None:
    world = World(alarms={"errors": "INSUFFICIENT_DATA"})
    assert rollout(tmp_path, world).run().result == "live"


def test_second_rollout_is_refused(tmp_path: Path) -> None:
    world = World()
    second = rollout(tmp_path, world)
    refusals: list[str] = []

    def start(_: Mapping[str, int]) -> None:
        with pytest.raises(RefusedError, match="a rollout is already running") as error:
            second.run()
        refusals.append(str(error.value))

    world.during = start
    assert rollout(tmp_path, world).run().result == "live"
    assert len(refusals) == 4


def test_journal_of_another_api_is_refused(tmp_path: Path) -> None:
    world = World()
    rollout(tmp_path, world).run()
    journal = tmp_path / "journal.json"
    journal.write_text(json.dumps({**json.loads(journal.read_text()), "alias": "others:live"}))
    with pytest.raises(RefusedError, match="of others:live, not of orders:live"):
        rollout(tmp_path, world).run()


def test_variables_keep_what_serves(tmp_path: Path) -> None:
    assert rollout(tmp_path, half_done("1", {"2": 0.1})).variables() == {"release_version": 1, "canary_percent": 10}


def test_shares_are_read_from_weights() -> None:
    assert Routing.of("1", {"2": 0.07}).shares == {"1": 93, "2": 7}
    assert Routing.of("1", {}) == Routing("1")
