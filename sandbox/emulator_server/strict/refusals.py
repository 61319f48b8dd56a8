"""AWS's refusals, from refusals.yaml: the operations, lookups, condition and error of each rule.

Expressions are JMESPath, with the functions of `expressions`. Their names are `input` (the request with boto3's names), `region`,
`tags` (a list of Key and Value for every service), for Lambda `function` (FunctionName without account and version) and
`qualifier`, and the rule's lookups. In a message, `found` is the value of `when`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from sandbox.emulator_server.strict.expressions import interpolate, search
from sandbox.emulator_server.strict.requests import Call

RULES = Path(__file__).with_name("refusals.yaml")
LAMBDA_NAME = re.compile(
    r"^(?:arn:[^:]+:lambda:[^:]*:\d*:function:|\d{12}:function:)?(?P<name>[^:]+)(?::(?P<qualifier>.+))?$"
)
TAG_MEMBERS = ("Tags", "tags", "AddTags")

# From an operation and its parameters, or "url" and a URL, to the output; None if there is none.
Lookup = Callable[[str, dict[str, Any]], Awaitable[Any]]


@dataclass(frozen=True)
class Refusal:
    """A rule. One with a note instead of a message rejects nothing: AWS accepts the request, with an effect that users should know."""

    id: str
    operations: list[str]
    when: str
    source: str
    lookups: dict[str, dict[str, Any]] = field(default_factory=dict)
    status: int = 400
    code: str = ""
    message: str = ""
    note: str = ""
    confidence: str = "sure"

    def applies_to(self, call: Call) -> bool:
        """Whether the rule is for a call's operation; `*` means every request with tags."""
        return call.name in self.operations or (self.operations == ["*"] and bool(_tags(call.input)))

    async def evaluate(self, call: Call, lookup: Lookup) -> str | None:
        """Return the rule's message or note for a call, or None if its condition does not hold."""
        known = context(call)
        for name, request in self.lookups.items():
            known[name] = await _look_up(request, known, lookup)
        found = search(self.when, known)
        if found in (None, False, [], {}, ""):
            return None
        return interpolate(self.message or self.note, known | {"found": found})


@cache
def rules() -> tuple[Refusal, ...]:
    return tuple(Refusal(**rule) for rule in yaml.safe_load(RULES.read_text()))


def context(call: Call) -> dict[str, Any]:
    """Return a call's values for expressions."""
    given = call.input
    known: dict[str, Any] = {"input": given, "region": call.region, "tags": _tags(given)}
    if call.service == "lambda" and (name := LAMBDA_NAME.match(str(given.get("FunctionName", "")))):
        known |= {"function": name["name"], "qualifier": given.get("Qualifier") or name["qualifier"]}
    return known


async def _look_up(request: dict[str, Any], known: dict[str, Any], lookup: Lookup) -> Any:
    def values(more: dict[str, Any]) -> dict[str, Any]:
        return {name: search(expression, known | more) for name, expression in request.get("with", {}).items()}

    if "url" in request:
        return await lookup("url", {"url": search(request["url"], known)})
    if "for_each" not in request:
        return await lookup(request["operation"], values({}))
    return [
        await lookup(request["operation"], values({"each": each})) for each in search(request["for_each"], known) or []
    ]


def _tags(given: dict[str, Any]) -> list[dict[str, Any]]:
    tags: Any = next((given[member] for member in TAG_MEMBERS if given.get(member)), [])
    if isinstance(tags, dict):
        return [{"Key": key, "Value": value} for key, value in tags.items()]
    # KMS has TagKey and TagValue, other services key and value.
    pairs = (tag for tag in tags if isinstance(tag, dict))
    return [{key.removeprefix("Tag").capitalize(): value for key, value in tag.items()} for tag in pairs]
