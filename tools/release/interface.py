"""The module's interface, read from its files: everything that a caller's configuration and state can depend on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any

import hcl2

from .errors import ReleaseError

PLAIN = hcl2.SerializationOptions(with_comments=False, explicit_blocks=False)
CALL = re.compile(r"^(\w+)\((.*)\)$", re.DOTALL)
COLLECTIONS = {"list", "map", "set"}
HEREDOC = re.compile(r"<<-?(\w+)\n(.*)\n\s*\1$", re.DOTALL)
# Not a condition key, which is followed by `=`.
ACTION = re.compile(r'"([a-z][a-z0-9-]*:[A-Z*][A-Za-z*]*)"(?!\s*=)')
CONDITIONAL = re.compile(r"\[\s*for\b")
# Need no IAM permission.
NEEDS_NO_PERMISSION = re.compile(
    r"^(terraform_data|docker_.*|aws_(caller_identity|default_tags|iam_policy_document|partition|region))$"
)


def snapshot(module: Path) -> dict[str, Any]:
    """Return the interface of the module in a folder, as JSON-ready data.

    - `terraform`, `providers`: version constraints; for providers also the source.
    - `inputs`: type and default by path. Attributes of objects have their own paths (`function.vpc.subnet_ids`; `[*]` is each
      element of a collection). An input without a default is required. Variables also have `nullable`.
    - `conditions`: validations by variable, and preconditions by address: message by condition, both as in the source.
    - `outputs`: flags such as sensitive, and the attributes of an object literal.
    - `resources`: `one`, `count` or `for_each` by address, data sources and module calls included.
    - `moved`: new address by previous address.
    - `permissions`: resource types that the applying principal needs (`needed to apply`), and actions of the function's role (`held
      by roles`): `always`, or `optional` if a count, for_each or dynamic block decides.
    """
    blocks = _blocks(module)
    variables = dict(_labelled(blocks, "variable"))
    resources = dict(sorted(_resources(blocks), key=itemgetter(0)))
    return {
        "terraform": _terraform(blocks).get("required_version", ""),
        "providers": _terraform(blocks).get("required_providers", {}),
        "inputs": dict(sorted(_inputs(variables))),
        "conditions": dict(_conditions(variables, resources)),
        "outputs": {name: _output(block) for name, block in _labelled(blocks, "output")},
        "resources": {address: _number(block) for address, block in resources.items()},
        "moved": {_text(move["from"]): _text(move["to"]) for move in blocks.get("moved", [])},
        "permissions": {
            "needed to apply": _presence(_types(resources)),
            "held by roles": _presence(_granted(blocks, resources)),
        },
    }


def _blocks(module: Path) -> dict[str, list[Any]]:
    """Return the blocks of all files by kind; ReleaseError without any, as an empty interface would never be broken."""
    blocks: dict[str, list[Any]] = {}
    for path in sorted(module.glob("*.tf")):
        for kind, parsed in _parsed(path.read_text(encoding="utf-8")).items():
            blocks.setdefault(kind, []).extend(parsed)
    if not {"variable", "resource"} <= blocks.keys():
        raise ReleaseError(f"{module} is not a module: its .tf files have no variable or no resource")
    return blocks


@cache
def _parsed(text: str) -> dict[str, Any]:
    parsed: dict[str, Any] = hcl2.loads(text, serialization_options=PLAIN)
    return parsed


def _labelled(blocks: Mapping[str, list[Any]], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the blocks with one label by name, in alphabetical order."""
    named = {_text(name): block for entry in blocks.get(kind, []) for name, block in entry.items()}
    yield from sorted(named.items())


def _terraform(blocks: Mapping[str, list[Any]]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for block in blocks.get("terraform", []):
        if "required_version" in block:
            settings["required_version"] = _text(block["required_version"])
        for providers in block.get("required_providers", []):
            settings.setdefault("required_providers", {}).update(_value(providers))
    return settings


def _inputs(variables: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, block in variables.items():
        (_, whole), *parts = _typed(name, _text(block.get("type", "any")))
        if "default" in block:
            whole["default"] = _value(block["default"])
        whole["nullable"] = block.get("nullable", True)
        whole |= {flag: True for flag in ("ephemeral", "sensitive") if block.get(flag)}
        yield name, whole
        yield from parts


def _typed(path: str, expression: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a type constraint's entry, then those of its attributes."""
    name, arguments = _call(expression)
    if name == "optional":
        (_, whole), *parts = _typed(path, _text(arguments[0]))
        yield path, whole | {"default": _value(arguments[1]) if len(arguments) > 1 else None}
        yield from parts
    elif name == "object":
        yield path, {"type": "object"}
        for attribute, inner in _value(arguments[0]).items():
            yield from _typed(f"{path}.{attribute}", inner)
    elif name in COLLECTIONS:
        (_, element), *parts = _typed(f"{path}[*]", _text(arguments[0]))
        yield path, {"type": f"{name}({element['type']})"}
        yield from parts
    else:
        yield path, {"type": expression}


def _call(expression: str) -> tuple[str, list[Any]]:
    """Split a function call into name and arguments; anything else is a name without arguments."""
    match = CALL.match(expression)
    return (match[1], _parsed(f"x = [{match[2]}]\n")["x"]) if match else (expression, [])


def _conditions(variables: Mapping[str, Any], resources: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    conditions = {f"variable {name}": block.get("validation", []) for name, block in variables.items()}
    for address, block in resources.items():
        conditions[address] = [p for lifecycle in block.get("lifecycle", []) for p in lifecycle.get("precondition", [])]
    for name, blocks in conditions.items():
        if blocks:
            yield name, {_text(c["condition"]): _line(c["error_message"]) for c in blocks}


def _output(block: Mapping[str, Any]) -> dict[str, Any]:
    output: dict[str, Any] = {flag: True for flag in ("ephemeral", "sensitive") if block.get(flag)}
    if isinstance(block["value"], dict):
        output["attributes"] = sorted(_value(block["value"]))
    return output


def _resources(blocks: Mapping[str, list[Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield managed resources, data sources and module calls by address."""
    for kind, prefix in (("data", "data."), ("resource", "")):
        for entry in blocks.get(kind, []):
            for type_, named in entry.items():
                for name, block in named.items():
                    yield f"{prefix}{_text(type_)}.{_text(name)}", block
    for name, block in _labelled(blocks, "module"):
        yield f"module.{name}", block


def _number(block: Mapping[str, Any]) -> str:
    return next((number for number in ("count", "for_each") if number in block), "one")


def _types(resources: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, bool]]:
    """Yield the resource types that need permissions to apply, and whether they always exist."""
    for address, block in resources.items():
        type_ = address.removeprefix("data.").split(".")[0]
        if type_ != "module" and not NEEDS_NO_PERMISSION.match(type_):
            yield type_, _number(block) == "one"


def _granted(blocks: Mapping[str, list[Any]], resources: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, bool]]:
    """Yield the IAM actions in policies, and whether each is always granted.

    Policies are policy documents, attributes named `…policy` without a Deny, and the statements in locals `…_statements`. A
    statement made by `for` is conditional, as is a dynamic block.
    """
    for address, block in resources.items():
        if address.startswith("data.aws_iam_policy_document."):
            yield from ((action, True) for action in _actions(block.get("statement", [])))
            yield from ((action, False) for action in _actions(block.get("dynamic", [])))
        for name, source in block.items():
            if name.endswith("policy") and '"Deny"' not in str(source):
                yield from ((action, _number(block) == "one") for action in _actions(source))
    for block in blocks.get("locals", []):
        for name, source in block.items():
            if name.endswith("_statements") and isinstance(source, dict):
                for statement in source.values():
                    yield from ((action, not CONDITIONAL.search(str(statement))) for action in _actions(statement))


def _actions(source: Any) -> list[str]:
    return ACTION.findall(" ".join(_strings(source)))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


def _presence(names: Iterable[tuple[str, bool]]) -> dict[str, str]:
    """Return `always` for each name that is unconditional at least once, and `optional` for the others."""
    always: dict[str, bool] = {}
    for name, unconditional in names:
        always[name] = always.get(name, False) or unconditional
    return {name: "always" if always[name] else "optional" for name in sorted(always)}


def _text(source: str) -> str:
    """Return a string or an expression without the quotes or braces that the parser keeps."""
    if source.startswith("${") and source.endswith("}"):
        return source[2:-1]
    return source[1:-1] if source.startswith('"') else source


def _line(source: str) -> str:
    """Return a string, which may be a heredoc, as one line."""
    heredoc = HEREDOC.match(source.strip('"'))
    return " ".join((heredoc[2] if heredoc else _text(source)).split())


def _value(source: Any) -> Any:
    """Return a literal as JSON-ready data."""
    if isinstance(source, str):
        return _text(source)
    if isinstance(source, list):
        return [_value(item) for item in source]
    if isinstance(source, dict):
        return {_text(key): _value(value) for key, value in source.items()}
    return source
