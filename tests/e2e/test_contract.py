"""The main example behind API Gateway, with auth on: it keeps to its OpenAPI document, whatever schemathesis sends."""

from __future__ import annotations

from collections.abc import Callable

from sandbox import overrides
from sandbox.base_image import BaseImage
from sandbox.emulator import Emulator
from sandbox.issuer import Issuer
from tests.contract import check
from tests.e2e.conftest import Deployable, gateway

# Of each operation and phase: through the gateway and a container a case takes its time.
EXAMPLES = 5


def test_every_answer_through_the_gateway_is_documented_and_none_is_a_server_error(
    example: Deployable, base_image: BaseImage, issuer: Issuer, emulator: Emulator, note: Callable[[str], None]
) -> None:
    root = example("complete", root=overrides.UNPROTECTED)
    variables = {"name": "people-contract", "base_image": base_image.reference}
    outputs = root.apply(variables | {"jwt_issuer": issuer.url, "jwt_audience": issuer.audience})
    with gateway(emulator, outputs["endpoint"]) as api:
        assert api.get("/users").status_code == 401
        host = api.headers["host"]
        summary = check(emulator.url, issuer.token(), {"host": host}, EXAMPLES)
    note(f"schemathesis through API Gateway: {summary}")
