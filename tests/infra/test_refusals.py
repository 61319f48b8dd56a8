"""Every validation of the module: inputs that it refuses, its message, and the nearest inputs that it accepts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness import PlanError, Root, assert_every_condition_is_tested, conditions, copy_project, states
from harness.pytest_plugin import RootFactory
from sandbox.overrides import AWS_PROVIDER
from sandbox.paths import MODULE
from tests.infra.conftest import CONTEXT, MODULE_FILES, PROVIDERS, REQUIRED, URI, literal
from tests.infra.test_release_gate import OTHER_REFUSALS, REFUSED
from tests.infra.test_source_hash import REFUSED as SOURCES
from tests.infra.test_source_hash import WRONG_REGISTRY

JSON = dict[str, Any]
FUNCTION = "arn:aws:lambda:eu-central-1:111122223333:function:authorize"
CERTIFICATE = "arn:aws:acm:eu-central-1:111122223333:certificate/1234"
DOMAIN = {"name": "api.example.com", "certificate_arn": CERTIFICATE}
CONDITION: JSON = {"test": "StringEquals", "variable": "aws:PrincipalTag/team", "values": ["orders"]}
TOPIC = "arn:aws:sns:eu-central-1:111122223333:on-call"
KEY = "arn:aws:kms:eu-central-1:111122223333:key/1234"
PARAMETER = "arn:aws:ssm:eu-central-1:111122223333:parameter"
SECRET = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:orders/db"
REASON = "Ten chars."
ROLE = "arn:aws:iam::111122223333:role/orders"
REPOSITORY = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/team/orders"
VPC = {"subnet_ids": ["subnet-1"], "security_group_ids": ["sg-1"]}
ACCESS_POINT = "arn:aws:elasticfilesystem:eu-central-1:111122223333:access-point/fsap-0123456789abcdef0"
FILE_SYSTEM = {"access_point_arn": ACCESS_POINT, "mount_path": "/mnt/models"}
# Lambda's 4096 bytes, less the JSON around one variable's value.
VALUE_BYTES = 4096 - len('{"LOG_LEVEL":"INFO","TEXT":""}')
TOO_MANY_TAGS = "tags must not exceed 50 with the provider's default_tags"
# Need a deployment, so the module's own tests/defaults.tftest.hcl cover them.
DEPLOYED_ROLE = "permissions.role_path and role_name_prefix apply to a new role"
OTHER_REGION = "This API is deployed in region … of account …, but the AWS provider is in region …"


def function(**values: Any) -> JSON:
    return {"function": values}


def api(**values: Any) -> JSON:
    return {"api": values}


def cors(**values: Any) -> JSON:
    return {"api": {"cors": {"allow_origins": ["https://app.example.com"], **values}}}


def domain(**values: Any) -> JSON:
    return {"api": {"domain": DOMAIN | values}}


def auth(**values: Any) -> JSON:
    return {"auth": values}


def jwt(**values: Any) -> JSON:
    return auth(jwt={"issuer": "https://login.example.com", "audience": ["orders"], **values})


def build(**values: Any) -> JSON:
    return {"image": {"build": {"context": "app", **values}}}


def uri(image: str) -> JSON:
    return {"image": {"uri": image}}


def statements(*values: JSON) -> JSON:
    minimal = {"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::a/*"]}
    return {"permissions": {"statements": [{**minimal, **value} for value in values]}}


def statement(**values: Any) -> JSON:
    return statements(values)


def warm(**values: Any) -> JSON:
    return {"provisioned_concurrency": {"min": 1, **values}}


def release(**values: Any) -> JSON:
    return {"release": values}


def smoke(**values: Any) -> JSON:
    return {"release": {"smoke": values}}


def smoke_also(**values: Any) -> JSON:
    return smoke(also=[{"path": "/", **values}])


def route(key: str = "GET /users", **values: Any) -> JSON:
    return {"routes": {key: values}}


def routes(count: int) -> JSON:
    return {"routes": {f"GET /r{i}": {} for i in range(count)}}


@dataclass(frozen=True)
class Limit:
    """A validation: beginning of its message (… for interpolations), inputs beyond its limit, inputs just within."""

    message: str
    refused: list[JSON]
    accepted: list[JSON]


ALARMS = ["errors", "server-errors", "throttles", "latency", "latency-average"]
ALARMS += ["duration", "memory", "concurrency", "spillover"]

LIMITS = {
    # alarms
    "more than 5 alarm actions": Limit(
        "alarms.actions must hold at most 5 ARNs",
        [{"alarms": {"actions": [TOPIC] * 6}}],
        [{"alarms": {"actions": [*([TOPIC] * 5), None]}}, {"alarms": None}],
    ),
    "an alarm action that is not an ARN": Limit(
        "alarms.actions must hold ARNs",
        [{"alarms": {"actions": [a]}} for a in ("", "on-call", "arn:aws:sns")],
        [{"alarms": {"actions": [a]}} for a in (TOPIC, "arn:aws:automate:eu-central-1:ec2:stop", None)],
    ),
    "an unknown name in alarms.off": Limit(
        "alarms.off may name",
        [{"alarms": {"off": ["error"]}}],
        [{"alarms": {"off": ALARMS}}],
    ),
    "an alarm threshold of 0": Limit(
        "alarms: errors, latency_p99_ms",
        [{"alarms": {name: 0}} for name in ("errors", "latency_p99_ms", "server_errors", "spillover", "throttles")],
        [{"alarms": {name: 1}} for name in ("errors", "latency_p99_ms", "server_errors", "spillover", "throttles")],
    ),
    "a concurrency percentage outside 1 to 100": Limit(
        "alarms.concurrency_percent must be from 1 to 100",
        [{"alarms": {"concurrency_percent": 0}}, {"alarms": {"concurrency_percent": 101}}],
        [{"alarms": {"concurrency_percent": 1}}, {"alarms": {"concurrency_percent": 100}}],
    ),
    "an average latency of 0": Limit(
        "alarms.latency_average_ms must be above 0",
        [{"alarms": {"latency_average_ms": value}} for value in (0, -1)],
        [{"alarms": {"latency_average_ms": 0.5}}, {"alarms": None}],
    ),
    "a duration or memory percentage outside 1 to 100": Limit(
        "alarms: duration_percent and memory_percent must be from 1 to 100",
        [{"alarms": {name: value}} for name in ("duration_percent", "memory_percent") for value in (0, 101)],
        [{"alarms": {name: value}} for name in ("duration_percent", "memory_percent") for value in (1, 100)],
    ),
    # api
    "CORS credentials with a wildcard": Limit(
        "api.cors.allow_credentials cannot be combined with",
        [cors(allow_credentials=True, **{name: ["*"]}) for name in ("allow_origins", "allow_headers", "allow_methods")],
        [cors(allow_credentials=True), cors(allow_origins=["*"], allow_headers=["*"], allow_methods=["*"])],
    ),
    "CORS without an origin": Limit(
        "api.cors.allow_origins must name at least one",
        [cors(allow_origins=[]), cors(allow_origins=[None])],
        [cors(), cors(allow_origins=[None, "*"])],
    ),
    "an invalid CORS origin": Limit(
        'api.cors.allow_origins must be "*" or origins',
        [
            cors(allow_origins=[o])
            for o in ("app.example.com", "https://app.example.com/", "https://a.example.com/path")
        ],
        [
            cors(allow_origins=[o])
            for o in ("*", "http://localhost:3000", "https://*.example.com", "capacitor://localhost")
        ],
    ),
    "an invalid CORS method": Limit(
        'api.cors.allow_methods must be "*" or upper-case methods',
        [cors(allow_methods=[m]) for m in ("get", "", "A" * 65)],
        [cors(allow_methods=[m]) for m in ("*", "PATCH", "A" * 64, None)],
    ),
    "an invalid CORS header name": Limit(
        'api.cors.allow_headers and expose_headers must be "*" or header names',
        [cors(**{name: [h]}) for name in ("allow_headers", "expose_headers") for h in ("", "x header", "x:")],
        [cors(**{name: [h]}) for name in ("allow_headers", "expose_headers") for h in ("*", "x-header", None)],
    ),
    "a CORS max age of more than a day": Limit(
        "api.cors.max_age_seconds must be from -1",
        [cors(max_age_seconds=-2), cors(max_age_seconds=86401)],
        [cors(max_age_seconds=-1), cors(max_age_seconds=86400)],
    ),
    "a domain that is not a host name": Limit(
        "api.domain.name must be a fully qualified host name",
        [
            domain(name=n)
            for n in (
                "localhost",
                "API.example.com",
                "https://api.example.com",
                "-a.example.com",
                "a..example.com",
                f"{'a' * 64}.example.com",
                "",
                None,
            )
        ],
        [domain(), domain(name="*.example.com"), domain(name=f"{'a' * 63}.example.com")],
    ),
    "a certificate that is not in ACM": Limit(
        "api.domain.certificate_arn must be the ARN of an ACM certificate",
        [domain(certificate_arn=a) for a in ("arn:aws:iam::111122223333:server-certificate/a", "1234", "", None)],
        [
            domain(),
            domain(certificate_arn=CERTIFICATE.replace("arn:aws:", "arn:aws-cn:")),
            domain(certificate_arn=None, existing=True),
            domain(existing=None),
        ],
    ),
    "attributes of a domain that exists": Limit(
        "api.domain.existing joins a domain as it is",
        [
            domain(existing=True),
            *(
                domain(existing=True, certificate_arn=None, **{name: value})
                for name, value in {
                    "ownership_verification_certificate_arn": CERTIFICATE,
                    "route53": {"zone_id": "Z1"},
                    "truststore_uri": "s3://bucket/ca.pem",
                }.items()
            ),
        ],
        [domain(existing=True, certificate_arn=None, base_path="orders", keep_default_endpoint=True)],
    ),
    "an invalid base path": Limit(
        "api.domain.base_path must be a path",
        [domain(base_path=p) for p in ("", "/", "/orders", "orders/", "a//b", "a b", "a" * 301, "{id}")],
        [domain(base_path=p) for p in (None, "orders", "orders/v1", "a-b_c.d", "a" * 300)],
    ),
    "a truststore that is not in S3": Limit(
        "api.domain.truststore_uri must be s3://",
        [
            domain(truststore_uri="https://bucket/ca.pem"),
            domain(truststore_uri="s3://bucket"),
            domain(truststore_version="1"),
            domain(truststore_uri="s3://bucket/ca.pem", truststore_version=""),
            domain(truststore_uri="s3://bucket/ca.pem", truststore_version="v" * 65),
        ],
        [
            domain(truststore_uri="s3://bucket/ca.pem"),
            domain(truststore_uri="s3://bucket/ca.pem", truststore_version="v" * 64),
        ],
    ),
    "an ownership verification certificate that is not in ACM": Limit(
        "api.domain.ownership_verification_certificate_arn must be the ARN",
        [domain(ownership_verification_certificate_arn=a) for a in ("", "1234")],
        [domain(ownership_verification_certificate_arn=a) for a in (None, CERTIFICATE)],
    ),
    "an unsupported IP address type": Limit(
        "api.domain.ip_address_type must be dualstack",
        [domain(ip_address_type=t) for t in ("ipv6", "")],
        [domain(ip_address_type=t) for t in ("dualstack", "ipv4", None)],
    ),
    "a hosted zone without an ID": Limit(
        "api.domain.route53.zone_id must be the ID",
        [domain(route53={"zone_id": z}) for z in ("", None)],
        [domain(route53={"zone_id": "Z1"}), domain(route53=None)],
    ),
    "a default endpoint that bypasses mTLS": Limit(
        "api.domain.keep_default_endpoint must be false with a truststore",
        [domain(truststore_uri="s3://bucket/ca.pem", keep_default_endpoint=True)],
        [domain(truststore_uri="s3://bucket/ca.pem"), domain(keep_default_endpoint=True)],
    ),
    "a throttle that rejects every request": Limit(
        "api.throttle.rate_per_second must be above 0",
        [api(throttle=t) for t in ({"rate_per_second": 0}, {"burst": 0}, {"burst": 1.5})],
        [api(throttle={"rate_per_second": 0.5, "burst": 1}), api(throttle=None), api(throttle={"burst": None})],
    ),
    # auth
    "no auth method, or two": Limit(
        "auth must set exactly one of",
        [
            auth(),
            auth(iam={}, public={"reason": REASON}),
            auth(iam={}, jwt={"issuer": "https://a.example", "audience": ["a"]}),
        ],
        [auth(iam={}), auth(public={"reason": REASON}), jwt(), auth(**{"lambda": {"function_arn": FUNCTION}})],
    ),
    "an issuer that is not an HTTPS URL": Limit(
        "auth.jwt.issuer must be an https:// URL",
        [
            jwt(issuer=i)
            for i in (
                "http://login.example.com",
                "login.example.com",
                "https://",
                "https://login.example.com/?a=b",
                "https://login.example.com/.well-known/openid-configuration",
                "https://login.example.com/" + "a" * 2023,
                None,
            )
        ],
        [
            jwt(issuer=i)
            for i in (
                "https://login.example.com/tenant/v2.0",
                "https://login.example.com/",
                "https://login.example.com/" + "a" * 2022,
            )
        ],
    ),
    "JWT auth without an audience": Limit(
        "auth.jwt.audience must name at least one",
        [jwt(audience=a) for a in ([], ["a", ""], [None], None)],
        [jwt(audience=["a"]), jwt(audience=["a", None])],
    ),
    "more than 50 audiences": Limit(
        "auth.jwt.audience must name at most 50",
        [jwt(audience=[f"a{i}" for i in range(51)])],
        [jwt(audience=[f"a{i}" for i in range(50)])],
    ),
    "more than 10 scopes, or one of invalid length": Limit(
        "auth.jwt.scopes must name at most 10",
        [jwt(scopes=s) for s in ([f"s{i}" for i in range(11)], [""], ["s" * 65])],
        [jwt(scopes=s) for s in ([f"s{i}" for i in range(10)], [None], ["s" * 64])],
    ),
    "an authorizer that is not a function": Limit(
        "auth.lambda.function_arn must be the ARN",
        [
            auth(**{"lambda": {"function_arn": a}})
            for a in ("authorize", "arn:aws:sqs:eu-central-1:111122223333:authorize", f"{FUNCTION}:a:b")
        ],
        [auth(**{"lambda": {"function_arn": a}}) for a in (FUNCTION, f"{FUNCTION}:live")],
    ),
    "an authorizer TTL of more than an hour": Limit(
        "auth.lambda.ttl_seconds must be a whole number from 0",
        [auth(**{"lambda": {"function_arn": FUNCTION, "ttl_seconds": s}}) for s in (-1, 3601, 0.5)],
        [auth(**{"lambda": {"function_arn": FUNCTION, "ttl_seconds": s}}) for s in (0, 3600)],
    ),
    "an authorizer TTL without identity sources": Limit(
        "auth.lambda.identity_sources must name at least one",
        [auth(**{"lambda": {"function_arn": FUNCTION, "identity_sources": s, "ttl_seconds": 1}}) for s in ([], [None])],
        [auth(**{"lambda": {"function_arn": FUNCTION, "identity_sources": [], "ttl_seconds": 0}})],
    ),
    "an invalid identity source": Limit(
        "auth.lambda.identity_sources must be $request.header",
        [
            auth(**{"lambda": {"function_arn": FUNCTION, "identity_sources": [s]}})
            for s in ("Authorization", "$request.body.token", "method.request.header.Auth", "")
        ],
        [
            auth(**{"lambda": {"function_arn": FUNCTION, "identity_sources": s, "ttl_seconds": 60}})
            for s in (
                ["$request.header.Authorization", None],
                ["$request.querystring.key", "$context.path", "$context.httpMethod", "$stageVariables.tenant"],
            )
        ],
    ),
    "a public API without a reason": Limit(
        "auth.public.reason must say in 10 to 512",
        [auth(public={"reason": r}) for r in ("", "test", "         x", "x" * 513, None)],
        [auth(public={"reason": r}) for r in (REASON, "x" * 512)],
    ),
    # function
    "an unsupported architecture": Limit(
        "function.architecture must be x86_64 or arm64",
        [function(architecture="amd64")],
        [function(architecture="arm64"), function(architecture="x86_64")],
    ),
    "memory outside Lambda's limits": Limit(
        "function.memory_mb must be a whole number from 128 to 10240",
        [function(memory_mb=m) for m in (127, 10241, 512.5)],
        [function(memory_mb=m) for m in (128, 10240)],
    ),
    "a time-out above the gateway's": Limit(
        "function.timeout_seconds must be a whole number from 1 to 29",
        [function(timeout_seconds=s) for s in (0, 30, 1.5)],
        [function(timeout_seconds=s) for s in (1, 29)],
    ),
    "a /tmp outside Lambda's limits": Limit(
        "function.ephemeral_storage_mb must be a whole number from 512 to 10240",
        [function(ephemeral_storage_mb=m) for m in (511, 10241, 512.5)],
        [function(ephemeral_storage_mb=m) for m in (512, 10240)],
    ),
    "a negative or fractional reserved concurrency": Limit(
        "function.reserved_concurrency must be a whole number from 0",
        [function(reserved_concurrency=n) for n in (-1, 0.5)],
        [function(reserved_concurrency=n) for n in (0, 1, None)],
    ),
    "an invalid environment variable name": Limit(
        "function.environment and function.secrets: names must be two or more of",
        [function(environment={n: "x"}) for n in ("A", "1A", "_A", "A-B", "A.B")],
        [function(environment={n: "x"}) for n in ("AB", "a_1")],
    ),
    "a reserved environment variable name": Limit(
        "function.environment and function.secrets must not set AWS_REGION",
        [function(environment={n: "x"}) for n in ("AWS_REGION", "AWS_LAMBDA_RUNTIME_API", "AWS_SECRET_ACCESS_KEY")],
        [
            function(environment={n: "x"})
            for n in ("AWS_ENDPOINT_URL", "AWS_LAMBDA_EXEC_WRAPPER", "LOG_LEVEL", "MY_AWS_REGION", "SOURCE_HASH")
        ],
    ),
    "a name in both environment and secrets": Limit(
        "function.environment and function.secrets must not share a name",
        [
            function(
                environment={"TOKEN": "x"}, secrets={"TOKEN": "arn:aws:ssm:eu-central-1:111122223333:parameter/token"}
            )
        ],
        [
            function(
                environment={"TOKEN": "x"}, secrets={"OTHER": "arn:aws:ssm:eu-central-1:111122223333:parameter/token"}
            )
        ],
    ),
    "an environment above 4096 bytes": Limit(
        "function.environment and function.secrets must not exceed 4096 bytes",
        [
            function(environment={"TEXT": "x" * (VALUE_BYTES + 1)}),
            function(environment={"TEXT": "é" * (VALUE_BYTES // 2 + 1)}),
            function(environment={"TEXT": '"' * (VALUE_BYTES // 2 + 1)}),
        ],
        [
            function(environment={"TEXT": "x" * VALUE_BYTES, "NOTHING": None}),
            function(environment={"TEXT": "é" * (VALUE_BYTES // 2)}),
            function(environment={"TEXT": "<>&" * (VALUE_BYTES // 3)}),
        ],
    ),
    "an environment key that is not a KMS ARN": Limit(
        "function.kms_key_arn must be the ARN of a KMS key",
        [function(kms_key_arn=k) for k in ("", "alias/orders", "arn:aws:s3:::bucket")],
        [function(kms_key_arn=k) for k in (None, "arn:aws:kms:eu-central-1:111122223333:key/1234")],
    ),
    "a secret that is not a full ARN": Limit(
        "function.secrets must map names to full ARNs",
        [
            function(secrets={"TOKEN": v})
            for v in (
                "",
                "hunter2",
                "arn:aws:s3:::bucket/key",
                "arn:aws:ssm:eu-central-1:111122223333:document/a",
                f"{PARAMETER}//a",
                f"{PARAMETER}/a:3",
                SECRET,
                f"{SECRET}-??????",
                f"{SECRET}-AbCdEf:password::",
            )
        ],
        [function(secrets={"TOKEN": v}) for v in (f"{SECRET}-AbCdEf", f"{PARAMETER}/token", f"{PARAMETER}/a/b.c_d-e")],
    ),
    "a VPC without subnets or security groups, or with too many": Limit(
        "function.vpc must name 1 to 16 subnet_ids",
        [
            function(vpc={"subnet_ids": ["s"] * subnets, "security_group_ids": ["g"] * groups})
            for subnets, groups in ((0, 1), (17, 1), (1, 0), (1, 6))
        ],
        [
            function(vpc={"subnet_ids": ["s"] * subnets, "security_group_ids": ["g"] * groups})
            for subnets, groups in ((1, 1), (16, 5))
        ],
    ),
    "an empty subnet or security group ID": Limit(
        "function.vpc: subnet_ids and security_group_ids must not contain",
        [
            function(vpc={"subnet_ids": ["s", ""], "security_group_ids": ["g"]}),
            function(vpc={"subnet_ids": ["s"], "security_group_ids": ["", "g"]}),
        ],
        [function(vpc={"subnet_ids": ["s", None], "security_group_ids": [None, "g"]})],
    ),
    "asynchronous retries or max age outside Lambda's limits": Limit(
        "function.asynchronous: retries must be 0, 1 or 2",
        [
            function(asynchronous=a)
            for a in ({"retries": -1}, {"retries": 3}, {"max_age_seconds": 59}, {"max_age_seconds": 21601})
        ],
        [
            function(asynchronous=a)
            for a in ({"retries": 0, "max_age_seconds": 60}, {"retries": 2, "max_age_seconds": 21600})
        ],
    ),
    "an unsupported failure destination": Limit(
        "function.asynchronous.on_failure.arn must be the ARN of an SQS queue",
        [
            function(asynchronous={"on_failure": {"arn": a}})
            for a in (
                "",
                "queue",
                "arn:aws:dynamodb:eu-central-1:111122223333:table/x",
                "arn:aws:sqs:eu-central-1:111122223333:x.fifo",
                "arn:aws:sns:eu-central-1:111122223333:x.fifo",
            )
        ],
        [
            function(asynchronous={"on_failure": {"arn": a}})
            for a in (
                "arn:aws:s3:::bucket",
                *(f"arn:aws:{service}:eu-central-1:111122223333:x" for service in ("sqs", "sns", "lambda", "events")),
            )
        ],
    ),
    "an invalid file system": Limit(
        "function.file_system: access_point_arn must be the ARN",
        [
            function(vpc=VPC, file_system={"access_point_arn": arn, "mount_path": path})
            for arn, path in (
                (ACCESS_POINT, "/models"),
                (ACCESS_POINT, "/mnt/"),
                (ACCESS_POINT, "/mnt/a/b"),
                (ACCESS_POINT, f"/mnt/{'a' * 156}"),
                (ACCESS_POINT, None),
                ("fsap-0123456789abcdef0", "/mnt/models"),
                ("arn:aws:elasticfilesystem:eu-central-1:111122223333:file-system/fs-0123456789abcdef0", "/mnt/models"),
            )
        ],
        [function(vpc=VPC, file_system={"access_point_arn": ACCESS_POINT, "mount_path": f"/mnt/{'a' * 155}"})],
    ),
    "a file system without a VPC or with SnapStart": Limit(
        "function.file_system needs function.vpc",
        [function(file_system=FILE_SYSTEM), function(file_system=FILE_SYSTEM, vpc=VPC, snap_start=True)],
        [function(file_system=FILE_SYSTEM, vpc=VPC), function(vpc=VPC, snap_start=True)],
    ),
    "an unknown setting of recursive loops": Limit(
        "function.recursive_loop must be Allow or Terminate",
        [function(recursive_loop=r) for r in ("allow", "")],
        [function(recursive_loop=r) for r in ("Allow", "Terminate", None)],
    ),
    "SnapStart with a large /tmp": Limit(
        "function.snap_start cannot be combined with function.ephemeral_storage_mb",
        [function(snap_start=True, ephemeral_storage_mb=513)],
        [function(snap_start=True, ephemeral_storage_mb=512), function(ephemeral_storage_mb=513)],
    ),
    # image
    "both or neither of build and uri": Limit(
        "image must set exactly one of build",
        [{"image": {}}, {"image": {"build": {"context": "app"}, "uri": URI}}],
        [build(), uri(URI)],
    ),
    "an image URI without a digest": Limit(
        "image.uri must name the image by digest",
        [
            uri(u)
            for u in ("", "registry.example/orders:1.2", "orders@sha256:" + "0" * 64, URI[:-1], URI.replace("@", "@@"))
        ],
        [uri(URI), uri("localhost:5000/a/b@sha256:" + "f" * 64)],
    ),
    "a context that is not a folder": Limit(
        "image.build.context (…) is not a folder",
        [build(context=c, dockerfile="../app/Dockerfile") for c in ("nowhere", "app/main.py", None)],
        [build(), build(context="./app/"), build(context="empty", dockerfile="../app/Dockerfile")],
    ),
    "an empty string in image.build": Limit(
        "image.build: builder, cache_from, cache_to, context, dockerfile, log_file, source_hash and target must not be",
        [build(**{name: ""}) for name in ("builder", "context", "dockerfile", "log_file", "source_hash", "target")]
        + [build(**{name: ["type=inline", ""]}) for name in ("cache_from", "cache_to")],
        [
            build(**dict.fromkeys(("args", "builder", "dockerfile", "log_file", "source_hash", "target"))),
            build(**dict.fromkeys(("additional_contexts", "cache_from", "cache_to", "labels", "secrets"))),
        ],
    ),
    "a build secret without one source": Limit(
        "image.build.secrets: each needs an ID",
        [
            build(secrets={name: secret})
            for name, secret in (
                ("pip", {}),
                ("pip", {"env": "A", "file": "b"}),
                ("pip", {"env": ""}),
                ("pip", {"file": "a,uid=0"}),
                ("a b", {"env": "A"}),
                ("", {"env": "A"}),
            )
        ],
        [build(secrets={"pip.index-1_A": {"env": "A"}, "netrc": {"file": "/home/me/.netrc"}, "none": None})],
    ),
    "a malformed named context": Limit(
        "image.build.additional_contexts: a name is in lower case",
        [build(additional_contexts={name: source}) for name, source in (("Base", "git@a:b"), ("", "git@a:b"))]
        + [build(additional_contexts={"base": ""}, source_hash="a")],
        [
            build(
                additional_contexts={"base": "docker-image://a", "docker.io/library/python:3.13": "target:b", "c": None}
            )
        ],
    ),
    "a local named context that is not hashed": Limit(
        "image.build.additional_contexts: a local folder is not part of the hash",
        [build(additional_contexts={"shared": folder}) for folder in ("../common", "/common", "C:/common")],
        [
            build(additional_contexts={"shared": "../common"}, source_hash="a"),
            build(additional_contexts={"a": "https://example.com/a.git#v1", "b": "oci-layout://b"}),
        ],
    ),
    "a label without a name": Limit(
        "image.build.labels: a name must not be empty",
        [build(labels={name: "a"}) for name in ("", "a b", "a=b")],
        [build(labels={"org.opencontainers.image.revision": "a b=c", "com.example.none": None})],
    ),
    "a missing Dockerfile": Limit(
        "image.build.dockerfile (…) does not exist",
        [build(dockerfile="Containerfile"), build(dockerfile="../Dockerfile"), build(context="empty")],
        [build(dockerfile="../other/Dockerfile"), build(dockerfile="Dockerfile")],
    ),
    # logs
    "an unknown log class": Limit(
        "logs.class must be STANDARD or INFREQUENT_ACCESS",
        [{"logs": {"class": c}} for c in ("DELIVERY", "standard", "")],
        [{"logs": {"class": c}} for c in ("STANDARD", None)],
    ),
    "a memory alarm without metric filters": Limit(
        "logs.class INFREQUENT_ACCESS has no metric filters",
        [{"logs": {"class": "INFREQUENT_ACCESS"}}, {"logs": {"class": "INFREQUENT_ACCESS"}, "alarms": {"off": None}}],
        [{"logs": {"class": "INFREQUENT_ACCESS"}, "alarms": a} for a in (None, {"off": ["memory"]})],
    ),
    "an unknown log level": Limit(
        "logs.level must be DEBUG",
        [{"logs": {"level": level}} for level in ("debug", "TRACE")],
        [{"logs": {"level": level}} for level in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")],
    ),
    "an unsupported log retention": Limit(
        "logs.retention_days must be one of",
        [{"logs": {"retention_days": days}} for days in (0, 2, 366, 3654)],
        [{"logs": {"retention_days": days}} for days in (1, 365, 3653)],
    ),
    "a log key that is not an ARN": Limit(
        "logs.kms_key_arn must be the ARN",
        [{"logs": {"kms_key_arn": k}} for k in ("", "1234", "alias/logs")],
        [{"logs": {"kms_key_arn": k}} for k in (KEY, KEY.replace(":key/", ":alias/"), None)],
    ),
    # name
    "an invalid name": Limit(
        "name must be 2 to 40 lower-case letters",
        [{"name": n} for n in ("", "o", "Orders", "1orders", "orders-", "or--ders", "or_ders", "-orders", "o" * 41)],
        [{"name": n} for n in ("o1", "orders-2-api", "o" * 40)],
    ),
    # permissions
    "a statement without actions or resources": Limit(
        "permissions.statements: each statement must name",
        [statement(actions=[]), statement(resources=[]), statement(actions=[None]), statement(resources=None)],
        [statement(), statement(actions=["s3:GetObject", None]), {"permissions": {"statements": [None]}}],
    ),
    "an action without a service": Limit(
        "permissions.statements: actions must be <service>:<action>",
        [statement(actions=[a]) for a in ("", "GetObject", "s3:", "s3:Get Object")],
        [statement(actions=[a]) for a in ("s3:Get*", "s3:*", "execute-api:Invoke", "ec2:Describe?pcs")],
    ),
    "a resource that is not an ARN": Limit(
        "permissions.statements: resources must be ARNs",
        [statement(resources=[r]) for r in ("", "orders", "s3://a")],
        [statement(resources=[r]) for r in ("*", "arn:aws:s3:::a", "arn:*:s3:::a/&{aws:username}/*")],
    ),
    "an incomplete condition": Limit(
        "permissions.statements: each condition must name",
        [
            statement(conditions=[{**CONDITION, part: value}])
            for part, value in (("test", ""), ("test", None), ("variable", ""), ("values", []), ("values", [None]))
        ],
        [statement(conditions=[CONDITION, None]), statement(conditions=[CONDITION | {"values": [""]}])],
    ),
    "a duplicate Sid": Limit(
        "permissions.statements: each sid must be unique",
        [statements({"sid": "Read"}, {"sid": "Read"}), statement(sid="WriteLogs"), statement(sid="ReadSecrets")],
        [statements({"sid": "Read"}, {"sid": "Write"}, {}, {})],
    ),
    "a role that is not named by ARN": Limit(
        "permissions.existing_role.arn must be the ARN",
        [
            {"permissions": {"existing_role": {"arn": a}}}
            for a in ("orders", "arn:aws:iam::111122223333:user/a", "", None)
        ],
        [{"permissions": {"existing_role": {"arn": a}}} for a in (ROLE, ROLE.replace("role/", "role/services/"))],
    ),
    "attributes of the module's role with an existing one": Limit(
        "permissions.existing_role is used as it is",
        [
            {"permissions": {"existing_role": {"arn": ROLE}, name: value}}
            for name, value in {
                "boundary_arn": "arn:aws:iam::111122223333:policy/boundary",
                "role_name_prefix": "team-",
                "role_path": "/services/",
                "statements": [{"actions": ["s3:GetObject"], "resources": ["*"]}],
            }.items()
        ],
        [{"permissions": {"existing_role": {"arn": ROLE}, "statements": None}}],
    ),
    "an invalid role path": Limit(
        "permissions.role_path must begin and end with a slash",
        [
            {"permissions": {"role_path": p}}
            for p in ("", "services", "/services", "services/", "/a b/", f"/{'a' * 511}/")
        ],
        [{"permissions": {"role_path": p}} for p in ("/", "/services/orders/", f"/{'a' * 510}/", None)],
    ),
    "an invalid role name prefix": Limit(
        "permissions.role_name_prefix must be letters",
        [{"permissions": {"role_name_prefix": p}} for p in ("", "a b", "a/b")],
        [{"permissions": {"role_name_prefix": p}} for p in ("team-", "A+=,.@_1", None)],
    ),
    "a boundary that is not a policy ARN": Limit(
        "permissions.boundary_arn must be the ARN",
        [{"permissions": {"boundary_arn": a}} for a in ("", "boundary", "arn:aws:iam::111122223333:role/a")],
        [
            {"permissions": {"boundary_arn": a}}
            for a in ("arn:aws:iam::111122223333:policy/team/boundary", "arn:aws:iam::aws:policy/PowerUserAccess", None)
        ],
    ),
    "a statement with the action *": Limit(
        'permissions.statements must not allow the action "*"',
        [statement(actions=["*"]), statement(actions=["s3:GetObject", "*"])],
        [statement(), statement(resources=["*"])],
    ),
    "an invalid Sid": Limit(
        "permissions.statements: a sid must consist",
        [statement(sid="read-objects"), statement(sid="")],
        [statement(sid="ReadObjects1")],
    ),
    # provisioned_concurrency
    "a provisioned minimum below 1": Limit(
        "provisioned_concurrency.min must be a whole number from 1",
        [warm(min=0), warm(min=1.5)],
        [warm(), {"provisioned_concurrency": None}],
    ),
    "a provisioned maximum below the minimum": Limit(
        "provisioned_concurrency.max must be a whole number not below",
        [warm(min=2, max=1), warm(max=1.5)],
        [warm(min=2, max=2), warm(max=3)],
    ),
    "a target utilization outside 0.1 to 0.9": Limit(
        "provisioned_concurrency.target_utilization must be from 0.1 to 0.9",
        [warm(target_utilization=0.09), warm(target_utilization=0.91)],
        [warm(target_utilization=0.1), warm(target_utilization=0.9)],
    ),
    "provisioned above reserved concurrency during a release": Limit(
        "provisioned_concurrency needs function.reserved_concurrency of at least",
        [
            warm(min=3) | function(reserved_concurrency=5),
            warm(min=2, max=3) | function(reserved_concurrency=4),
            warm() | function(reserved_concurrency=0),
            warm() | function(reserved_concurrency=2) | release(version=1, canary_percent=1),
        ],
        [
            warm(min=3) | function(reserved_concurrency=6),
            warm(min=2, max=3) | function(reserved_concurrency=5),
            warm() | function(reserved_concurrency=3) | release(version=1, canary_percent=1),
            warm() | release(version=1, canary_percent=1),
        ],
    ),
    "provisioned concurrency with SnapStart": Limit(
        "provisioned_concurrency cannot be combined with function.snap_start",
        [warm() | function(snap_start=True)],
        [function(snap_start=True)],
    ),
    # release
    "an invalid version number": Limit(
        "release.version must be the number of a published version",
        [release(version=0), release(version=1.5)],
        [release(version=1), release(version=None)],
    ),
    "a canary percentage outside 0 to 99": Limit(
        "release.canary_percent must be from 0 to 99",
        [release(version=1, canary_percent=-1), release(version=1, canary_percent=100)],
        [release(version=1, canary_percent=0), release(version=1, canary_percent=99)],
    ),
    "a canary without a pinned version": Limit(
        "release.canary_percent needs release.version: pin",
        [release(canary_percent=1)],
        [release(canary_percent=1, version=1)],
    ),
    "an invalid smoke path": Limit(
        "release.smoke.path and release.smoke.also[*].path must begin with /",
        [*(smoke(path=p) for p in ("healthz", "/healthz?deep=1", "/a#b", "/a b", "")), smoke_also(path="healthz")],
        [smoke(path="/"), smoke_also(path="/a%20b")],
    ),
    "an unsafe or unknown smoke method": Limit(
        "release.smoke.method and release.smoke.also[*].method must be GET",
        [smoke(method="PUT"), smoke(method="get"), smoke_also(method="DELETE")],
        [smoke(method="HEAD"), *(smoke_also(method=m) for m in ("GET", "OPTIONS", "POST"))],
    ),
    "a smoke status outside 200 to 499": Limit(
        "release.smoke.status and release.smoke.also[*].status must be a whole number from 200 to 499",
        [smoke(status=199), smoke(status=500), smoke(status=200.5), smoke_also(status=500)],
        [smoke(status=200), smoke(status=499), smoke_also(status=401)],
    ),
    "an empty smoke contains, or one with HEAD": Limit(
        "release.smoke.contains and release.smoke.also[*].contains must not be empty",
        [smoke(contains=""), smoke(contains="a", method="HEAD"), smoke_also(contains="")],
        [smoke(contains="a"), smoke_also(contains="a", method="POST")],
    ),
    "a smoke body with GET or HEAD, or too large": Limit(
        "release.smoke.body and release.smoke.also[*].body must not be set with GET",
        [smoke(body="{}"), smoke(body="a" * 4_500_001, method="POST"), smoke_also(body="{}", method="HEAD")],
        [smoke(body="a" * 4_500_000, method="POST"), smoke_also(body="", method="OPTIONS")],
    ),
    "an invalid smoke header": Limit(
        "release.smoke.headers and release.smoke.also[*].headers must have names",
        [
            *(smoke(headers=h) for h in ({"a b": ""}, {"": ""}, {"Host": "a"}, {"content-length": "1"}, {"a": "1\n2"})),
            *(smoke_also(headers=h) for h in ({"a:": ""}, {"a": "1", "A": "2"})),
        ],
        [smoke(headers={"X-Api_Key": "ä b", "cookie": ""}), smoke_also(headers={"a": None})],
    ),
    "a smoke host with a scheme or path": Limit(
        "release.smoke.host must be host or host:port",
        [smoke(host=h) for h in ("https://api.example.com", "api.example.com/v1", "")],
        [smoke(host=h) for h in ("api.example.com", "localhost:8080", None)],
    ),
    # repository
    "fewer than 10 images kept": Limit(
        "repository.images_kept must be a whole number from 10",
        [{"repository": {"images_kept": n}} for n in (9, 10.5)],
        [{"repository": {"images_kept": 10}}],
    ),
    "an invalid account ID": Limit(
        "repository.pull_account_ids must be AWS account ids",
        [{"repository": {"pull_account_ids": [i]}} for i in ("11112222333", "1111222233334", "*")],
        [{"repository": {"pull_account_ids": ["111122223333", "000000000001", None]}}],
    ),
    "an image key that is not a KMS key ARN": Limit(
        "repository.kms_key_arn must be the ARN",
        [{"repository": {"kms_key_arn": k}} for k in ("", "1234", KEY.replace(":key/", ":alias/"))],
        [{"repository": {"kms_key_arn": k}} for k in (KEY, None)],
    ),
    "an existing repository that is not named by URL": Limit(
        "repository.existing.url must be <registry>/<repository>",
        [
            {"repository": {"existing": {"url": u}}}
            for u in (
                "orders",
                f"https://{REPOSITORY}",
                f"{REPOSITORY}:1.0",
                f"{REPOSITORY}/",
                REPOSITORY.upper(),
                "",
                None,
            )
        ],
        [{"repository": {"existing": {"url": u}}} for u in (REPOSITORY, "localhost:5000/orders", None) if u],
    ),
    "attributes of the module's repository with an existing one": Limit(
        "repository.existing is used as it is",
        [
            {"repository": {"existing": {"url": REPOSITORY}, name: value}}
            for name, value in {"force_delete": True, "kms_key_arn": KEY, "pull_account_ids": ["111122223333"]}.items()
        ]
        + [{"repository": {"existing": {"url": REPOSITORY}}} | uri(URI)],
        [{"repository": {"existing": {"url": REPOSITORY}, "images_kept": 50, "pull_account_ids": None}}],
    ),
    "a registry host with a scheme or path": Limit(
        "repository.registry_host must be host or host:port",
        [{"repository": {"registry_host": h}} for h in ("http://localhost:5000", "localhost:5000/orders", "")],
        [{"repository": {"registry_host": h}} for h in ("localhost:5000", "registry.example.com", None)],
    ),
    # tags
    "an invalid tag key": Limit(
        "tags: keys must be 1 to 128",
        [{"tags": {k: "x"}} for k in ("", "a" * 129, "a&b", "a\tb")],
        [{"tags": {k: "x"}} for k in ("a" * 128, "\u00c4" * 128, "\u00c4pfel und co", "a.b:c/d=e+f-g@h_i")],
    ),
    "an invalid tag value": Limit(
        "tags: values must be up to 256",
        [{"tags": {"team": v}} for v in ("a" * 257, "a,b", "a\nb")],
        [{"tags": {"team": v}} for v in ("", "\u00c4" * 256, None)],
    ),
    "a reserved tag prefix": Limit(
        "tags: keys must not begin with aws:",
        [{"tags": {k: "x"}} for k in ("aws:team", "AWS:team", "aWs:")],
        [{"tags": {k: "x"}} for k in ("aws", "awsome:team", "team:aws:")],
    ),
    # routes
    "an invalid route key": Limit(
        'routes: keys must be "METHOD /path"',
        [
            route(k)
            for k in (
                "/users",
                "get /users",
                "GET users",
                "$default",
                "GET /{rest+}/users",
                "GET /u{id}",
                "GET /users?a=b",
                "GET /users#top",
                'GET /"users"',
            )
        ],
        [route(k) for k in ("GET /", "ANY /reports/{rest+}", "GET /users/{id}/orders", "PUT /users/", "GET /v1.0/a~b")],
    ),
    "more than 299 routes": Limit("routes must hold at most 299 entries", [routes(300)], [routes(299)]),
    "a route with no auth method, or two": Limit(
        "routes: auth of a route must hold exactly one",
        [route(auth={}), route(auth={"iam": {}, "public": {"reason": REASON}})],
        [route(auth={"iam": {}}), route(auth={"public": {"reason": REASON}})],
    ),
    "route scopes without JWT auth": Limit(
        "routes: auth.scopes of a route needs auth.jwt",
        [route(auth={"scopes": ["read"]})],
        [route(auth={"scopes": ["read"]}) | jwt()],
    ),
    "more than 10 route scopes, or one of invalid length": Limit(
        "routes: auth.scopes of a route must name at most 10",
        [route(auth={"scopes": s}) | jwt() for s in ([f"s{i}" for i in range(11)], [""], ["s" * 65])],
        [route(auth={"scopes": s}) | jwt() for s in ([f"s{i}" for i in range(10)], [None], ["s" * 64])],
    ),
    "an OPTIONS route with auth and CORS": Limit(
        "routes: auth of an OPTIONS route must be public with api.cors",
        [
            route("OPTIONS /users") | cors(),
            route("OPTIONS /users", auth={"iam": {}}) | cors() | auth(public={"reason": REASON}),
        ],
        [
            route("OPTIONS /users", auth={"public": {"reason": REASON}}) | cors(),
            route("OPTIONS /users") | cors() | auth(public={"reason": REASON}),
            route("OPTIONS /users") | jwt(),
        ],
    ),
    "more legacy routes than a function's policy can hold": Limit(
        "routes: legacy routes of one function must fit",
        [{"routes": {f"GET /{i:04}": {"legacy": {"function_arn": FUNCTION}} for i in range(56)}}],
        [
            {
                "routes": {f"GET /{i:04}": {"legacy": {"function_arn": FUNCTION}} for i in range(55)}
                | {f"PUT /{i:04}": {"legacy": {"function_arn": f"{FUNCTION}:live"}} for i in range(50)}
                | {"POST /": None}
            }
        ],
    ),
    "a public route without a reason": Limit(
        "routes: auth.public.reason of a route must say",
        [route(auth={"public": {"reason": r}}) for r in ("x" * 9, None)],
        [route(auth={"public": {"reason": REASON}})],
    ),
    "an unknown payload format": Limit(
        "routes: legacy.payload_format_version must be 1.0 or 2.0",
        [route(legacy={"function_arn": FUNCTION, "payload_format_version": v}) for v in ("1", "3.0")],
        [route(legacy={"function_arn": FUNCTION, "payload_format_version": v}) for v in ("1.0", "2.0")],
    ),
    "a legacy route without a function ARN": Limit(
        "routes: legacy.function_arn must be the ARN",
        [route(legacy={"function_arn": a}) for a in ("AddUser", "", None)],
        [route(legacy={"function_arn": FUNCTION}), route(legacy={"function_arn": f"{FUNCTION}:live"})],
    ),
    "a route throttle that rejects every request": Limit(
        "routes: throttle of a route needs rate_per_second above 0",
        [
            route(throttle={"rate_per_second": r, "burst": b})
            for r, b in ((0, 1), (1, 0), (1, 1.5), (None, 1), (1, None))
        ],
        [route(throttle={"rate_per_second": 0.1, "burst": 1})],
    ),
}


# Preconditions that depend on account or region: beginning of the message → inputs that it refuses.
FOREIGN_FUNCTIONS = [
    "arn:aws:lambda:eu-central-1:111122223333:function:authorize",
    "arn:aws:lambda:eu-west-1:000000000000:function:authorize",
    "arn:aws-us-gov:lambda:eu-central-1:000000000000:function:authorize",
]
PRECONDITIONS: dict[str, list[JSON]] = {
    "auth.lambda.function_arn must begin with …": [auth(**{"lambda": {"function_arn": a}}) for a in FOREIGN_FUNCTIONS],
    "routes: legacy.function_arn must begin with …": [route(legacy={"function_arn": a}) for a in FOREIGN_FUNCTIONS],
    "api.domain.certificate_arn must be in the API's region": [
        domain(certificate_arn="arn:aws:acm:us-east-1:000000000000:certificate/1234")
    ],
    "routes must leave room for the … OPTIONS routes that api.cors needs": [routes(298) | cors()],
    "permissions.role_name_prefix and name are too long": [
        {"name": "n" * 40, "permissions": {"role_name_prefix": "p" * 12}}
    ],
}


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS.keys())
def test_refuses(limit: Limit, interface: Root) -> None:
    for inputs in limit.refused:
        with pytest.raises(PlanError) as refusal:
            interface.check(REQUIRED, **inputs)
        errors = [d.detail for d in refusal.value.diagnostics if d.severity == "error"]
        assert any(states(limit.message, text) for text in errors), f"{inputs}: {refusal.value}"


def test_accepts_inputs_just_within_each_limit(interface: Root, tmp_path: Path) -> None:
    accepted = [{**REQUIRED, **inputs} for limit in LIMITS.values() for inputs in limit.accepted]
    copy_project(interface.path, tmp_path)
    submodule = tmp_path / "interface"
    submodule.mkdir()
    for file in tmp_path.glob("*.tf"):
        file.rename(submodule / file.name)
    calls = {f"case_{n}": {"source": "./interface", **literal(inputs)} for n, inputs in enumerate(accepted)}
    root = Root(tmp_path)
    root.write("main.tf.json", json.dumps({"module": calls}))

    # All at once. If one is refused, each alone, to find it.
    try:
        root.check()
    except PlanError:
        for inputs in accepted:
            interface.check(inputs)
        raise


def test_refuses_arns_of_another_account_or_region(
    terraform_roots: Callable[[str, Mapping[str, str] | None], Root],
) -> None:
    refused = [inputs for cases in PRECONDITIONS.values() for inputs in cases]
    # One route fewer leaves room for the two that CORS needs.
    planned = [*refused, {**routes(297), **cors()}]
    calls = {
        f"case_{n}": {"source": f"./{MODULE}", **literal({**REQUIRED, **inputs})} for n, inputs in enumerate(planned)
    }
    root = terraform_roots(".", {"main.tf.json": json.dumps({"module": calls}), "providers.tf": PROVIDERS} | CONTEXT)

    with pytest.raises(PlanError) as refusal:
        root.check()
    errors = [d.detail for d in refusal.value.diagnostics if d.severity == "error"]
    counted = {message: sum(states(message, text) for text in errors) for message in PRECONDITIONS}
    assert counted == {message: len(cases) for message, cases in PRECONDITIONS.items()}, refusal.value
    assert len(errors) == len(refused)


def test_every_condition_of_the_module_is_tested(terraform_project: Path) -> None:
    gates = {rule for _, _, rule, _ in (REFUSED | OTHER_REFUSALS).values()}
    sources = {case.message for case in SOURCES.values()}

    assert_every_condition_is_tested(
        conditions(terraform_project / MODULE),
        [
            *(limit.message for limit in LIMITS.values()),
            *PRECONDITIONS,
            *gates,
            *sources,
            WRONG_REGISTRY,
            TOO_MANY_TAGS,
            OTHER_REGION,
            DEPLOYED_ROLE,
        ],
    )


def test_every_validation_message_begins_with_its_variable(terraform_project: Path) -> None:
    found = [c for c in conditions(terraform_project / MODULE) if c.kind == "validation"]

    assert [str(c) for c in found if not re.match(rf"{c.address.removeprefix('var.')}\b", c.message)] == []


def test_refuses_an_undeclared_variable(interface: Root) -> None:
    with pytest.raises(PlanError, match=r'undeclared variable.*"memory_mb"'):
        interface.check(REQUIRED, memory_mb=512)


@pytest.mark.parametrize("missing", ["name", "image", "auth"])
def test_refuses_to_plan_without_required_input(missing: str, interface: Root) -> None:
    with pytest.raises(PlanError, match=f'No value for required variable.*"{missing}" is not set'):
        interface.check({name: value for name, value in REQUIRED.items() if name != missing})


def test_refuses_more_than_50_tags_including_default_tags(terraform_root: RootFactory) -> None:
    default_tags = AWS_PROVIDER.replace("{\n", '{\n  default_tags {\n    tags = { owner = "people" }\n  }\n')
    root = terraform_root(MODULE, files={**MODULE_FILES, "providers.tf": f'{default_tags}\nprovider "docker" {{}}\n'})

    with pytest.raises(PlanError) as refusal:
        root.check(REQUIRED, tags={f"t{n}": "x" for n in range(50)})
    (error,) = refusal.value.diagnostics
    assert states(TOO_MANY_TAGS, error.detail)
    # One overrides a default tag, and one is null.
    root.check(REQUIRED, tags={"owner": "orders", "none": None} | {f"t{n}": "x" for n in range(49)})
