"""A pytest harness for Terraform modules, built on python-terraform: what terratest is for Go.

    def test_bucket_is_private(terraform_root):
        plan = terraform_root("modules/bucket").plan(name="reports")
        assert plan.values["aws_s3_bucket_acl.this"]["acl"] == "private"
        assert plan.no_destroys

Three layers, each usable without the next one:

- `Terraform`: python-terraform's class, fixed for Terraform and OpenTofu 1.9 and newer.
- `Root`: a root module under test, in its own copy with local state, whatever backend it declares; `plan`, `apply`,
  `destroy`, `output`, `dependencies`, `assert_idempotent`.
- The fixtures of `pytest_plugin`: `terraform_root`, `apply` and those that they use.

`scenarios` and `assert_contains` compare a `Plan` with an inventory, `conditions` lists the conditions in HCL that need a
test, and `probe` and `wait_for_answer` send HTTP requests. The tutorial is docs/harness.md. The package imports nothing of
the project that it tests, and can be installed or copied.
"""

from python_terraform import IsFlagged

from .assertions import assert_contains, dropped_attributes
from .conditions import Condition, assert_every_condition_is_tested, conditions, states
from .errors import BinaryError, CommandTimeoutError, IsolationError, PlanError, ScenarioError, TerraformError
from .plan import Change, Plan
from .probes import Probe, probe, successful, wait_for_answer
from .retry import TRANSIENT_ERRORS, Retry
from .root import InitCache, Root, copy_project
from .scenarios import SECTIONS, Scenario, scenarios
from .terraform import Diagnostic, Result, Terraform

__all__ = [
    "SECTIONS",
    "TRANSIENT_ERRORS",
    "BinaryError",
    "Change",
    "CommandTimeoutError",
    "Condition",
    "Diagnostic",
    "InitCache",
    "IsFlagged",
    "IsolationError",
    "Plan",
    "PlanError",
    "Probe",
    "Result",
    "Retry",
    "Root",
    "Scenario",
    "ScenarioError",
    "Terraform",
    "TerraformError",
    "assert_contains",
    "assert_every_condition_is_tested",
    "conditions",
    "copy_project",
    "dropped_attributes",
    "probe",
    "scenarios",
    "states",
    "successful",
    "wait_for_answer",
]
