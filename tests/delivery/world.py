"""A fake world for rollouts: an alias, alarms, and a Terraform that applies plans to the alias at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from delivery import Rollout, Settings, Terraform
from delivery.plans import Plan
from delivery.report import Progress

ALIAS = "arn:aws:lambda:eu-central-1:000000000000:function:orders:live"
ADDRESS = "module.api.aws_lambda_alias.live"


@dataclass
class World:
    """What AWS and Terraform hold. `during` is called with the pins of each plan before it is applied, and may raise.

    `pending` are addresses that a plan would change besides the alias.
    """

    version: str = "1"
    weights: dict[str, float] = field(default_factory=dict)
    published: list[str] = field(default_factory=lambda: ["1"])
    alarms: dict[str, str] = field(default_factory=lambda: {"errors": "OK"})
    pending: list[str] = field(default_factory=list)
    deploys: bool = True
    during: Callable[[Mapping[str, int]], None] = lambda _: None
    applied: list[tuple[int, int]] = field(default_factory=list)

    def client(self, *_: str) -> Any:
        """Return a fake client: it has the three services' operations."""
        return self

    def get_alias(self, **_: Any) -> dict[str, Any]:
        return {"FunctionVersion": self.version, "RoutingConfig": {"AdditionalVersionWeights": dict(self.weights)}}

    def get_paginator(self, _: str) -> World:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"Versions": [{"Version": version} for version in ["$LATEST", *self.published]]}]

    def describe_alarms(self, AlarmNames: list[str], **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's
        found = [name for name in AlarmNames if name in self.alarms]
        described = [{"AlarmName": n, "StateValue": self.alarms[n], "StateReason": "above 1"} for n in found]
        return {"MetricAlarms": described, "CompositeAlarms": []}


class FakeTerraform(Terraform):
    """Plans with the pins; an apply changes the world."""

    def __init__(self, root: Path, world: World) -> None:
        super().__init__(root)
        self.world = world

    def check(self) -> None:
        pass

    def outputs(self) -> dict[str, Any]:
        arns = {"errors": "arn:aws:cloudwatch:eu-central-1:000000000000:alarm:errors"}
        return {"alias_arn": ALIAS, "alarm_arns": arns, "newest_version": self.world.published[-1]}

    @contextmanager
    def plan(self, pins: Mapping[str, int], *, refresh: bool = True) -> Iterator[Plan]:  # noqa: ARG002 - the real one's
        world = self.world
        version, percent = pins["release_version"], pins["canary_percent"]
        weights = [{"additional_version_weights": {world.published[-1]: percent / 100}}] if percent else []
        alias = {"name": "live", "function_name": "orders"}
        changes = [
            (ADDRESS, "aws_lambda_alias", {**alias, "function_version": str(version), "routing_config": weights})
        ]
        changes += [(address, "aws_lambda_function", {"function_name": "orders"}) for address in self.pending()]
        yield Plan(
            Path(f"{version} {percent}"),
            {
                "resource_changes": [
                    {
                        "address": address,
                        "mode": "managed",
                        "type": kind,
                        "change": {"actions": ["update"], "before": after, "after": after, "after_unknown": {}},
                    }
                    for address, kind, after in changes
                ]
            },
        )

    def pending(self) -> list[str]:
        new = ["module.api.aws_lambda_function.this"] if self.world.deploys else []
        return [*self.world.pending, *new]

    def apply(self, plan: Plan) -> None:
        version, percent = map(int, str(plan.file).split())
        world = self.world
        world.during({"release_version": version, "canary_percent": percent})
        if world.deploys:
            world.published.append(str(int(world.published[-1]) + 1))
            world.deploys = False
        world.version, world.weights = str(version), {world.published[-1]: percent / 100} if percent else {}
        world.applied.append((version, percent))


class Quiet(Progress):
    """Keeps the lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


def rollout(folder: Path, world: World, **settings: Any) -> Rollout:
    """Return a rollout in the fake world, with steps that are watched for no time."""
    given = Settings(**{"minutes": 0, "poll": 0.001, "journal": str(folder / "journal.json"), **settings})
    return Rollout(FakeTerraform(folder, world), given, progress=Quiet(), clients=world.client)
