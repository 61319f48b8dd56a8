"""Conditions read from HCL, and the check that each of them is tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import Condition, assert_every_condition_is_tested, conditions, states

VARIABLES = r"""
variable "size" {
  type = number

  validation {
    condition     = var.size > 0
    error_message = "size (${try(var.size, "{}")}) must be above 0, \"none\" is not."
  }

  validation {
    condition     = var.size < 10
    error_message = <<-EOT
      size must be below 10:
      there is no room for ${var.size}.
    EOT
  }
}

variable "name" {}
"""
MAIN = """
data "terraform_remote_state" "other" {
  backend = "local"

  lifecycle {
    postcondition {
      condition     = self.outputs != null
      error_message = "other has no outputs."
    }
  }
}

resource "terraform_data" "this" {
  lifecycle {
    precondition {
      condition     = var.size != 5
      error_message = "five is refused."
    }

    postcondition {
      condition     = self.id != ""
      error_message = "this has no id."
    }
  }
}

output "id" {
  value = terraform_data.this.id

  precondition {
    condition     = terraform_data.this.id != ""
    error_message = "id must be there."
  }
}

check "health" {
  assert {
    condition     = terraform_data.this.id != ""
    error_message = "it is not well."
  }
}
"""
FOUND = [
    Condition("postcondition", "data.terraform_remote_state.other", "other has no outputs."),
    Condition("precondition", "terraform_data.this", "five is refused."),
    Condition("postcondition", "terraform_data.this", "this has no id."),
    Condition("precondition", "output.id", "id must be there."),
    Condition("assert", "check.health", "it is not well."),
    Condition("validation", "var.size", 'size (…) must be above 0, "none" is not.'),
    Condition("validation", "var.size", "size must be below 10: there is no room for …."),
]
TESTED = ["other has", "five is", "this has", "id must", "it is not", "size (…) must", "size must be below"]


def test_finds_every_kind_of_condition(tmp_path: Path) -> None:
    (tmp_path / "variables.tf").write_text(VARIABLES)
    (tmp_path / "main.tf").write_text(MAIN)

    assert sorted(conditions(tmp_path), key=str) == sorted(FOUND, key=str)


def test_folder_without_tf_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no \.tf file"):
        conditions(tmp_path)


def test_passes_when_every_condition_is_tested() -> None:
    assert_every_condition_is_tested(FOUND, TESTED)


@pytest.mark.parametrize(
    ("tested", "problem"),
    [
        (TESTED[1:], "no test covers the postcondition of data.terraform_remote_state.other: other has no outputs"),
        ([*TESTED, "other has no"], "all match the postcondition of data"),
        ([*TESTED, "size must be abvoe"], "'size must be abvoe' matches no condition's message"),
        ([*TESTED[:-2], "size"], "'size' matches more than one message"),
        ([], "no test covers"),
    ],
)
def test_untested_conditions_and_unmatched_tests_are_named(tested: list[str], problem: str) -> None:
    with pytest.raises(AssertionError, match=problem):
        assert_every_condition_is_tested(FOUND, tested)


@pytest.mark.parametrize(
    ("message", "text", "expected"),
    [
        ("size must", "size must be below 10", True),
        ("size (…) must", "size (0) must be\n  above 0", True),
        ("size (…) may", "size (0) must be above 0", False),
        ("must", "size must be below 10", False),
        ("a.b", "axb", False),
    ],
)
def test_states_matches_a_prefix_with_placeholders(message: str, text: str, expected: bool) -> None:
    assert states(message, text) is expected
