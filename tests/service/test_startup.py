"""The optional package cold_start only changes the duration of a cold start, and startup works without it."""

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

finish()  # the import has disabled garbage collection in this process
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
    found["s3"] = "included"
except UnknownServiceError:
    found["s3"] = "removed"
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def trimmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with boto3 and botocore, trimmed as in the image."""
    folder = tmp_path_factory.mktemp("packages")
    for package in (boto3, botocore):
        source = Path(str(package.__file__)).parent
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    trim(folder, {"dynamodb"})
    return folder


@pytest.fixture(scope="module")
def use(emulator: Emulator) -> Callable[[str, Path | None], dict[str, object]]:
    """Return a function that uses DynamoDB in a subprocess, optionally with the packages of a folder."""

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


def test_dynamodb_works_without_the_other_services(
    trimmed: Path, use: Callable[[str, Path | None], dict[str, object]]
) -> None:
    installed, reduced = use("installed", None), use("trimmed", trimmed)
    assert installed.pop("s3") == "included"
    assert reduced.pop("s3") == "removed"
    assert reduced == installed
    assert reduced["error"] == "ConditionalCheckFailedException"


def test_unknown_service_is_named_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "botocore/data/dynamodb").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="no service dynamo"):
        trim(tmp_path, {"dynamo"})


def test_trimming_does_not_change_hard_linked_files(tmp_path: Path) -> None:
    data = tmp_path / "packages" / "botocore" / "data"
    (data / "dynamodb").mkdir(parents=True)
    (tmp_path / "packages" / "boto3" / "data").mkdir(parents=True)
    (tmp_path / "cached.json").write_text('{"partitions": [{"services": {"dynamodb": {}, "s3": {}}}]}')
    (data / "endpoints.json").hardlink_to(tmp_path / "cached.json")
    trim(tmp_path / "packages", {"dynamodb"})
    assert "s3" not in (data / "endpoints.json").read_text()
    assert "s3" in (tmp_path / "cached.json").read_text()


def run_after_startup(
    script: str, variables: Mapping[str, str] = MappingProxyType({}), first: str = "", cwd: Path = ROOT
) -> str:
    """Return the output of a script in a new process, after the code `first` and the import of the handler."""
    environment = os.environ | {"TABLE_NAME": "none", "AWS_DEFAULT_REGION": REGION} | dict(variables)
    command = [sys.executable, "-c", f"{first}\nimport service.aws_lambda.handler\n{script}"]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=True).stdout


def test_openapi_document_is_the_same_under_lambda() -> None:
    served = json.loads(run_after_startup("import json\nprint(json.dumps(service.aws_lambda.handler.app.openapi()))"))
    committed = json.loads((ROOT / "docs/openapi.json").read_text())
    served["info"]["version"] = committed["info"]["version"]
    assert served == committed


def test_startup_patches_no_installed_package() -> None:
    # Functions and classes are the original ones, with and without cold_start.
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
    found = json.loads(run_after_startup(script))
    assert found == json.loads(run_after_startup(script, first=without))
    assert len(found) > 1000
    assert not [name for name in found.values() if name.startswith("service.")]


def test_handler_starts_without_cold_start(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "service", tmp_path / "service", ignore=shutil.ignore_patterns("__pycache__", "cold_start"))
    script = "import gc\nprint(service.aws_lambda.handler.startup, gc.isenabled())"
    assert run_after_startup(script, cwd=tmp_path) == "None True\n"


def test_import_error_in_cold_start_is_not_hidden(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "service", tmp_path / "service", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "service/aws_lambda/cold_start/startup.py").write_text("import no_such_module")
    with pytest.raises(subprocess.CalledProcessError):
        run_after_startup("", cwd=tmp_path)


@pytest.fixture(scope="module")
def precompiled_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the build, with the code and the regular expressions that the imports compile."""
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
    """Return the regular expressions and the compiled sources in a file."""
    patterns, sources = marshal.loads(file.read_bytes()[len(HEADER) + CHECKSUM_BYTES :])  # noqa: S302
    return patterns, sources


def test_precompiled_regular_expressions_equal_pythons(precompiled_file: Path, unloaded: None) -> None:
    patterns, _ = stored(precompiled_file)
    assert len(patterns) > 100
    re.purge()
    assert load(precompiled_file)
    for pattern, flags, _ in patterns:
        loaded = re.compile(pattern, flags)
        re.purge()
        # Equality compares flags, groups and code.
        assert loaded == re.compile(pattern, flags), pattern
        load(precompiled_file)


def test_precompiled_source_equals_pythons(precompiled_file: Path) -> None:
    _, sources = stored(precompiled_file)
    assert len(sources) > 100
    for (text, mode), code in sources.items():
        expected = compile(text, "<string>", mode, dont_inherit=True)
        assert code == expected, text
        assert [*code.co_positions()] == [*expected.co_positions()], text
        assert code.co_filename == expected.co_filename


