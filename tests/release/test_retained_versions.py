"""`python -m tools.versions` lists a function's versions, and deletes those that nothing needs, against the emulator's Lambda and ECR."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.emulator import Emulator
from tools import versions

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = b'{"architecture":"amd64","os":"linux"}'
MANIFEST = {
    "schemaVersion": 2,
    "mediaType": MANIFEST_TYPE,
    "config": {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "size": len(CONFIG),
        "digest": f"sha256:{hashlib.sha256(CONFIG).hexdigest()}",
    },
    "layers": [],
}


@pytest.fixture(autouse=True)
def environment(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def aws(emulator: Emulator) -> Any:
    return emulator.client("lambda")


@pytest.fixture
def ecr(emulator: Emulator) -> Any:
    return emulator.client("ecr")


@pytest.fixture
def publish(aws: Any, ecr: Any) -> Iterator[Callable[..., str]]:
    """Return a factory of functions with an image and so many published versions, by their names."""
    names = []

    def make(count: int, **settings: Any) -> str:
        name = f"versions-{uuid.uuid4().hex}"
        repository = ecr.create_repository(repositoryName=name)["repository"]["repositoryUri"]
        image = ecr.put_image(
            repositoryName=name,
            imageManifest=json.dumps(MANIFEST),
            imageManifestMediaType=MANIFEST_TYPE,
            imageTag="first",
        )["image"]["imageId"]["imageDigest"]
        aws.create_function(
            FunctionName=name,
            PackageType="Image",
            Code={"ImageUri": f"{repository}@{image}"},
            Role="arn:aws:iam::000000000000:role/none",
            **settings,
        )
        names.append(name)
        for number in range(1, count + 1):
            # Lambda publishes no version without a change.
            aws.update_function_configuration(FunctionName=name, Environment={"Variables": {"RELEASE": str(number)}})
            assert aws.publish_version(FunctionName=name, Description=f"release {number}")["Version"] == str(number)
        return name

    yield make
    for name in names:
        aws.delete_function(FunctionName=name)
        ecr.delete_repository(repositoryName=name, force=True)


def numbers(aws: Any, name: str) -> list[str]:
    pages = aws.get_paginator("list_versions_by_function").paginate(FunctionName=name)
    return [config["Version"] for page in pages for config in page["Versions"]]


def provision(aws: Any, name: str, version: str) -> None:
    aws.put_provisioned_concurrency_config(FunctionName=name, Qualifier=version, ProvisionedConcurrentExecutions=1)


def alias(aws: Any, name: str, version: str, canary: str | None = None, alias: str = "live") -> None:
    routing = {"RoutingConfig": {"AdditionalVersionWeights": {canary: 0.1}}} if canary else {}
    aws.create_alias(FunctionName=name, Name=alias, FunctionVersion=version, **routing)


def rows(output: str) -> dict[str, list[str]]:
    """Return the table's cells by the version."""
    lines = (re.split(r"  +", line) for line in output.splitlines())
    return {cells[0]: cells for cells in lines if cells[0].isdigit()}


@pytest.fixture
def in_use(publish: Callable[..., str], aws: Any) -> str:
    """A function with eight versions: 1 is provisioned, 2 serves, 3 is the canary, 4 has another alias."""
    name = publish(8)
    provision(aws, name, "1")
    alias(aws, name, "2", canary="3")
    alias(aws, name, "4", alias="before-the-migration")
    return name


