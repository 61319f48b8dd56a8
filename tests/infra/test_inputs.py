"""Inputs that are sensitive, unknown until apply, null or empty. The values come from the scenarios.

The set of resources must not depend on values that may be sensitive or unknown, so the whole module is planned with each
scenario's inputs in both forms. A null means absent; an empty string is refused, by the attribute's name, where it is invalid.
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
from tests.infra.conftest import CONTEXT, PROVIDERS, ScenarioInputs, literal
from tools.release.interface import snapshot

# Path (`function.vpc.subnet_ids`; `[*]` is each element of a collection) → type, and default if there is one.
INPUTS: Mapping[str, Mapping[str, Any]] = snapshot(ROOT / MODULE)["inputs"]
Keys = tuple[str | int, ...]

# Must be known at plan, since they decide which resources exist.
KNOWN_AT_PLAN = {
    "alarms.off[*]": "decides which alarms exist",
    "api.domain.existing": "decides whether the domain is created",
    "dashboard": "decides whether it exists",
    "function.recursive_loop": "decides whether it is configured",
    "function.reserved_concurrency": "decides whether the concurrency alarm exists",
    "function.tracing": "decides whether X-Ray's policy is attached",
    "image.build.context": "its files are hashed at plan",
    "image.build.dockerfile": "it is hashed at plan",
    "provisioned_concurrency.max": "decides whether Auto Scaling exists",
    "release.canary_percent": "decides whether the newest version is tested as well",
}

# Optional, but required by another input of the same scenario.
REQUIRED_TOGETHER = {
    "api.domain.certificate_arn": "a domain that the module creates requires it",
    "api.domain.existing": "a domain without a certificate requires it",
    "api.domain.truststore_uri": "truststore_version requires it",
    "auth.iam": "exactly one must be set",
    "auth.jwt": "exactly one must be set",
    "auth.lambda": "exactly one must be set",
    "auth.public": "exactly one must be set",
    "function.vpc": "a file system requires it",
    "image.build": "exactly one must be set",
    "image.build.secrets[*].env": "exactly one must be set",
    "image.build.secrets[*].file": "exactly one must be set",
    "image.uri": "exactly one must be set",
    "release.smoke.also[*].method": "body requires POST",
    "release.smoke.method": "body requires POST",
    "release.version": "a canary requires it",
    "routes[*].auth.iam": "exactly one must be set",
    "routes[*].auth.public": "exactly one must be set",
    "routes[*].auth.scopes": "exactly one must be set",
}

# Strings that may be empty, and why.
MAY_BE_EMPTY = {
    "function.environment[*]": "Lambda accepts an empty variable",
    "function.image_config.command[*]": "a program accepts an empty argument",
    "function.image_config.entry_point[*]": "a program accepts an empty argument",
    "function.image_config.working_directory": "empty means the image's own",
    "image.build.args[*]": "Docker accepts an empty build argument",
    "image.build.labels[*]": "Docker accepts an empty label",
    "permissions.statements[*].conditions[*].values[*]": "IAM accepts an empty value",
    "release.smoke.also[*].body": "a request may have an empty body",
    "release.smoke.also[*].headers[*]": "HTTP accepts an empty header",
    "release.smoke.also[*].query[*]": "HTTP accepts an empty parameter",
    "release.smoke.body": "a request may have an empty body",
    "release.smoke.headers[*]": "HTTP accepts an empty header",
    "release.smoke.query[*]": "HTTP accepts an empty parameter",
    "tags[*]": "AWS accepts an empty tag",
}


def element_path(path: str) -> str | None:
    """Return the path of a collection's elements; None if it is no collection."""
    return f"{path}[*]" if "(" in INPUTS.get(path, {"type": ""})["type"] else None