def test_generated_classes_and_types_are_the_same_when_precompiled(precompiled_file: Path, unloaded: None) -> None:
    def generate() -> list[Any]:
        item = dataclasses.make_dataclass("Item", [("name", str), ("size", int, 1)], frozen=True, order=True)
        pair = collections.namedtuple("pair", "one two", defaults=[2])
        reference = typing.ForwardRef("dict[str, int]")
        errors = []
        for invalid in (lambda: typing.ForwardRef("a b"), lambda: dataclasses.make_dataclass("Item", ["not a name"])):
            try:
                invalid()
            except (SyntaxError, TypeError) as error:  # from Python 3.14 on, a forward reference is not compiled yet
                errors.append(str(error))
        assert errors
        a = item("a")
        return [repr(a), hash(a), a < item("b"), inspect.signature(item), repr(pair(1)), repr(reference), errors]

    before = generate()
    assert load(precompiled_file)
    assert generate() == before
    unload()
    assert generate() == before
    assert not patched_modules()


def patched_modules() -> list[str]:
    """Return the standard library modules that compile with our function."""
    return [name for module, name in GENERATORS if name in vars(module)]


def test_other_calls_of_patched_functions_are_not_intercepted(precompiled_file: Path, unloaded: None) -> None:
    assert load(precompiled_file)
    compile_, exec_ = vars(typing)["compile"], vars(dataclasses)["exec"]
    with pytest.raises(SyntaxError, match="here"):
        compile_("a b", "here", "eval")
    assert eval(compile_("1 + 1", "<string>", "eval", dont_inherit=True)) == 2  # noqa: S307
    scope: dict[str, Any] = {}
    exec_(compile("x = 1", "here", "exec"), scope)
    assert scope["x"] == 1


def test_no_module_is_patched_after_startup(precompiled_file: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "service", tmp_path / "service", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(precompiled_file, tmp_path / "service/aws_lambda/cold_start")
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
    assert run_after_startup(script, first=first, cwd=tmp_path) == "True True\n[]\n"


def test_startup_compiles_few_regular_expressions(precompiled_file: Path, tmp_path: Path) -> None:
    # More would mean that the build no longer follows the service's imports.
    shutil.copytree(ROOT / "service", tmp_path / "service", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(precompiled_file, tmp_path / "service/aws_lambda/cold_start")
    first = """
import re
compiled = []
compiler = re._compiler.compile
re._compiler.compile = lambda pattern, flags=0: compiled.append(pattern) or compiler(pattern, flags)
before = len(compiled)
"""
    assert int(run_after_startup("print(len(compiled) - before)", first=first, cwd=tmp_path)) < 60


def test_integer_subclasses_as_flags_are_written_as_integers(tmp_path: Path) -> None:
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


def test_precompiled_modules_are_those_that_the_source_imports(
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


def test_missing_file_is_ignored_without_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert not load(tmp_path / "none.bin")
    assert caplog.messages == []
    assert not patched_modules()


def with_header(body: bytes) -> bytes:
    return HEADER + zlib.crc32(body).to_bytes(CHECKSUM_BYTES, "big") + body


# Ways to damage a valid file, by the defect.
BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "another Python": lambda content: content.replace(b"Python '3.", b"Python '2.", 1),
    "without a header": lambda content: content[len(HEADER) :],
    "truncated in its header": lambda content: content[:10],
    "truncated after its header": lambda _: HEADER,
    "truncated": lambda content: content[:-1],
    "flipped bit": lambda content: content[:-1000] + bytes([content[-1000] ^ 1]) + content[-999:],
    "trailing data": lambda content: content + b"0",
    "not marshal data": lambda _: with_header(b"?"),
    "another type": lambda _: with_header(marshal.dumps(["x"])),
    "invalid regular expression": lambda _: with_header(marshal.dumps(([("a", 0, (0, [99999], 0, {}, ()))], {}))),
    "invalid code": lambda _: with_header(marshal.dumps(([("a", 0)], []))),
}


@pytest.mark.parametrize("defect", BROKEN)
def test_invalid_file_is_skipped_with_a_warning(
    precompiled_file: Path, tmp_path: Path, unloaded: None, caplog: pytest.LogCaptureFixture, defect: str
) -> None:
    (tmp_path / FILE).write_bytes(BROKEN[defect](precompiled_file.read_bytes()))
    assert not load(tmp_path / FILE)
    (message,) = caplog.messages
    assert str(tmp_path / FILE) in message
    assert not patched_modules()


def test_unreadable_file_is_skipped_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FILE).mkdir()
    assert not load(tmp_path / FILE)
    assert "cannot be read" in caplog.text


def test_startup_with_a_damaged_file_succeeds(precompiled_file: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "service", tmp_path / "service", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "service/aws_lambda/cold_start" / FILE).write_bytes(precompiled_file.read_bytes()[:-1])
    ping = "print(service.aws_lambda.handler.handler({'ping': True}, None))"
    assert run_after_startup(ping, cwd=tmp_path) == "{'pong': True}\n"


def test_garbage_collection_is_enabled_after_startup() -> None:
    assert run_after_startup("import gc\nprint(gc.isenabled(), gc.get_freeze_count() > 10_000)") == "True True\n"


def test_trimming_removes_documentation_but_not_members_of_that_name(tmp_path: Path) -> None:
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
