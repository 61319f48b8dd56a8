"""A plan by resource address, read from `terraform show -json`."""

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
    """A change to one resource. `actions` are Terraform's: ("create",), ("delete", "create"), ("no-op",) …"""

    address: str
    type: str
    actions: tuple[str, ...]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    previous_address: str | None = None

    @property
    def destroys(self) -> bool:
        """Whether the resource is destroyed, replacements included."""
        return "delete" in self.actions

    @property
    def changes(self) -> bool:
        """Whether the plan changes the resource."""
        return not set(self.actions) <= {"no-op", "read"}


@dataclass(frozen=True)
class Plan:
    """A plan of one root module. Addresses are absolute, or relative to the module after `within`.

    - `resources`: the change of each managed resource by address, unchanged ones included.
    - `values`: planned attributes by address, without data sources. Attributes unknown until apply are absent.
    - `unknown`: by address, the attributes that are unknown until apply, as dotted paths (`vpc_config.0.vpc_id`).
    - `counts`: how many resources of each type exist after the apply.
    - `outputs`: planned outputs. Those unknown until apply are in `unknown_outputs` instead.
    - `warnings`: Terraform's warnings, deprecations included.
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
        """Return the plan in the document that `terraform show -json <plan>` printed."""
        managed = [c for c in shown.get("resource_changes", []) if c["mode"] == "managed"]
        planned = shown.get("planned_values", {})
        outputs = planned.get("outputs", {})
        return cls(
            resources={c["address"]: _change(c) for c in managed},
            values=dict(_values(planned.get("root_module", {}))),
            unknown={c["address"]: frozenset(_unknown(c["change"].get("after_unknown"))) for c in managed},
            outputs={name: output["value"] for name, output in outputs.items() if "value" in output},
            unknown_outputs=frozenset(name for name, output in outputs.items() if "value" not in output),
            changed=changed,
            warnings=tuple(warnings),
            raw=shown,
            _references=dict(_references(shown.get("configuration", {}).get("root_module", {}))),
        )

    @property
    def counts(self) -> Mapping[str, int]:
        """How many resources of each type exist after the apply."""
        return Counter(c.type for c in self.resources.values() if c.actions not in {("delete",), ("forget",)})

    @property
    def declared(self) -> frozenset[str]:
        """Every declared address, without index, including resources with zero instances."""
        return frozenset(self._references)

    @property
    def declared_outputs(self) -> frozenset[str]:
        """Names of the root's outputs, null ones included."""
        return frozenset(self.raw.get("configuration", {}).get("root_module", {}).get("outputs", {}))

    @property
    def no_destroys(self) -> bool:
        """Whether nothing is destroyed. A replacement counts as a destroy."""
        return not self.destroyed

    @property
    def destroyed(self) -> list[str]:
        """Addresses of the resources that are destroyed, replacements included."""
        return sorted(c.address for c in self.resources.values() if c.destroys)

    @property
    def moved(self) -> Mapping[str, str]:
        """Previous address → new address of each resource that moves."""
        return {c.previous_address: c.address for c in self.resources.values() if c.previous_address}

    def described(self) -> list[str]:
        """Return one line per change: address, actions, and the attributes that differ."""
        lines = []
        for resource in self.resources.values():
            if resource.changes:
                unknown = {path.split(".")[0] for path in self.unknown[resource.address]}
                keys = resource.before.keys() | resource.after.keys()
                differ = sorted(
                    key for key in keys if key in unknown or resource.before.get(key) != resource.after.get(key)
                )
                lines.append(f"{resource.address}: {' and '.join(resource.actions)}: {', '.join(differ)}")
        for name, change in self.raw.get("output_changes", {}).items():
            if change["actions"] != ["no-op"]:
                lines.append(f"output {name}: {' and '.join(change['actions'])}")
        return lines

    def references(self, address: str, attribute: str) -> frozenset[str]:
        """Return the references in an attribute's expression, such as `aws_lambda_alias.live.invoke_arn`.

        `attribute` is a dotted path; nested blocks go by name (`logging_config.log_group`). The set is empty for a constant.
        Locals are not resolved: `Root.dependencies` resolves them. KeyError, with the known names, for an unknown address
        or attribute.
        """
        found = self._references.get(INDEX.sub("", address))
        if found is None:
            raise KeyError(f"{address} is not in the configuration, which has {sorted(self._references)}")
        if attribute not in found:
            raise KeyError(f"{address} does not set {attribute}; it sets {sorted(found)}")
        return found[attribute]

    def within(self, module: str) -> Plan:
        """Return the part of the plan in a module call (`module.api`), with addresses relative to that module.

        Outputs are still the root's. KeyError when the plan has no resource in the module.
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


def _change(resource: Mapping[str, Any]) -> Change:
    change = resource["change"]
    return Change(
        address=resource["address"],
        type=resource["type"],
        actions=tuple(change["actions"]),
        before=change["before"] or {},
        after=change["after"] or {},
        previous_address=resource.get("previous_address"),
    )


def _values(module: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for resource in module.get("resources", []):
        if resource["mode"] == "managed":
            yield resource["address"], resource.get("values", {})
    for child in module.get("child_modules", []):
        yield from _values(child)


def _unknown(value: Any, path: str = "") -> Iterable[str]:
    """Yield the paths that are `true` in `after_unknown`."""
    if value is True:
        yield path
    elif isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _unknown(inner, f"{path}.{key}" if path else str(key))


def _references(module: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Mapping[str, frozenset[str]]]]:
    for resource in module.get("resources", []):
        yield prefix + resource["address"], dict(_expressions(resource.get("expressions", {})))
    for name, call in module.get("module_calls", {}).items():
        yield f"{prefix}module.{name}", dict(_expressions(call.get("expressions", {})))
        yield from _references(call.get("module", {}), f"{prefix}module.{name}.")


def _expressions(block: Mapping[str, Any], path: str = "") -> Iterable[tuple[str, frozenset[str]]]:
    """Yield each attribute's path with its references; blocks of the same name are merged."""
    merged: dict[str, frozenset[str]] = {}
    for name, expression in block.items():
        here = f"{path}.{name}" if path else name
        if isinstance(expression, Mapping) and not set(expression) - {"references", "constant_value"}:
            merged[here] = frozenset(expression.get("references", []))
            continue
        for inner in expression if isinstance(expression, list) else [expression]:
            for key, references in _expressions(inner, here):
                merged[key] = merged.get(key, frozenset()) | references
    yield from merged.items()
