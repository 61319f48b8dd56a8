"""Requests that violate AWS's models are rejected and reported in every protocol; other requests pass."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.emulator_server.strict import models, requests
from tests.sandbox.strict import Backend, gate, send, send_raw

SERVICES = [
    *("acm", "apigatewayv2", "application-autoscaling", "cloudwatch", "cognito-idp", "dynamodb", "ec2", "ecr", "iam"),
    *("kms", "lambda", "logs", "route53", "s3", "secretsmanager", "sns", "sqs", "ssm", "sts"),
]
FUNCTION = {"FunctionName": "people", "Role": "arn:aws:iam::123456789012:role/people", "Code": {"ImageUri": "people"}}
ALARM = {"AlarmName": "errors", "ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1}
RECORD = {"Name": "example.com", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}


def change(**record: Any) -> dict[str, Any]:
    changes = [{"Action": "UPSERT", "ResourceRecordSet": RECORD | record}]
    return {"HostedZoneId": "Z1", "ChangeBatch": {"Changes": changes}}


# One violation each: protocol, operation, valid input, the change that makes it invalid, the expected message.
VIOLATIONS: list[tuple[str, str, dict[str, Any], dict[str, Any], str]] = [
    ("rest-json", "lambda.CreateFunction", FUNCTION, {"Role": None}, "Role is required"),
    ("rest-json", "lambda.CreateFunction", FUNCTION, {"Timeout": 0}, "Timeout is 0: 0, the minimum is 1"),
    ("rest-json", "lambda.CreateFunction", FUNCTION, {"Timeout": "3"}, "Timeout is '3', must be of type integer"),
    ("rest-json", "lambda.CreateFunction", FUNCTION, {"Publish": 1}, "Publish is 1, must be of type boolean"),
    ("rest-json", "lambda.CreateFunction", FUNCTION, {"PackageType": "Tar"}, "PackageType is 'Tar', must be one of Zip, Image"),
    ("rest-json", "lambda.CreateFunction", FUNCTION, {"Description": "d" * 257}, "257 characters, the maximum is 256"),
    ("rest-json", "lambda.CreateFunction", FUNCTION, {"Architectures": ["arm64"] * 2}, "2 items, the maximum is 1"),
    ("rest-json", "lambda.CreateFunction", FUNCTION, {"FunctionName": "two words"}, "must match"),
    ("rest-json", "lambda.CreateFunction", FUNCTION, {"Environment": {"Variables": {"1": "x"}}}, "must match"),
    ("rest-json", "lambda.GetAlias", {"FunctionName": "f", "Name": "live"}, {"Name": "12"}, "Name is '12', must match"),
    ("rest-json", "lambda.ListAliases", {"FunctionName": "f"}, {"MaxItems": 0}, "MaxItems is 0: 0, the minimum is 1"),
    ("rest-json", "apigatewayv2.CreateApi", {"Name": "a", "ProtocolType": "HTTP"}, {"Name": "a" * 129}, "the maximum is 128"),
    ("json", "ecr.CreateRepository", {"repositoryName": "people"}, {"repositoryName": "People"}, "must match"),
    ("json", "dynamodb.GetItem", {"TableName": "t", "Key": {"id": {"S": "1"}}}, {"Key": {"id": {"S": 1}}}, "Key.id.S is 1"),
    ("json", "logs.CreateLogGroup", {"logGroupName": "a"}, {"tags": {"a": "b" * 257}}, "tags.a is"),
    ("query", "iam.CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": "{}"}, {"Description": "a → b"}, "Description is"),
    ("query", "iam.CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": "{}"}, {"MaxSessionDuration": 1}, "the minimum is 3600"),
    ("query", "iam.CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": "{}"}, {"Tags": [{"Key": "k"}]}, "Tags[0].Value is required"),
    ("query", "sns.CreateTopic", {"Name": "t"}, {"Name": None}, "Name is required"),
    ("ec2", "ec2.DescribeSubnets", {"Filters": [{"Name": "vpc-id", "Values": ["a"]}]}, {"MaxResults": 1}, "the minimum is 5"),
    ("smithy-rpc-v2-cbor", "cloudwatch.PutMetricAlarm", ALARM, {"AlarmActions": ["a"] * 6}, "6 items, the maximum is 5"),
    ("smithy-rpc-v2-cbor", "cloudwatch.PutMetricAlarm", ALARM, {"Unit": "Furlongs"}, "Unit is 'Furlongs', must be one of Seconds"),
    ("rest-xml", "route53.ChangeResourceRecordSets", change(), change(Type="AAA"), "must be one of"),
    ("rest-xml", "route53.ChangeResourceRecordSets", change(), change(TTL=-1), "ResourceRecordSet.TTL is -1"),
    ("rest-xml", "s3.PutBucketTagging", {"Bucket": "b", "Tagging": {"TagSet": []}}, {"Tagging": {"TagSet": [{"Key": "k"}]}}, "Value is"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("protocol", "operation", "valid", "change_", "message"),
    VIOLATIONS,
    ids=[f"{v[0]}-{v[1]}-{v[4][:30]}" for v in VIOLATIONS],
)
def test_violation_is_rejected_and_the_valid_request_passes(
    protocol: str, operation: str, valid: dict[str, Any], change_: dict[str, Any], message: str
) -> None:
    backend = Backend()
    strict_gate = gate(backend)
    name = operation.partition(".")[0]
    assert requests.protocol(requests.model(name)) == protocol
    response = send(strict_gate, operation, valid)
    assert operation in backend.calls, response.body
    assert not strict_gate.record.violations
    backend.calls.clear()
    invalid = {key: value for key, value in (valid | change_).items() if value is not None}
    response = send(strict_gate, operation, invalid)
    assert response.status == 400
    assert not backend.calls
    (violation,) = strict_gate.record.violations
    assert violation.about == operation
    assert violation.text.startswith(f"{operation}: ")
    assert message in violation.text


def signed(service: str, **headers: str) -> dict[str, str]:
    credential = f"AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/{service}/aws4_request, Signature=0"
    return {"authorization": credential, "host": "localhost", **headers}


def target(operation: str) -> dict[str, str]:
    return {"x-amz-target": f"AmazonEC2ContainerRegistry_V20150921.{operation}"}


FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
CBOR = "/service/GraniteServiceVersion20100801/operation/"
# {"Nonsense": 1} in CBOR
NONSENSE = b"\xa1\x68Nonsense\x01"
XML = b'<CreateHostedZoneRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Name>a</Name><CallerReference>1</CallerReference>'

UNKNOWN: dict[str, tuple[str, str, dict[str, str], bytes, str]] = {
    "json": ("POST", "/", signed("ecr", **target("DescribeRepositories")), b'{"Nonsense": 1}', ""),
    "rest-json": ("POST", "/2015-03-31/functions/f/versions", signed("lambda"), b'{"Nonsense": 1}', ""),
    "query string": ("GET", "/2015-03-31/functions", signed("lambda"), b"", "Nonsense=1"),
    "query": ("POST", "/", signed("iam", **FORM), b"Action=ListRoles&Version=2010-05-08&Nonsense=1", ""),
    "ec2": ("POST", "/", signed("ec2", **FORM), b"Action=DescribeSubnets&Version=2016-11-15&Nonsense=1", ""),
    "smithy-rpc-v2-cbor": ("POST", f"{CBOR}DescribeAlarms", signed("monitoring"), NONSENSE, ""),
    "rest-xml": ("POST", "/2013-04-01/hostedzone", signed("route53"), XML + b"<Nonsense/></CreateHostedZoneRequest>", ""),
}  # fmt: skip


@pytest.mark.parametrize("protocol", UNKNOWN)
def test_unknown_member_is_rejected(protocol: str) -> None:
    method, path, headers, body, query = UNKNOWN[protocol]
    strict_gate = gate(Backend())
    assert send_raw(strict_gate, method, path, headers, body, query).status == 400
    (violation,) = strict_gate.record.violations
    assert "Nonsense is not a member of the input" in violation.text


UNMATCHED = {
    "a path": ("POST", "/2015-03-31/functions/f/nonsense", signed("lambda"), b""),
    "a method": ("PATCH", "/v2/apis", signed("apigateway"), b""),
    "an action": ("POST", "/", signed("iam", **FORM), b"Action=Nonsense"),
    "no action": ("POST", "/", signed("sts", **FORM), b""),
    "a target": (
        "POST",
        "/",
        signed("ecr", **target("Nonsense")),
        b"{}",
    ),
    "the target of another service": (
        "POST",
        "/",
        signed("ecr", **{"x-amz-target": "DynamoDB_20120810.ListTables"}),
        b"{}",
    ),
    "an operation in CBOR": ("POST", f"{CBOR}Nonsense", signed("monitoring"), b""),
    "a service": ("POST", "/", signed("nonsense"), b""),
}


@pytest.mark.parametrize("case", UNMATCHED)
def test_signed_request_without_an_operation_is_a_violation(case: str) -> None:
    backend = Backend()
    strict_gate = gate(backend)
    assert send_raw(strict_gate, *UNMATCHED[case]).status == 400
    assert len(strict_gate.record.violations) == 1
    assert not backend.calls


OTHERS = {
    "the registry": ("GET", "/v2/people/manifests/latest", {"host": "localhost:4566"}),
    "the emulator itself": ("GET", "/_ministack/health", {"host": "localhost:4566"}),
    "an issuer's document": ("GET", "/pool/.well-known/openid-configuration", {"host": "localhost:4566"}),
    "an API": ("GET", "/2015-03-31/functions", {"host": "a1.execute-api.localhost:4566"}),
    "an API's caller who signs": ("GET", "/nonsense", signed("execute-api", host="a1.execute-api.localhost")),
    "a function's URL and a caller who signs": (
        "GET",
        "/nonsense",
        signed("lambda", host="u1.lambda-url.eu-central-1.localhost"),
    ),
    "an API's domain and a caller who signs": ("GET", "/nonsense", signed("execute-api", host="api.example.com")),
}


@pytest.mark.parametrize("case", OTHERS)
def test_requests_to_other_endpoints_pass_unchanged(case: str) -> None:
    strict_gate = gate(Backend())
    assert send_raw(strict_gate, *OTHERS[case]).status == 200
    assert not strict_gate.record.violations
    assert not strict_gate.record.requests


def test_unsigned_operations_are_checked() -> None:
    strict_gate = gate(Backend())
    headers = {"x-amz-target": "AWSCognitoIdentityProviderService.InitiateAuth", "host": "localhost"}
    assert send_raw(strict_gate, "POST", "/", headers, b'{"ClientId": "c"}').status == 400
    assert "AuthFlow is required" in strict_gate.record.violations[0].text


def test_escaped_slash_is_part_of_its_label() -> None:
    path = "/v2/apis/a1/stages/%24default/routesettings/GET%20%2Fusers%2F%7Bid%7D"
    scope = {
        "type": "http",
        "method": "DELETE",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
    }
    call = requests.parse(scope, b"", "apigatewayv2")
    assert (call.name, call.input) == (
        "apigatewayv2.DeleteRouteSettings",
        {"ApiId": "a1", "StageName": "$default", "RouteKey": "GET /users/{id}"},
    )


def test_operations_with_the_same_route_differ_by_required_members() -> None:
    strict_gate = gate(Backend())
    send(strict_gate, "s3.PutObject", {"Bucket": "b", "Key": "k", "Body": b"x", "Metadata": {"a": "b"}})
    send(strict_gate, "s3.CopyObject", {"Bucket": "b", "Key": "k", "CopySource": "b/other"})
    send(strict_gate, "s3.ListObjectsV2", {"Bucket": "b"})
    send_raw(strict_gate, "GET", "/k", signed("s3", host="b.localhost:4566"))
    send(
        strict_gate,
        "s3.UploadPartCopy",
        {"Bucket": "b", "Key": "k", "CopySource": "b/o", "PartNumber": 1, "UploadId": "u"},
    )
    expected = ["s3.PutObject", "s3.CopyObject", "s3.ListObjectsV2", "s3.GetObject", "s3.UploadPartCopy"]
    assert strict_gate.record.operations() == expected


@pytest.mark.parametrize("service", SERVICES)
def test_every_pattern_of_the_used_services_compiles(service: str) -> None:
    api: Any = requests.model(service)
    patterns = [shape["pattern"] for shape in api._service_description["shapes"].values() if "pattern" in shape]
    assert all(models.compiled(pattern) for pattern in patterns)


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        pytest.param(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "ä 1", "a;b", id="character classes"),
        pytest.param(
            r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*", "a😀", "\x01", id="surrogate pairs"
        ),
        pytest.param("[a-z]+", "abc", "abc1", id="whole value"),
        pytest.param("^[a-z]+$", "abc", "abc\n", id="trailing newline"),
    ],
)
def test_patterns_have_javas_semantics(pattern: str, matching: str, other: str) -> None:
    assert models.compiled(pattern).fullmatch(matching)
    assert not models.compiled(pattern).fullmatch(other)


def test_deprecated_operation_is_not_taken_for_its_successor() -> None:
    strict_gate = gate(Backend())
    rule = {
        "ID": "old",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
    }
    lifecycle = {"Bucket": "b", "LifecycleConfiguration": {"Rules": [rule]}}
    assert send(strict_gate, "s3.PutBucketLifecycleConfiguration", lifecycle).status == 200
    assert strict_gate.record.operations() == ["s3.PutBucketLifecycleConfiguration"]


def test_payload_that_is_a_text_is_read_as_text() -> None:
    strict_gate = gate(Backend())
    assert send(strict_gate, "s3.PutBucketPolicy", {"Bucket": "b", "Policy": "{}"}).status == 200
    assert strict_gate.record.inputs()[0]["input"]["Policy"] == "{}"


def test_inputs_are_recorded_without_what_is_long_or_deep() -> None:
    strict_gate = gate(Backend())
    variables = {"Environment": {"Variables": {"A": "b"}}, "Code": {"ImageUri": "u", "ZipFile": b"zip"}}
    send(strict_gate, "lambda.CreateFunction", FUNCTION | variables | {"Description": "d" * 256, "Handler": "h" * 128})
    recorded = json.loads(send_raw(strict_gate, "GET", "/_gate/requests", {}).body)
    assert [request["operation"] for request in recorded] == ["lambda.CreateFunction"]
    assert recorded[0]["input"]["FunctionName"] == "people"
    assert recorded[0]["input"]["Environment"] == {"Variables": {}}


def test_operations_can_be_filtered_by_client_time_and_text() -> None:
    strict_gate = gate(Backend())
    provider = signed("lambda", **{"user-agent": "APN/1.0 terraform-provider-aws/5.100.0 run-7"})
    send_raw(strict_gate, "GET", "/2015-03-31/functions", signed("lambda", **{"user-agent": "Boto3/1.44"}))
    send_raw(strict_gate, "GET", "/2015-03-31/functions/people", provider)
    send_raw(strict_gate, "POST", "/2015-03-31/functions/people/versions", provider)
    send_raw(strict_gate, "GET", "/2015-03-31/functions/orders", provider)

    def operations(query: str) -> Any:
        return json.loads(send_raw(strict_gate, "GET", "/_gate/operations", {}, query=query).body)

    assert operations("") == [
        "lambda.ListFunctions",
        "lambda.GetFunction",
        "lambda.PublishVersion",
        "lambda.GetFunction",
    ]
    assert operations("client=run-7") == operations("")[1:]
    assert operations("containing=people") == ["lambda.GetFunction", "lambda.PublishVersion"]
    assert operations(f"since={strict_gate.record.requests[2].at!r}") == operations("")[2:]


def test_violations_are_kept_until_a_test_takes_them() -> None:
    strict_gate = gate(Backend())
    for name in ("mine", "of-another"):
        send_raw(strict_gate, "POST", f"/2015-03-31/functions/{name}/nonsense", signed("lambda"))
    taken = json.loads(send_raw(strict_gate, "DELETE", "/_gate/violations", {}, query="containing=/mine/").body)
    assert ["mine" in violation["text"] for violation in taken] == [True]
    assert [
        violation["about"] for violation in json.loads(send_raw(strict_gate, "GET", "/_gate/violations", {}).body)
    ] == ["lambda"]
