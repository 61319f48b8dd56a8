"""Shared by the checks: registration, and reading values that may be unknown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from checkov.common.bridgecrew.severities import BcSeverities, Severities
from checkov.common.models.enums import CheckCategories, CheckResult
from checkov.terraform.checks.module.base_module_check import BaseModuleCheck
from checkov.terraform.checks.resource.base_resource_check import BaseResourceCheck

LOW, MEDIUM, HIGH = BcSeverities.LOW, BcSeverities.MEDIUM, BcSeverities.HIGH

Verdict = bool | list[str] | None
"""True passes, False fails, None is unknown: a variable in HCL, or a new ARN in a plan. A list names what fails; an empty one passes."""

# References in HCL, and interpolations in a string.
REFERENCE = re.compile(
    r"\$\{|^\s*(var|local|data|module|each|count|self|try|coalesce|lookup|merge|aws_\w+|docker_\w+|terraform_data)[.(\[]| \? "
)


class Unknown:
    """A value that is only known to the caller or after apply."""


UNKNOWN = Unknown()


def value(conf: Mapping[str, Any], path: str, default: Any = None) -> Any:
    """Return the value at a path like `logging_config.log_format`; UNKNOWN, or the default if it is not set.

    checkov wraps each value in a list, and writes `true` for an unknown string, number or block in a plan.
    """
    current: Any = conf
    for name in path.split("."):
        current = unwrap(current)
        if not isinstance(current, Mapping):
            return UNKNOWN if current is True or isinstance(current, str) else default
        current = current.get(name)
    current = unwrap(current)
    return default if current is None or current == "" else UNKNOWN if is_reference(current) else current


def text(conf: Mapping[str, Any], path: str) -> str | Unknown | None:
    """Return a string, UNKNOWN, or None if it is not set."""
    found = value(conf, path)
    return found if found is None or isinstance(found, str | Unknown) else UNKNOWN


def number(conf: Mapping[str, Any], path: str) -> float | Unknown | None:
    """Return a number, UNKNOWN, or None if it is not set."""
    found = value(conf, path)
    if found is None or found is UNKNOWN or isinstance(found, bool):
        return None if found is None else UNKNOWN
    try:
        return float(found)
    except (TypeError, ValueError):
        return UNKNOWN


def document(found: Any) -> Any:
    """Return a JSON document from text, or as checkov has parsed it; UNKNOWN if it is not JSON."""
    if isinstance(found, str):
        try:
            return json.loads(found)
        except ValueError:
            return UNKNOWN
    return found


def is_reference(found: Any) -> bool:
    return isinstance(found, str) and bool(REFERENCE.search(found))


def unwrap(nested: Any) -> Any:
    """Remove the one-element lists that checkov puts around a value."""
    while isinstance(nested, list) and len(nested) == 1:
        nested = nested[0]
    return nested


def items(nested: Any) -> list[Any]:
    """Flatten a list that checkov has nested."""
    if isinstance(nested, list):
        return [member for inner in nested for member in items(inner)]
    return [nested]


class _Verdict:
    """Converts a verdict to checkov's result."""

    judge: Callable[[Mapping[str, Any]], Verdict]
    details: list[str]

    def result(self, conf: Mapping[str, Any]) -> CheckResult:
        verdict = self.judge(conf)
        if isinstance(verdict, list):
            self.details = verdict
            verdict = not verdict
        return {True: CheckResult.PASSED, False: CheckResult.FAILED, None: CheckResult.UNKNOWN}[verdict]


class _ResourceCheck(_Verdict, BaseResourceCheck):
    def scan_resource_conf(self, conf: dict[str, Any]) -> CheckResult:
        return self.result(conf)


class _ModuleCheck(_Verdict, BaseModuleCheck):
    def scan_module_conf(self, conf: dict[str, Any]) -> CheckResult:
        return self.result(conf)


def check(
    check_id: str, name: str, resources: Iterable[str], severity: str, category: CheckCategories
) -> Callable[[Callable[[Mapping[str, Any]], Verdict]], object]:
    """Register a function from a resource's configuration to a verdict as a check; `module` in `resources` is a module call."""

    def register(judge: Callable[[Mapping[str, Any]], Verdict]) -> object:
        check_class = _ModuleCheck if set(resources) == {"module"} else _ResourceCheck
        instance = check_class(
            name=name,
            id=check_id,
            categories=[category],
            supported_resources=list(resources),
            guideline=f"docs/policy.md#{check_id.lower()}",
        )
        instance.judge = judge
        instance.severity = Severities[severity]
        return instance

    return register
