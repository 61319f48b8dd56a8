"""What a plan would do, by resource address, read from `terraform show -json`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .terraform import Diagnostic

INDEX = re.compile(r"\[(?:\d+|\"(?:[^\"\\]|\\.)*\")\]")


@dataclass(frozen=True)
class Change:
    """What happens to one resource. `actions` as Terraform names them: ("create",), ("delete", "create"), ("no-op",) …"""

    address: str
    type: str
    actions: tuple[str, ...]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    previous_address: str | None = None

    @property
    def destroys(self) -> bool:
        """Whether the object is deleted, also when another takes its place."""
        return "delete" in self.actions

    @property
    def changes(self) -> bool:
        """Whether anything happens to it at all."""
        return not set(self.actions) <= {"no-op", "read"}


@dataclass(frozen=True)
class Plan:
    """A plan of one root module. Addresses are relative to `within`'s module, full ones by default.

    - `resources`: each managed resource's change by address, the unchanged included.
    - `values`: planned attributes by address, data sources not included; an attribute unknown until apply is not there.
    - `unknown`: by address, the attributes that are unknown until apply, as dotted paths (`vpc_config.0.vpc_id`).
    - `counts`: how many of each type there will be after the apply.
    - `outputs`: planned outputs; one that is unknown until apply is not there, but in `unknown_outputs`.
    - `warnings`: Terraform's warnings, deprecations among them.
    - `changed`: whether applying it would change anything, outputs included.
    """

    resources: Mapping[str, Change]
    values: Mapping[str, Mapping[str, Any]]
    unknown: Mapping[str, frozenset[str]]
    outputs: Mapping[str, Any]
    unknown_outputs: frozenset[str]
    changed: bool
    warnings: tuple[Diagnostic, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
    _references: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, shown: Mapping[str, Any], *, changed: bool, warnings: Iterable[Diagnostic] = ()) -> Plan:
        """Make a plan of what `terraform show -json <plan>` printed."""
        managed = [c for c in shown.get("resource_changes", []) if c["mode"] == "managed"]
        planned = shown.get("planned_values", {})
        outputs = planned.get("outputs", {})
        return cls(
            resources={c["address"]: _change(c) for c in managed},
            values=dict(_values(planned.get("root_module", {}))),
            unknown={c["address"]: frozenset(_unknown(c["change"].get("after_unknown"))) for c in managed},
            outputs={name: stated["value"] for name, stated in outputs.items() if "value" in stated},
            unknown_outputs=frozenset(name for name, stated in outputs.items() if "value" not in stated),
            changed=changed,
            warnings=tuple(warnings),
            raw=shown,
            _references=dict(_references(shown.get("configuration", {}).get("root_module", {}))),
        )

    @property
    def counts(self) -> Mapping[str, int]:
        """How many resources of each type there will be after the apply."""
        return Counter(c.type for c in self.resources.values() if c.actions not in {("delete",), ("forget",)})

    @property
    def declared(self) -> frozenset[str]:
        """Addresses, without index, of all that the configuration declares: what this plan has none of, too."""
        return frozenset(self._references)

    @property
    def declared_outputs(self) -> frozenset[str]:
        """Names of the root's outputs, those that are null too."""
        return frozenset(self.raw.get("configuration", {}).get("root_module", {}).get("outputs", {}))

    @property
    def no_destroys(self) -> bool:
        """Whether no object is deleted, replacements included."""
        return not self.destroyed

    @property
    def destroyed(self) -> list[str]:
        """Addresses whose object is deleted, replacements included."""
        return sorted(c.address for c in self.resources.values() if c.destroys)

    @property
    def moved(self) -> Mapping[str, str]:
        """Previous address → address of each resource that only moves in the state."""
        return {c.previous_address: c.address for c in self.resources.values() if c.previous_address}

    def described(self) -> list[str]:
        """Return a line for each change: address, actions, and the attributes that differ."""
        lines = []
        for change in self.resources.values():
            if change.changes:
                unknown = {path.split(".")[0] for path in self.unknown[change.address]}
                keys = change.before.keys() | change.after.keys()
                differ = sorted(
                    key for key in keys if key in unknown or change.before.get(key) != change.after.get(key)
                )
                lines.append(f"{change.address}: {' and '.join(change.actions)}: {', '.join(differ)}")
        for name, stated in self.raw.get("output_changes", {}).items():
            if stated["actions"] != ["no-op"]:
                lines.append(f"output {name}: {' and '.join(stated['actions'])}")
        return lines

    def references(self, address: str, attribute: str) -> frozenset[str]:
        """Return what the attribute's expression in the configuration refers to, such as `aws_lambda_alias.live.invoke_arn`.

        `attribute` is a dotted path; blocks within blocks go by name (`logging_config.log_group`). An empty set means a
        constant. Locals are named, not followed: `Root.dependencies` follows them. KeyError names what is there when the
        address or the attribute is not.
        """
        found = self._references.get(INDEX.sub("", address))
        if found is None:
            raise KeyError(f"{address} is not in the configuration, which has {sorted(self._references)}")
        if attribute not in found:
            raise KeyError(f"{address} does not set {attribute}; it sets {sorted(found)}")
        return found[attribute]

    def within(self, module: str) -> Plan:
        """Return the part of the plan that is in a module call (`module.api`), with addresses as that module knows them.

        Outputs stay the root's. KeyError when the plan has no resource there.
        """
        prefix = f"{module}."

        def inside(items: Mapping[str, Any]) -> dict[str, Any]:
            return {key.removeprefix(prefix): value for key, value in items.items() if key.startswith(prefix)}

        if not inside(self.resources):
            raise KeyError(f"the plan has no resource in {module}")
        return replace(
            self,
            resources=inside(self.resources),
            values=inside(self.values),
            unknown=inside(self.unknown),
            _references=inside(self._references),
        )


