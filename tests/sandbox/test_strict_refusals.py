"""Requests that AWS rejects although its models allow them: each rule rejects its case, and only that."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from sandbox.emulator_server.strict import refusals
from tests.sandbox.strict import Backend, gate, send, send_raw

RULES = {rule.id: rule for rule in refusals.rules()}


@dataclass(frozen=True)
class Case:
    """A request that a rule rejects, a similar one that passes, and the emulator's outputs for lookups."""

    operation: str
    refused: dict[str, Any]
    passes: dict[str, Any]
    outputs: dict[str, Any] = field(default_factory=dict)
    outputs_passing: dict[str, Any] | None = None


def items(count: int, **item: Any) -> dict[str, Any]:
    return {"Items": [item] * count}


def routes(count: int = 1, **route: Any) -> dict[str, Any]:
    return {"apigatewayv2.GetRoutes": items(count, RouteId="r1", RouteKey="GET /users", **route)}


def alias(version: str = "1", **more: Any) -> dict[str, Any]:
    return {"Name": "live", "FunctionVersion": version, **more}


def aliases(*names: str) -> dict[str, Any]:
    return {"Aliases": [{"Name": name, "FunctionVersion": "1"} for name in names]}


def provisioned(**ready: int) -> dict[str, Any]:
    """Lambda's outputs for provisioned concurrency, by qualifier (v1 is version 1)."""
    configs = {qualifier.removeprefix("v"): number for qualifier, number in ready.items()}

    def get(given: dict[str, Any]) -> Any:
        number = configs.get(given["Qualifier"])
        return number and {"RequestedProvisionedConcurrentExecutions": number, "Status": "READY"}

    listed = [{"RequestedProvisionedConcurrentExecutions": number} for number in configs.values()]
    return {
        "lambda.GetProvisionedConcurrencyConfig": get,
        "lambda.ListProvisionedConcurrencyConfigs": {"ProvisionedConcurrencyConfigs": listed},
    }


