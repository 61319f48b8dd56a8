"""Provisioned concurrency that moves with releases and that Application Auto Scaling moves: examples/provisioned-concurrency, applied.

The emulator has no Application Auto Scaling, so that one service is moto's server; everything else is the emulator's.
Moto knows no tags of scalable targets, which the provider reads after each change, so that is answered in front of it.
"""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from harness.root import Root
from sandbox.emulator import REGION, Emulator, client
from tests.e2e.conftest import Deployable, load

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

NAME = "scaling-e2e"
TOPIC = f"arn:aws:sns:{REGION}:000000000000:alarms"
SCALED = {"min": 2, "max": 20, "target_utilization": 0.7}
# What the test changes, beside the example's own arguments.
MODULE = f"""  name = "{NAME}"
  provisioned_concurrency = var.provisioned_concurrency
  function = {{ reserved_concurrency = 50, memory_mb = var.memory_mb }}
  release = {{ version = var.release_version, canary_percent = var.canary_percent }}
"""
VARIABLES = """
variable "provisioned_concurrency" {
  type    = object({ max = optional(number), min = number, target_utilization = optional(number) })
  default = { max = 20, min = 2, target_utilization = 0.7 }
}
variable "memory_mb" {
  type    = number
  default = 512
}
variable "release_version" {
  type    = number
  default = null
}
variable "canary_percent" {
  type    = number
  default = 0
}
"""


@dataclass
class Watch:
    """Terraform's changes of the function in the order in which AWS gets them, and which versions serve without environments."""

    emulator: Emulator
    moto: WSGIApplication = field(default_factory=lambda: DomainDispatcherApplication(create_backend_app))
    calls: list[str] = field(default_factory=list)
    warm: dict[str, int] = field(default_factory=dict)
    serving: set[str] = field(default_factory=set)
    cold: list[str] = field(default_factory=list)

    def note(self, call: str) -> None:
        self.calls.append(call)
        if not self.serving <= self.warm.keys():
            self.cold.append(f"after {call}: {self.serving} serve, {set(self.warm)} are warm")

    def once(self, answer: Callable[[Request], Response]) -> WSGIApplication:
        """Answer a request that the provider sends again with the response that there was: its client repeats some on its own."""
        answered: dict[str, Response] = {}

        def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            asked = Request(environ)
            call = asked.headers.get("amz-sdk-invocation-id", "")
            response = answered.get(call) or answer(asked)
            if call and response.status_code < 300:
                answered[call] = response
            return response(environ, start_response)

        return app

    def lambda_(self, asked: Request) -> Response:
        """Hand a request to Lambda on, and note it if it changes something."""
        body = asked.get_data()
        answer = httpx2.request(
            asked.method,
            self.emulator.url + asked.environ["RAW_URI"],
            content=body,
            headers={k: v for k, v in asked.headers if k.lower() not in {"host", "content-length"}},
            timeout=60,
            trust_env=False,
        )
        if answer.is_success:
            self._note_lambda(asked, json.loads(body) if body[:1] == b"{" else {}, answer)
        kept = {k: v for k, v in answer.headers.items() if k.lower().startswith(("x-amz", "content-type"))}
        return Response(answer.content, answer.status_code, kept)

    def _note_lambda(self, asked: Request, body: dict[str, Any], answer: httpx2.Response) -> None:
        version = asked.args.get("Qualifier", "")
        match asked.method, asked.path.rpartition("/")[2]:
            case "POST", "versions":
                self.note(f"PublishVersion {answer.json()['Version']}")
            case "POST", "invocations":
                self.note(f"Invoke {version}")
            case "PUT", "provisioned-concurrency":
                self.warm[version] = body["ProvisionedConcurrentExecutions"]
                self.note(f"PutProvisionedConcurrencyConfig {version}")
            case "DELETE", "provisioned-concurrency":
                self.warm.pop(version, None)
                self.note(f"DeleteProvisionedConcurrencyConfig {version}")
            case (("PUT" | "POST"), "live" | "aliases"):
                weights = (body.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
                self.serving = {body["FunctionVersion"], *weights}
                self.note(f"UpdateAlias {' '.join(sorted(self.serving))}")

    def scaling(self, asked: Request) -> Response:
        """Hand a request to Moto on, and note it if it changes a scalable target; answer for it that those have no tags."""
        operation, body = asked.headers.get("x-amz-target", "").rpartition(".")[2], asked.get_data()
        if operation == "ListTagsForResource":
            return Response(b'{"Tags": {}}', content_type="application/x-amz-json-1.1")
        asked.environ["wsgi.input"] = io.BytesIO(body)
        response = Response.from_app(self.moto, asked.environ)
        if operation in {"RegisterScalableTarget", "DeregisterScalableTarget"} and response.status_code == 200:
            self.note(f"{operation} {json.loads(body)['ResourceId'].rpartition(':')[2]}")
        return response


@pytest.fixture(scope="module")
def watch(emulator: Emulator) -> Watch:
    return Watch(emulator)


@pytest.fixture(scope="module")
def served() -> Iterator[Callable[[Any], str]]:
    """Serves an application on a port of its own, and returns its URL."""
    stops: list[Callable[[], None]] = []

    def serve(app: Any) -> str:
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        stops.extend([server.server_close, thread.join, server.shutdown])
        return f"http://127.0.0.1:{server.port}"

    yield serve
    for stop in reversed(stops):
        stop()


@pytest.fixture(scope="module")
def auto_scaling(served: Callable[[Any], str], watch: Watch) -> Any:
    """Start moto's Application Auto Scaling and return a client of it."""
    return client("application-autoscaling", served(watch.once(watch.scaling)))


@pytest.fixture(scope="module")
def root(auto_scaling: Any, served: Callable[[Any], str], example: Deployable, hello: str, watch: Watch) -> Root:
    made = example("provisioned-concurrency", module=MODULE + hello)
    made.write("released.tf", VARIABLES)
    made.terraform.environment["AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING"] = auto_scaling.meta.endpoint_url
    made.terraform.environment["AWS_ENDPOINT_URL_LAMBDA"] = served(watch.once(watch.lambda_))
    made.apply(alarm_topic_arn=TOPIC)
    return made


def provisioned(aws: Callable[[str], Any]) -> dict[str, int]:
    """Return how many environments each version has."""
    versions = [v["Version"] for v in aws("lambda").list_versions_by_function(FunctionName=NAME)["Versions"][1:]]
    found = {}
    for version in versions:
        try:
            answer = aws("lambda").get_provisioned_concurrency_config(FunctionName=NAME, Qualifier=version)
        except aws("lambda").exceptions.ProvisionedConcurrencyConfigNotFoundException:
            continue
        found[version] = answer["RequestedProvisionedConcurrentExecutions"]
    return found


def targets(auto_scaling: Any) -> list[str]:
    found = auto_scaling.describe_scalable_targets(ServiceNamespace="lambda")["ScalableTargets"]
    return [target["ResourceId"] for target in found]


def test_the_scaler_gets_the_version_its_limits_and_its_target(root: Root, auto_scaling: Any) -> None:
    (target,) = auto_scaling.describe_scalable_targets(ServiceNamespace="lambda")["ScalableTargets"]
    assert target["ResourceId"] == f"function:{NAME}:1"
    assert target["ScalableDimension"] == "lambda:function:ProvisionedConcurrency"
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 20)
    (policy,) = auto_scaling.describe_scaling_policies(ServiceNamespace="lambda", ResourceId=target["ResourceId"])[
        "ScalingPolicies"
    ]
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == 0.7
    assert tracking["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization"
    }


