"""examples/shared-domain, applied: two APIs under one domain, at its root and below a path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from harness import Root
from sandbox import overrides
from sandbox.base_image import BaseImage
from sandbox.emulator import Emulator
from tests.e2e.conftest import Deployable, gateway

DOMAIN = "shared.example.com"


@pytest.fixture(scope="module")
def inputs(aws: Callable[[str], Any], base_image: BaseImage) -> dict[str, Any]:
    certificate = aws("acm").request_certificate(DomainName=DOMAIN, ValidationMethod="DNS")["CertificateArn"]
    # Without DNS records, for which the provider waits half a minute: examples/custom-domain has them.
    return {"base_image": base_image.reference, "certificate_arn": certificate, "domain": DOMAIN, "zone_id": None}


@pytest.fixture(scope="module")
def root(example: Deployable, emulator: Emulator, inputs: dict[str, Any]) -> Root:
    # Other names than in the upgrade of this example, which may run at the same time.
    orders = overrides.module_call(emulator.registry, f'  name = "shared-e2e-orders"\n{overrides.NO_ALARMS}', "orders")
    root = example("shared-domain", module='  name = "shared-e2e"\n', root=orders)
    root.apply(inputs)
    return root


@pytest.fixture
def client(root: Root, emulator: Emulator) -> Iterator[httpx2.Client]:
    with gateway(emulator, f"https://{DOMAIN}") as client:
        yield client


def test_outputs_are_the_urls_of_both_apis(root: Root) -> None:
    assert root.output("endpoint", str) == f"https://{DOMAIN}"
    assert root.output("orders_endpoint", str) == f"https://{DOMAIN}/orders"


@pytest.mark.parametrize("path", ["", "/orders"])
def test_both_apis_serve_with_right_links(client: httpx2.Client, path: str) -> None:
    response = client.get(f"{path}/hello/ada").raise_for_status()
    assert response.json()["message"] == "hello, ada"
    assert response.json()["url"].endswith(f"{DOMAIN}{path}/hello/ada")
    page = client.get(f"{path}/docs").raise_for_status().text
    assert f"url: '{path}/openapi.json'" in page
    assert "/hello/{name}" in client.get(f"{path}/openapi.json").raise_for_status().json()["paths"]


def test_second_plan_is_empty(root: Root) -> None:
    root.assert_idempotent()


def test_leaving_the_domain_leaves_the_other_api(root: Root, inputs: dict[str, Any], client: httpx2.Client) -> None:
    (root.path / "without_domain_override.tf").write_text('module "orders" {\n  api = {}\n}\n')
    plan = root.plan(inputs)
    root.apply_planned()

    deleted = {address for address, change in plan.resources.items() if change.actions == ("delete",)}
    assert deleted == {"module.orders.aws_apigatewayv2_api_mapping.this[0]"}
    assert client.get("/hello/ada").status_code == 200
    assert client.get("/orders/hello/ada").status_code == 404