def walk(value: Any, path: str, keys: Keys) -> Iterator[tuple[str, Keys, Any]]:
    """Yield (path, keys, value) of a value and of everything nested in it."""
    yield path, keys, value
    inner = element_path(path)
    if isinstance(value, dict):
        for name, part in value.items():
            yield from walk(part, inner or f"{path}.{name}", (*keys, name))
    elif isinstance(value, list) and inner:
        for number, part in enumerate(value):
            yield from walk(part, inner, (*keys, number))


def walk_all(inputs: Mapping[str, Any]) -> list[tuple[str, Keys, Any]]:
    return [item for name, value in inputs.items() for item in walk(value, name, (name,))]


def replaced(inputs: Mapping[str, Any], keys: Keys, value: Any) -> dict[str, Any]:
    """Return a copy of the inputs with one value replaced."""
    changed = copy.deepcopy(dict(inputs))
    place: Any = changed
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return changed


@pytest.fixture(scope="module")
def samples(scenario_inputs: Mapping[str, ScenarioInputs]) -> Mapping[str, dict[str, Any]]:
    """The fewest scenarios that set every input, by name, largest first."""
    paths = {
        name: {path for path, _, value in walk_all(values.inputs) if value is not None}
        for name, values in scenario_inputs.items()
    }
    missing, chosen = set().union(*paths.values()), {}
    while missing:
        name = max(paths, key=lambda name: len(paths[name] & missing))
        chosen[name] = scenario_inputs[name].inputs
        missing -= paths.pop(name)
    return chosen


def test_every_input_has_a_non_null_value_in_a_scenario(samples: Mapping[str, dict[str, Any]]) -> None:
    set_paths = {path for inputs in samples.values() for path, _, value in walk_all(inputs) if value is not None}

    assert sorted(INPUTS.keys() - set_paths) == []


def with_expressions(value: Any, path: str, address: str, form: Callable[[str, str], str]) -> Any:
    """Return a value for JSON configuration, with each scalar replaced by the expression `form(path, address)`."""
    inner = element_path(path)
    if isinstance(value, dict):
        return {
            key: with_expressions(part, inner or f"{path}.{key}", f"{address}[{json.dumps(key)}]", form)
            for key, part in value.items()
        }
    if isinstance(value, list):
        return [with_expressions(part, inner or path, f"{address}[{n}]", form) for n, part in enumerate(value)]
    return None if value is None else f"${{{form(path, address)}}}"


def sensitive(_: str, address: str) -> str:
    return f"sensitive(local.samples{address})"


def unknown_and_sensitive(path: str, address: str) -> str:
    return sensitive(path, address) if path in KNOWN_AT_PLAN else f"sensitive(terraform_data.unknown.output{address})"


def test_resources_do_not_depend_on_sensitive_or_unknown_values(
    samples: Mapping[str, dict[str, Any]], terraform_roots: Callable[[str, Mapping[str, str] | None], Root]
) -> None:
    """Plan the whole module once, with each sample as sensitive variables and as unknown, sensitive values."""
    calls: dict[str, Any] = {}
    for sample, inputs in samples.items():
        values = {name: value for name, value in inputs.items() if value is not None}
        addresses = {name: f'["{sample}"]["{name}"]' for name in values}
        forms = {
            "sensitive": {name: f"${{{sensitive(name, addresses[name])}}}" for name in values},
            "unknown": {
                name: with_expressions(value, name, addresses[name], unknown_and_sensitive)
                for name, value in values.items()
            },
        }
        calls |= {f"{form}-{sample}": {"source": f"./{MODULE}", **arguments} for form, arguments in forms.items()}
    configuration = {
        "locals": {"samples": literal(samples)},
        "resource": {"terraform_data": {"unknown": {"input": "${local.samples}"}}},
        "module": calls,
        # Terraform rejects an output with a sensitive value that is not declared sensitive: the module's are not.
        "output": {name: {"value": f"${{module.{name}}}"} for name in calls},
    }
    files = {"main.tf.json": json.dumps(configuration), "providers.tf": PROVIDERS}
    terraform_roots(".", files | CONTEXT).check()


