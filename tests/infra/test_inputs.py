"""Inputs as callers may give them: sensitive, unknown until apply, null, or empty. The values are the scenarios'.

Which resources there are must not depend on a value that may be sensitive or unknown, so the whole module is planned with each
scenario's inputs in both forms. A null is absent, wherever it stands; an empty string is refused by name where it means nothing.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness import Diagnostic, PlanError, Root, copy_project
from sandbox.paths import MODULE, ROOT
from tests.infra.conftest import CONTEXT, PROVIDERS, Given, literal
from tools.release.interface import snapshot

# By path (`function.vpc.subnet_ids`; `[*]` is each element of a collection): type, and default where there is one.
INPUTS: Mapping[str, Mapping[str, Any]] = snapshot(ROOT / MODULE)["inputs"]
Keys = tuple[str | int, ...]

# What must be known when a plan is made, since it decides what exists.
KNOWN = {
    "alarms.off[*]": "names the alarms that there are not",
    "dashboard": "whether there is one",
    "function.reserved_concurrency": "whether there is an alarm of its use",
    "function.tracing": "whether X-Ray's policy is attached",
    "image.build.context": "its files are read to plan a build",
    "image.build.dockerfile": "it is read to plan a build",
    "provisioned_concurrency.max": "whether there is a scaler",
    "release.canary_percent": "whether the newest version is asked as well",
}

# Optional, and yet not to be left out of a scenario that has them: another input needs them.
NEEDED = {
    "api.domain.truststore_uri": "truststore_version goes only with it",
    "auth.iam": "one of them must be there",
    "auth.jwt": "one of them must be there",
    "auth.lambda": "one of them must be there",
    "auth.public": "one of them must be there",
    "image.build": "one of them must be there",
    "image.uri": "one of them must be there",
    "release.smoke.also[*].method": "body goes only with POST",
    "release.smoke.method": "body goes only with POST",
    "release.version": "a canary needs it",
    "routes[*].auth.iam": "one of them must be there",
    "routes[*].auth.public": "one of them must be there",
    "routes[*].auth.scopes": "one of them must be there",
}

# Strings that may be empty.
MAY_BE_EMPTY = {
    "function.environment[*]": "Lambda takes a variable without a value",
    "function.image_config.command[*]": "a program takes an argument without a value",
    "function.image_config.entry_point[*]": "a program takes an argument without a value",
    "function.image_config.working_directory": "it is the image's own then",
    "image.build.args[*]": "Docker takes an argument without a value",
    "permissions.statements[*].conditions[*].values[*]": "IAM compares with an empty string as well",
    "release.smoke.also[*].body": "a request may have an empty one",
    "release.smoke.also[*].headers[*]": "HTTP takes a header without a value",
    "release.smoke.also[*].query[*]": "HTTP takes a parameter without a value",
    "release.smoke.body": "a request may have an empty one",
    "release.smoke.headers[*]": "HTTP takes a header without a value",
    "release.smoke.query[*]": "HTTP takes a parameter without a value",
    "tags[*]": "AWS takes a tag without a value",
}


def elements(path: str) -> str | None:
    """Return the path of a collection's elements; None when it is no collection."""
    return f"{path}[*]" if "(" in INPUTS.get(path, {"type": ""})["type"] else None


def walk(value: Any, path: str, keys: Keys) -> Iterator[tuple[str, Keys, Any]]:
    """Yield each value that there is, the collections and objects included: its path, the way to it, itself."""
    yield path, keys, value
    inner = elements(path)
    if isinstance(value, dict):
        for name, part in value.items():
            yield from walk(part, inner or f"{path}.{name}", (*keys, name))
    elif isinstance(value, list) and inner:
        for number, part in enumerate(value):
            yield from walk(part, inner, (*keys, number))


def all_of(inputs: Mapping[str, Any]) -> list[tuple[str, Keys, Any]]:
    return [found for name, value in inputs.items() for found in walk(value, name, (name,))]


def replaced(inputs: Mapping[str, Any], keys: Keys, value: Any) -> dict[str, Any]:
    """Return the inputs with another value at one place."""
    changed = copy.deepcopy(dict(inputs))
    place: Any = changed
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return changed


@pytest.fixture(scope="module")
def samples(given: Mapping[str, Given]) -> Mapping[str, dict[str, Any]]:
    """As few scenarios as give every input, by name, the largest first."""
    paths = {
        name: {path for path, _, value in all_of(stated.inputs) if value is not None} for name, stated in given.items()
    }
    needed, chosen = set().union(*paths.values()), {}
    while needed:
        name = max(paths, key=lambda name: len(paths[name] & needed))
        chosen[name] = given[name].inputs
        needed -= paths.pop(name)
    return chosen


def test_every_input_has_a_value_in_a_scenario(samples: Mapping[str, dict[str, Any]]) -> None:
    valued = {path for inputs in samples.values() for path, _, value in all_of(inputs) if value is not None}

    assert sorted(INPUTS.keys() - valued) == []


def rewritten(value: Any, path: str, address: str, form: Callable[[str, str], str]) -> Any:
    """Return a value as JSON configuration states it, with the expression `form(path, address)` in the place of each scalar."""
    inner = elements(path)
    if isinstance(value, dict):
        return {
            key: rewritten(part, inner or f"{path}.{key}", f"{address}[{json.dumps(key)}]", form)
            for key, part in value.items()
        }
    if isinstance(value, list):
        return [rewritten(part, inner or path, f"{address}[{n}]", form) for n, part in enumerate(value)]
    return None if value is None else f"${{{form(path, address)}}}"


