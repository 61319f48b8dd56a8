"""Lambda functions: concurrency, image, secrets, logs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from checkov.common.models.enums import CheckCategories
from lca_pack import HIGH, MEDIUM, UNKNOWN, Verdict, check, is_reference, number, text, unwrap, value
from lca_secrets import is_secret

TAGGED = re.compile(r":[\w.${}-]+$")


@check(
    "CKV_LCA_1",
    "Function's reserved concurrency is set: one API cannot exhaust the account's limit",
    ["aws_lambda_function"],
    MEDIUM,
    CheckCategories.GENERAL_SECURITY,
)
def reserved_concurrency(conf: Mapping[str, Any]) -> Verdict:
    """-1 means none in Lambda; CKV_AWS_115 accepts it as a limit."""
    limit = number(conf, "reserved_concurrent_executions")
    if limit is UNKNOWN:
        return None
    return isinstance(limit, float) and limit >= 0


@check(
    "CKV_LCA_2",
    "Function's image is pinned by digest",
    ["aws_lambda_function"],
    HIGH,
    CheckCategories.SUPPLY_CHAIN,
)
def image_by_digest(conf: Mapping[str, Any]) -> Verdict:
    """A tag is visible even if the repository before it is a reference."""
    uri = conf.get("image_uri", [None])
    uri = uri[0] if isinstance(uri, list) and uri else uri
    if not isinstance(uri, str):
        return True if uri is None else None
    if "@" in uri:
        return True
    last = uri.rsplit("/", 1)[-1]
    if TAGGED.search(last) and not re.match(r"^[a-z_]+[.\[]", last) and "?" not in uri:
        return False
    return None if is_reference(uri) else False


def _plain_secrets(variables: Any) -> Verdict:
    if variables is None:
        return True
    if not isinstance(variables, Mapping):
        return None
    return [name for name, setting in variables.items() if is_secret(name, unwrap(setting))]


@check(
    "CKV_LCA_3",
    "Function's environment holds no secret as a plain value",
    ["aws_lambda_function"],
    HIGH,
    CheckCategories.SECRETS,
)
def plain_secret(conf: Mapping[str, Any]) -> Verdict:
    return _plain_secrets(value(conf, "environment.variables"))


@check(
    "CKV_LCA_4",
    "Call of lambda_container_api passes no secret as a plain value",
    ["module"],
    HIGH,
    CheckCategories.SECRETS,
)
def plain_secret_in_module_call(conf: Mapping[str, Any]) -> Verdict:
    """Checks `function.environment`; the module itself only accepts ARNs in `function.secrets`."""
    function = value(conf, "function")
    return _plain_secrets(value(function, "environment")) if isinstance(function, Mapping) else True


@check(
    "CKV_LCA_5",
    "Function logs in JSON",
    ["aws_lambda_function"],
    MEDIUM,
    CheckCategories.LOGGING,
)
def json_logs(conf: Mapping[str, Any]) -> Verdict:
    """Lambda's default is text, which has no levels and is hard to query."""
    log_format = text(conf, "logging_config.log_format")
    return None if log_format is UNKNOWN else log_format == "JSON"