API = {"ApiId": "a1"}
HTTP_API = {"Name": "people", "ProtocolType": "HTTP"}
JWT = API | {"AuthorizerType": "JWT", "IdentitySource": ["$request.header.Authorization"], "Name": "jwt"}
REQUEST = API | {
    "AuthorizerType": "REQUEST",
    "Name": "lambda",
    "AuthorizerPayloadFormatVersion": "2.0",
    "IdentitySource": [],
}
POOL = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_pool"
DISCOVERY = {"/eu-central-1_pool/.well-known/openid-configuration": {"jwks_uri": f"{POOL}/jwks"}}
FUNCTION = {"FunctionName": "people", "Role": "arn:aws:iam::123456789012:role/people", "PackageType": "Image"}
IMAGE = {"Code": {"ImageUri": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/people@sha256:1"}}
PUT = {"FunctionName": "people", "Qualifier": "live", "ProvisionedConcurrentExecutions": 5}
VERSION = PUT | {"Qualifier": "1"}
PERMISSION = {
    "FunctionName": "people",
    "StatementId": "api",
    "Action": "lambda:InvokeFunction",
    "Principal": "apigateway.amazonaws.com",
}
VERSIONS = {"lambda.GetFunctionConfiguration": {"FunctionName": "people"}}
DOMAIN = {"DomainName": "api.example.com"}
CERTIFICATE = {"CertificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/1"}
ALARM = {
    "AlarmName": "errors",
    "ComparisonOperator": "GreaterThanThreshold",
    "MetricName": "Errors",
    "Namespace": "AWS/Lambda",
}
TARGET = {
    "ServiceNamespace": "lambda",
    "ResourceId": "function:people:7",
    "ScalableDimension": "lambda:function:ProvisionedConcurrency",
}


def uri(region: str) -> str:
    function = f"arn:aws:lambda:{region}:123456789012:function:auth"
    return f"arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/{function}/invocations"


def policy(*rules: dict[str, Any]) -> str:
    return json.dumps({"rules": [{"action": {"type": "expire"}, **rule} for rule in rules]}, indent=4)


def rule(priority: int, **selection: Any) -> dict[str, Any]:
    described = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 10}
    return {"rulePriority": priority, "selection": described | selection}


def environment(**variables: str) -> dict[str, Any]:
    return FUNCTION | IMAGE | {"Environment": {"Variables": variables}}


def function(**more: Any) -> dict[str, Any]:
    return FUNCTION | IMAGE | more


def tagged(**tags: str) -> dict[str, Any]:
    return FUNCTION | IMAGE | {"Tags": tags}


CASES = {
    "authorizer-in-use": Case(
        "apigatewayv2.DeleteAuthorizer",
        API | {"AuthorizerId": "j1"},
        API | {"AuthorizerId": "j2"},
        routes(AuthorizerId="j1") | {"apigatewayv2.GetAuthorizer": {"Name": "jwt"}},
    ),
    "integration-in-use": Case(
        "apigatewayv2.DeleteIntegration",
        API | {"IntegrationId": "i1"},
        API | {"IntegrationId": "i2"},
        routes(Target="integrations/i1"),
    ),
    "routes-per-api": Case("apigatewayv2.CreateRoute", API | {"RouteKey": "GET /"}, API | {"RouteKey": "GET /"}, routes(300), routes(299)),
    "integrations-per-api": Case(
        "apigatewayv2.CreateIntegration",
        API | {"IntegrationType": "AWS_PROXY"},
        API | {"IntegrationType": "AWS_PROXY"},
        {"apigatewayv2.GetIntegrations": items(300)},
        {"apigatewayv2.GetIntegrations": items(299)},
    ),
    "authorizers-per-api": Case(
        "apigatewayv2.CreateAuthorizer",
        REQUEST,
        REQUEST,
        {"apigatewayv2.GetAuthorizers": items(10)},
        {"apigatewayv2.GetAuthorizers": items(9)},
    ),
    "stages-per-api": Case(
        "apigatewayv2.CreateStage",
        API | {"StageName": "a"},
        API | {"StageName": "a"},
        {"apigatewayv2.GetStages": items(10)},
        {"apigatewayv2.GetStages": items(9)},
    ),
    "audiences-per-authorizer": Case(
        "apigatewayv2.CreateAuthorizer",
        JWT | {"JwtConfiguration": {"Audience": ["a"] * 51}},
        JWT | {"JwtConfiguration": {"Audience": ["a"] * 50}},
    ),
    "scopes-per-route": Case(
        "apigatewayv2.UpdateRoute",
        API | {"RouteId": "r1", "AuthorizationScopes": ["s"] * 11},
        API | {"RouteId": "r1", "AuthorizationScopes": ["s"] * 10},
    ),
    "scopes-without-jwt": Case(
        "apigatewayv2.CreateRoute",
        API | {"RouteKey": "GET /", "AuthorizationType": "AWS_IAM", "AuthorizationScopes": ["s"]},
        API | {"RouteKey": "GET /", "AuthorizationType": "JWT", "AuthorizerId": "j1", "AuthorizationScopes": ["s"]},
        {"apigatewayv2.GetAuthorizer": {"AuthorizerType": "JWT"}},
    ),
    "route-without-authorizer": Case(
        "apigatewayv2.CreateRoute",
        API | {"RouteKey": "GET /", "AuthorizationType": "JWT"},
        API | {"RouteKey": "GET /", "AuthorizationType": "AWS_IAM"},
    ),
    "route-with-an-authorizer-of-another-type": Case(
        "apigatewayv2.UpdateRoute",
        API | {"RouteId": "r1", "AuthorizationType": "JWT", "AuthorizerId": "l1"},
        API | {"RouteId": "r1", "AuthorizationType": "CUSTOM", "AuthorizerId": "l1"},
        {"apigatewayv2.GetAuthorizer": {"AuthorizerType": "REQUEST"}},
    ),
    "authorizer-name-in-use": Case(
        "apigatewayv2.CreateAuthorizer",
        REQUEST,
        REQUEST | {"Name": "another"},
        {"apigatewayv2.GetAuthorizers": items(1, Name="lambda")},
    ),
    "route-in-use": Case(
        "apigatewayv2.CreateRoute", API | {"RouteKey": "GET /users"}, API | {"RouteKey": "POST /users"}, routes()
    ),
    "route-with-another-name-of-a-variable": Case(
        "apigatewayv2.CreateRoute",
        API | {"RouteKey": "GET /users/{user}/orders"},
        API | {"RouteKey": "PUT /users/{user}/orders"},
        {"apigatewayv2.GetRoutes": items(1, RouteKey="GET /users/{id}/orders")},
    ),
    "route-key-format": Case(
        "apigatewayv2.CreateRoute", API | {"RouteKey": "GET /{all+}/users"}, API | {"RouteKey": "GET /{some}/{all+}"}
    ),
    "route-to-an-unknown-integration": Case(
        "apigatewayv2.UpdateRoute",
        API | {"RouteId": "r1", "Target": "integrations/i2"},
        API | {"RouteId": "r1", "Target": "integrations/i1"},
        {"apigatewayv2.GetIntegrations": items(1, IntegrationId="i1")},
    ),
    "stage-in-use": Case(
        "apigatewayv2.CreateStage",
        API | {"StageName": "a"},
        API | {"StageName": "b"},
        {"apigatewayv2.GetStages": items(1, StageName="a")},
    ),
    "settings-of-an-unknown-route": Case(
        "apigatewayv2.UpdateStage",
        API | {"StageName": "$default", "RouteSettings": {"GET /orders": {"ThrottlingBurstLimit": 1}}},
        API | {"StageName": "$default", "RouteSettings": {"GET /users": {"ThrottlingBurstLimit": 1}}},
        routes(),
    ),
    "cors-credentials-for-any-origin": Case(
        "apigatewayv2.UpdateApi",
        API | {"CorsConfiguration": {"AllowCredentials": True, "AllowOrigins": ["*"]}},
        API | {"CorsConfiguration": {"AllowCredentials": True, "AllowOrigins": ["https://example.com"]}},
    ),
    "jwt-issuer-without-discovery": Case(
        "apigatewayv2.CreateAuthorizer",
        JWT | {"JwtConfiguration": {"Audience": ["a"], "Issuer": f"{POOL}/"}},
        JWT | {"JwtConfiguration": {"Audience": ["a"], "Issuer": POOL}},
        DISCOVERY,
    ),
    "authorizer-function-of-another-region": Case(
        "apigatewayv2.CreateAuthorizer",
        REQUEST | {"AuthorizerUri": uri("us-east-1")},
        REQUEST | {"AuthorizerUri": uri("eu-central-1")},
    ),
    "cached-authorizer-without-identity-source": Case(
        "apigatewayv2.CreateAuthorizer",
        REQUEST | {"AuthorizerResultTtlInSeconds": 300},
        REQUEST | {"AuthorizerResultTtlInSeconds": 0},
    ),
    "simple-responses-of-format-1": Case(
        "apigatewayv2.CreateAuthorizer",
        REQUEST | {"EnableSimpleResponses": True, "AuthorizerPayloadFormatVersion": "1.0"},
        REQUEST | {"EnableSimpleResponses": True},
    ),
    "log-group-arn-with-a-star": Case(
        "apigatewayv2.CreateStage",
        API | {"StageName": "a", "AccessLogSettings": {"DestinationArn": "arn:aws:logs:eu-central-1:123456789012:log-group:a:*"}},
        API | {"StageName": "a", "AccessLogSettings": {"DestinationArn": "arn:aws:logs:eu-central-1:123456789012:log-group:a"}},
    ),
    "certificate-of-another-region": Case(
        "apigatewayv2.CreateDomainName",
        DOMAIN | {"DomainNameConfigurations": [{"CertificateArn": CERTIFICATE["CertificateArn"].replace("eu-central-1", "us-east-1")}]},
        DOMAIN | {"DomainNameConfigurations": [CERTIFICATE]},
    ),
    "old-tls-of-a-domain": Case(
        "apigatewayv2.CreateDomainName",
        DOMAIN | {"DomainNameConfigurations": [CERTIFICATE | {"SecurityPolicy": "TLS_1_0"}]},
        DOMAIN | {"DomainNameConfigurations": [CERTIFICATE | {"SecurityPolicy": "TLS_1_2"}]},
    ),
    "truststore-outside-of-s3": Case(
        "apigatewayv2.CreateDomainName",
        DOMAIN | {"MutualTlsAuthentication": {"TruststoreUri": "https://example.com/ca.pem"}},
        DOMAIN | {"MutualTlsAuthentication": {"TruststoreUri": "s3://bucket/ca.pem"}},
    ),
    "provisioned-on-an-alias-with-weights": Case(
        "lambda.PutProvisionedConcurrencyConfig",
        PUT,
        PUT,
        {"lambda.GetAlias": alias(RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})},
        {"lambda.GetAlias": alias()},
    ),
    "provisioned-on-an-alias-of-a-provisioned-version": Case(
        "lambda.PutProvisionedConcurrencyConfig",
        PUT,
        PUT,
        {"lambda.GetAlias": alias()} | provisioned(v1=1),
        {"lambda.GetAlias": alias()} | provisioned(v2=1),
    ),
    "provisioned-on-a-version-of-a-provisioned-alias": Case(
        "lambda.PutProvisionedConcurrencyConfig",
        VERSION,
        VERSION,
        {"lambda.ListAliases": aliases("live", "other")} | provisioned(other=1),
        {"lambda.ListAliases": aliases("live", "other")} | provisioned(another=1),
    ),
    "provisioned-on-latest": Case("lambda.PutProvisionedConcurrencyConfig", PUT | {"Qualifier": "$LATEST"}, VERSION),
    "provisioned-above-reserved": Case(
        "lambda.PutProvisionedConcurrencyConfig",
        VERSION,
        VERSION,
        {"lambda.GetFunctionConcurrency": {"ReservedConcurrentExecutions": 9}} | provisioned(v1=3, v2=5),
        {"lambda.GetFunctionConcurrency": {"ReservedConcurrentExecutions": 10}} | provisioned(v1=3, v2=5),
    ),
    "provisioned-leaves-too-little": Case(
        "lambda.PutProvisionedConcurrencyConfig",
        VERSION | {"ProvisionedConcurrentExecutions": 901},
        VERSION | {"ProvisionedConcurrentExecutions": 900},
    ),
    "reserved-leaves-too-little": Case(
        "lambda.PutFunctionConcurrency",
        {"FunctionName": "people", "ReservedConcurrentExecutions": 901},
        {"FunctionName": "people", "ReservedConcurrentExecutions": 900},
    ),
    "reserved-below-provisioned": Case(
        "lambda.PutFunctionConcurrency",
        {"FunctionName": "people", "ReservedConcurrentExecutions": 4},
        {"FunctionName": "people", "ReservedConcurrentExecutions": 5},
        provisioned(v1=2, v2=3),
    ),
    "weights-on-a-provisioned-alias": Case(
        "lambda.UpdateAlias",
        {"FunctionName": "people", "Name": "live", "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.1}}},
        {"FunctionName": "people", "Name": "live", "Description": "weights are not touched"},
        provisioned(live=1),
    ),
    "weights-of-latest": Case(
        "lambda.UpdateAlias",
        {"FunctionName": "people", "Name": "live", "FunctionVersion": "$LATEST", "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.1}}},
        {"FunctionName": "people", "Name": "live", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.1}}},
        VERSIONS,
    ),
    "weights-of-the-same-version": Case(
        "lambda.UpdateAlias",
        {"FunctionName": "people", "Name": "live", "FunctionVersion": "2", "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.1}}},
        {"FunctionName": "people", "Name": "live", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.1}}},
        VERSIONS,
    ),
    "alias-of-an-unknown-version": Case(
        "lambda.UpdateAlias",
        {"FunctionName": "people", "Name": "live", "FunctionVersion": "2"},
        {"FunctionName": "people", "Name": "live", "FunctionVersion": "1"},
        {"lambda.GetFunctionConfiguration": lambda given: {"Version": "1"} if given["Qualifier"] == "1" else None},
    ),
    "version-in-use": Case(
        "lambda.DeleteFunction",
        {"FunctionName": "people", "Qualifier": "1"},
        {"FunctionName": "people", "Qualifier": "2"},
        {"lambda.ListAliases": aliases("live")},
    ),
    "environment-over-4-kb": Case(
        # {"K":"…"} are 8 characters, and é is two bytes.
        "lambda.CreateFunction",
        environment(KEY="é" * 2043 + "12"),
        environment(KEY="é" * 2043),
    ),
    "environment-reserved-keys": Case(
        "lambda.CreateFunction", environment(AWS_REGION="eu-central-1"), environment(AWS_LAMBDA_EXEC_WRAPPER="/opt/bootstrap")
    ),
    "function-name-length": Case("lambda.CreateFunction", function(FunctionName="n" * 65), function(FunctionName="n" * 64)),
    "memory-of-a-function": Case("lambda.CreateFunction", function(MemorySize=10241), function(MemorySize=10240)),
    "timeout-of-a-function": Case("lambda.CreateFunction", function(Timeout=901), function(Timeout=900)),
    "storage-of-a-function": Case(
        "lambda.CreateFunction", function(EphemeralStorage={"Size": 10241}), function(EphemeralStorage={"Size": 10240})
    ),
    "image-outside-of-ecr": Case(
        "lambda.UpdateFunctionCode",
        {"FunctionName": "people", "ImageUri": "public.ecr.aws/lambda/python:3.13"},
        {"FunctionName": "people", "ImageUri": "localhost:4566/people@sha256:1"},
    ),
    "image-of-another-region": Case(
        "lambda.UpdateFunctionCode",
        {"FunctionName": "people", "ImageUri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/people:1"},
        {"FunctionName": "people", "ImageUri": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/people:1"},
    ),
    "image-with-runtime-handler-or-layers": Case("lambda.CreateFunction", function(Handler="app.handler"), function()),
    "snapstart-with-large-storage": Case(
        "lambda.CreateFunction",
        function(SnapStart={"ApplyOn": "PublishedVersions"}, EphemeralStorage={"Size": 513}),
        function(SnapStart={"ApplyOn": "PublishedVersions"}, EphemeralStorage={"Size": 512}),
    ),
    "snapstart-with-provisioned-concurrency": Case(
        "lambda.PutProvisionedConcurrencyConfig",
        VERSION,
        VERSION,
        {"lambda.GetFunctionConfiguration": {"SnapStart": {"ApplyOn": "PublishedVersions"}}},
        {"lambda.GetFunctionConfiguration": {"SnapStart": {"ApplyOn": "None"}}},
    ),
    "log-levels-of-text-logs": Case(
        "lambda.CreateFunction",
        function(LoggingConfig={"LogFormat": "Text", "SystemLogLevel": "WARN"}),
        function(LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": "WARN"}),
    ),
    "subnets-without-security-groups": Case(
        "lambda.CreateFunction",
        function(VpcConfig={"SubnetIds": ["subnet-1"], "SecurityGroupIds": []}),
        function(VpcConfig={"SubnetIds": [], "SecurityGroupIds": []}),
    ),
    "fifo-dead-letter-target": Case(
        "lambda.CreateFunction",
        function(DeadLetterConfig={"TargetArn": "arn:aws:sqs:eu-central-1:123456789012:dead.fifo"}),
        function(DeadLetterConfig={"TargetArn": "arn:aws:sqs:eu-central-1:123456789012:dead"}),
    ),
    "fifo-destination": Case(
        "lambda.PutFunctionEventInvokeConfig",
        {"FunctionName": "people", "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:eu-central-1:123456789012:q.fifo"}}},
        {"FunctionName": "people", "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:eu-central-1:123456789012:q"}}},
    ),
    "policy-of-a-function": Case(
        "lambda.AddPermission",
        PERMISSION,
        PERMISSION,
        {"lambda.GetPolicy": {"Policy": "p" * 20202}},
        {"lambda.GetPolicy": {"Policy": "p" * 20201}},
    ),
    "payload-of-an-invocation": Case(
        "lambda.Invoke",
        {"FunctionName": "people", "Payload": b"p" * 6_291_457},
        {"FunctionName": "people", "Payload": b"p" * 6_291_456},
    ),
    "inline-policies-of-a-role": Case(
        "iam.PutRolePolicy",
        {"RoleName": "people", "PolicyName": "logs", "PolicyDocument": "p " * 5120 + "p"},
        {"RoleName": "people", "PolicyName": "logs", "PolicyDocument": "p " * 5120},
        {
            "iam.ListRolePolicies": {"PolicyNames": ["logs", "table"]},
            "iam.GetRolePolicy": {"RoleName": "people", "PolicyName": "table", "PolicyDocument": "%7B" + "p" * 5119},
        },
    ),
    "trust-policy-of-a-role": Case(
        "iam.CreateRole",
        {"RoleName": "people", "AssumeRolePolicyDocument": "p" * 2049},
        {"RoleName": "people", "AssumeRolePolicyDocument": "p" * 2048 + " \n"},
    ),
    "managed-policy-size": Case(
        "iam.CreatePolicy",
        {"PolicyName": "people", "PolicyDocument": "p" * 6145},
        {"PolicyName": "people", "PolicyDocument": "p" * 6144},
    ),
    "managed-policies-of-a-role": Case(
        "iam.AttachRolePolicy",
        {"RoleName": "people", "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"},
        {"RoleName": "people", "PolicyArn": "arn:aws:iam::aws:policy/Attached"},
        {"iam.ListAttachedRolePolicies": {"AttachedPolicies": [{"PolicyArn": "arn:aws:iam::aws:policy/Attached"}] * 10}},
    ),
    "retention-of-a-log-group": Case(
        "logs.PutRetentionPolicy",
        {"logGroupName": "people", "retentionInDays": 10},
        {"logGroupName": "people", "retentionInDays": 14},
    ),
    "period-of-an-alarm": Case(
        "cloudwatch.PutMetricAlarm", ALARM | {"Period": 90, "EvaluationPeriods": 1}, ALARM | {"Period": 120, "EvaluationPeriods": 1}
    ),
    "alarm-over-more-than-a-day": Case(
        "cloudwatch.PutMetricAlarm", ALARM | {"Period": 60, "EvaluationPeriods": 1441}, ALARM | {"Period": 60, "EvaluationPeriods": 1440}
    ),
    "lifecycle-policy-priorities": Case(
        "ecr.PutLifecyclePolicy",
        {"repositoryName": "people", "lifecyclePolicyText": policy(rule(1), rule(2, tagStatus="untagged"))},
        {"repositoryName": "people", "lifecyclePolicyText": policy(rule(1, tagStatus="untagged"), rule(2))},
    ),
    "lifecycle-policy-counts": Case(
        "ecr.PutLifecyclePolicy",
        {"repositoryName": "people", "lifecyclePolicyText": policy(rule(1, countNumber=0))},
        {"repositoryName": "people", "lifecyclePolicyText": policy(rule(1, countNumber=1))},
    ),
    "scaling-limits-the-wrong-way-round": Case(
        "application-autoscaling.RegisterScalableTarget",
        TARGET | {"MinCapacity": 2, "MaxCapacity": 1},
        TARGET | {"MinCapacity": 2, "MaxCapacity": 2},
    ),
    "scaling-of-latest": Case(
        "application-autoscaling.RegisterScalableTarget", TARGET | {"ResourceId": "function:people:$LATEST"}, TARGET
    ),
    "too-many-tags": Case(
        "lambda.CreateFunction", tagged(**{f"k{n}": "v" for n in range(51)}), tagged(**{f"k{n}": "v" for n in range(50)})
    ),
    "reserved-tag-keys": Case(
        "iam.TagRole",
        {"RoleName": "people", "Tags": [{"Key": "aws:team", "Value": "x"}]},
        {"RoleName": "people", "Tags": [{"Key": "team", "Value": "aws:x"}]},
    ),
    "length-of-tags": Case("apigatewayv2.CreateApi", HTTP_API | {"Tags": {"k": "v" * 257}}, HTTP_API | {"Tags": {"k": "v" * 256}}),
    "characters-of-tags": Case("apigatewayv2.CreateApi", HTTP_API | {"Tags": {"team": "a;b"}}, HTTP_API | {"Tags": {"team": "ä b/c"}}),
}  # fmt: skip