def sensitive(_: str, address: str) -> str:
    return f"sensitive(local.given{address})"


def unknown_and_sensitive(path: str, address: str) -> str:
    return sensitive(path, address) if path in KNOWN else f"sensitive(terraform_data.unknown.output{address})"


def test_what_exists_does_not_depend_on_values(
    samples: Mapping[str, dict[str, Any]], terraform_roots: Callable[[str, Mapping[str, str] | None], Root]
) -> None:
    """One plan of the whole module: each sample with sensitive variables, and with every part unknown and sensitive."""
    calls: dict[str, Any] = {}
    for sample, inputs in samples.items():
        given = {name: value for name, value in inputs.items() if value is not None}
        addresses = {name: f'["{sample}"]["{name}"]' for name in given}
        forms = {
            "sensitive": {name: f"${{{sensitive(name, addresses[name])}}}" for name in given},
            "unknown": {
                name: rewritten(value, name, addresses[name], unknown_and_sensitive) for name, value in given.items()
            },
        }
        calls |= {f"{form}-{sample}": {"source": f"./{MODULE}", **values} for form, values in forms.items()}
    configuration = {
        "locals": {"given": literal(samples)},
        "resource": {"terraform_data": {"unknown": {"input": "${local.given}"}}},
        "module": calls,
        # Terraform refuses an output that holds anything sensitive, unless it is declared to.
        "output": {name: {"value": f"${{module.{name}}}"} for name in calls},
    }
    files = {"main.tf.json": json.dumps(configuration), "providers.tf": PROVIDERS}
    terraform_roots(".", files | CONTEXT).check()


@dataclass(frozen=True)
class Case:
    """Inputs of which one is changed; `message` is a word of the refusal, None where they must be taken."""

    name: str
    variable: str
    inputs: dict[str, Any]
    message: str | None

    def as_expected(self, said: list[Diagnostic]) -> bool:
        if self.message is None:
            return not said
        return any(d.detail.startswith(self.variable) and self.message in d.detail for d in said)


def cases(samples: Mapping[str, dict[str, Any]]) -> list[Case]:
    """Return each input as null, as empty string, and with a null among its elements: once, wherever it is found first."""
    made: dict[str, Case] = {}

    def add(name: str, inputs: dict[str, Any], message: str | None) -> None:
        # The least that plans, what routes are held to, and the variable that is changed.
        variable = re.split(r"\W", name)[0]
        least = {given: inputs[given] for given in ("name", "image", "auth", variable) if given in inputs}
        made.setdefault(name, Case(name, variable, least, message))

    for inputs in samples.values():
        for path, keys, value in all_of(inputs):
            if value is None:
                continue
            attribute = path.removesuffix("[*]").rpartition(".")[2].removesuffix("s")
            kind = INPUTS.get(path, {}).get("type", "string")
            if path in INPUTS and (len(keys) > 1 or "default" in INPUTS[path]) and path not in NEEDED:
                optional = "default" in INPUTS[path]
                add(f"{path} = null", replaced(inputs, keys, None), None if optional else attribute)
            if isinstance(value, list) and elements(path):
                add(f"{path}: a null in it", replaced(inputs, keys, [*value, None]), None)
            if isinstance(value, dict) and elements(path):
                more = "GET /null" if path == "routes" else "NULL"
                add(f"{path}: a null in it", replaced(inputs, keys, value | {more: None}), None)
            if isinstance(value, str) and kind == "string":
                empty = None if path in MAY_BE_EMPTY else attribute
                add(f'{path} = ""', replaced(inputs, keys, ""), empty)
    return list(made.values())


def refusals(interface: Root, folder: Path, tried: list[Case]) -> dict[str, list[Diagnostic]]:
    """Plan the module's variables for all cases at once, and return what Terraform says of each."""
    copy_project(interface.path, folder)
    variables = folder / "variables"
    variables.mkdir()
    (folder / "variables.tf").rename(variables / "variables.tf")
    (folder / "taken.tf").unlink()
    root = Root(folder)
    for number, case in enumerate(tried):
        call = {"source": "./variables", **literal({k: v for k, v in case.inputs.items() if v is not None})}
        root.write(f"case-{number}.tf.json", json.dumps({"module": {f"case_{number}": call}}))
    try:
        root.check()
        found: list[Diagnostic] = []
    except PlanError as error:
        found = list(error.diagnostics)
    # A validation's refusal points at the call; anything else is a fault of the condition, and belongs to whoever looks for it.
    said: dict[str, list[Diagnostic]] = {case.name: [] for case in tried}
    for diagnostic in found:
        file = diagnostic.where.partition(":")[0]
        index = file.removeprefix("case-").removesuffix(".tf.json")
        said.setdefault(tried[int(index)].name if index.isdigit() else diagnostic.where, []).append(diagnostic)
    return said


def test_a_null_is_absent_and_what_is_empty_is_refused_by_name(
    samples: Mapping[str, dict[str, Any]], interface: Root, tmp_path: Path
) -> None:
    tried = cases(samples)
    said = refusals(interface, tmp_path, tried)
    # A fault of a condition itself points at no call.
    strays = said.keys() - {case.name for case in tried}
    wrong = {name: [str(d) for d in said[name]] for name in strays}
    wrong |= {case.name: [str(d) for d in said[case.name]] for case in tried if not case.as_expected(said[case.name])}
    assert wrong == {}
