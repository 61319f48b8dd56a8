"""Which failed commands are retried."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness import TRANSIENT_ERRORS, CommandTimeoutError, Retry, Root, TerraformError

NO_PAUSE = Retry(pause_seconds=0)


def failing(times: int, error: str, when: str = "create") -> str:
    """Return a root that counts its attempts in the file `attempts`, and fails the first `times` with `error`."""
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


def test_transient_apply_error_is_retried_with_a_new_plan(root_with: Callable[[str], Root]) -> None:
    root = root_with(failing(1, "read tcp 10.0.0.1:443: connection reset by peer"))
    lines: list[str] = []
    root.terraform.progress = lines.append

    root.apply()

    assert attempts(root) == 2
    assert len(lines) == 1
    assert lines[0].startswith("retry (transient network error), attempt 2 of 3: terraform apply failed")
    root.assert_idempotent()


def test_other_apply_error_is_not_retried(root_with: Callable[[str], Root]) -> None:
    root = root_with(failing(1, "AccessDenied: not authorized"))

    with pytest.raises(TerraformError, match="AccessDenied"):
        root.apply()

    assert attempts(root) == 1


def test_apply_that_keeps_failing_raises_the_last_error(root_with: Callable[[str], Root]) -> None:
    root = root_with(failing(9, "ThrottlingException: Rate exceeded"))

    with pytest.raises(TerraformError, match="Rate exceeded"):
        root.apply()

    assert attempts(root) == 3


def test_destroy_is_retried_after_any_error(root_with: Callable[[str], Root]) -> None:
    root = root_with(failing(1, "DependencyViolation: has a dependent object", when="destroy"))
    root.apply()

    root.destroy()

    assert attempts(root) == 2
    assert root.terraform.cmd("state list").out == ""


def test_destroy_that_keeps_failing_reports_its_state(root_with: Callable[[str], Root]) -> None:
    root = root_with(failing(9, "DependencyViolation", when="destroy"))
    root.apply()

    with pytest.raises(TerraformError, match="DependencyViolation") as failure:
        root.destroy()

    assert attempts(root) == 3
    assert failure.value.__notes__ == [f"The remaining resources are in the state in {root.path}"]
    assert "terraform_data.fails" in root.terraform.cmd("state list").out


def test_custom_patterns(root_with: Callable[[str], Root]) -> None:
    root = root_with(failing(1, "OperationAborted: a conflicting operation"))
    root.retry = Retry({**TRANSIENT_ERRORS, "operationaborted": "S3 names are released late"}, pause_seconds=0)

    root.apply()

    assert attempts(root) == 2


def test_init_is_retried(tmp_path: Path) -> None:
    root = Root(tmp_path, retry=Retry({"unreadable module directory": "it comes late"}, pause_seconds=0))
    root.write("main.tf", 'module "late" {\n  source = "./late"\n}\n')

    def create_module(line: str) -> None:
        root.write("late/main.tf", "")

    root.terraform.progress = create_module

    root.init()


def test_timeout_is_not_retried() -> None:
    calls: list[int] = []

    def hang() -> None:
        calls.append(1)
        raise CommandTimeoutError("destroy", 1, graceful=True, rest="connection reset by peer")

    with pytest.raises(CommandTimeoutError):
        NO_PAUSE.run(hang, whatever="anything")

    assert len(calls) == 1


def test_zero_attempts_is_an_error() -> None:
    with pytest.raises(ValueError, match="attempts is 0"):
        Retry(attempts=0)
