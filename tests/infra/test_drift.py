"""Drift with a real provider: a plan has no changes where the configuration ignores them."""

from __future__ import annotations

import pytest

from harness import Root
from harness.pytest_plugin import Apply
from sandbox.emulator import Emulator
from sandbox.overrides import AWS_PROVIDER

IGNORED = "ignore_changes = [retention_in_days]"
GROUP = """
resource "aws_cloudwatch_log_group" "this" {
  name              = "drift"
  retention_in_days = 7

  lifecycle {
    ignore_changes = [retention_in_days]
  }
}
"""


@pytest.fixture(scope="module")
def drifted(module_apply: Apply, emulator: Emulator) -> Root:
    """A log group whose retention was changed outside Terraform."""
    root = module_apply(".", files={"main.tf": AWS_PROVIDER + GROUP})
    logs = emulator.client("logs")
    logs.put_retention_policy(logGroupName="drift", retentionInDays=14)
    return root


def test_ignored_drift_is_not_a_change(drifted: Root) -> None:
    plan = drifted.plan()

    (drift,) = plan.raw["resource_drift"]
    assert drift["change"]["before"]["retention_in_days"] == 7
    assert not plan.changed
    assert plan.described() == []
    drifted.assert_idempotent()


def test_drift_that_the_next_apply_reverts_is_a_change(drifted: Root) -> None:
    drifted.write("main.tf", AWS_PROVIDER + GROUP.replace(IGNORED, ""))

    with pytest.raises(AssertionError, match=r"aws_cloudwatch_log_group\.this: update: retention_in_days"):
        drifted.assert_idempotent()
    drifted.write("main.tf", AWS_PROVIDER + GROUP)
