"""examples/cloudfront-and-waf, applied: the API serves only requests with the header that CloudFront adds.

The emulator stores the distribution and the web ACL, but shows nothing of what they do (`not_supported` in emulator_differences.yaml). So
the tests send requests to the API's own endpoint, with the header that the distribution has at that moment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness import Root
from harness.errors import TerraformError
from sandbox.base_image import BaseImage
from sandbox.emulator import Emulator
from tests.e2e.conftest import CLOUDFRONT, Deployable, gateway

# Other than in the upgrade of this example, which may run at the same time.
NAME = "edge-e2e"
OLD, NEW = "old0" * 8, "new1" * 8
HEADER = "x-origin-verify"


@pytest.fixture(scope="module")
def inputs(base_image: BaseImage) -> dict[str, Any]:
    # The emulator has no log of a web ACL, and the provider waits half a minute for a DNS record.
    return {
        "base_image": base_image.reference,
        "domain": f"{NAME}.example.com",
        "waf_log_retention_days": None,
        "zone_id": None,
    }


@pytest.fixture(scope="module")
def root(example: Deployable, inputs: dict[str, Any]) -> Root:
    firewall = f'resource "aws_wafv2_web_acl" "this" {{\n  name = "{NAME}"\n}}\n'
    root = example("cloudfront-and-waf", module=f'  name = "{NAME}"\n', root=CLOUDFRONT + firewall)
    root.apply(inputs, origin_secrets=[OLD])
    return root


@pytest.fixture(scope="module")
def distribution(root: Root, aws: Callable[[str], Any]) -> Callable[[], dict[str, Any]]:
    """The distribution's current configuration."""
    client, domain = aws("cloudfront"), root.output("distribution_domain", str)
    found = client.list_distributions()["DistributionList"]["Items"]
    (identity,) = [item["Id"] for item in found if item["DomainName"] == domain]

    def read() -> dict[str, Any]:
        config: dict[str, Any] = client.get_distribution_config(Id=identity)["DistributionConfig"]
        return config

    return read


def header_of(config: dict[str, Any]) -> dict[str, str]:
    """Return the headers that a distribution adds to each request to the API."""
    (origin,) = config["Origins"]["Items"]
    return {header["HeaderName"].lower(): header["HeaderValue"] for header in origin["CustomHeaders"]["Items"]}


def statuses(root: Root, emulator: Emulator, values: list[str]) -> list[int]:
    with gateway(emulator, root.output("origin_endpoint", str)) as api:
        return [api.get("/", headers={HEADER: value}).status_code for value in values]


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/missing", "/healthz/x", "//healthz"])
@pytest.mark.parametrize("headers", [{}, {HEADER: ""}, {HEADER: NEW}, {HEADER: f"{OLD},{OLD}"}], ids=str)
def test_request_without_cloudfronts_header_is_refused(
    root: Root, emulator: Emulator, path: str, headers: dict[str, str]
) -> None:
    with gateway(emulator, root.output("origin_endpoint", str)) as api:
        assert api.get(path, headers=headers).status_code == 403


def test_request_with_cloudfronts_header_is_served(
    root: Root, emulator: Emulator, distribution: Callable[[], dict[str, Any]]
) -> None:
    config = distribution()
    assert config["Origins"]["Items"][0]["DomainName"] == root.output("origin_endpoint", str).removeprefix("https://")
    assert config["WebACLId"].startswith("arn:aws:wafv2:us-east-1:")
    with gateway(emulator, root.output("origin_endpoint", str)) as api:
        assert api.get("/", headers=header_of(config)).json() == {"message": "hello"}


def test_value_is_not_in_the_functions_configuration(root: Root, aws: Callable[[str], Any]) -> None:
    configuration = aws("lambda").get_function_configuration(FunctionName=NAME, Qualifier="live")
    assert "ORIGIN_VERIFY_SHA256" in configuration["Environment"]["Variables"]
    assert OLD not in str(configuration)


def test_second_plan_is_empty(root: Root) -> None:
    root.assert_idempotent()


def test_version_that_serves_without_the_header_is_not_released(
    root: Root, emulator: Emulator, inputs: dict[str, Any]
) -> None:
    source = root.path / "app/main.py"
    original = source.read_text()
    source.write_text(original.replace('@app.middleware("http")\n', ""))
    with pytest.raises(TerraformError, match="Release refused"):
        root.apply(inputs, origin_secrets=[OLD])
    source.write_text(original)

    assert statuses(root, emulator, ["", OLD]) == [403, 200]


def test_rotation_is_served_in_every_step(
    root: Root, emulator: Emulator, inputs: dict[str, Any], distribution: Callable[[], dict[str, Any]]
) -> None:
    # Between the applies, not during them: the emulator may serve a request in progress by a container with the old environment.
    # The values, the one that CloudFront sends, and the statuses for the old and the new one.
    for values, sent, expected in (
        ([OLD, NEW], OLD, [200, 200]),
        ([NEW, OLD], NEW, [200, 200]),
        ([NEW], NEW, [403, 200]),
    ):
        root.apply(inputs, origin_secrets=values)
        assert header_of(distribution()) == {HEADER: sent}
        assert statuses(root, emulator, [OLD, NEW]) == expected