def test_a_number_that_the_scaler_has_moved_stays_as_it_moved_it(root: Root, aws: Callable[[str], Any]) -> None:
    assert provisioned(aws) == {"1": 2}
    aws("lambda").put_provisioned_concurrency_config(
        FunctionName=NAME, Qualifier="1", ProvisionedConcurrentExecutions=7
    )
    root.assert_idempotent()
    assert provisioned(aws) == {"1": 7}


CANARY = "module.api.aws_lambda_provisioned_concurrency_config.canary[0]"
# What one apply changes, how many environments each version has afterwards, and which the scaler has.
STEPS: dict[str, tuple[dict[str, Any], dict[str, int], list[str]]] = {
    "a release, without the scaler and with another number": (
        {"memory_mb": 256, "provisioned_concurrency": {"min": 3}},
        {"2": 3},
        [],
    ),
    "a rollback, and another number": ({"release_version": 1, "provisioned_concurrency": {"min": 4}}, {"1": 4}, []),
    "a canary": ({"release_version": 1, "canary_percent": 10}, {"1": 4, "2": 4}, []),
    "the canary's release, with the scaler again": (
        {"release_version": None, "canary_percent": 0, "provisioned_concurrency": SCALED},
        {"2": 4},
        ["2"],
    ),
}
RELEASE = r"PublishVersion 2 Invoke 2 Put\w+ 2 .*UpdateAlias 2 .*DeleteProvisionedConcurrencyConfig 1"


def test_no_version_serves_without_its_environments(
    root: Root,
    watch: Watch,
    emulator: Emulator,
    auto_scaling: Any,
    aws: Callable[[str], Any],
    note: Callable[[str], None],
) -> None:
    inputs: dict[str, Any] = {"alarm_topic_arn": TOPIC}
    with load(emulator, root.output("endpoint", str), "/", clients=2) as total:
        for step, (changes, environments, scaled) in STEPS.items():
            inputs |= changes
            watch.calls.clear()
            root.apply(inputs)
            assert (step, watch.cold) == (step, [])
            assert (step, provisioned(aws)) == (step, environments)
            assert targets(auto_scaling) == [f"function:{NAME}:{version}" for version in scaled]
            if step.startswith("a release"):
                assert re.search(RELEASE, " ".join(watch.calls)), watch.calls
            if step == "a canary":
                given_up = root.plan(inputs | {"canary_percent": 0}).resources[CANARY]
                assert given_up.destroys
                # Destroyed with what the state holds of it: the canary's version, whose environments are deleted.
                assert (given_up.before["qualifier"], given_up.before["skip_destroy"]) == ("2", False)
    root.assert_idempotent()
    note(f"provisioned concurrency under load: {total.sent} requests, {total.failures} failed")
    total.assert_none_failed(least=100)


def test_destroying_takes_the_scaler_away(root: Root, auto_scaling: Any) -> None:
    root.destroy()
    assert auto_scaling.describe_scalable_targets(ServiceNamespace="lambda")["ScalableTargets"] == []
    assert auto_scaling.describe_scaling_policies(ServiceNamespace="lambda")["ScalingPolicies"] == []
