"""AWS's refusals, from refusals.yaml: which operation, what is asked first, when it is refused, and what AWS answers.

Expressions are JMESPath (with the functions of `expressions`), over `input` (the request by boto3's names), `region`, `tags` (as a
list of Key and Value, whatever form the service gives them), for Lambda `function` (FunctionName without account and version) and
`qualifier`, and what a rule asks for. `found` in a message is what its `when` came to.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from sandbox.emulator_server.strict.expressions import filled, search
from sandbox.emulator_server.strict.requests import Call

RULES = Path(__file__).with_name("refusals.yaml")
LAMBDA_NAME = re.compile(
    r"^(?:arn:[^:]+:lambda:[^:]*:\d*:function:|\d{12}:function:)?(?P<name>[^:]+)(?::(?P<qualifier>.+))?$"
)
TAG_MEMBERS = ("Tags", "tags", "AddTags")

# An operation and its parameters, or the URL of a document: what comes back, None when there is nothing.
Ask = Callable[[str, dict[str, Any]], Awaitable[Any]]


@dataclass(frozen=True)
class Refusal:
    """A rule. One without an answer is a note: AWS takes the request, and whoever counts on it should know."""

    id: str
    operations: list[str]
    when: str
    source: str
    ask: dict[str, dict[str, Any]] = field(default_factory=dict)
    status: int = 400
    code: str = ""
    message: str = ""
    note: str = ""
    confidence: str = "sure"

    def concerns(self, call: Call) -> bool:
        """Tell whether it is about a call's operation; `*` are those with tags."""
        return call.name in self.operations or (self.operations == ["*"] and bool(_tags(call.input)))

    async def met(self, call: Call, ask: Ask) -> str | None:
        """Return what AWS says to a call, None when the rule is not about it."""
        known = facts(call)
        for name, question in self.ask.items():
            known[name] = await _answered(question, known, ask)
        found = search(self.when, known)
        if found in (None, False, [], {}, ""):
            return None
        return filled(self.message or self.note, known | {"found": found})


@cache
def rules() -> tuple[Refusal, ...]:
    """Return all rules."""
    return tuple(Refusal(**rule) for rule in yaml.safe_load(RULES.read_text()))


def facts(call: Call) -> dict[str, Any]:
    """Return what expressions see of a call."""
    given = call.input
    known: dict[str, Any] = {"input": given, "region": call.region, "tags": _tags(given)}
    if call.service == "lambda" and (name := LAMBDA_NAME.match(str(given.get("FunctionName", "")))):
        known |= {"function": name["name"], "qualifier": given.get("Qualifier") or name["qualifier"]}
    return known


async def _answered(question: dict[str, Any], known: dict[str, Any], ask: Ask) -> Any:
    def values(more: dict[str, Any]) -> dict[str, Any]:
        return {name: search(expression, known | more) for name, expression in question.get("with", {}).items()}

    if "url" in question:
        return await ask("url", {"url": search(question["url"], known)})
    if "for_each" not in question:
        return await ask(question["operation"], values({}))
    return [
        await ask(question["operation"], values({"each": each})) for each in search(question["for_each"], known) or []
    ]


def _tags(given: dict[str, Any]) -> list[dict[str, Any]]:
    tags: Any = next((given[member] for member in TAG_MEMBERS if given.get(member)), [])
    if isinstance(tags, dict):
        return [{"Key": key, "Value": value} for key, value in tags.items()]
    # KMS writes TagKey and TagValue, others key and value.
    pairs = (tag for tag in tags if isinstance(tag, dict))
    return [{key.removeprefix("Tag").capitalize(): value for key, value in tag.items()} for tag in pairs]
