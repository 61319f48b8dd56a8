"""A test harness for Terraform modules: what Go has in terratest, for Python and pytest, over python-terraform.

    def test_the_bucket_is_private(terraform_root):
        root = terraform_root("modules/bucket")
        plan = root.plan(name="reports")
        assert plan.values["aws_s3_bucket_acl.this"]["acl"] == "private"
        assert plan.no_destroys

Three layers, each usable without the next:

- `Terraform`: python-terraform's class, mended for Terraform 1.9 and newer.
- `Root`: a root module under test, in a copy of its own; `plan`, `apply`, `destroy`, `outputs`, `dependencies`, `assert_idempotent`.
- `Plan`: what a plan would do, by resource address; `assert_contains` compares it with an inventory, `scenarios` reads those.

The pytest fixtures are in `pytest_plugin`. Nothing here knows the project that it tests: the folder can be copied into another.
"""

from python_terraform import IsFlagged

from .assertions import assert_contains, dropped_attributes
from .conditions import Condition, assert_every_condition_is_tested, conditions, states
from .errors import CommandTimeoutError, PlanError, ScenarioError, TerraformError
from .plan import Change, Plan
from .probes import Probe, probe, successful, wait_for_answer
from .retry import TRANSIENT_ERRORS, Retry
from .root import InitCache, Root, copy_project
from .scenarios import SECTIONS, Scenario, scenarios
from .terraform import Diagnostic, Result, Terraform

__all__ = [
    "SECTIONS",
    "TRANSIENT_ERRORS",
    "Change",
    "CommandTimeoutError",
    "Condition",
    "Diagnostic",
    "InitCache",
    "IsFlagged",
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
