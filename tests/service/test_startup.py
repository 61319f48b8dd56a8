"""The optional stage cold_start changes nothing but the time that a start takes, and a start does not depend on it."""

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
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import boto3
import botocore
import pytest

from sandbox.emulator import REGION, Emulator
from sandbox.paths import ROOT
from service.aws_lambda.cold_start.precompiled import CHECKSUM_BYTES, FILE, GENERATORS, HEADER, imports, load, unload
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


def started(script: str, variables: Mapping[str, str] = MappingProxyType({}), first: str = "", cwd: Path = ROOT) -> str:
    """Return what a script prints in a process that has imported the handler, and may have done something first."""
    environment = os.environ | {"TABLE_NAME": "none", "AWS_DEFAULT_REGION": REGION} | dict(variables)
    command = [sys.executable, "-c", f"{first}\nimport service.aws_lambda.handler\n{script}"]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=True).stdout


def test_the_document_is_the_same_under_lambda() -> None:
    stated = json.loads(started("import json\nprint(json.dumps(service.aws_lambda.handler.app.openapi()))"))
    committed = json.loads((ROOT / "docs/openapi.json").read_text())
    stated["info"]["version"] = committed["info"]["version"]
    assert stated == committed


def test_a_start_changes_no_installed_package() -> None:
    # Their functions and classes are where they were defined, with the stage and without.
    script = """
import inspect, json, sys
from pathlib import Path
found = {}
for name, module in sorted(sys.modules.items()):
    if "site-packages" in str(getattr(module, "__file__", "")):
        for key, value in vars(module).items():
            if inspect.isfunction(value) or inspect.isclass(value):
                found[f"{name}.{key}"] = f"{value.__module__}.{value.__qualname__}"
print(json.dumps(found))
"""
    without = "import sys; sys.modules['service.aws_lambda.cold_start'] = None"
    found = json.loads(started(script))
    assert found == json.loads(started(script, first=without))
    assert len(found) > 1000
    assert not [name for name in found.values() if name.startswith("service.")]


def test_the_handler_starts_where_the_stage_has_been_left_out(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "service", tmp_path / "service", ignore=shutil.ignore_patterns("__pycache__", "cold_start"))
    script = "import gc\nprint(service.aws_lambda.handler.startup, gc.isenabled())"
    assert started(script, cwd=tmp_path) == "None True\n"


def test_an_error_inside_of_the_stage_is_not_taken_for_its_absence(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "service", tmp_path / "service", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "service/aws_lambda/cold_start/startup.py").write_text("import nothing_of_this_name")
    with pytest.raises(subprocess.CalledProcessError):
        started("", cwd=tmp_path)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the build writes of all that the import of the installed packages compiles."""
    folder = tmp_path_factory.mktemp("packages")
    script = ROOT / "service/aws_lambda/cold_start/precompiled.py"
    command: list[str | Path] = [sys.executable, script, folder, ROOT / "service", folder / FILE, "dynamodb"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / FILE


@pytest.fixture
def unloaded() -> Iterator[None]:
    yield
    unload()
    re.purge()


def stored(file: Path) -> tuple[list[Any], dict[tuple[str, str], Any]]:
    """Return the regular expressions and the sources of a file."""
    patterns, sources = marshal.loads(file.read_bytes()[len(HEADER) + CHECKSUM_BYTES :])  # noqa: S302
    return patterns, sources


def test_regular_expressions_of_the_build_are_those_that_python_compiles(written: Path, unloaded: None) -> None:
    patterns, _ = stored(written)
    assert len(patterns) > 100
    re.purge()
    assert load(written)
    for pattern, flags, _ in patterns:
        loaded = re.compile(pattern, flags)
        re.purge()
        # Compared by flags, groups and code.
        assert loaded == re.compile(pattern, flags), pattern
        load(written)


def test_source_of_the_build_is_what_python_makes_of_it(written: Path) -> None:
    _, sources = stored(written)
    assert len(sources) > 100
    for (text, mode), code in sources.items():
        expected = compile(text, "<string>", mode, dont_inherit=True)
        assert code == expected, text
        assert [*code.co_positions()] == [*expected.co_positions()], text
        assert code.co_filename == expected.co_filename


def test_classes_and_types_are_the_same_with_what_the_build_has_written(written: Path, unloaded: None) -> None:
    def made() -> list[Any]:
        thing = dataclasses.make_dataclass("Thing", [("name", str), ("size", int, 1)], frozen=True, order=True)
        pair = collections.namedtuple("pair", "one two", defaults=[2])
        reference = typing.ForwardRef("dict[str, int]")
        errors = []
        for invalid in (lambda: typing.ForwardRef("a b"), lambda: dataclasses.make_dataclass("Thing", ["not a name"])):
            try:
                invalid()
            except (SyntaxError, TypeError) as error:  # from Python 3.14 on, a forward reference is not compiled yet
                errors.append(str(error))
        assert errors
        one = thing("a")
        return [
            repr(one),
            hash(one),
            one < thing("b"),
            inspect.signature(thing),
            repr(pair(1)),
            repr(reference),
            errors,
        ]

    before = made()
    assert load(written)
    assert made() == before
    unload()
    assert made() == before
    assert not intercepted()


def intercepted() -> list[str]:
    """Return which of Python's modules compile by a function of ours."""
    return [name for module, name in GENERATORS if name in vars(module)]