@dataclass(frozen=True)
class Case:
    """Inputs with one value changed. `message` is a word of the refusal, None if they must be accepted."""

    name: str
    variable: str
    inputs: dict[str, Any]
    message: str | None

    def matches(self, diagnostics: list[Diagnostic]) -> bool:
        if self.message is None:
            return not diagnostics
        return any(d.detail.startswith(self.variable) and self.message in d.detail for d in diagnostics)


def cases(samples: Mapping[str, dict[str, Any]]) -> list[Case]:
    """Return a case per input for null, the empty string and a null element, from the first sample that sets it."""
    found: dict[str, Case] = {}

    def add(name: str, inputs: dict[str, Any], message: str | None) -> None:
        # The required inputs, auth (which routes depend on), and the changed variable.
        variable = re.split(r"\W", name)[0]
        needed = {key: inputs[key] for key in ("name", "image", "auth", variable) if key in inputs}
        found.setdefault(name, Case(name, variable, needed, message))

    for inputs in samples.values():
        for path, keys, value in walk_all(inputs):
            if value is None:
                continue
            attribute = path.removesuffix("[*]").rpartition(".")[2].removesuffix("s")
            kind = INPUTS.get(path, {}).get("type", "string")
            if path in INPUTS and (len(keys) > 1 or "default" in INPUTS[path]) and path not in REQUIRED_TOGETHER:
                optional = "default" in INPUTS[path]
                add(f"{path} = null", replaced(inputs, keys, None), None if optional else attribute)
            if isinstance(value, list) and element_path(path):
                add(f"{path}: a null in it", replaced(inputs, keys, [*value, None]), None)
            if isinstance(value, dict) and element_path(path):
                extra = "GET /null" if path == "routes" else "NULL"
                add(f"{path}: a null in it", replaced(inputs, keys, value | {extra: None}), None)
            if isinstance(value, str) and kind == "string":
                empty = None if path in MAY_BE_EMPTY else attribute
                add(f'{path} = ""', replaced(inputs, keys, ""), empty)
    return list(found.values())


def refusals(interface: Root, folder: Path, tested: list[Case]) -> dict[str, list[Diagnostic]]:
    """Plan the module's variables for all cases at once, and return Terraform's diagnostics by case."""
    copy_project(interface.path, folder)
    variables = folder / "variables"
    variables.mkdir()
    (folder / "variables.tf").rename(variables / "variables.tf")
    (folder / "converted.tf").unlink()
    root = Root(folder)
    for number, case in enumerate(tested):
        call = {"source": "./variables", **literal({k: v for k, v in case.inputs.items() if v is not None})}
        root.write(f"case-{number}.tf.json", json.dumps({"module": {f"case_{number}": call}}))
    try:
        root.check()
        found: list[Diagnostic] = []
    except PlanError as error:
        found = list(error.diagnostics)
    # A failed validation points at the call. Anything else is an error in a condition, kept under its own location.
    by_case: dict[str, list[Diagnostic]] = {case.name: [] for case in tested}
    for diagnostic in found:
        file = diagnostic.where.partition(":")[0]
        index = file.removeprefix("case-").removesuffix(".tf.json")
        by_case.setdefault(tested[int(index)].name if index.isdigit() else diagnostic.where, []).append(diagnostic)
    return by_case


def test_null_is_accepted_as_absent_and_empty_strings_are_refused(
    samples: Mapping[str, dict[str, Any]], interface: Root, tmp_path: Path
) -> None:
    tested = cases(samples)
    diagnostics = refusals(interface, tmp_path, tested)
    errors_in_conditions = diagnostics.keys() - {case.name for case in tested}
    wrong = {name: [str(d) for d in diagnostics[name]] for name in errors_in_conditions}
    wrong |= {c.name: [str(d) for d in diagnostics[c.name]] for c in tested if not c.matches(diagnostics[c.name])}
    assert wrong == {}
