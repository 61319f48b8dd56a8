"""What the image leaves out or puts off at start changes nothing that the service can see."""

from __future__ import annotations

import collections
import dataclasses
import gzip
import inspect
import json
import marshal
import os
import re
import shutil
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import boto3
import botocore
import pytest
from boto3.compat import TRANSFER_CONFIG_SUPPORTS_CRT

from sandbox.emulator import REGION, Emulator
from sandbox.paths import ROOT
from service.aws_lambda.cold_start.precompiled import FILE, WRITERS, forget, recall
from service.aws_lambda.cold_start.startup import finish
from service.aws_lambda.cold_start.trim_botocore import trim

finish()  # the import has put off this process's garbage collection
USE = """
import boto3, json
from boto3.dynamodb.conditions import Key
from botocore.exceptions import UnknownServiceError

resource = boto3.resource("dynamodb")
client = resource.meta.client
table = resource.create_table(
    TableName="trimmed-" + NAME,
    BillingMode="PAY_PER_REQUEST",
    KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
)
table.wait_until_exists()
for number in range(3):
    table.put_item(Item={"pk": "a", "sk": str(number), "number": number})
found = {"get": int(table.get_item(Key={"pk": "a", "sk": "1"})["Item"]["number"])}
found["query"] = table.query(KeyConditionExpression=Key("pk").eq("a"))["Count"]
pages = client.get_paginator("query").paginate(
    TableName=table.name, KeyConditionExpression=Key("pk").eq("a"), PaginationConfig={"PageSize": 1}
)
found["paginator"] = sum(page["Count"] for page in pages)
try:
    table.put_item(Item={"pk": "a", "sk": "1"}, ConditionExpression="attribute_not_exists(pk)")
except client.exceptions.ConditionalCheckFailedException as error:
    found["error"] = error.response["Error"]["Code"]
absent = {"TableName": table.name, "Key": {"pk": "a", "sk": "9"}, "ConditionExpression": "attribute_exists(pk)"}
try:
    client.transact_write_items(
        TransactItems=[{"ConditionCheck": absent}]
    )
except client.exceptions.TransactionCanceledException as error:
    found["transaction"] = [reason["Code"] for reason in error.response["CancellationReasons"]]
client.get_waiter("table_exists").wait(TableName=table.name)
table.delete()
found["retries"] = client.meta.config.retries["mode"] if client.meta.config.retries else None
found["regions"] = sorted(boto3.Session().get_available_regions("dynamodb"))
found["endpoint"] = boto3.client("dynamodb", region_name="eu-west-1", endpoint_url=None).meta.region_name
try:
    boto3.client("s3")
    found["s3"] = "there"
except UnknownServiceError:
    found["s3"] = "left out"
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def trimmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with botocore and boto3 as the image has them."""
    folder = tmp_path_factory.mktemp("packages")
    for package in (boto3, botocore):
        source = Path(str(package.__file__)).parent
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    trim(folder, {"dynamodb"})
    return folder


@pytest.fixture(scope="module")
def use(emulator: Emulator) -> Callable[[str, Path | None], dict[str, object]]:
    """Use DynamoDB in a process of its own, with the packages of a folder before the installed ones."""

    def run(name: str, packages: Path | None) -> dict[str, object]:
        environment = os.environ | emulator.environment() | {"PYTHONPATH": str(packages or "")}
        script = f"NAME = {name!r}\n{USE}"
        result = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        found: dict[str, object] = json.loads(result.stdout)
        return found

    return run


def test_dynamodb_is_all_there_without_the_other_services(
    trimmed: Path, use: Callable[[str, Path | None], dict[str, object]]
) -> None:
    whole, less = use("whole", None), use("less", trimmed)
    assert whole.pop("s3") == "there"
    assert less.pop("s3") == "left out"
    assert less == whole
    assert less["error"] == "ConditionalCheckFailedException"


def test_a_service_that_botocore_does_not_know_is_named(tmp_path: Path) -> None:
    (tmp_path / "botocore/data/dynamodb").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="no service dynamo"):
        trim(tmp_path, {"dynamo"})


