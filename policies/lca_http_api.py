"""HTTP APIs: throttling, access logs, CORS, alias, permission, alarms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from checkov.common.models.enums import CheckCategories
from lca_pack import HIGH, LOW, MEDIUM, UNKNOWN, Verdict, check, items, number, text, value

FUNCTION = re.compile(r"aws_lambda_function\.[\w\[\]\".]+\.(invoke_arn|arn)")
ARN = re.compile(r":function:[\w-]+(?::([\w$-]+))?(?:/|$)")


@check(
    "CKV_LCA_8",
    "Stage is throttled",
    ["aws_apigatewayv2_stage"],
    MEDIUM,
    CheckCategories.NETWORKING,
)
def throttled(conf: Mapping[str, Any]) -> Verdict:
    """API Gateway rejects every request if a limit is missing or 0."""
    limits = [number(conf, f"default_route_settings.throttling_{kind}_limit") for kind in ("rate", "burst")]
    known = [limit for limit in limits if isinstance(limit, float)]
    if any(limit <= 0 for limit in known) or None in limits:
        return False
    return True if len(known) == len(limits) else None


@check(
    "CKV_LCA_9",
    "Stage writes access logs, in JSON",
    ["aws_apigatewayv2_stage"],
    MEDIUM,
    CheckCategories.LOGGING,
)
def access_logs(conf: Mapping[str, Any]) -> Verdict:
    destination, log_format = (value(conf, f"access_log_settings.{name}") for name in ("destination_arn", "format"))
    if destination is None or log_format is None:
        return False if value(conf, "access_log_settings") is not UNKNOWN else None
    if log_format is UNKNOWN:
        return None
    return not isinstance(log_format, str) or log_format.lstrip().startswith(("{", "jsonencode("))


@check(
    "CKV_LCA_10",
    'CORS with credentials lists its origins, headers and methods instead of "*"',
    ["aws_apigatewayv2_api"],
    HIGH,
    CheckCategories.NETWORKING,
)
def cors(conf: Mapping[str, Any]) -> Verdict:
    allowed = value(conf, "cors_configuration.allow_credentials", default=False)
    if allowed is UNKNOWN:
        return None
    if str(allowed).lower() != "true":
        return True
    lists = [items(value(conf, f"cors_configuration.allow_{kind}")) for kind in ("origins", "headers", "methods")]
    entries = [entry for members in lists for entry in members]
    return False if "*" in entries else None if UNKNOWN in entries else True


@check(
    "CKV_LCA_11",
    "Integration uses an alias: it only calls a released version",
    ["aws_apigatewayv2_integration"],
    HIGH,
    CheckCategories.GENERAL_SECURITY,
)
def integration_through_alias(conf: Mapping[str, Any]) -> Verdict:
    """A reference to a function, or a function's ARN without a qualifier, means $LATEST."""
    uri = conf.get("integration_uri", [None])
    uri = uri[0] if isinstance(uri, list) and uri else uri
    if not isinstance(uri, str):
        return None
    if "aws_lambda_alias." in uri:
        return True
    if FUNCTION.search(uri):
        return False
    match = ARN.search(uri)
    return None if match is None else match[1] not in {None, "$LATEST"}


@check(
    "CKV_LCA_12",
    "API Gateway's permission is for an alias",
    ["aws_lambda_permission"],
    HIGH,
    CheckCategories.IAM,
)
def permission_for_alias(conf: Mapping[str, Any]) -> Verdict:
    """Permissions of other services pass."""
    if text(conf, "principal") != "apigateway.amazonaws.com":
        return True
    if value(conf, "qualifier") is not None:
        return True
    function = text(conf, "function_name")
    if not isinstance(function, str):
        return None
    match = ARN.search(function)
    return match is not None and match[1] not in {None, "$LATEST"}


@check(
    "CKV_LCA_13",
    "Alarm has an action",
    ["aws_cloudwatch_metric_alarm"],
    LOW,
    CheckCategories.LOGGING,
)
def alarm_action(conf: Mapping[str, Any]) -> Verdict:
    if str(value(conf, "actions_enabled", default=True)).lower() == "false":
        return False
    # The list as checkov wraps it: any entry counts, known or not.
    actions = conf.get("alarm_actions", [None])[0]
    return None if isinstance(actions, str | bool) else bool(actions) and actions != [[]]