NOTES = {
    "alias-moved-to-a-version-without-environments": Case(
        "lambda.UpdateAlias",
        {"FunctionName": "people", "Name": "live", "FunctionVersion": "2"},
        {"FunctionName": "people", "Name": "live", "FunctionVersion": "2"},
        VERSIONS | {"lambda.GetAlias": alias()} | provisioned(v1=1),
        VERSIONS | {"lambda.GetAlias": alias()} | provisioned(v1=1, v2=1),
    ),
    "provisioned-concurrency-taken-from-a-served-version": Case(
        "lambda.DeleteProvisionedConcurrencyConfig",
        {"FunctionName": "people", "Qualifier": "1"},
        {"FunctionName": "people", "Qualifier": "2"},
        {"lambda.ListAliases": aliases("live")},
    ),
}


def test_every_rule_has_a_case_and_a_source() -> None:
    assert set(CASES) == {name for name, rule in RULES.items() if rule.message}
    assert set(NOTES) == {name for name, rule in RULES.items() if rule.note}
    assert all(rule.source.startswith("https://") for rule in RULES.values())
    assert len(RULES) == len(refusals.rules())


@pytest.mark.parametrize("name", CASES)
def test_rule_rejects_its_case_and_accepts_a_similar_request(name: str) -> None:
    case, rule = CASES[name], RULES[name]
    strict_gate = gate(Backend(case.outputs), RULES.values())
    response = send(strict_gate, case.operation, case.refused)
    body = response.body.decode(errors="replace")  # CBOR, with text in it
    assert response.status == rule.status, body
    assert rule.code in body
    assert "{" not in rule.message or "null" not in body.replace('"null"', ""), body
    assert strict_gate.record.refused == {name: 1}
    accepting = Backend(case.outputs if case.outputs_passing is None else case.outputs_passing)
    passed = send(gate(accepting, RULES.values()), case.operation, case.passes)
    assert passed.status == 200, passed.body[:500]
    assert accepting.calls[-1] == case.operation


