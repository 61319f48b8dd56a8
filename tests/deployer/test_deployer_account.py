"""examples/deployer, applied on an emulator that enforces IAM: its STS reads a token's claims, and its policies decide.

The emulator knows neither iam:PermissionsBoundary nor the ARNs of log groups that end in :*, so no API is applied as the
role here. It does not check a token's signature.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from harness import InitCache, Root, copy_project
from sandbox import emulator as emulators
from sandbox import overrides
from sandbox.emulator import REGION, Emulator
from sandbox.paths import EXAMPLE_SOURCES, ROOT
from sandbox.providers import Providers

ISSUER = "https://token.actions.githubusercontent.com"
REPOSITORY = "repo:example/people-api"
PRODUCTION = f"{REPOSITORY}:environment:production"
PULL_REQUEST = f"{REPOSITORY}:pull_request"


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    home = tmp_path_factory.mktemp("account")
    try:
        yield emulators.start(home, emulators.free_port(), enforce_iam=True)
    finally:
        emulators.stop(home)


@pytest.fixture(scope="module")
def deployer(
    account: Emulator,
    terraform_environment: Mapping[str, str],
    terraform_binary: str,
    terraform_init_cache: InitCache,
    tmp_path_factory: pytest.TempPathFactory,
    providers: Providers,
) -> Root:
    """The applied example. Its emulator is thrown away with it."""
    copy = copy_project(ROOT, tmp_path_factory.mktemp("deployer"), EXAMPLE_SOURCES)
    environment = {**terraform_environment, **account.environment()}
    root = Root(copy / "examples/deployer", environment=environment, binary=terraform_binary)
    root.write(overrides.NAME, overrides.planned(root.path))
    root.init(terraform_init_cache)
    root.apply()
    return root


@pytest.fixture(scope="module")
def assume(account: Emulator, deployer: Root) -> Callable[..., dict[str, str]]:
    """`assume(role, subject)`: the credentials that a job with a token of this subject gets."""

    def run(role: str, subject: str, audience: str = "sts.amazonaws.com", issuer: str = ISSUER) -> dict[str, str]:
        parts = ({"alg": "RS256"}, {"iss": issuer, "aud": audience, "sub": subject})
        token = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
        arn = deployer.output(f"{role}_role_arn", str)
        issued = account.client("sts").assume_role_with_web_identity(
            RoleArn=arn, RoleSessionName="job", WebIdentityToken=f"{token}.c2lnbmF0dXJl"
        )
        return {
            "aws_access_key_id": issued["Credentials"]["AccessKeyId"],
            "aws_secret_access_key": issued["Credentials"]["SecretAccessKey"],
            "aws_session_token": issued["Credentials"]["SessionToken"],
        }

    return run


@pytest.fixture
def as_role(account: Emulator, assume: Callable[..., dict[str, str]]) -> Callable[[str, str], Any]:
    """`as_role(role, service)`: a client with a role's credentials."""

    def client(role: str, service: str) -> Any:
        credentials = assume(role, {"apply": PRODUCTION, "plan": PULL_REQUEST}[role])
        return boto3.client(service, endpoint_url=account.url, region_name=REGION, **credentials)  # type: ignore[call-overload]

    return client


def test_a_second_plan_is_empty(deployer: Root) -> None:
    assert not deployer.plan().changed


@pytest.mark.parametrize(
    ("role", "claims"),
    [
        ("apply", {"subject": PULL_REQUEST}),
        ("apply", {"subject": f"{REPOSITORY}:ref:refs/heads/main"}),
        ("apply", {"subject": "repo:other/people-api:environment:production"}),
        ("apply", {"subject": PRODUCTION, "audience": "https://github.com/example"}),
        ("apply", {"subject": PRODUCTION, "issuer": "https://gitlab.com"}),
        ("plan", {"subject": "repo:example/people-api-fork:pull_request"}),
    ],
)
def test_other_jobs_cannot_assume_the_role(role: str, claims: dict[str, str], assume: Callable[..., Any]) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        assume(role, **claims)


def test_apply_role_changes_its_own_apis_only(as_role: Callable[[str, str], Any]) -> None:
    ecr = as_role("apply", "ecr")
    ecr.create_repository(repositoryName="people-api")
    with pytest.raises(ClientError, match="AccessDenied"):
        ecr.create_repository(repositoryName="orders-api")
    with pytest.raises(ClientError, match="AccessDenied"):
        as_role("apply", "lambda").delete_function(FunctionName="orders-api")


def test_apply_role_cannot_change_itself_or_the_boundary(as_role: Callable[[str, str], Any], deployer: Root) -> None:
    iam = as_role("apply", "iam")
    boundary = deployer.output("boundary_arn", str)
    with pytest.raises(ClientError, match="AccessDenied"):
        iam.put_role_policy(RoleName="deployer-apply", PolicyName="more", PolicyDocument="{}")
    with pytest.raises(ClientError, match="explicit deny"):
        iam.create_policy_version(PolicyArn=boundary, PolicyDocument="{}", SetAsDefault=True)


def test_apply_role_makes_no_role_without_the_boundary(as_role: Callable[[str, str], Any]) -> None:
    with pytest.raises(ClientError, match="explicit deny"):
        as_role("apply", "iam").create_role(RoleName=f"people-api-{REGION}", AssumeRolePolicyDocument="{}")


def test_plan_role_only_reads(as_role: Callable[[str, str], Any]) -> None:
    as_role("plan", "apigatewayv2").get_apis()
    with pytest.raises(ClientError, match="AccessDenied"):
        as_role("plan", "apigatewayv2").create_api(Name="people-api", ProtocolType="HTTP")


def test_bucket_keeps_versions_and_refuses_the_public(account: Emulator, deployer: Root) -> None:
    bucket = deployer.output("bucket", str)
    s3 = account.client("s3")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


def test_bucket_refuses_requests_without_tls(deployer: Root, as_role: Callable[[str, str], Any]) -> None:
    # The emulator has no TLS, so a request that the role's policy allows is refused.
    with pytest.raises(ClientError, match="explicit deny in a resource-based policy"):
        as_role("apply", "s3").put_object(Bucket=deployer.output("bucket", str), Key="apis/a.tfstate", Body=b"{}")
