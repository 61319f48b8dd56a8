"""One image through two environments of one account, and a module that waits for something else: two examples, applied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness import Root
from sandbox.emulator import Emulator
from tests.e2e.conftest import Deployable, gateway

BUILT = "promotion-test"
PROMOTED = "promotion-live"
# Terraform defers the data sources of a module that depends on what is about to change.
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
    made = example("minimal", module=f'  name = "{BUILT}"\n{hello}')
    call = 'module "api" {\n'
    text = (made.path / "main.tf").read_text()
    assert call in text
    made.write("main.tf", text.replace(call, f"{call}  depends_on = [terraform_data.dependency]\n") + DEPENDENCY)
    made.write("promoted.tf", 'output "image_uri" {\n  value = module.api.image_uri\n}\n')
    made.apply()
    return made


@pytest.fixture(scope="module")
def promoted(example: Deployable, built: Root) -> Root:
    # Open, since this test sends requests without a signature; and with time for a slow machine.
    own = f'  name = "{PROMOTED}"\n  function = {{ timeout_seconds = 29 }}\n'
    made = example("promote-by-digest", module=own + '  auth = { public = { reason = "Asked by a test" } }\n')
    made.apply(image_uri=built.output("image_uri", str))
    return made


def test_a_dependency_that_changes_is_all_that_is_planned(built: Root) -> None:
    plan = built.plan(revision="2")

    read = {data["address"] for data in plan.raw["resource_changes"] if data["change"]["actions"] == ["read"]}
    assert "module.api.data.aws_region.this" in read, "nothing was deferred, so that nothing was tried"
    assert [line.partition(":")[0] for line in plan.described()] == ["terraform_data.dependency"]


def test_a_promoted_image_serves_under_another_name(promoted: Root, built: Root, emulator: Emulator) -> None:
    with gateway(emulator, promoted.output("endpoint", str)) as api:
        assert api.get("/").json() == {"message": "hello"}
    function = emulator.client("lambda").get_function(FunctionName=PROMOTED)
    assert function["Code"]["ImageUri"] == built.output("image_uri", str)


def test_the_repository_of_an_image_is_the_only_one(promoted: Root, aws: Callable[[str], Any]) -> None:
    names = {repository["repositoryName"] for repository in aws("ecr").describe_repositories()["repositories"]}

    assert BUILT in names
    assert PROMOTED not in names


def test_a_second_apply_of_either_changes_nothing(built: Root, promoted: Root) -> None:
    built.assert_idempotent()
    promoted.assert_idempotent()
