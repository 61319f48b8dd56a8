"""What the checks of this pack share: their shape, and how to read a value that may not be known."""

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

Verdict = bool | None
"""True passes, False fails, None: what decides is not known here, as a variable in HCL or a new ARN in a plan."""

# What stands in HCL for something else, and in a string for a part of it.
REFERENCE = re.compile(
    r"\$\{|^\s*(var|local|data|module|each|count|self|try|coalesce|lookup|merge|aws_\w+|docker_\w+|terraform_data)[.(\[]| \? "
)


class Unknown:
    """A value that only an apply, or a caller, knows."""


UNKNOWN = Unknown()


def value(conf: Mapping[str, Any], path: str, default: Any = None) -> Any:
    """Return what a path like `logging_config.log_format` holds: UNKNOWN, or the default where it is not set.

    checkov wraps each value in a list, and writes `true` for a string, number or block that a plan does not know.
    """
    found: Any = conf
    for name in path.split("."):
        found = unwrapped(found)
        if not isinstance(found, Mapping):
            return UNKNOWN if found is True or isinstance(found, str) else default
        found = found.get(name)
    found = unwrapped(found)
    return default if found is None or found == "" else UNKNOWN if is_reference(found) else found


def text(conf: Mapping[str, Any], path: str) -> str | Unknown | None:
    """Return a string, UNKNOWN, or None where it is not set."""
    found = value(conf, path)
    return found if found is None or isinstance(found, str | Unknown) else UNKNOWN


def number(conf: Mapping[str, Any], path: str) -> float | Unknown | None:
    """Return a number, UNKNOWN, or None where it is not set."""
    found = value(conf, path)
    if found is None or found is UNKNOWN or isinstance(found, bool):
        return None if found is None else UNKNOWN
    try:
        return float(found)
    except (TypeError, ValueError):
        return UNKNOWN


def document(found: Any) -> Any:
    """Return a JSON document that was given as text or as checkov has read it, UNKNOWN where it cannot be read."""
    if isinstance(found, str):
        try:
            return json.loads(found)
        except ValueError:
            return UNKNOWN
    return found


def is_reference(found: Any) -> bool:
    """Tell whether a value stands for another one."""
    return isinstance(found, str) and bool(REFERENCE.search(found))


def unwrapped(found: Any) -> Any:
    """Return a value without the lists of one that checkov puts around it."""
    while isinstance(found, list) and len(found) == 1:
        found = found[0]
    return found


def items(found: Any) -> list[Any]:
    """Return a list's members, however deep checkov has wrapped it."""
    if isinstance(found, list):
        return [member for one in found for member in items(one)]
    return [found]


class _Verdict:
    """Turns a function's verdict into checkov's result."""

    judge: Callable[[Mapping[str, Any]], Verdict]

    def result(self, conf: Mapping[str, Any]) -> CheckResult:
        return {True: CheckResult.PASSED, False: CheckResult.FAILED, None: CheckResult.UNKNOWN}[self.judge(conf)]


class _ResourceCheck(_Verdict, BaseResourceCheck):
    def scan_resource_conf(self, conf: dict[str, Any]) -> CheckResult:
        return self.result(conf)


class _ModuleCheck(_Verdict, BaseModuleCheck):
    def scan_module_conf(self, conf: dict[str, Any]) -> CheckResult:
        return self.result(conf)


def check(
    identity: str, name: str, resources: Iterable[str], severity: str, category: CheckCategories
) -> Callable[[Callable[[Mapping[str, Any]], Verdict]], object]:
    """Make a check of a function from a resource's configuration to a verdict; `module` among `resources` is a module call."""

    def register(judge: Callable[[Mapping[str, Any]], Verdict]) -> object:
        kind = _ModuleCheck if set(resources) == {"module"} else _ResourceCheck
        made = kind(
            name=name,
            id=identity,
            categories=[category],
            supported_resources=list(resources),
            guideline=f"docs/policy.md#{identity.lower()}",
        )
        made.judge = judge
        made.severity = Severities[severity]
        return made

    return register
