"""Requests that break AWS's models are found in every protocol, named, and answered as AWS would; what is none of AWS's passes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.emulator_server.strict import models, requests
from tests.sandbox.strict import Behind, gate, raw, sent

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


# Each breaks its operation's model in one place: protocol, operation, a request that passes, what is changed in it, what is said.
PLANTED: list[tuple[str, str, dict[str, Any], dict[str, Any], str]] = [
    ("rest-json", "lambda.CreateFunction", FUNCTION, {"Role": None}, "Role is missing"),
    ("rest-json", "lambda.CreateFunction", FUNCTION, {"Timeout": 0}, "Timeout is 0: 0, and the least is 1"),
    ("rest-json", "lambda.CreateFunction", FUNCTION, {"Timeout": "3"}, "Timeout is '3', and is of type integer"),
    ("rest-json", "lambda.CreateFunction", FUNCTION, {"Publish": 1}, "Publish is 1, and is of type boolean"),
    ("rest-json", "lambda.CreateFunction", FUNCTION, {"PackageType": "Tar"}, "PackageType is 'Tar', and is one of Zip, Image"),
    ("rest-json", "lambda.CreateFunction", FUNCTION, {"Description": "d" * 257}, "257 characters, and the most is 256"),
    ("rest-json", "lambda.CreateFunction", FUNCTION, {"Architectures": ["arm64"] * 2}, "2 items, and the most is 1"),
    ("rest-json", "lambda.CreateFunction", FUNCTION, {"FunctionName": "two words"}, "has to match"),
    ("rest-json", "lambda.CreateFunction", FUNCTION, {"Environment": {"Variables": {"1": "x"}}}, "has to match"),
    ("rest-json", "lambda.GetAlias", {"FunctionName": "f", "Name": "live"}, {"Name": "12"}, "Name is '12', and has to match"),
    ("rest-json", "lambda.ListAliases", {"FunctionName": "f"}, {"MaxItems": 0}, "MaxItems is 0: 0, and the least is 1"),
    ("rest-json", "apigatewayv2.CreateApi", {"Name": "a", "ProtocolType": "HTTP"}, {"Name": "a" * 129}, "the most is 128"),
    ("json", "ecr.CreateRepository", {"repositoryName": "people"}, {"repositoryName": "People"}, "has to match"),
    ("json", "dynamodb.GetItem", {"TableName": "t", "Key": {"id": {"S": "1"}}}, {"Key": {"id": {"S": 1}}}, "Key.id.S is 1"),
    ("json", "logs.CreateLogGroup", {"logGroupName": "a"}, {"tags": {"a": "b" * 257}}, "tags.a is"),
    ("query", "iam.CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": "{}"}, {"Description": "a → b"}, "Description is"),
    ("query", "iam.CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": "{}"}, {"MaxSessionDuration": 1}, "the least is 3600"),
    ("query", "iam.CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": "{}"}, {"Tags": [{"Key": "k"}]}, "Tags[0].Value is missing"),
    ("query", "sns.CreateTopic", {"Name": "t"}, {"Name": None}, "Name is missing"),
    ("ec2", "ec2.DescribeSubnets", {"Filters": [{"Name": "vpc-id", "Values": ["a"]}]}, {"MaxResults": 1}, "the least is 5"),
    ("smithy-rpc-v2-cbor", "cloudwatch.PutMetricAlarm", ALARM, {"AlarmActions": ["a"] * 6}, "6 items, and the most is 5"),
    ("smithy-rpc-v2-cbor", "cloudwatch.PutMetricAlarm", ALARM, {"Unit": "Furlongs"}, "Unit is 'Furlongs', and is one of Seconds"),
    ("rest-xml", "route53.ChangeResourceRecordSets", change(), change(Type="AAA"), "is one of"),
    ("rest-xml", "route53.ChangeResourceRecordSets", change(), change(TTL=-1), "ResourceRecordSet.TTL is -1"),
    ("rest-xml", "s3.PutBucketTagging", {"Bucket": "b", "Tagging": {"TagSet": []}}, {"Tagging": {"TagSet": [{"Key": "k"}]}}, "Value is"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("protocol", "operation", "request_", "change_", "said"),
    PLANTED,
    ids=[f"{p[0]}-{p[1]}-{p[4][:30]}" for p in PLANTED],
)
def test_a_planted_violation_is_found_and_the_request_without_it_passes(
    protocol: str, operation: str, request_: dict[str, Any], change_: dict[str, Any], said: str
) -> None:
    behind = Behind()
    held = gate(behind)
    name = operation.partition(".")[0]
    assert requests.protocol(requests.model(name)) == protocol
    passed = sent(held, operation, request_)
    assert operation in behind.taken, passed.body
    assert not held.record.violations
    behind.taken.clear()
    broken = {key: value for key, value in (request_ | change_).items() if value is not None}
    response = sent(held, operation, broken)
    assert response.status == 400
    assert not behind.taken
    (violation,) = held.record.violations
    assert violation.about == operation
    assert violation.text.startswith(f"{operation}: ")
    assert said in violation.text


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
def test_a_member_that_the_model_does_not_have_is_found(protocol: str) -> None:
    method, path, headers, body, query = UNKNOWN[protocol]
    held = gate(Behind())
    assert raw(held, method, path, headers, body, query).status == 400
    (violation,) = held.record.violations
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


@pytest.mark.parametrize("what", UNMATCHED)
def test_a_signed_request_that_is_no_operation_is_a_violation(what: str) -> None:
    behind = Behind()
    held = gate(behind)
    assert raw(held, *UNMATCHED[what]).status == 400
    assert len(held.record.violations) == 1
    assert not behind.taken


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


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_no_request_to_an_api_of_aws_passes_untouched(what: str) -> None:
    held = gate(Behind())
    assert raw(held, *OTHERS[what]).status == 200
    assert not held.record.violations
    assert not held.record.requests


def test_operations_that_clients_do_not_sign_are_held_too() -> None:
    held = gate(Behind())
    headers = {"x-amz-target": "AWSCognitoIdentityProviderService.InitiateAuth", "host": "localhost"}
    assert raw(held, "POST", "/", headers, b'{"ClientId": "c"}').status == 400
    assert "AuthFlow is missing" in held.record.violations[0].text


def test_an_escaped_slash_is_part_of_its_label() -> None:
    path = "/v2/apis/a1/stages/%24default/routesettings/GET%20%2Fusers%2F%7Bid%7D"
    scope = {
        "type": "http",
        "method": "DELETE",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
    }
    call = requests.read(scope, b"", "apigatewayv2")
    assert (call.name, call.input) == (
        "apigatewayv2.DeleteRouteSettings",
        {"ApiId": "a1", "StageName": "$default", "RouteKey": "GET /users/{id}"},
    )


def test_operations_of_one_route_are_told_apart_by_what_they_require() -> None:
    held = gate(Behind())
    sent(held, "s3.PutObject", {"Bucket": "b", "Key": "k", "Body": b"x", "Metadata": {"a": "b"}})
    sent(held, "s3.CopyObject", {"Bucket": "b", "Key": "k", "CopySource": "b/other"})
    sent(held, "s3.ListObjectsV2", {"Bucket": "b"})
    raw(held, "GET", "/k", signed("s3", host="b.localhost:4566"))
    sent(held, "s3.UploadPartCopy", {"Bucket": "b", "Key": "k", "CopySource": "b/o", "PartNumber": 1, "UploadId": "u"})
    expected = ["s3.PutObject", "s3.CopyObject", "s3.ListObjectsV2", "s3.GetObject", "s3.UploadPartCopy"]
    assert held.record.found() == expected


@pytest.mark.parametrize("service", SERVICES)
def test_every_pattern_of_the_services_in_use_can_be_read(service: str) -> None:
    api: Any = requests.model(service)
    patterns = [shape["pattern"] for shape in api._service_description["shapes"].values() if "pattern" in shape]
    assert all(models.compiled(pattern) for pattern in patterns)


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        pytest.param(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "ä 1", "a;b", id="classes of characters"),
        pytest.param(
            r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*", "a😀", "\x01", id="pairs of surrogates"
        ),
        pytest.param("[a-z]+", "abc", "abc1", id="the whole value"),
        pytest.param("^[a-z]+$", "abc", "abc\n", id="a newline at the end"),
    ],
)
def test_patterns_are_javas(pattern: str, matching: str, other: str) -> None:
    assert models.compiled(pattern).fullmatch(matching)
    assert not models.compiled(pattern).fullmatch(other)


def test_the_operations_of_a_client_of_a_time_and_of_a_name_are_recorded_in_order() -> None:
    held = gate(Behind())
    provider = signed("lambda", **{"user-agent": "APN/1.0 terraform-provider-aws/5.100.0 run-7"})
    raw(held, "GET", "/2015-03-31/functions", signed("lambda", **{"user-agent": "Boto3/1.44"}))
    raw(held, "GET", "/2015-03-31/functions/people", provider)
    raw(held, "POST", "/2015-03-31/functions/people/versions", provider)
    raw(held, "GET", "/2015-03-31/functions/orders", provider)

    def asked(query: str) -> Any:
        return json.loads(raw(held, "GET", "/_gate/operations", {}, query=query).body)

    assert asked("") == ["lambda.ListFunctions", "lambda.GetFunction", "lambda.PublishVersion", "lambda.GetFunction"]
    assert asked("client=run-7") == asked("")[1:]
    assert asked("containing=people") == ["lambda.GetFunction", "lambda.PublishVersion"]
    assert asked(f"since={held.record.requests[2].at!r}") == asked("")[2:]


def test_violations_are_kept_until_the_test_that_expects_them_takes_them() -> None:
    held = gate(Behind())
    for name in ("mine", "of-another"):
        raw(held, "POST", f"/2015-03-31/functions/{name}/nonsense", signed("lambda"))
    taken = json.loads(raw(held, "DELETE", "/_gate/violations", {}, query="containing=/mine/").body)
    assert ["mine" in violation["text"] for violation in taken] == [True]
    assert [violation["about"] for violation in json.loads(raw(held, "GET", "/_gate/violations", {}).body)] == [
        "lambda"
    ]
