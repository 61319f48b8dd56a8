"""The command: a log in, a proposal out that the module's plan accepts, or one sentence that says why there is none."""

from __future__ import annotations

import importlib.util
import io
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness import Root
from sandbox.emulator import REGION, Emulator
from sandbox.paths import ROOT
from tests.infra.conftest import REQUIRED, module
from tests.tuning.traffic import BEGIN, Function, line
from tuning import __main__ as command

__all__ = ["module"]

HOUR = 3600
FUNCTION = "aws_lambda_function.this"
PROVISIONED = "aws_lambda_provisioned_concurrency_config.live[0]"


def write(path: Path, function: Function) -> str:
    """Write an hour at 512 MB and an hour at 1024 MB, between other lines."""
    lines = [*function.log(512, HOUR, 1), *function.log(1024, HOUR, 2, BEGIN + HOUR)]
    path.write_text("\n".join(["START RequestId: 8f507cfc", *lines, '{"level": "INFO", "message": "done"}']))
    return str(path)


@pytest.fixture
def log(tmp_path: Path) -> str:
    return write(tmp_path / "orders.log", Function())


def test_proposal_is_printed_with_its_basis(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([log]) == 0
    printed = capsys.readouterr().out
    proposed = [row for row in printed.splitlines() if row.endswith("<- proposed")]
    assert len(proposed) == 1
    assert f"memory_mb            = {proposed[0].split()[0]}\n" in printed
    assert "1024" in next(row for row in printed.splitlines() if row.endswith("<- now"))
    assert "prices: us-east-1" in printed
    assert "memory: 140 MB used at most, so 192 MB or more" in printed


def test_documentation_shows_what_the_command_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    half = 6 * HOUR
    log = tmp_path / "log"
    log.write_text("\n".join([*Function().log(512, half, 1), *Function().log(1024, half, 2, BEGIN + half)]))
    assert command.main([str(log)]) == 0
    printed = capsys.readouterr().out.splitlines()
    excerpt = (ROOT / "docs/tuning.md").read_text().split("```")[3].strip("\n").splitlines()
    assert len(excerpt) > 8
    assert [row for row in excerpt if row not in printed] == []


def test_standard_input_is_read_as_a_file(
    log: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command.main([log])
    from_file = capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO(Path(log).read_text()))
    assert command.main(["-"]) == 0
    assert capsys.readouterr().out == from_file


@pytest.mark.parametrize(
    ("function", "options", "expected"),
    [
        pytest.param(Function(), [], {"memory_size": 576, "architectures": ["x86_64"]}, id="few cold starts"),
        pytest.param(
            Function(cold_share=0.05, per_second=20),
            ["--architecture", "arm64"],
            {"architectures": ["arm64"]},
            id="many",
        ),
    ],
)
def test_module_plans_the_proposed_tfvars(
    function: Function, options: list[str], expected: Mapping[str, Any], module: Root, tmp_path: Path
) -> None:
    inputs = tmp_path / "proposed.tfvars"
    assert command.main([write(tmp_path / "log", function), "--tfvars", str(inputs), *options]) == 0
    plan = module.plan(REQUIRED, var_file=inputs)

    planned = plan.resources[FUNCTION].after
    assert {name: planned[name] for name in expected} == expected
    assert f"reserved_concurrency = {planned['reserved_concurrent_executions']}\n" in inputs.read_text()
    if "provisioned_concurrency = null" in inputs.read_text():
        assert PROVISIONED not in plan.resources
    else:
        number = plan.resources[PROVISIONED].after["provisioned_concurrent_executions"]
        assert f"provisioned_concurrency = {{ min = {number}" in inputs.read_text()
    assert ("provisioned" in "".join(plan.resources)) == (function.cold_share > 0.01)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "no log: name a file"),
        (["missing.log"], "cannot read missing.log"),
        (["{log}", "--mean-ms", "0"], "--mean-ms must be above 0"),
        (["{log}", "--hours", "-1"], "--hours must be above 0"),
        (["{log}", "--cold-percent", "101"], "--cold-percent must be from 0 to 100"),
        (["{binary}"], "cannot read"),
        (["{empty}"], "no REPORT lines"),
        (["{short}"], "too few requests"),
    ],
)
def test_refusal_is_one_sentence_and_exit_code_1(
    arguments: list[str], reason: str, log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"log": Path(log), "binary": tmp_path / "binary", "empty": tmp_path / "empty", "short": tmp_path / "short"}
    files["binary"].write_bytes(b"\x89PNG\r\n")
    files["empty"].write_text("START RequestId: 8f507cfc\n")
    files["short"].write_text(line(512, 10, 90, BEGIN))
    assert command.main([argument.format(**files) for argument in arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {reason}")
    assert captured.err.count("\n") == 1


def test_plot_without_matplotlib_is_refused_before_reading(
    log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert command.main([log, "--plot", str(tmp_path / "plot.png")]) == 1
    assert capsys.readouterr().err == (
        "error: --plot needs matplotlib: pip install -r requirements/docs.txt, or leave it out.\n"
    )


def test_plot_is_a_picture(log: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="only requirements/docs.txt has it")
    picture = tmp_path / "plot.png"
    assert command.main([log, "--plot", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def logged(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A function's name, with twenty minutes of reports in the emulator's CloudWatch Logs, and AWS's settings for them."""
    name, logs = f"tuned-{uuid.uuid4().hex}", emulator.client("logs")
    group = f"/aws/lambda/{name}"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="1")
    begin = time.time() - 2 * HOUR
    lines = list(Function(per_second=1).log(512, 1200, 1, begin))
    for first in range(0, len(lines), 500):
        now = int((begin + first) * 1000)
        events = [{"timestamp": now, "message": message} for message in lines[first : first + 500]]
        logs.put_log_events(logGroupName=group, logStreamName="1", logEvents=events)
    for variable, value in emulator.environment().items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    yield name
    logs.delete_log_group(logGroupName=group)


def test_cloudwatch_logs_are_read(logged: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--function", logged]) == 0
    printed = capsys.readouterr().out
    assert "512 MB only" in printed
    assert "at most" in printed


def test_hours_limit_what_is_read(logged: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--function", logged, "--hours", "1"]) == 1
    assert capsys.readouterr().err.startswith("error: no REPORT lines")


def test_function_without_a_log_group_is_refused(logged: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--function", "no-such-function"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: cannot read /aws/lambda/no-such-function: ")
    assert "ResourceNotFoundException" in error
