"""The order in which routes move. Each rule is a sentence of RULES, which the command prints."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from migration.model import Api, Function, Risk, Route

RULES = (
    "Routes of one resource (/users and /users/{id}) move one after the other: it is split between old and new for a short time only.",
    "Resources with fewer risks come first, and of these the ones with less traffic.",
    "Within a resource, reads come before writes: a read that moves back has changed nothing.",
    "Among reads and among writes, fewer risks come first, then less traffic, and a DELETE comes last.",
)


@dataclass(frozen=True)
class Step:
    """A route in the order. `risks` are those to check, of the route and of its function; `invocations` is None if not known."""

    number: int
    route: Route
    risks: tuple[Risk, ...]
    invocations: int | None


def risks_of(route: Route, functions: dict[str, Function]) -> tuple[Risk, ...]:
    """Return the risks of a route and of its function, without notes."""
    function = functions.get(route.function)
    return tuple(risk for risk in (*route.risks, *(function.risks if function else ())) if risk.level != "note")


def order(api: Api, functions: dict[str, Function]) -> list[Step]:
    """Return the routes that can move, in the order of RULES. Unknown traffic counts as none."""
    resources: dict[str, list[Route]] = defaultdict(list)
    for route in api.routes:
        if not route.unmapped:
            resources[route.resource].append(route)

    def invocations(route: Route) -> int | None:
        function = functions.get(route.function)
        return function.invocations if function else None

    def traffic(routes: list[Route]) -> int:
        # A function of several routes counts once.
        return sum({route.function: invocations(route) or 0 for route in routes}.values())

    def resource_rank(name: str) -> tuple[int, int, str]:
        routes = resources[name]
        return sum(len(risks_of(route, functions)) for route in routes), traffic(routes), name

    def rank(route: Route) -> tuple[bool, int, int, bool, str]:
        return (
            not route.reads,
            len(risks_of(route, functions)),
            invocations(route) or 0,
            route.method == "DELETE",
            route.key,
        )

    ordered = [route for name in sorted(resources, key=resource_rank) for route in sorted(resources[name], key=rank)]
    return [
        Step(number, route, risks_of(route, functions), invocations(route)) for number, route in enumerate(ordered, 1)
    ]