def test_trimming_changes_no_file_that_an_installer_has_linked_to_its_cache(tmp_path: Path) -> None:
    data = tmp_path / "packages" / "botocore" / "data"
    (data / "dynamodb").mkdir(parents=True)
    (tmp_path / "packages" / "boto3" / "data").mkdir(parents=True)
    (tmp_path / "cached.json").write_text('{"partitions": [{"services": {"dynamodb": {}, "s3": {}}}]}')
    (data / "endpoints.json").hardlink_to(tmp_path / "cached.json")
    trim(tmp_path / "packages", {"dynamodb"})
    assert "s3" not in (data / "endpoints.json").read_text()
    assert "s3" in (tmp_path / "cached.json").read_text()


def started(script: str, variables: Mapping[str, str] = MappingProxyType({}), first: str = "") -> str:
    """Return what a script prints in a process that has imported the handler, and may have done something first."""
    environment = os.environ | {"TABLE_NAME": "none", "AWS_DEFAULT_REGION": REGION} | dict(variables)
    command = [sys.executable, "-c", f"{first}\nimport service.aws_lambda.handler\n{script}"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


def test_models_that_are_built_later_give_the_same_document() -> None:
    stated = json.loads(started("import json\nprint(json.dumps(service.aws_lambda.handler.app.openapi()))"))
    committed = json.loads((ROOT / "docs/openapi.json").read_text())
    stated["info"]["version"] = committed["info"]["version"]
    assert stated == committed


def test_models_can_be_rebuilt_once_the_imports_are_done() -> None:
    script = """
from pydantic import BaseModel
class Part(BaseModel):
    whole: "Whole"
class Whole(BaseModel):
    name: str
Part.model_rebuild()
print(Part(whole={"name": "x"}).whole.name, Part.model_config, BaseModel.model_rebuild.__func__.__module__)
"""
    assert started(script) == "x {} pydantic.main\n"


def test_the_first_version_of_pydantic_is_not_imported_and_can_be() -> None:
    script = """
import sys
print("pydantic.v1" in sys.modules)
from pydantic import v1
print(v1.BaseModel.__module__)
"""
    assert started(script) == "False\npydantic.v1.main\n"


def test_files_are_transferred_to_s3_although_boto3_was_imported_without(emulator: Emulator) -> None:
    script = """
import io, sys, boto3
print("s3transfer.manager" in sys.modules, boto3.compat.TRANSFER_CONFIG_SUPPORTS_CRT)
s3 = boto3.client("s3")
s3.create_bucket(Bucket="startup", CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
s3.upload_fileobj(io.BytesIO(b"all of it"), "startup", "file")
s3.download_fileobj("startup", "file", sys.stdout.buffer)
"""
    assert started(script, emulator.environment()) == f"False {TRANSFER_CONFIG_SUPPORTS_CRT}\nall of it"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the build writes of all that the import of the installed packages compiles."""
    folder = tmp_path_factory.mktemp("packages")
    subprocess.run(
        [sys.executable, ROOT / "service/aws_lambda/cold_start/precompiled.py", folder, "dynamodb"],
        cwd=folder,
        check=True,
    )
    return folder / FILE


@pytest.fixture
def forgetful() -> Iterator[None]:
    yield
    forget()
    re.purge()


def test_regular_expressions_of_the_build_are_those_that_python_compiles(written: Path, forgetful: None) -> None:
    _, patterns, _ = marshal.loads(written.read_bytes())  # noqa: S302
    assert len(patterns) > 100
    re.purge()
    assert recall(written)
    for pattern, flags, _ in patterns:
        recalled = re.compile(pattern, flags)
        re.purge()
        # Compared by flags, groups and code.
        assert recalled == re.compile(pattern, flags), pattern
        recall(written)


def test_source_of_the_build_is_what_python_makes_of_it(written: Path) -> None:
    _, _, sources = marshal.loads(written.read_bytes())  # noqa: S302
    assert len(sources) > 100
    for (text, mode), code in sources.items():
        expected = compile(text, "<string>", mode, dont_inherit=True)
        assert code == expected, text
        assert [*code.co_positions()] == [*expected.co_positions()], text
        assert code.co_filename == expected.co_filename


def test_classes_and_types_are_the_same_with_what_the_build_has_written(written: Path, forgetful: None) -> None:
    def made() -> list[Any]:
        thing = dataclasses.make_dataclass("Thing", [("name", str), ("size", int, 1)], frozen=True, order=True)
        pair = collections.namedtuple("pair", "one two", defaults=[2])
        reference = typing.ForwardRef("dict[str, int]")
        bad = []
        for broken in (lambda: typing.ForwardRef("a b"), lambda: dataclasses.make_dataclass("Thing", ["not a name"])):
            with pytest.raises((SyntaxError, TypeError)) as raised:
                broken()
            bad.append(str(raised.value))
        one = thing("a")
        return [repr(one), hash(one), one < thing("b"), inspect.signature(thing), repr(pair(1)), repr(reference), bad]

    before = made()
    assert recall(written)
    assert made() == before
    forget()
    assert made() == before
    assert not any(name in vars(module) for module, name in WRITERS)


def test_nothing_is_in_the_way_of_python_once_the_service_has_started(written: Path) -> None:
    script = f"""
from pathlib import Path
from service.aws_lambda.cold_start import precompiled
recall, recalled = precompiled.recall, []
precompiled.recall = lambda _: recalled.append(recall(Path({str(written)!r})))
"""
    shadows = "[name for module, name in precompiled.WRITERS if name in vars(module)]"
    assert started(f"print(recalled, {shadows})", first=script) == "[True] []\n"


def test_flags_that_python_counts_as_a_number_are_written_as_one(tmp_path: Path) -> None:
    script = f"""
import re
from pathlib import Path
from service.aws_lambda.cold_start import precompiled
class Zero(int):
    pass
re._cache[str, "zero", Zero(0)] = re.compile("zero")
precompiled.write(Path({str(tmp_path)!r}), [])
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
    _, patterns, _ = marshal.loads((tmp_path / FILE).read_bytes())  # noqa: S302
    assert ("zero", 0) in [(pattern, flags) for pattern, flags, _ in patterns]


def test_what_another_python_has_written_is_left_alone(written: Path, tmp_path: Path, forgetful: None) -> None:
    _, *known = marshal.loads(written.read_bytes())  # noqa: S302
    (tmp_path / FILE).write_bytes(marshal.dumps(("3.10.0", *known)))
    assert not recall(tmp_path / FILE)
    assert not recall(tmp_path / "none.bin")
    assert not any(name in vars(module) for module, name in WRITERS)


@pytest.mark.parametrize(("variables", "on"), [({}, False), ({"OTEL_SERVICE_NAME": "people"}, True)])
def test_telemetry_is_on_where_opentelemetry_is_set_up(variables: dict[str, str], on: bool) -> None:
    script = "print({service.aws_lambda.handler.app._telemetry[name] for name in ('tracing', 'metrics', 'logs')})"
    assert started(script, variables) == f"{{{on}}}\n"


def test_garbage_is_collected_again_once_the_imports_are_done() -> None:
    assert started("import gc\nprint(gc.isenabled(), gc.get_freeze_count() > 10_000)") == "True True\n"


def test_the_prose_of_descriptions_goes_and_what_is_called_so_stays(tmp_path: Path) -> None:
    folder = tmp_path / "botocore" / "data" / "some" / "2000-01-01"
    folder.mkdir(parents=True)
    (tmp_path / "boto3" / "data").mkdir(parents=True)
    (tmp_path / "botocore" / "data" / "endpoints.json").write_text('{"partitions": []}')
    members = {"documentation": {"shape": "Text", "documentation": "<p>Prose</p>"}, "list": ["documentation"]}
    (folder / "service-2.json.gz").write_bytes(gzip.compress(json.dumps({"shapes": members}).encode()))
    trim(tmp_path, {"some"})
    left = json.loads((folder / "service-2.json").read_text())
    assert left == {"shapes": {"documentation": {"shape": "Text"}, "list": ["documentation"]}}
    assert not (folder / "service-2.json.gz").exists()
