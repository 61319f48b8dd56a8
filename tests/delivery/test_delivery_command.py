"""The command on a root with a real Terraform, and the emulator: what it prints, its exit codes, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from delivery.__main__ import main
from harness.terraform import default_binary
from sandbox.emulator import Emulator

NAME = "delivery-command"
REFUSED = 3


class Folder:
    """A root module that is applied, and the command in it."""

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self.path, self.environment = path, environment
        path.joinpath("main.tf").write_text(Path(__file__).with_name("root.tf").read_text())
        path.joinpath("terraform.tfvars").write_text(f'name = "{NAME}"\n')

    def terraform(self, *arguments: str) -> None:
        command = [default_binary(), *arguments, "-no-color"]
        subprocess.run(
            command, cwd=self.path, env={"PATH": "/usr/local/bin:/usr/bin:/bin", **self.environment}, check=True
        )

    def run(self, command: str, *arguments: str) -> int:
        journal = () if "--journal" in arguments else ("--journal", str(self.path / "journal.json"))
        watch = ("--minutes", "0", "--poll", "0.1", "--lock-timeout", "0s") if command.startswith("roll") else ()
        return main([command, "--root", str(self.path), *journal, *watch, *arguments])


@pytest.fixture(scope="module")
def root(
    tmp_path_factory: pytest.TempPathFactory, terraform_environment: Mapping[str, str], emulator: Emulator
) -> Iterator[Folder]:
    put_alarm(emulator)
    folder = Folder(tmp_path_factory.mktemp("delivery"), terraform_environment)
    folder.terraform("init")
    folder.terraform("apply", "-auto-approve")
    yield folder
    folder.terraform("destroy", "-auto-approve")


def put_alarm(emulator: Emulator) -> None:
    emulator.client("cloudwatch").put_metric_alarm(
        AlarmName=NAME,
        Namespace=NAME,
        MetricName="errors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )


@pytest.fixture(autouse=True)
def environment(terraform_environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in terraform_environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TERRAFORM", default_binary())
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def routing(emulator: Emulator) -> tuple[str, dict[str, float]]:
    alias = emulator.client("lambda").get_alias(FunctionName=NAME, Name="live")
    return alias["FunctionVersion"], alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})


def test_rollout_writes_lines_a_summary_and_a_journal(
    root: Folder,
    emulator: Emulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = tmp_path / "page.md"
    page.write_text("# The job\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    old = routing(emulator)[0]
    given = ("--var", "source_text=second", "--steps", "20", "100", "--summary", str(tmp_path / "summary.md"))
    assert root.run("rollout", *given) == 0
    lines = capsys.readouterr().err
    new = routing(emulator)[0]
    assert routing(emulator) == (str(int(old) + 1), {})
    for expected in (f"version {old} 80 %, version {new} 20 %", f"live: version {new} serves all requests"):
        assert expected in lines
    summary = (tmp_path / "summary.md").read_text()
    assert f"### Rollout of `{NAME}:live`: live" in summary
    assert f"| version {old}: 80 %, version {new}: 20 % |" in summary
    assert page.read_text() == f"# The job\n{summary}"
    journal = json.loads((root.path / "journal.json").read_text())
    assert (journal["schema"], journal["alias"], journal["current"]) == (1, f"{NAME}:live", None)
    assert journal["ended"][0]["steps"] == [20, 100]

    assert root.run("status") == 0
    printed = capsys.readouterr().out
    assert f"{NAME}:live serves version {new} 100 %" in printed
    assert f"last rollout: version {old} to {new}, live" in printed
    assert root.run("variables", "--format", "args") == 0
    assert capsys.readouterr().out == f"-var=release_version={new}\n-var=canary_percent=0\n"


def test_rollback_and_variables_keep_the_pin(
    root: Folder, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert root.run("rollback", "--to", "1", "--var", "source_text=second") == 0
    assert routing(emulator) == ("1", {})
    capsys.readouterr()
    assert root.run("variables") == 0
    assert capsys.readouterr().out == "TF_VAR_release_version=1\nTF_VAR_canary_percent=0\n"


def test_saved_plan_is_deployed_and_a_stale_one_is_refused(
    root: Folder, emulator: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pin = f"-var=release_version={routing(emulator)[0]}"
    before = routing(emulator)
    for plan in ("reviewed", "stale"):
        root.terraform("plan", f"-out={tmp_path / plan}", pin, "-var=source_text=third")
    given = ("--var", "source_text=third", "--steps", "100")
    assert root.run("rollout", "--plan", str(tmp_path / "reviewed"), *given) == 0
    after = routing(emulator)
    assert after != before
    capsys.readouterr()
    assert root.run("rollout", "--plan", str(tmp_path / "stale"), *given) == REFUSED
    assert "delivery variables" in capsys.readouterr().err
    root.run("rollback", "--to", before[0], "--var", "source_text=third")
    capsys.readouterr()
    assert root.run("rollout", "--plan", str(tmp_path / "stale"), *given) != 0
    assert "the saved plan is stale" in capsys.readouterr().err
    assert routing(emulator) == before


def locked(root: Folder, monkeypatch: pytest.MonkeyPatch, emulator: Emulator) -> Iterator[None]:
    command = [default_binary(), "apply", "-auto-approve", "-var=seconds=30", "-var=source_text=third"]
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", **root.environment}
    with subprocess.Popen(command, cwd=root.path, env=environment, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not root.path.joinpath(".terraform.tfstate.lock.info").exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield
        process.terminate()


def dirty(root: Folder, monkeypatch: pytest.MonkeyPatch, emulator: Emulator) -> Iterator[None]:
    subprocess.run(["git", "init", "--quiet"], cwd=root.path, check=True)
    yield
    subprocess.run(["rm", "-r", ".git"], cwd=root.path, check=True)


def no_credentials(root: Folder, monkeypatch: pytest.MonkeyPatch, emulator: Emulator) -> Iterator[None]:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    yield


def unreachable(root: Folder, monkeypatch: pytest.MonkeyPatch, emulator: Emulator) -> Iterator[None]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    yield


def expired(root: Folder, monkeypatch: pytest.MonkeyPatch, emulator: Emulator) -> Iterator[None]:
    message = "The security token included in the request is expired"
    with emulator.refusing("lambda.GetAlias", containing=NAME, code="ExpiredTokenException", message=message):
        yield


def alarm(root: Folder, monkeypatch: pytest.MonkeyPatch, emulator: Emulator) -> Iterator[None]:
    cloudwatch = emulator.client("cloudwatch")
    cloudwatch.set_alarm_state(AlarmName=NAME, StateValue="ALARM", StateReason="told by the test")
    yield
    cloudwatch.set_alarm_state(AlarmName=NAME, StateValue="OK", StateReason="told by the test")


Situation = Callable[[Folder, pytest.MonkeyPatch, Emulator], Iterator[None]]
REFUSALS: dict[str, tuple[Situation | None, tuple[str, ...], str]] = {
    "a locked state": (locked, ("--var", "source_text=other"), "the state is locked by another run ("),
    "a dirty checkout": (dirty, (), "the checkout has changes that no commit contains"),
    "no credentials": (no_credentials, (), "there are no AWS credentials"),
    "AWS out of reach": (unreachable, (), "AWS cannot be reached"),
    "an expired token": (expired, (), "ExpiredTokenException"),
    "an alarm in ALARM": (alarm, (), f"the alarm {NAME} is in ALARM already (told by the test)"),
    "an alarm that does not exist": (None, ("--alarm", "other"), "the alarm other does not exist"),
    "an undeclared variable": (
        None,
        ("--canary-variable", "share"),
        'Value for undeclared variable: A variable named "share"',
    ),
    "another output": (None, ("--alias-output", "alias"), "the root has no output alias"),
    "a variable file": (None, ("--var-file", "missing.tfvars"), "the variable file missing.tfvars does not exist"),
    "steps": (None, ("--steps", "50", "10"), "--steps 50 10 must ascend"),
    "no number": (None, ("--minutes", "soon"), "invalid float value: 'soon'"),
    "a request": (None, ("--request", "DELETE /users"), "is not METHOD /path"),
    "a journal": (None, ("--journal", "s3://bucket"), "is not s3://BUCKET/KEY"),
    "a bucket": (None, ("--journal", "s3://missing-bucket/key"), "cannot be locked"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_rollout_is_refused_with_one_sentence(
    root: Folder,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    refusal: str,
) -> None:
    situation, arguments, message = REFUSALS[refusal]
    before = routing(emulator)
    arranged = situation(root, monkeypatch, emulator) if situation else iter([None])
    next(arranged)
    try:
        code: Any = root.run("rollout", *arguments)
    except SystemExit as exit_:
        code = exit_.code
    finally:
        next(arranged, None)
    printed = capsys.readouterr().err
    assert (code, message in printed) == (REFUSED, True), printed
    assert "Traceback" not in printed
    assert routing(emulator) == before


def test_root_that_is_not_applied_or_not_initialised_is_refused(
    tmp_path: Path, terraform_environment: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rollout", "--root", str(tmp_path / "missing")]) == REFUSED
    assert "is not a folder" in capsys.readouterr().err
    assert main(["rollout", "--root", str(tmp_path)]) == REFUSED
    assert "has no Terraform files" in capsys.readouterr().err
    folder = Folder(tmp_path, terraform_environment)
    assert folder.run("rollout") == REFUSED
    assert "nothing is deployed from" in capsys.readouterr().err
    assert folder.run("variables") == 0
    assert capsys.readouterr().out == ""
    tmp_path.joinpath("journal.json").write_text("{}")
    assert folder.run("rollout") == REFUSED
    assert "is empty, but the journal" in capsys.readouterr().err
    tmp_path.joinpath("journal.json").unlink()
    tmp_path.joinpath("backend.tf").write_text('terraform {\n  backend "s3" {}\n}\n')
    assert folder.run("rollout") == REFUSED
    assert "is not initialised: run `terraform init` there first" in capsys.readouterr().err
