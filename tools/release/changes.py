"""Differences between two interfaces, and their level for callers who upgrade."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from textwrap import shorten
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import Version

Interface = Mapping[str, Any]
INDEX = re.compile(r"\[[^]]*\]$")


class Level(IntEnum):
    """What a change means for a caller: no action (fix), new options (feature), or required changes (breaking)."""

    FIX = 1
    FEATURE = 2
    BREAKING = 3

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Change:
    """One difference. `subject` is the name that a caller would search for; an `arguable` level can be overridden in judged.yaml."""

    level: Level
    subject: str
    text: str
    arguable: bool = False

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


def compare(old: Interface, new: Interface) -> list[Change]:
    """Return every difference between two interfaces, the most severe first."""
    found = [*_versions(old, new), *_inputs(old, new), *_conditions(old, new)]
    found += [*_outputs(old, new), *_resources(old, new), *_permissions(old, new)]
    return sorted(found, key=lambda change: (-change.level, change.subject, change.text))


def _versions(old: Interface, new: Interface) -> Iterator[Change]:
    yield from _range("Terraform", old["terraform"], new["terraform"])
    for name in sorted(old["providers"].keys() | new["providers"].keys()):
        subject = f"provider {name}"
        before, after = old["providers"].get(name), new["providers"].get(name)
        if before is None:
            yield Change(Level.BREAKING, subject, "new, so that callers must configure it")
        elif after is None:
            yield Change(Level.FIX, subject, "no longer needed")
        else:
            # Excluding a version that never worked breaks nobody, which only a person can judge.
            for change in _range(subject, before.get("version", ""), after.get("version", "")):
                yield replace(change, arguable=change.level is Level.BREAKING)
            yield from (
                Change(Level.BREAKING, subject, f"its {key} is {after.get(key)}, was {before.get(key)}")
                for key in sorted((before.keys() | after.keys()) - {"version"})
                if before.get(key) != after.get(key)
            )


def _range(subject: str, old: str, new: str) -> Iterator[Change]:
    if old == new:
        return
    before, after = _specifiers(old), _specifiers(new)
    lost = gained = False
    for version in _around([*before, *after]):
        lost |= version in before and version not in after
        gained |= version in after and version not in before
    text = f'is "{new}", was "{old}"'
    if lost:
        yield Change(Level.BREAKING, subject, f"the version range {text}: some that were accepted are not")
    elif gained:
        yield Change(Level.FEATURE, subject, f"the version range {text}")
    else:
        yield Change(Level.FIX, subject, f"the version range {text}, which accepts the same")


def _specifiers(constraint: str) -> SpecifierSet:
    """Convert Terraform's constraint to Python's, which lacks "~> 5"; in Terraform it means ">= 5"."""
    parts = [re.sub(r"^~>(?=\s*\d+$)", ">=", part.strip()) for part in constraint.split(",") if part.strip()]
    return SpecifierSet(",".join(re.sub(r"^=?\s*(?=\d)", "==", part.replace("~>", "~=")) for part in parts))


def _around(specifiers: list[Any]) -> Iterator[Version]:
    """Yield each version in a constraint and its neighbours; in between, the result is constant."""
    for specifier in specifiers:
        version = specifier.version
        numbers = [int(n) for n in version.split(".")]
        yield Version(version)
        yield Version(f"{version}.0.0.1")
        last = max((i for i, n in enumerate(numbers) if n), default=0)
        below = [*numbers[:last], max(numbers[last] - 1, 0), 99999]
        yield Version(".".join(map(str, below)))


def _inputs(old: Interface, new: Interface) -> Iterator[Change]:
    before, after = old["inputs"], new["inputs"]
    for path in sorted(before.keys() | after.keys()):
        if _parent(path) in before.keys() ^ after.keys():
            continue  # reported for its object
        if path not in after:
            yield Change(Level.BREAKING, path, "removed")
        elif path not in before:
            if "default" in after[path]:
                yield Change(Level.FEATURE, path, "new and optional")
            else:
                yield Change(Level.BREAKING, path, "new and required")
        else:
            yield from _input(path, before[path], after[path])


def _parent(path: str) -> str:
    return path.rpartition(".")[0].rstrip("[*]")


def _input(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    if before["type"] != after["type"]:
        yield Change(Level.BREAKING, path, f"its type is {after['type']}, was {before['type']}")
    if "default" not in after and "default" in before:
        yield Change(Level.BREAKING, path, "required, was optional")
    elif "default" in after and "default" not in before:
        yield Change(Level.FEATURE, path, "optional, was required")
    elif before.get("default") != after.get("default"):
        text = f"its default is {json.dumps(after['default'])}, was {json.dumps(before['default'])}"
        yield Change(Level.BREAKING, path, text, arguable=True)
    if before.get("nullable") != after.get("nullable"):
        yield (
            Change(Level.FEATURE, path, "takes null, did not")
            if after["nullable"]
            else Change(Level.BREAKING, path, "no longer takes null")
        )
    yield from _flags(path, before, after)


def _flags(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    if after.get("sensitive") and not before.get("sensitive"):
        yield Change(
            Level.BREAKING, path, "sensitive, so that expressions with it are rejected where they would be shown"
        )
    if before.get("sensitive") and not after.get("sensitive"):
        yield Change(Level.FEATURE, path, "no longer sensitive")
    if bool(before.get("ephemeral")) != bool(after.get("ephemeral")):
        yield Change(Level.BREAKING, path, f"{'' if after.get('ephemeral') else 'no longer '}ephemeral")


def _conditions(old: Interface, new: Interface) -> Iterator[Change]:
    moved = _moves(new)
    before = {_follow(name, moved): conditions for name, conditions in old["conditions"].items()}
    new_paths = new["inputs"].keys() - old["inputs"].keys()
    for name in sorted(before.keys() | new["conditions"].keys()):
        subject = name.removeprefix("variable ")
        if name.startswith("variable ") and subject in old["inputs"].keys() ^ new["inputs"].keys():
            continue  # reported as a new or removed variable
        # A variable's validation refers to that variable alone, a precondition to any.
        of_variable = name.startswith("variable ")
        added = [path.rpartition(".")[2] for path in new_paths if not of_variable or path.startswith(f"{subject}.")]
        yield from _refusals(subject, before.get(name, {}), new["conditions"].get(name, {}), added)


def _refusals(subject: str, before: Mapping[str, str], after: Mapping[str, str], added: list[str]) -> Iterator[Change]:
    """Compare conditions by message. Whether a changed condition is narrower or wider, a person must judge."""
    gone = {message: condition for condition, message in before.items() if condition not in after}
    for condition, message in after.items():
        if condition in before:
            if message != before[condition]:
                yield Change(Level.FIX, subject, f"a refusal is reworded: {_quoted(message)}")
        elif message in gone:
            text = f"a refusal has another condition: {_quoted(message)} Now {condition}; was {gone.pop(message)}"
            yield Change(Level.BREAKING, subject, text, arguable=True)
        elif any(re.search(rf"\.{name}\b", condition) for name in added):
            yield Change(Level.FEATURE, subject, f"a refusal of what is new: {_quoted(message)}")
        else:
            yield Change(Level.BREAKING, subject, f"a new refusal: {_quoted(message)}", arguable=True)
    for message in gone:
        yield Change(Level.FEATURE, subject, f"no longer refuses: {_quoted(message)}")


def _quoted(message: str) -> str:
    return f'"{shorten(message, 160, placeholder=" …")}"'


def _outputs(old: Interface, new: Interface) -> Iterator[Change]:
    before, after = old["outputs"], new["outputs"]
    for name in sorted(before.keys() | after.keys()):
        subject = f"output {name}"
        if name not in after:
            yield Change(Level.BREAKING, subject, "removed")
        elif name not in before:
            yield Change(Level.FEATURE, subject, "new")
        else:
            yield from _flags(subject, before[name], after[name])
            had, has = set(before[name].get("attributes", ())), set(after[name].get("attributes", ()))
            yield from (
                Change(Level.BREAKING, subject, f"its attribute {a} is gone", arguable=not has)
                for a in sorted(had - has)
            )
            yield from (Change(Level.FEATURE, subject, f"new attribute {a}") for a in sorted(has - had) if had)


def _resources(old: Interface, new: Interface) -> Iterator[Change]:
    before, after = ({a: n for a, n in i["resources"].items() if not a.startswith("data.")} for i in (old, new))
    moved = _moves(new)
    for address, number in before.items():
        target = _follow(address, moved)
        if target not in after:
            reason = "removed" if target == address else f"moved to {target}, which does not exist"
            yield Change(Level.BREAKING, address, f"{reason}: its object would be destroyed")
        elif target != address:
            yield Change(Level.FIX, address, f"moved to {target}")
        elif number != after[address] and address not in moved:
            yield _recounted(address, number, after[address])
    for source, target in old["moved"].items() - new["moved"].items():
        text = f"its `moved` to {target} is gone: an upgrade from an earlier release would destroy the object"
        yield Change(Level.BREAKING, source, text, arguable=True)
    for address in after.keys() - before.keys() - {_follow(a, moved) for a in before}:
        yield Change(Level.FEATURE, address, "new")


def _moves(interface: Interface) -> dict[str, str]:
    """Return moves by address, without indices: a `moved` of one instance is taken to cover the others."""
    return {INDEX.sub("", source): INDEX.sub("", target) for source, target in interface["moved"].items()}


def _follow(address: str, moved: Mapping[str, str]) -> str:
    """Return an address after all moves. A cycle, which Terraform rejects, ends where it closes."""
    seen = {address}
    while (address := moved.get(address, address)) not in seen:
        seen.add(address)
    return address


def _recounted(address: str, before: str, after: str) -> Change:
    text = f"has {_kind(after)}, had {_kind(before)}"
    if {before, after} == {"one", "count"}:
        # Terraform moves x to x[0] and back by itself. Whether [0] exists shows only in a plan.
        return Change(Level.FEATURE, address, f"{text}: Terraform moves its object to or from [0] by itself")
    return Change(Level.BREAKING, address, f"{text}: without a `moved` block its objects would be destroyed")


def _kind(number: str) -> str:
    return "neither count nor for_each" if number == "one" else number


def _permissions(old: Interface, new: Interface) -> Iterator[Change]:
    for who, reason in (
        ("needed to apply", "the principal that applies needs its permissions"),
        ("held by roles", "a permissions boundary must allow it"),
    ):
        before, after = old["permissions"][who], new["permissions"][who]
        for name in sorted(after):
            if name not in before:
                level = Level.BREAKING if after[name] == "always" else Level.FEATURE
                where = "" if after[name] == "always" else " if configured"
                yield Change(level, name, f"new{where}: {reason}", arguable=True)
            elif (before[name], after[name]) == ("optional", "always"):
                yield Change(Level.BREAKING, name, f"always, was if configured: {reason}", arguable=True)
