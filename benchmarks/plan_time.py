"""The time of a plan with the module, compared with the same resources without it and with the AWS provider alone.

    python -m benchmarks.plan_time

The roots are planned in turns against an emulator. The results are the ratios of the medians; seconds depend on the machine. Where
Terraform's registry cannot be reached, the examples and their flat forms use the stand-in for the Docker provider.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.runs import own_emulator, spread, terraform_environment
from harness import Plan, Root
from harness.plan import INDEX
from harness.root import copy_project
from sandbox import emulator, overrides
from sandbox.overrides import AWS_PROVIDER
from sandbox.paths import EXAMPLE_SOURCES, ROOT

ROUNDS = 9
EXAMPLES = ("minimal", "complete")
# Valid constants for attributes that are known after apply. Other unknown attributes are left out.
ARN = "arn:aws:iam::111122223333:role/somebody"
UNKNOWN = {
    "api_id": "somebody",
    "dashboard_body": "{}",
    "destination_arn": ARN,
    "function_version": "1",
    "image_uri": f"111122223333.dkr.ecr.eu-central-1.amazonaws.com/somebody@sha256:{'0' * 64}",
    "input": "{}",
    "integration_uri": ARN,
    "name": "111122223333.dkr.ecr.eu-central-1.amazonaws.com/somebody:tag",
    "qualifier": "1",
    "role": ARN,
    "source_arn": ARN,
    "target": "integrations/somebody",
}


def flat(plan: Plan) -> dict[str, Any]:
    """Return a plan's resources as Terraform JSON, without modules, variables, loops or references."""
    stated = dict(_stated(plan.raw["configuration"]["root_module"]))
    resources: dict[str, dict[str, Any]] = {}
    managed = [change for change in plan.raw["resource_changes"] if change["mode"] == "managed"]
    for number, change in enumerate(managed):
        kind, planned = change["type"], change["change"]
        block = _written(stated[INDEX.sub("", change["address"])], planned["after"], planned["after_unknown"])
        resources.setdefault(kind, {})[f"flat_{number}"] = block
    return {"resource": resources}


def _stated(module: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Mapping[str, Any]]]:
    for resource in module.get("resources", []):
        yield prefix + resource["address"], resource.get("expressions", {})
    for name, call in module.get("module_calls", {}).items():
        yield from _stated(call["module"], f"{prefix}module.{name}.")


def _written(expressions: Mapping[str, Any], values: Mapping[str, Any], unknown: Any) -> dict[str, Any]:
    """Return a resource's configured attributes and blocks, with their planned values."""
    block: dict[str, Any] = {}
    for name, expression in expressions.items():
        value, hidden = values.get(name), unknown.get(name) if isinstance(unknown, dict) else unknown
        if isinstance(expression, list):
            hides = hidden if isinstance(hidden, list) else [hidden] * len(value or [])
            block[name] = [_written(expression[0], one, hide) for one, hide in zip(value or [], hides, strict=True)]
        elif hidden is True and name in UNKNOWN:
            block[name] = UNKNOWN[name]
        elif value is not None and hidden is not True:
            block[name] = value
    return block


def roots(folder: Path, aws: emulator.Emulator) -> dict[str, Root]:
    """Return the initialized roots: each example, its flat form, and the AWS provider alone."""
    environment = terraform_environment(aws)
    copy_project(ROOT, folder, EXAMPLE_SOURCES)
    versions, made = (ROOT / "versions.tf").read_text(), {}

    def make(name: str, path: Path, files: Mapping[str, str]) -> Root:
        path.mkdir(exist_ok=True)
        made[name] = Root(path, environment=environment)
        for file, text in files.items():
            made[name].write(file, text)
        made[name].init()
        return made[name]

    for name in EXAMPLES:
        source = folder / "examples" / name
        example = make(name, source, {overrides.NAME: overrides.planned(source)})
        blocks = {"versions.tf": versions, "provider.tf": AWS_PROVIDER + 'provider "docker" {}\n'}
        make(f"{name}, flat", folder / f"{name}-flat", blocks | {"main.tf.json": json.dumps(flat(example.plan()))})
    alone = AWS_PROVIDER + 'data "aws_caller_identity" "this" {}\n'
    make("AWS provider alone", folder / "alone", {"versions.tf": versions, "main.tf": alone})
    return made


def measure(compared: Mapping[str, Root], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Plan every root once a round; return the seconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in compared}
    for _ in range(rounds):
        for name, root in compared.items():
            begin = time.perf_counter()
            root.check()
            seconds[name].append(time.perf_counter() - begin)
    return seconds


def main() -> None:
    """Measure, and print a line for each root and each ratio."""
    with own_emulator() as aws, tempfile.TemporaryDirectory() as folder:
        compared = roots(Path(folder) / "roots", aws)
        resources = {name: sum(root.plan().counts.values()) for name, root in compared.items()}
        seconds = measure(compared)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    for name, times in seconds.items():
        print(f"{name:20} {resources[name]:3} resources {spread(times)}")
    for name in EXAMPLES:
        for peer in (f"{name}, flat", "AWS provider alone"):
            print(f"{name} / {peer}: {median[name] / median[peer]:.2f}")


if __name__ == "__main__":
    main()
