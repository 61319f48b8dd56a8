"""Changes to a copy of the module, each with the expected report of release-check."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tools.release.records import MODULE


@dataclass(frozen=True)
class Seed:
    """An edit of a module file: `old` (a regular expression, empty for the end of the file) becomes `new`."""

    level: str
    message: str
    file: str
    old: str
    new: str

    def apply(self, project: Path) -> None:
        """Make the edit. AssertionError when `old` is not found, since the module has changed."""
        path = project / MODULE / self.file
        text = path.read_text()
        edited, count = re.subn(self.old or r"\Z", self.new, text, count=1, flags=re.MULTILINE | re.DOTALL)
        assert count == 1, f"{self.file} does not have {self.old}"
        assert edited != text
        path.write_text(edited)


def block(label: str) -> str:
    """Return a pattern for a whole block."""
    return rf"^{label} \{{\n.*?^\}}\n"


BREAKING = {
    "variable removed": Seed("breaking", "dashboard: removed", "variables.tf", block('variable "dashboard"'), ""),
    "variable new and required": Seed(
        "breaking", "owner: new and required", "variables.tf", "", '\nvariable "owner" {\n  type = string\n}\n'
    ),
    "default changed": Seed(
        "breaking",
        "dashboard: its default is false, was true",
        "variables.tf",
        r"(variable \"dashboard\".*?default\s*= )true",
        r"\1false",
    ),
    "default of an attribute changed": Seed(
        "breaking",
        "function.memory_mb: its default is 1024, was 512",
        "variables.tf",
        r"(memory_mb\s*= optional\(number, )512",
        r"\g<1>1024",
    ),
    "default of an attribute removed": Seed(
        "breaking",
        "function.tracing: required, was optional",
        "variables.tf",
        r"optional\(bool, false\)(\n    vpc)",
        r"bool\1",
    ),
    "attribute removed": Seed(
        "breaking", "function.tracing: removed", "variables.tf", r"    tracing\s*= optional\(bool, false\)\n", ""
    ),
    "attribute new and required": Seed(
        "breaking",
        "routes[*].legacy.account: new and required",
        "variables.tf",
        r"(legacy = optional\(object\(\{\n)",
        r"\1      account = string\n",
    ),
    "attribute retyped": Seed(
        "breaking",
        "alarms.off: its type is list(string), was set(string)",
        "variables.tf",
        r"optional\(set\(string\), \[\]\)",
        "optional(list(string), [])",
    ),
    "null no longer accepted": Seed(
        "breaking",
        "alarms: no longer takes null",
        "variables.tf",
        r"(variable \"alarms\".*?default = \{\}\n)",
        r"\1  nullable = false\n",
    ),
    "validation narrowed": Seed(
        "breaking",
        "function: a refusal has another condition",
        "variables.tf",
        "timeout_seconds <= 29",
        "timeout_seconds <= 20",
    ),
    "validation added": Seed(
        "breaking",
        'tags: a new refusal: "tags must not be empty."',
        "variables.tf",
        r"(variable \"tags\" \{\n)",
        r'\1  validation {\n    condition = length(var.tags) > 0\n    error_message = "tags must not be empty."\n  }\n',
    ),
    "precondition added": Seed(
        "breaking",
        'aws_apigatewayv2_integration.live: a new refusal: "no"',
        "api.tf",
        r"(resource \"aws_apigatewayv2_integration\" \"live\" \{\n)",
        r'\1  lifecycle {\n    precondition {\n      condition = var.dashboard\n      error_message = "no"\n    }\n  }\n',
    ),
    "output removed": Seed("breaking", "output role_name: removed", "outputs.tf", block('output "role_name"'), ""),
    "output hidden": Seed(
        "breaking", "output api_id: sensitive", "outputs.tf", r"(output \"api_id\" \{\n)", r"\1  sensitive = true\n"
    ),
    "attribute of an output removed": Seed(
        "breaking", "output log_groups: its attribute access is gone", "outputs.tf", r"    access\s*=[^\n]*\n", ""
    ),
    "resource renamed without moved": Seed(
        "breaking",
        "aws_apigatewayv2_stage.default: removed: its object would be destroyed",
        "api.tf",
        r'"aws_apigatewayv2_stage" "default"',
        '"aws_apigatewayv2_stage" "this"',
    ),
    "resource moved to a missing address": Seed(
        "breaking",
        "aws_apigatewayv2_stage.default: moved to aws_apigatewayv2_stage.that, which does not exist",
        "api.tf",
        r'resource "aws_apigatewayv2_stage" "default" \{',
        "moved {\n  from = aws_apigatewayv2_stage.default\n  to   = aws_apigatewayv2_stage.that\n}\n\n"
        'resource "aws_apigatewayv2_stage" "this" {',
    ),
    "count became for_each": Seed(
        "breaking",
        "aws_apigatewayv2_authorizer.jwt: has for_each, had count",
        "api.tf",
        r"count = local.jwt_auth \? 1 : 0",
        'for_each = toset(local.jwt_auth ? ["jwt"] : [])',
    ),
    "provider's range narrower": Seed(
        "breaking",
        'provider aws: the version range is ">= 5.100, != 6.2.0, != 6.3.0, < 6"',
        "versions.tf",
        "< 7",
        "< 6",
    ),
    "Terraform's range narrower": Seed(
        "breaking", 'Terraform: the version range is ">= 1.10"', "versions.tf", ">= 1.9", ">= 1.10"
    ),
    "provider new": Seed(
        "breaking",
        "provider random: new",
        "versions.tf",
        r"(required_providers \{\n)",
        r'\1    random = {\n      source = "hashicorp/random"\n    }\n',
    ),
    "permission to apply needed": Seed(
        "breaking",
        "aws_sqs_queue: new: the principal that applies",
        "main.tf",
        "",
        '\nresource "aws_sqs_queue" "this" {}\n',
    ),
    "permission of the role needed": Seed(
        "breaking",
        "logs:CreateLogGroup: new: a permissions boundary",
        "iam.tf",
        r'\["logs:CreateLogStream"',
        '["logs:CreateLogGroup", "logs:CreateLogStream"',
    ),
}
FEATURES = {
    "variable new and optional": Seed(
        "feature",
        "owner: new and optional",
        "variables.tf",
        "",
        '\nvariable "owner" {\n  type    = string\n  default = null\n}\n',
    ),
    "attribute new and optional": Seed(
        "feature",
        "function.layers: new and optional",
        "variables.tf",
        r"(    memory_mb\s*= optional)",
        r"    layers = optional(list(string), [])\n\1",
    ),
    "requirement lifted": Seed(
        "feature",
        "auth.jwt.audience: optional, was required",
        "variables.tf",
        r"audience = list\(string\)",
        "audience = optional(list(string), [])",
    ),
    "null accepted": Seed(
        "feature", "name: takes null", "variables.tf", r"(variable \"name\".*?)  nullable    = false\n", r"\1"
    ),
    "output new": Seed("feature", "output owner: new", "outputs.tf", "", '\noutput "owner" {\n  value = "people"\n}\n'),
    "provider's range wider": Seed(
        "feature", 'provider aws: the version range is ">= 5.100, != 6.2.0, != 6.3.0, < 8"', "versions.tf", "< 7", "< 8"
    ),
    "permission needed if configured": Seed(
        "feature",
        "aws_sqs_queue: new if configured: the principal that applies",
        "main.tf",
        "",
        '\nresource "aws_sqs_queue" "this" {\n  count = var.dashboard ? 1 : 0\n}\n',
    ),
    "count added": Seed(
        "feature",
        "aws_apigatewayv2_stage.default: has count, had neither count nor for_each",
        "api.tf",
        r"(resource \"aws_apigatewayv2_stage\" \"default\" \{\n)",
        r"\1  count = 1\n",
    ),
}
FIXES = {
    "message reworded": Seed(
        "fix",
        "function: a refusal is reworded",
        "variables.tf",
        "function.architecture must be x86_64 or arm64: Lambda's two architectures.",
        "function.architecture must be arm64 or x86_64.",
    ),
    "resource renamed with moved": Seed(
        "fix",
        "aws_apigatewayv2_stage.default: moved to aws_apigatewayv2_stage.this",
        "api.tf",
        r'resource "aws_apigatewayv2_stage" "default" \{',
        "moved {\n  from = aws_apigatewayv2_stage.default\n  to   = aws_apigatewayv2_stage.this\n}\n\n"
        'resource "aws_apigatewayv2_stage" "this" {',
    ),
    "range reformatted": Seed("fix", "which accepts the same", "versions.tf", r">= 5\.100, !=", ">= 5.100.0, !="),
}
