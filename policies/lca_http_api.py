"""HTTP APIs: who may call, how often, through which door, and what is written about it."""

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
    """Judge both limits; API Gateway reads a missing one, and 0, as "refuse everything"."""
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
    """Judge destination and format."""
    destination, form = value(conf, "access_log_settings.destination_arn"), value(conf, "access_log_settings.format")
    if destination is None or form is None:
        return False if value(conf, "access_log_settings") is not UNKNOWN else None
    if form is UNKNOWN:
        return None
    return not isinstance(form, str) or form.lstrip().startswith(("{", "jsonencode("))


@check(
    "CKV_LCA_10",
    'CORS with credentials names its origins, headers and methods, and not "*"',
    ["aws_apigatewayv2_api"],
    HIGH,
    CheckCategories.NETWORKING,
)
def cors(conf: Mapping[str, Any]) -> Verdict:
    """Judge the three lists, where credentials are allowed."""
    allowed = value(conf, "cors_configuration.allow_credentials", default=False)
    if allowed is UNKNOWN:
        return None
    if str(allowed).lower() != "true":
        return True
    lists = [items(value(conf, f"cors_configuration.allow_{kind}")) for kind in ("origins", "headers", "methods")]
    stated = [one for members in lists for one in members]
    return False if "*" in stated else None if UNKNOWN in stated else True


@check(
    "CKV_LCA_11",
    "Integration goes through an alias: what it calls is a version that was released",
    ["aws_apigatewayv2_integration"],
    HIGH,
    CheckCategories.GENERAL_SECURITY,
)
def integration_through_alias(conf: Mapping[str, Any]) -> Verdict:
    """Judge the URI: a reference to a function, or a function's ARN without qualifier, goes to $LATEST."""
    uri = conf.get("integration_uri", [None])
    uri = uri[0] if isinstance(uri, list) and uri else uri
    if not isinstance(uri, str):
        return None
    if "aws_lambda_alias." in uri:
        return True
    if FUNCTION.search(uri):
        return False
    found = ARN.search(uri)
    return None if found is None else found[1] not in {None, "$LATEST"}


@check(
    "CKV_LCA_12",
    "API Gateway's permission is for an alias",
    ["aws_lambda_permission"],
    HIGH,
    CheckCategories.IAM,
)
def permission_for_alias(conf: Mapping[str, Any]) -> Verdict:
    """Judge permissions of API Gateway; those of other services are theirs."""
    if text(conf, "principal") != "apigateway.amazonaws.com":
        return True
    if value(conf, "qualifier") is not None:
        return True
    function = text(conf, "function_name")
    if not isinstance(function, str):
        return None
    found = ARN.search(function)
    return found is not None and found[1] not in {None, "$LATEST"}


@check(
    "CKV_LCA_13",
    "Alarm has an action: somebody is told",
    ["aws_cloudwatch_metric_alarm"],
    LOW,
    CheckCategories.LOGGING,
)
def alarm_action(conf: Mapping[str, Any]) -> Verdict:
    """Judge the actions, and whether they are switched off."""
    if str(value(conf, "actions_enabled", default=True)).lower() == "false":
        return False
    # As checkov wraps it: a list that names a topic, known or not, tells somebody.
    actions = conf.get("alarm_actions", [None])[0]
    return None if isinstance(actions, str | bool) else bool(actions) and actions != [[]]
