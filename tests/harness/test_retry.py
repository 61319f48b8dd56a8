"""Commands that fail: those that are tried again, and those that are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness import TRANSIENT_ERRORS, CommandTimeoutError, Retry, Root, TerraformError

NO_PAUSE = Retry(pause_seconds=0)


def failing(times: int, error: str, when: str = "create") -> str:
    """A root that counts its attempts in the file `attempts` and says `error` in the first of them."""
    return f"""
resource "terraform_data" "made" {{}}
resource "terraform_data" "fails" {{
  depends_on = [terraform_data.made]
  provisioner "local-exec" {{
    when    = {when}
    command = "echo x >> attempts; test $(wc -l < attempts) -gt {times} || {{ echo '{error}' >&2; exit 1; }}"
  }}
}}
"""


def attempts(root: Root) -> int:
    return (root.path / "attempts").read_text().count("x")


@pytest.fixture
def root_with(root_of: Callable[[str], Root]) -> Callable[[str], Root]:
    def make(hcl: str) -> Root:
        root = root_of(hcl)
        root.retry = NO_PAUSE
        return root

    return make


def test_an_apply_that_fails_for_a_moment_is_tried_again_from_a_fresh_plan(root_with: Callable[[str], Root]) -> None:
    root = root_with(failing(1, "read tcp 10.0.0.1:443: connection reset by peer"))
    told: list[str] = []
    root.terraform.progress = told.append

    root.apply()

    assert attempts(root) == 2
    assert len(told) == 1
    assert told[0].startswith("attempt 2 of 3, since the network failed for a moment: terraform apply failed")
    root.assert_idempotent()


def test_an_apply_that_fails_for_a_reason_of_its_own_is_not(root_with: Callable[[str], Root]) -> None:
    root = root_with(failing(1, "AccessDenied: not authorized"))

    with pytest.raises(TerraformError, match="AccessDenied"):
        root.apply()

    assert attempts(root) == 1


def test_an_apply_that_goes_on_failing_fails_with_the_last_reason(root_with: Callable[[str], Root]) -> None:
    root = root_with(failing(9, "ThrottlingException: Rate exceeded"))

    with pytest.raises(TerraformError, match="Rate exceeded"):
        root.apply()

    assert attempts(root) == 3


def test_a_destroy_that_fails_once_is_tried_again_whatever_the_reason(root_with: Callable[[str], Root]) -> None:
    root = root_with(failing(1, "DependencyViolation: has a dependent object", when="destroy"))
    root.apply()

    root.destroy()

    assert attempts(root) == 2
    assert root.terraform.cmd("state list").out == ""


def test_a_destroy_that_goes_on_failing_tells_where_its_state_is(root_with: Callable[[str], Root]) -> None:
    root = root_with(failing(9, "DependencyViolation", when="destroy"))
    root.apply()

    with pytest.raises(TerraformError, match="DependencyViolation") as failure:
        root.destroy()

    assert attempts(root) == 3
    assert failure.value.__notes__ == [f"What is left is in the state in {root.path}"]
    assert "terraform_data.fails" in root.terraform.cmd("state list").out


def test_patterns_of_ones_own(root_with: Callable[[str], Root]) -> None:
    root = root_with(failing(1, "OperationAborted: a conflicting operation"))
    root.retry = Retry({**TRANSIENT_ERRORS, "operationaborted": "S3 names are released late"}, pause_seconds=0)

    root.apply()

    assert attempts(root) == 2


def test_an_init_is_tried_again_and_its_words_are_matched(tmp_path: Path) -> None:
    root = Root(tmp_path, retry=Retry({"unreadable module directory": "it comes late"}, pause_seconds=0))
    root.write("main.tf", 'module "late" {\n  source = "./late"\n}\n')

    def comes(line: str) -> None:
        root.write("late/main.tf", "")

    root.terraform.progress = comes

    root.init()


def test_a_command_that_was_interrupted_is_not_tried_again() -> None:
    calls: list[int] = []

    def hang() -> None:
        calls.append(1)
        raise CommandTimeoutError("destroy", 1, graceful=True, rest="connection reset by peer")

    with pytest.raises(CommandTimeoutError):
        NO_PAUSE.run(hang, whatever="anything")

    assert len(calls) == 1


def test_a_command_that_would_never_run_is_refused() -> None:
    with pytest.raises(ValueError, match="attempts is 0"):
        Retry(attempts=0)
