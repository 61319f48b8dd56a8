"""The command reads an account on the emulator: pages, throttling, missing permissions, and resuming."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from migration import account
from migration.__main__ import main
from migration.inventory import FAILED, INCOMPLETE
from sandbox import issuer as issuers
from sandbox.emulator import Emulator

ROLE = "arn:aws:iam::000000000000:role/inventory"
MANY = 110  # more than two of AWS's pages of 50 functions
SECRET = "hunter2-of-the-inventory"


def create_function(aws: Any, name: str) -> str:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("app.py", "def handler(event, context):\n    return {'statusCode': 200}\n")
    made: str = aws.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=ROLE,
        Handler="app.handler",
        Code={"ZipFile": archive.getvalue()},
        Environment={"Variables": {"PASSWORD": SECRET}},
    )["FunctionArn"]
    return made


def create_rest_api(emulator: Emulator, name: str, paths: dict[str, str]) -> str:
    """Create a REST API with a GET method for each path, and return its id."""
    gateway = emulator.client("apigateway")
    api: str = gateway.create_rest_api(name=name)["id"]
    root = gateway.get_resources(restApiId=api)["items"][0]["id"]

    def add(path: str, arn: str) -> None:
        where = {"restApiId": api, "httpMethod": "GET"}
        where["resourceId"] = gateway.create_resource(restApiId=api, parentId=root, pathPart=path)["id"]
        gateway.put_method(**where, authorizationType="NONE")
        uri = f"arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/{arn}/invocations"
        gateway.put_integration(**where, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, paths.keys(), paths.values()))
    gateway.create_deployment(restApiId=api, stageName="prod")
    return api


@pytest.fixture(scope="module")
def api(emulator: Emulator) -> Iterator[str]:
    """A REST API of MANY routes, each with its function."""
    aws, iam = emulator.client("lambda"), emulator.client("iam")
    iam.create_role(RoleName="inventory", AssumeRolePolicyDocument="{}")
    policy = {"Statement": [{"Effect": "Allow", "Action": ["dynamodb:GetItem"], "Resource": "*"}]}
    iam.put_role_policy(RoleName="inventory", PolicyName="data", PolicyDocument=json.dumps(policy))
    names = [f"inventory-{number:03}" for number in range(MANY)]
    with ThreadPoolExecutor(4) as pool:
        arns = list(pool.map(lambda name: create_function(aws, name), names))
    api = create_rest_api(emulator, "inventory-many", dict(zip(names, arns, strict=True)))
    yield api
    emulator.client("apigateway").delete_rest_api(restApiId=api)
    for name in names:
        aws.delete_function(FunctionName=name)
    iam.delete_role_policy(RoleName="inventory", PolicyName="data")
    iam.delete_role(RoleName="inventory")


@pytest.fixture
def small(emulator: Emulator, api: str) -> Iterator[str]:
    """A REST API of two routes."""
    paths = {f"small-{n}": f"arn:aws:lambda:eu-central-1:000000000000:function:inventory-00{n}" for n in range(2)}
    made = create_rest_api(emulator, "inventory-small", paths)
    yield made
    emulator.client("apigateway").delete_rest_api(restApiId=made)


@pytest.fixture(autouse=True)
def credentials(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)


def run(out: Path, *arguments: str) -> int:
    return main(["inventory", "--out", str(out), *arguments])


def read(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "inventory.json").read_text())
    return found


def test_every_page_is_read(
    api: str, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(account, "RESOURCES_PER_PAGE", 50)
    since = time.time()
    assert run(tmp_path, "--api", api) == 0

    found = read(tmp_path)
    assert len(found["apis"][0]["routes"]) == len(found["functions"]) == MANY
    assert len(emulator.operations(containing=api, since=since)) > 0
    assert (
        emulator.operations(containing=f"/restapis/{api}/resources", since=since).count("apigateway.GetResources") == 3
    )
    assert emulator.operations(since=since).count("lambda.ListFunctions") >= 3
    shown = capsys.readouterr()
    assert "functions: 100 of 110 read" in shown.err
    assert "inventory-109" in shown.out


def test_http_api_is_read_with_its_authorizer(api: str, emulator: Emulator, tmp_path: Path) -> None:
    gateway = emulator.client("apigatewayv2")
    made = gateway.create_api(Name="inventory-http", ProtocolType="HTTP")["ApiId"]
    try:
        issuer = issuers.ensure(emulator)  # API Gateway reads its discovery document
        jwt = {"Issuer": issuer.url, "Audience": [issuer.audience]}
        source = ["$request.header.Authorization"]
        authorizer = gateway.create_authorizer(
            ApiId=made, Name="jwt", AuthorizerType="JWT", IdentitySource=source, JwtConfiguration=jwt
        )["AuthorizerId"]
        arn = "arn:aws:lambda:eu-central-1:000000000000:function:inventory-000"
        proxy = {"ApiId": made, "IntegrationType": "AWS_PROXY", "IntegrationUri": arn}
        integration = gateway.create_integration(**proxy, PayloadFormatVersion="2.0")["IntegrationId"]
        route = {"ApiId": made, "Target": f"integrations/{integration}"}
        gateway.create_route(**route, RouteKey="GET /items/{id}", AuthorizationType="JWT", AuthorizerId=authorizer)
        gateway.create_route(**route, RouteKey="GET /open")
        assert run(tmp_path, "--api", "inventory-http") == 0
    finally:
        gateway.delete_api(ApiId=made)
    routes = {each["key"]: (each["payload"], each["auth"]["type"]) for each in read(tmp_path)["apis"][0]["routes"]}
    assert routes == {"GET /items/{id}": ("2.0", "JWT"), "GET /open": ("2.0", "NONE")}
    assert issuer.url in (tmp_path / "inventory-http.tfvars").read_text()


def test_reading_changes_nothing(api: str, emulator: Emulator, tmp_path: Path) -> None:
    since = time.time()
    assert run(tmp_path, "--api", "inventory-many") == 0
    # Another test of the same run may change something meanwhile, but not with this client and this API's id.
    names = {each.partition(".")[2] for each in emulator.operations(client="Boto3", containing=api, since=since)}
    assert names
    assert all(name.startswith(("Get", "List", "Describe")) for name in names), names


def test_values_of_environments_are_not_written(small: str, tmp_path: Path) -> None:
    assert run(tmp_path, "--api", small) == 0
    texts = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert set(texts) == {"inventory.json", "inventory-small.tfvars", "read.json"}
    assert "PASSWORD" in texts["inventory.json"]
    assert not any(SECRET in text for text in texts.values())


def test_refused_part_is_named_and_resuming_reads_only_that(
    small: str, emulator: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with emulator.refusing("lambda.GetPolicy", containing="inventory-001", times=None):
        assert run(tmp_path, "--api", small) == INCOMPLETE
    shown = capsys.readouterr()
    assert "function/inventory-001/policy (lambda:GetPolicy): AccessDeniedException" in shown.out
    assert f"continue with: python -m migration inventory --api {small} --out {tmp_path} --resume" in shown.err
    assert len(read(tmp_path)["apis"][0]["routes"]) == 2
    assert not read(tmp_path)["complete"]

    since = time.time()
    assert run(tmp_path, "--api", small, "--resume") == 0
    assert read(tmp_path)["complete"]
    assert "1 parts read, 0 refused" in capsys.readouterr().err
    assert emulator.operations(client="Boto3", containing="inventory-00", since=since) == ["lambda.GetPolicy"]


def test_unreadable_api_keeps_the_others(
    small: str, api: str, emulator: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with emulator.refusing("apigateway.GetResources", containing=small, times=None):
        assert run(tmp_path, "--api", small, "--api", api) == INCOMPLETE
    assert f"rest/{small}/resources (apigateway:GET" in capsys.readouterr().out
    routes = {found["id"]: len(found["routes"]) for found in read(tmp_path)["apis"]}
    assert routes == {api: MANY, small: 0}


def test_account_without_any_permission_is_incomplete(
    emulator: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with emulator.refusing("apigateway.GetRestApis", times=None), emulator.refusing("apigatewayv2.GetApis", times=None):
        assert run(tmp_path) == INCOMPLETE
    assert "2 parts could not be read" in capsys.readouterr().err


def test_throttled_requests_are_repeated(small: str, emulator: Emulator, tmp_path: Path) -> None:
    throttled: dict[str, Any] = {
        "status": 429,
        "code": "TooManyRequestsException",
        "message": "Rate exceeded",
        "times": 3,
    }
    with emulator.refusing("lambda.GetFunction", containing="inventory-001", **throttled):
        assert run(tmp_path, "--api", small) == 0


def test_route_of_a_deleted_function_is_not_mapped(
    small: str, emulator: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone: dict[str, Any] = {"status": 404, "code": "ResourceNotFoundException", "message": "not found", "times": None}
    with emulator.refusing("lambda.GetFunction", containing="inventory-001", **gone):
        assert run(tmp_path, "--api", small) == INCOMPLETE
    assert "not mapped: GET /small-1: its function does not exist" in capsys.readouterr().out


def test_actions_of_the_role_are_in_the_inventory(small: str, tmp_path: Path) -> None:
    assert run(tmp_path, "--api", small) == 0
    assert {tuple(found["actions"]) for found in read(tmp_path)["functions"].values()} == {("dynamodb:GetItem",)}


def test_rejected_credentials_are_one_sentence_and_keep_what_was_read(
    small: str, emulator: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expired: dict[str, Any] = {
        "status": 403,
        "code": "ExpiredTokenException",
        "message": "The security token has expired",
        "times": None,
    }
    with emulator.refusing("lambda.ListFunctions", **expired):
        assert run(tmp_path, "--api", small) == FAILED
    shown = capsys.readouterr()
    assert "error: AWS rejects the credentials" in shown.err
    assert "Traceback" not in shown.err
    assert f"rest/{small}/resources" in json.loads((tmp_path / "read.json").read_text())["parts"]
    assert run(tmp_path, "--api", small, "--resume") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--api", "nobody"], "has no API nobody"),
        (["--resume"], "there is nothing to resume"),
        (["--profile", "nobody"], "cannot use the AWS profile"),
        (["--state", "nowhere.tfstate"], "nowhere.tfstate does not exist"),
        (["--state", "nowhere.tfstate", "--resume"], "--resume, --region and --profile are for accounts"),
    ],
)
def test_wrong_arguments_are_one_sentence(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "out", *arguments) == FAILED
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error


def test_without_credentials_the_command_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert run(tmp_path) == FAILED
    assert "Unable to locate credentials" in capsys.readouterr().err


def test_without_a_region_the_command_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert run(tmp_path) == FAILED
    assert "no AWS region is set" in capsys.readouterr().err