def test_list_shows_what_uses_each_version(in_use: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert versions.main([in_use, "--keep", "2"]) == 0
    output = capsys.readouterr().out
    found = {number: (cells[6], cells[7]) for number, cells in rows(output).items()}
    assert found == {
        "1": ("provisioned concurrency (1)", "yes"),
        "2": ("live", "yes"),
        "3": ("live (canary, 10 %)", "yes"),
        "4": ("before-the-migration", "yes"),
        "5": ("-", "no"),
        "6": ("-", "no"),
        "7": ("-", "yes"),
        "8": ("-", "yes"),
    }
    assert rows(output)["5"][1:6] == ["0 h", "128 MB", "0.0 MB", "in ECR", "-"]
    assert rows(output)["5"][8] == "release 5"
    assert "Not needed: 5, 6;" in output


def test_nothing_is_written_without_delete(in_use: str, aws: Any, emulator: Emulator) -> None:
    before = numbers(aws, in_use)
    done = len(emulator.operations(containing=in_use))
    assert versions.main([in_use, "--keep", "1"]) == 0
    called = {operation.partition(".")[2] for operation in emulator.operations(containing=in_use)[done:]}
    assert {"ListVersionsByFunction", "ListAliases", "GetFunction", "DescribeImages"} <= called
    assert [operation for operation in called if not operation.startswith(("Describe", "Get", "List"))] == []
    assert numbers(aws, in_use) == before


def test_delete_removes_only_what_is_not_needed(in_use: str, aws: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert versions.main([in_use, "--keep", "2", "--delete"]) == 0
    assert numbers(aws, in_use) == ["$LATEST", "1", "2", "3", "4", "7", "8"]
    assert capsys.readouterr().out.splitlines()[-2:] == ["version 5 deleted", "version 6 deleted"]
    assert versions.main([in_use, "--keep", "2", "--delete"]) == 0
    assert "Every version is needed" in capsys.readouterr().out


def test_the_newest_ten_are_kept_by_default(publish: Callable[..., str], aws: Any) -> None:
    name = publish(12)
    assert versions.main([name, "--delete"]) == 0
    assert numbers(aws, name) == ["$LATEST", *map(str, range(3, 13))]


def test_function_and_newest_version_are_never_deleted(publish: Callable[..., str], aws: Any) -> None:
    name = publish(3)
    assert versions.main([name, "--keep", "1", "--delete"]) == 0
    assert numbers(aws, name) == ["$LATEST", "3"]


USES: dict[str, Callable[[Any, str], None]] = {
    "live": lambda aws, name: alias(aws, name, "1"),
    "live (canary, 10 %)": lambda aws, name: alias(aws, name, "3", canary="1"),
    "provisioned concurrency (1)": lambda aws, name: provision(aws, name, "1"),
}


@pytest.mark.parametrize("use", USES)
def test_version_that_is_used_since_it_was_listed_is_kept(
    publish: Callable[..., str], aws: Any, ecr: Any, use: str
) -> None:
    name = publish(3)
    candidates = versions.unneeded(versions.read(aws, ecr, name), keep=1)
    assert [version.number for version in candidates] == [1, 2]
    USES[use](aws, name)
    results = [(version.number, result) for version, result in versions.delete(aws, name, candidates)]
    assert results == [(1, f"kept: now used by {use}"), (2, "deleted")]
    assert numbers(aws, name) == ["$LATEST", "1", "3"]


def test_uses_are_read_again_before_each_version(publish: Callable[..., str], aws: Any, ecr: Any) -> None:
    name = publish(3)
    deleting = iter(versions.delete(aws, name, versions.unneeded(versions.read(aws, ecr, name), keep=1)))
    assert next(deleting)[1] == "deleted"
    alias(aws, name, "2")
    assert next(deleting)[1] == "kept: now used by live"
    assert numbers(aws, name) == ["$LATEST", "2", "3"]


def test_version_that_lambda_refuses_to_delete_is_kept(
    publish: Callable[..., str], aws: Any, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    name = publish(2)
    conflict = {"status": 409, "code": "ResourceConflictException", "message": "referenced by an alias"}
    with emulator.refusing("lambda.DeleteFunction", containing=name, **conflict):  # type: ignore[arg-type]
        assert versions.main([name, "--keep", "1", "--delete"]) == 0
    assert "version 1 kept: referenced by an alias" in capsys.readouterr().out
    assert numbers(aws, name) == ["$LATEST", "1", "2"]


def test_every_page_is_read(publish: Callable[..., str], aws: Any, ecr: Any) -> None:
    name = publish(55)
    for number in range(51):
        alias(aws, name, "55", alias=f"alias-{number:02}")
    alias(aws, name, "2", alias="the-last")
    listed = versions.read(aws, ecr, name)
    assert [version.number for version in listed] == list(range(55, 0, -1))
    assert [version.number for version in versions.unneeded(listed, keep=50)] == [1, 3, 4, 5]


def test_snapshots_cost_by_memory(publish: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    name = publish(3, SnapStart={"ApplyOn": "PublishedVersions"}, MemorySize=1024)
    assert versions.main([name, "--keep", "1"]) == 0
    output = capsys.readouterr().out
    # 1 GB for 730 hours at $0.0000015046
    assert {cells[5] for cells in rows(output).values()} == {"$3.95 a month"}
    assert "3 with a snapshot: $11.86 a month" in output
    assert "price of us-east-1, none is recorded for eu-central-1" in output
    assert "Not needed: 1, 2; $7.91 a month." in output


def test_versions_without_snapshots_cost_nothing(
    publish: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert versions.main([publish(1)]) == 0
    assert "1 versions, none with a snapshot: they cost nothing." in capsys.readouterr().out


def test_deleted_image_is_shown(
    publish: Callable[..., str], aws: Any, ecr: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    name = publish(2)
    alias(aws, name, "1")
    ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "first"}])
    assert versions.main([name]) == 0
    output = capsys.readouterr().out
    assert rows(output)["2"][3:5] == ["-", "deleted"]
    assert re.findall(r"Warning: version (\d+) is used, but its image is deleted", output) == ["1"]


def test_image_is_unknown_without_permission(
    publish: Callable[..., str], emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    name = publish(1)
    with emulator.refusing("ecr.DescribeImages", containing=name, status=400):
        assert versions.main([name]) == 0
    assert rows(capsys.readouterr().out)["1"][4] == "unknown"


def test_function_without_versions(publish: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert versions.main([publish(0)]) == 0
    assert "has no published versions" in capsys.readouterr().out


def test_unknown_function_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert versions.main(["no-such-function"]) == 1
    assert "error: there is no function no-such-function in eu-central-1" in capsys.readouterr().err


@pytest.mark.parametrize("operation", ["ListVersionsByFunction", "ListAliases", "GetFunction", "DeleteFunction"])
def test_missing_permission_is_an_error_that_names_it(
    publish: Callable[..., str], aws: Any, emulator: Emulator, capsys: pytest.CaptureFixture[str], operation: str
) -> None:
    name = publish(2)
    with emulator.refusing(f"lambda.{operation}", containing=name):
        assert versions.main([name, "--keep", "1", "--delete"]) == 1
    assert f"error: {operation}: AccessDeniedException: refused by the test" in capsys.readouterr().err
    assert numbers(aws, name) == ["$LATEST", "1", "2"]


@pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION"])
def test_missing_configuration_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str
) -> None:
    monkeypatch.delenv(variable)
    monkeypatch.delenv("AWS_REGION" if "REGION" in variable else "AWS_SECRET_ACCESS_KEY")
    assert versions.main(["people"]) == 1
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize(
    "words", [[], ["people:7"], ["people", "--keep", "0"], ["people", "--keep", "-1"], ["people", "--keep", "ten"]]
)
def test_wrong_argument_is_a_usage_error(words: list[str]) -> None:
    with pytest.raises(SystemExit) as error:
        versions.main(words)
    assert error.value.code == 2


def test_command_is_one_file_that_needs_only_boto3() -> None:
    source = ast.parse(Path(versions.__file__).read_text())
    imported = {node.module or "" for node in ast.walk(source) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(source) if isinstance(node, ast.Import) for alias in node.names}
    packages = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names
    assert packages == {
        "boto3",
        "botocore",
        "mypy_boto3_ecr",
        "mypy_boto3_lambda",
    }  # the last two are for type checkers
