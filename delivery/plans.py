"""What a saved plan changes, and whether that is a step of a rollout: the alias, and what each release runs again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .aws import Routing, Target
from .errors import DeliveryError

# Resources that follow the alias's versions, with the attribute that names the function.
FOLLOWING = {
    "aws_lambda_invocation": "function_name",  # the smoke requests
    "aws_lambda_provisioned_concurrency_config": "function_name",
    "aws_appautoscaling_target": "resource_id",
    "aws_appautoscaling_policy": "resource_id",
}


@dataclass(frozen=True)
class Plan:
    """A saved plan: its file, and its JSON as `terraform show` prints it."""

    file: Path
    raw: dict[str, Any]

    def changes(self) -> Iterator[dict[str, Any]]:
        """Yield the resources that the plan changes. Data sources and outputs do not count."""
        for resource in self.raw.get("resource_changes", []):
            if resource["mode"] == "managed" and not set(resource["change"]["actions"]) <= {"no-op", "read"}:
                yield resource

    def builds(self) -> bool:
        """Whether it builds or pushes an image, for which it needs a Docker daemon."""
        return any(
            r["type"] in {"docker_image", "docker_registry_image"} and "create" in r["change"]["actions"]
            for r in self.changes()
        )

    def routing(self, target: Target) -> Routing:
        """Return where the alias sends requests after the plan. DeliveryError when the plan does not tell."""
        for resource in self.raw.get("resource_changes", []):
            if resource["type"] == "aws_lambda_alias" and _is_alias(resource, target):
                change = resource["change"]
                unknown = change.get("after_unknown") or {}
                if change["after"] is None:
                    raise DeliveryError(f"the plan deletes the alias {target}")
                if unknown.get("function_version") or unknown.get("routing_config"):
                    raise DeliveryError(f"the plan does not tell which version the alias {target} will serve")
                weights: dict[str, float] = {}
                for routing in change["after"].get("routing_config") or []:
                    weights |= routing.get("additional_version_weights") or {}
                return Routing.of(change["after"]["function_version"], weights)
        raise DeliveryError(f"the root does not manage the alias {target}: is this the right root?")

    def others(self, target: Target) -> list[str]:
        """Return the addresses of changes that are no part of a step: neither the alias nor what follows its versions."""
        return [r["address"] for r in self.changes() if not _is_alias(r, target) and not _follows(r, target)]


def _values(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for state in ("before", "after"):
        yield resource["change"][state] or {}


def _is_alias(resource: dict[str, Any], target: Target) -> bool:
    return resource["type"] == "aws_lambda_alias" and any(
        values.get("name") == target.alias and str(values.get("function_name")).rpartition(":")[2] == target.function
        for values in _values(resource)
    )


def _follows(resource: dict[str, Any], target: Target) -> bool:
    attribute = FOLLOWING.get(resource["type"])
    return attribute is not None and all(
        values.get(attribute) == target.function or str(values[attribute]).startswith(f"function:{target.function}:")
        for values in _values(resource)
        if attribute in values
    )
