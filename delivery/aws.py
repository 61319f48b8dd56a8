"""What AWS says: where the alias sends requests, which versions exist, and the states of alarms."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from .errors import DeliveryError, RefusedError

T = TypeVar("T")
ALIAS_ARN = re.compile(r"^arn:[^:]+:lambda:(?P<region>[^:]+):\d*:function:(?P<function>[^:]+):(?P<alias>[^:]+)$")
ALARM_ARN = re.compile(r"^arn:[^:]+:cloudwatch:(?P<region>[^:]+):\d*:alarm:(?P<name>.+)$")
CONFIG = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=10, read_timeout=60)
BATCH = 100  # names in a DescribeAlarms request


class AwsError(DeliveryError):
    """AWS refused a request, or could not be reached."""


@dataclass(frozen=True)
class Target:
    """The alias that serves the API."""

    region: str
    function: str
    alias: str

    @classmethod
    def of(cls, arn: object) -> Target:
        """Read an alias's ARN. RefusedError when it is not one."""
        match = ALIAS_ARN.match(str(arn))
        if match is None:
            raise RefusedError(f"the output with the alias's ARN is {arn!r}, which is not the ARN of a Lambda alias")
        return cls(**match.groupdict())

    def __str__(self) -> str:
        return f"{self.function}:{self.alias}"


@dataclass(frozen=True)
class Routing:
    """Where an alias sends requests: `percent` of them to `canary`, the rest to `version`."""

    version: str
    canary: str | None = None
    percent: int = 0

    @classmethod
    def of(cls, version: str, weights: Mapping[str, float]) -> Routing:
        """Read an alias's version and weights (0 to 1)."""
        for canary, weight in weights.items():
            if weight:
                return cls(version, canary, round(weight * 100))
        return cls(version)

    @property
    def shares(self) -> dict[str, int]:
        """The percentage of requests by version."""
        return {self.version: 100 - self.percent} | ({self.canary: self.percent} if self.canary else {})

    def __str__(self) -> str:
        return ", ".join(f"version {version} {share} %" for version, share in self.shares.items())


@dataclass(frozen=True)
class Alarm:
    """An alarm's state (OK, ALARM, INSUFFICIENT_DATA), the reason, and how many seconds of data it looks at."""

    name: str
    state: str
    reason: str
    seconds: int


def client(service: str, region: str | None = None) -> Any:
    """Return a boto3 client. RefusedError without credentials."""
    session = boto3.Session()
    if session.get_credentials() is None:
        raise RefusedError("there are no AWS credentials: log in, or give the job a role")
    return session.client(service, region_name=region, config=CONFIG)  # type: ignore[call-overload]  # any service


def call(operation: Callable[..., T], **parameters: Any) -> T:
    """Call an operation. AwsError, with one sentence, when AWS refuses it or cannot be reached."""
    try:
        return operation(**parameters)
    except ClientError as error:
        details = error.response.get("Error", {})
        raise AwsError(
            f"AWS refused {error.operation_name}: {details.get('Code')}: {details.get('Message')}"
        ) from error
    except BotoCoreError as error:
        raise AwsError(f"AWS cannot be reached: {error}") from error


class Function:
    """The function behind the alias. `lambda_` is a boto3 client."""

    def __init__(self, target: Target, lambda_: Any | None = None) -> None:
        self.target = target
        self.client = lambda_ or client("lambda", target.region)

    def routing(self) -> Routing:
        """Return where the alias sends requests now."""
        alias = call(self.client.get_alias, FunctionName=self.target.function, Name=self.target.alias)
        weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        return Routing.of(alias["FunctionVersion"], weights)

    def versions(self) -> list[str]:
        """Return the published versions, oldest first."""
        pages = self.client.get_paginator("list_versions_by_function").paginate(FunctionName=self.target.function)
        found = call(lambda: [version["Version"] for page in pages for version in page["Versions"]])
        return sorted((version for version in found if version.isdigit()), key=int)

    def require(self, version: str) -> None:
        """RefusedError when a version does not exist."""
        versions = self.versions()
        if version not in versions:
            exist = ", ".join(versions[-10:]) or "none"
            raise RefusedError(
                f"version {version} of {self.target.function} does not exist (any more); existing: {exist}"
            )

    def send(self, version: str, request: Request) -> None:
        """Send a request to a version directly, without the alias. DeliveryError when the response is not as expected."""
        response = call(
            self.client.invoke,
            FunctionName=self.target.function,
            Qualifier=version,
            Payload=json.dumps(request.event()).encode(),
        )
        text = response["Payload"].read().decode(errors="replace")
        try:
            status = json.loads(text)["statusCode"]
        except (ValueError, KeyError, TypeError):
            status = None
        if response.get("FunctionError") or status != request.status:
            got = f"status {status}" if status is not None else "no HTTP response"
            raise DeliveryError(f"version {version}: {request}, got {got}: {text[:300]}")