def _change(stated: Mapping[str, Any]) -> Change:
    change = stated["change"]
    return Change(
        address=stated["address"],
        type=stated["type"],
        actions=tuple(change["actions"]),
        before=change["before"] or {},
        after=change["after"] or {},
        previous_address=stated.get("previous_address"),
    )


def _values(module: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for resource in module.get("resources", []):
        if resource["mode"] == "managed":
            yield resource["address"], resource.get("values", {})
    for child in module.get("child_modules", []):
        yield from _values(child)


def _unknown(stated: Any, path: str = "") -> Iterable[str]:
    """Yield the paths at which Terraform says `true`: known only after apply."""
    if stated is True:
        yield path
    elif isinstance(stated, (dict, list)):
        for key, value in stated.items() if isinstance(stated, dict) else enumerate(stated):
            yield from _unknown(value, f"{path}.{key}" if path else str(key))


def _references(module: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Mapping[str, frozenset[str]]]]:
    for resource in module.get("resources", []):
        yield prefix + resource["address"], dict(_expressions(resource.get("expressions", {})))
    for name, call in module.get("module_calls", {}).items():
        yield f"{prefix}module.{name}", dict(_expressions(call.get("expressions", {})))
        yield from _references(call.get("module", {}), f"{prefix}module.{name}.")


def _expressions(block: Mapping[str, Any], path: str = "") -> Iterable[tuple[str, frozenset[str]]]:
    """Yield each attribute's path with what it refers to; several blocks of one name are taken together."""
    merged: dict[str, frozenset[str]] = {}
    for name, stated in block.items():
        here = f"{path}.{name}" if path else name
        if isinstance(stated, Mapping) and not set(stated) - {"references", "constant_value"}:
            merged[here] = frozenset(stated.get("references", []))
            continue
        for inner in stated if isinstance(stated, list) else [stated]:
            for key, references in _expressions(inner, here):
                merged[key] = merged.get(key, frozenset()) | references
    yield from merged.items()
