"""examples/promote-by-digest, applied: one image in two environments of an account. And a module with `depends_on`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness import Root
from sandbox.emulator import Emulator
from tests.e2e.conftest import Deployable, gateway

BUILT = "promotion-test"
PROMOTED = "promotion-live"
# Terraform defers the data sources of a module if a dependency has changes.
DEPENDENCY = """
variable "revision" {
  default = "1"
}

resource "terraform_data" "dependency" {
  input = var.revision
}
"""


@pytest.fixture(scope="module")
def built(example: Deployable, hello: str) -> Root:
    root = example("minimal", module=f'  name = "{BUILT}"\n{hello}')
    call = 'module "api" {\n'
    text = (root.path / "main.tf").read_text()
    assert call in text
    root.write("main.tf", text.replace(call, f"{call}  depends_on = [terraform_data.dependency]\n") + DEPENDENCY)
    root.write("promoted.tf", 'output "image_uri" {\n  value = module.api.image_uri\n}\n')
    root.apply()
    return root


@pytest.fixture(scope="module")
def promoted(example: Deployable, built: Root) -> Root:
    # Public, because this test does not sign its requests; with a timeout for slow machines.
    module = f'  name = "{PROMOTED}"\n  function = {{ timeout_seconds = 29 }}\n'
    root = example("promote-by-digest", module=module + '  auth = { public = { reason = "Used by a test" } }\n')
    root.apply(image_uri=built.output("image_uri", str))
    return root


def test_plan_contains_only_the_changed_dependency(built: Root) -> None:
    plan = built.plan(revision="2")

    read = {data["address"] for data in plan.raw["resource_changes"] if data["change"]["actions"] == ["read"]}
    assert "module.api.data.aws_region.this" in read, "no data source was deferred, so this test checks nothing"
    assert [line.partition(":")[0] for line in plan.described()] == ["terraform_data.dependency"]


def test_promoted_image_serves_under_another_name(promoted: Root, built: Root, emulator: Emulator) -> None:
    with gateway(emulator, promoted.output("endpoint", str)) as api:
        assert api.get("/").json() == {"message": "hello"}
    function = emulator.client("lambda").get_function(FunctionName=PROMOTED)
    assert function["Code"]["ImageUri"] == built.output("image_uri", str)


def test_promotion_creates_no_repository(promoted: Root, aws: Callable[[str], Any]) -> None:
    names = {repository["repositoryName"] for repository in aws("ecr").describe_repositories()["repositories"]}

    assert BUILT in names
    assert PROMOTED not in names


def test_second_apply_of_either_changes_nothing(built: Root, promoted: Root) -> None:
    built.assert_idempotent()
    promoted.assert_idempotent()