@dataclass(frozen=True)
class Request:
    """A request to the new version before it takes traffic: `GET /readyz 200`."""

    method: str
    path: str
    query: str
    status: int

    @classmethod
    def of(cls, text: str) -> Request:
        """Read a request. RefusedError when it is not one."""
        match = re.fullmatch(r"(GET|HEAD|OPTIONS|POST) +(/[^?#\s]*)(?:\?(\S*))?(?: +(\d{3}))?", text.strip())
        if match is None:
            raise RefusedError(f"--request {text!r} is not METHOD /path[?query] [status]: for example GET /readyz 200")
        return cls(match[1], match[2], match[3] or "", int(match[4] or 200))

    def event(self) -> dict[str, Any]:
        """Return API Gateway's event, payload 2.0."""
        agent = "lambda_container_api/delivery"
        now = time.time()
        return {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": self.path,
            "rawQueryString": self.query,
            "headers": {"accept": "*/*", "host": "delivery", "user-agent": agent, "x-forwarded-proto": "https"},
            "requestContext": {
                "accountId": "000000000000",
                "apiId": "delivery",
                "domainName": "delivery",
                "domainPrefix": "delivery",
                "http": {
                    "method": self.method,
                    "path": self.path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": agent,
                },
                "requestId": "delivery",
                "routeKey": "$default",
                "stage": "$default",
                "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
                "timeEpoch": int(now * 1000),
            },
            "isBase64Encoded": False,
        }

    def __str__(self) -> str:
        return f"{self.method} {self.path}, expected status {self.status}"


class Alarms:
    """The watched alarms, metric and composite. `names` are names or ARNs; a name is in `region`.

    `clients` makes a boto3 client of CloudWatch in a region.
    """

    def __init__(self, names: Iterable[str], region: str, clients: Callable[[str], Any] | None = None) -> None:
        self.clients = clients or (lambda region: client("cloudwatch", region))
        self.by_region: dict[str, list[str]] = {}
        for name in dict.fromkeys(names):
            match = ALARM_ARN.match(name)
            listed = self.by_region.setdefault(match["region"] if match else region, [])
            listed.append(match["name"] if match else name)

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [name for names in self.by_region.values() for name in names]

    def states(self) -> dict[str, Alarm]:
        """Return the alarms that exist, by name."""
        found: dict[str, Alarm] = {}
        for region, names in self.by_region.items():
            cloudwatch = self.clients(region)
            for start in range(0, len(names), BATCH):
                response = call(
                    cloudwatch.describe_alarms,
                    AlarmNames=names[start : start + BATCH],
                    AlarmTypes=["MetricAlarm", "CompositeAlarm"],
                    MaxRecords=BATCH,
                )
                for alarm in [*response.get("MetricAlarms", []), *response.get("CompositeAlarms", [])]:
                    found[alarm["AlarmName"]] = _alarm(alarm)
        return found

    def firing(self) -> list[Alarm]:
        """Return the alarms in ALARM. DeliveryError when one of them no longer exists."""
        states = self.states()
        if missing := [name for name in self.names if name not in states]:
            raise DeliveryError(f"the alarm {missing[0]} does not exist: it cannot be watched")
        return [alarm for alarm in states.values() if alarm.state == "ALARM"]


def _alarm(raw: Mapping[str, Any]) -> Alarm:
    period = raw.get("Period") or max(
        (query.get("MetricStat", {}).get("Period", 0) for query in raw.get("Metrics", [])), default=0
    )
    seconds = int(period) * int(raw.get("EvaluationPeriods") or 1)
    return Alarm(raw["AlarmName"], raw["StateValue"], str(raw.get("StateReason") or ""), seconds)