@pytest.mark.parametrize("name", CASES)
def test_case_passes_without_its_rule(name: str) -> None:
    case, backend = CASES[name], Backend(CASES[name].outputs)
    strict_gate = gate(backend, [rule for rule in RULES.values() if rule.id != name])
    assert send(strict_gate, case.operation, case.refused).status == 200
    assert backend.calls[-1] == case.operation
    assert not strict_gate.record.violations


@pytest.mark.parametrize("name", NOTES)
def test_note_is_recorded_and_the_request_passes(name: str) -> None:
    case = NOTES[name]
    strict_gate, without = gate(Backend(case.outputs), RULES.values()), gate(Backend(case.outputs))
    assert (
        send(strict_gate, case.operation, case.refused).status
        == send(without, case.operation, case.refused).status
        == 200
    )
    assert [(note.about, "people" in note.text) for note in strict_gate.record.notes] == [(name, True)]
    assert not without.record.notes
    similar = gate(Backend(case.outputs if case.outputs_passing is None else case.outputs_passing), RULES.values())
    assert send(similar, case.operation, case.passes).status == 200
    assert not similar.record.notes


def test_failing_rule_is_a_violation_and_the_request_passes() -> None:
    broken = refusals.Refusal(
        id="broken", operations=["lambda.ListFunctions"], when="length(input)", source="", message="no"
    )
    nonsense = replace(broken, when="length(`1`)")
    strict_gate = gate(Backend(), [nonsense])
    send(strict_gate, "lambda.ListFunctions", {})
    assert "rule broken failed" in strict_gate.record.violations[0].text
    assert not gate(Backend(), [broken]).record.violations


def test_lookups_are_sent_once_and_in_the_account_of_the_request() -> None:
    backend = Backend(routes() | {"apigatewayv2.GetIntegrations": items(1, IntegrationId="i1")})
    strict_gate = gate(backend, RULES.values())
    assert (
        send(strict_gate, "apigatewayv2.CreateRoute", API | {"RouteKey": "GET /", "Target": "integrations/i1"}).status
        == 200
    )
    assert sorted(backend.calls) == [
        "apigatewayv2.CreateRoute",
        "apigatewayv2.GetIntegrations",
        "apigatewayv2.GetRoutes",
    ]
    assert backend.accounts == {"test"}
    send_raw(
        strict_gate,
        "DELETE",
        "/v2/apis/a1/authorizers/j1",
        {"authorization": backend.credential.replace("test", "123456789012")},
    )
    assert backend.accounts == {"test", "123456789012"}