def test_a_compiler_that_is_asked_in_another_way_is_pythons(written: Path, unloaded: None) -> None:
    assert load(written)
    compile_, exec_ = vars(typing)["compile"], vars(dataclasses)["exec"]
    with pytest.raises(SyntaxError, match="here"):
        compile_("a b", "here", "eval")
    assert eval(compile_("1 + 1", "<string>", "eval", dont_inherit=True)) == 2  # noqa: S307
    scope: dict[str, Any] = {}
    exec_(compile("x = 1", "here", "exec"), scope)
    assert scope["x"] == 1


def test_python_compiles_as_ever_once_the_service_has_started(written: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "service", tmp_path / "service", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(written, tmp_path / "service/aws_lambda/cold_start")
    script = """
from service.aws_lambda.cold_start import precompiled
print([name for module, name in precompiled.GENERATORS if name in vars(module)])
"""
    first = """
import re
from service.aws_lambda.cold_start import precompiled
load = precompiled.load
precompiled.load = lambda file: print(load(file), len(re._cache) > 100)
"""
    assert started(script, first=first, cwd=tmp_path) == "True True\n[]\n"


def test_a_start_needs_to_compile_little_that_the_build_has_not(written: Path, tmp_path: Path) -> None:
    # What is precompiled follows what the service imports: a share that falls says that it no longer does.
    shutil.copytree(ROOT / "service", tmp_path / "service", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(written, tmp_path / "service/aws_lambda/cold_start")
    first = """
import re
compiled = []
compiler = re._compiler.compile
re._compiler.compile = lambda pattern, flags=0: compiled.append(pattern) or compiler(pattern, flags)
before = len(compiled)
"""
    assert int(started("print(len(compiled) - before)", first=first, cwd=tmp_path)) < 60


def test_flags_that_python_counts_as_a_number_are_written_as_one(tmp_path: Path) -> None:
    script = f"""
import re
from pathlib import Path
from service.aws_lambda.cold_start import precompiled
class Zero(int):
    pass
re._cache[str, "zero", Zero(0)] = re.compile("zero")
folder = Path({str(tmp_path)!r})
precompiled.write(folder, folder, folder / precompiled.FILE, [])
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
    patterns, _ = stored(tmp_path / FILE)
    assert ("zero", 0) in [(pattern, flags) for pattern, flags, _ in patterns]


def test_what_is_precompiled_follows_what_the_source_imports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "api"
    package.mkdir()
    (package / "a.py").write_text(
        "import json.tool, api.b\nfrom api import b\nfrom . import c\nfrom email import charset\n"
    )
    (package / "b.py").write_text(
        "def later():\n    import tarfile\nif False:\n    import zipfile\nimport no_such_module\n"
    )
    found = [*imports(package)]
    assert found == [("json.tool", [""]), ("email", ["charset"]), ("no_such_module", [""])]
    script = f"""
import sys
from pathlib import Path
from service.aws_lambda.cold_start import precompiled
folder = Path({str(tmp_path)!r})
precompiled.write(folder, folder / "api", folder / "out.bin", [])
print("email.charset" in sys.modules, "tarfile" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "True False\n"
    assert "not precompiled: no_such_module" in done.stderr


def test_without_the_file_nothing_is_loaded_and_nothing_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert not load(tmp_path / "none.bin")
    assert caplog.messages == []
    assert not intercepted()


def sealed(body: bytes) -> bytes:
    return HEADER + zlib.crc32(body).to_bytes(CHECKSUM_BYTES, "big") + body


# What is made of a good file, by what is wrong with it then.
BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "another Python": lambda content: content.replace(b"Python '3.", b"Python '2.", 1),
    "without a header": lambda content: content[len(HEADER) :],
    "truncated in its header": lambda content: content[:10],
    "truncated after its header": lambda _: HEADER,
    "truncated": lambda content: content[:-1],
    "one bit": lambda content: content[:-1000] + bytes([content[-1000] ^ 1]) + content[-999:],
    "more": lambda content: content + b"0",
    "no marshal": lambda _: sealed(b"?"),
    "something else": lambda _: sealed(marshal.dumps(["x"])),
    "no regular expression": lambda _: sealed(marshal.dumps(([("a", 0, (0, [99999], 0, {}, ()))], {}))),
    "no code": lambda _: sealed(marshal.dumps(([("a", 0)], []))),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_file_that_cannot_be_used_is_skipped_with_a_warning(
    written: Path, tmp_path: Path, unloaded: None, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    (tmp_path / FILE).write_bytes(BROKEN[fault](written.read_bytes()))
    assert not load(tmp_path / FILE)
    (message,) = caplog.messages
    assert str(tmp_path / FILE) in message
    assert not intercepted()


def test_a_file_that_cannot_be_read_is_skipped_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FILE).mkdir()
    assert not load(tmp_path / FILE)
    assert "cannot be read" in caplog.text


def test_a_start_with_a_damaged_file_serves(written: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "service", tmp_path / "service", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "service/aws_lambda/cold_start" / FILE).write_bytes(written.read_bytes()[:-1])
    ping = "print(service.aws_lambda.handler.handler({'ping': True}, None))"
    assert started(ping, cwd=tmp_path) == "{'pong': True}\n"


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
