"""What an inventory contains: APIs, their routes and functions, and the parts that could not be read."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["rest", "http"]
READS = {"GET", "HEAD"}


Level = Literal["exposes", "check", "note"]


@dataclass(frozen=True)
class Risk:
    """Something to know before a route moves.

    `exposes`: the new route would let in callers whom the old one refuses, so it is not written without a decision. `check`: something
    behaves differently or is missing, unless you do something about it. `note`: to copy or to know.
    """

    code: str
    text: str
    level: Level = "check"


@dataclass(frozen=True)
class Function:
    """A Lambda function behind a route. Of its environment, only the names are kept: values may be secrets.

    `invocations` is the sum of the last 14 days, None if it could not be read.
    """

    arn: str
    name: str
    runtime: str
    handler: str
    memory_mb: int
    timeout_seconds: int
    role: str
    environment: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    vpc: bool = False
    package: str = "Zip"
    reserved_concurrency: int | None = None
    aliases: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    log_group: str = ""
    log_retention_days: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    invocations: int | None = None
    risks: tuple[Risk, ...] = ()


@dataclass(frozen=True)
class Auth:
    """How the gateway authenticates a route: `type` is NONE, AWS_IAM, JWT or LAMBDA.

    For JWT, `issuer` and `audience`; for LAMBDA, `function_arn`; both may have `identity_sources`.
    """

    type: Literal["NONE", "AWS_IAM", "JWT", "LAMBDA"]
    issuer: str = ""
    audience: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    function_arn: str = ""
    identity_sources: tuple[str, ...] = ()
    ttl_seconds: int = 0


@dataclass(frozen=True)
class Route:
    """A route of an API: its key in the module's form, and the function that serves it, including its alias.

    `unmapped` is the reason why the module cannot serve it through the old function; "" if it can.
    """

    key: str
    function_arn: str
    payload: Literal["1.0", "2.0"]
    auth: Auth
    risks: tuple[Risk, ...] = ()
    unmapped: str = ""

    @property
    def method(self) -> str:
        """The HTTP method, or ANY."""
        return self.key.partition(" ")[0]

    @property
    def path(self) -> str:
        """The path, such as /users/{id}."""
        return self.key.partition(" ")[2]

    @property
    def resource(self) -> str:
        """What the route is about: the first segment of its path that is not a variable, or "" for none."""
        return next((part for part in self.path.split("/") if part and not part.startswith("{")), "")

    @property
    def reads(self) -> bool:
        """Whether the method only reads."""
        return self.method in READS

    @property
    def function(self) -> str:
        """ARN of the function, without an alias."""
        return unqualified(self.function_arn)

    @property
    def exposed(self) -> bool:
        """Whether the new route would let in callers whom the old one refuses."""
        return any(risk.level == "exposes" for risk in self.risks)


@dataclass(frozen=True)
class Api:
    """An API with its routes. `domains` are its custom domains with base paths; `stage` the stage that was read."""

    id: str
    name: str
    kind: Kind
    region: str
    stage: str
    routes: tuple[Route, ...]
    risks: tuple[Risk, ...] = ()
    domains: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Unread:
    """A part that could not be read: what is missing in the inventory, the operation, and AWS's error."""

    part: str
    operation: str
    error: str


@dataclass(frozen=True)
class Inventory:
    """Everything that was found. `others` are functions that no route of an API calls."""

    source: str
    apis: tuple[Api, ...]
    functions: dict[str, Function]
    others: tuple[str, ...] = ()
    unread: tuple[Unread, ...] = ()

    @property
    def unmapped(self) -> list[tuple[Api, Route]]:
        """The routes that cannot be mapped."""
        return [(api, route) for api in self.apis for route in api.routes if route.unmapped]

    @property
    def complete(self) -> bool:
        """Whether everything was read and every route is mapped."""
        return not self.unread and not self.unmapped

    def as_json(self) -> dict[str, Any]:
        """Return the inventory as JSON values, with each route's method, path and resource."""
        values = asdict(self)
        for api, described in zip(self.apis, values["apis"], strict=True):
            for route, target in zip(api.routes, described["routes"], strict=True):
                target |= {"method": route.method, "path": route.path, "resource": route.resource}
        return values | {"complete": self.complete}


def unqualified(arn: str) -> str:
    """Return a function's ARN without version or alias."""
    return ":".join(arn.split(":")[:7])


def function_name(arn: str) -> str:
    """Return the name of the function of an ARN."""
    return (arn.split(":") + [""] * 7)[6]


def identifier(text: str) -> str:
    """Return text as a Python identifier and file name in lower case: AddUser is add_user."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", text)
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    return f"_{name}" if name[:1].isdigit() else name or "unnamed"


def log_group(configuration: dict[str, Any]) -> str:
    """Return the name of a function's log group."""
    chosen: str = (configuration.get("LoggingConfig") or {}).get("LogGroup", "")
    return chosen or f"/aws/lambda/{configuration['FunctionName']}"


def only_named(identity: str, name: str, only: list[str]) -> bool:
    """Whether an API is one of those that the command names."""
    return bool({identity, name} & set(only))
