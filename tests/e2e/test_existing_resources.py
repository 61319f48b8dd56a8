"""examples/minimal, applied with a role and a repository of the root's own, and with log groups that outlive the API."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness import Root
from sandbox.emulator import Emulator
from tests.e2e.conftest import Deployable, gateway

NAME = "existing-resources"
REPOSITORY = "team/existing-resources"
RESOURCES = f"""
resource "aws_ecr_repository" "team" {{
  name         = "{REPOSITORY}"
  force_delete = true
}}

resource "aws_iam_role" "team" {{
  name = "team-{NAME}"
  path = "/services/"

  assume_role_policy = jsonencode({{
    Version   = "2012-10-17"
    Statement = [{{ Effect = "Allow", Principal = {{ Service = "lambda.amazonaws.com" }}, Action = "sts:AssumeRole" }}]
  }})
}}

resource "aws_iam_role_policy" "team" {{
  name   = "api"
  role   = aws_iam_role.team.name
  policy = module.api.execution_policy
}}
"""
LOGS = '  logs = { class = "INFREQUENT_ACCESS", keep_on_destroy = true }\n  function = { recursive_loop = "Allow" }\n'


@pytest.fixture(scope="module")
def root(example: Deployable, hello: str, emulator: Emulator, aws: Callable[[str], Any]) -> Iterator[Root]:
    root = example("minimal", module=f'  name = "{NAME}"\n{hello}{LOGS}')
    root.write("resources.tf", RESOURCES)
    existing = (
        "  permissions = { existing_role = { arn = aws_iam_role.team.arn } }\n"
        f'  repository = {{ existing = {{ url = "{emulator.registry}/${{aws_ecr_repository.team.name}}" }}, '
        f'registry_host = "{emulator.registry}" }}\n'
    )
    root.write("zz_existing_override.tf", f'module "api" {{\n{existing}}}\n')
    root.apply()
    yield root
    for group in log_groups(aws):
        aws("logs").delete_log_group(logGroupName=group["logGroupName"])


def log_groups(aws: Callable[[str], Any]) -> list[dict[str, Any]]:
    groups = aws("logs").describe_log_groups()["logGroups"]
    return [group for group in groups if group["logGroupName"].endswith(f"/{NAME}")]


def test_api_serves_with_the_existing_role_and_repository(
    root: Root, emulator: Emulator, aws: Callable[[str], Any]
) -> None:
    with gateway(emulator, root.output("endpoint", str)) as api:
        assert api.get("/").json() == {"message": "hello"}
    configuration = aws("lambda").get_function_configuration(FunctionName=NAME)
    assert configuration["Role"].endswith(f":role/services/team-{NAME}")
    assert aws("ecr").describe_images(repositoryName=REPOSITORY)["imageDetails"]
    names = {repository["repositoryName"] for repository in aws("ecr").describe_repositories()["repositories"]}
    assert NAME not in names


def test_execution_policy_allows_to_write_the_functions_logs(root: Root, aws: Callable[[str], Any]) -> None:
    policy = aws("iam").get_role_policy(RoleName=f"team-{NAME}", PolicyName="api")["PolicyDocument"]
    statements = (json.loads(policy) if isinstance(policy, str) else policy)["Statement"]
    assert [(s["Sid"], s["Action"]) for s in statements] == [
        ("WriteLogs", ["logs:CreateLogStream", "logs:PutLogEvents"])
    ]


def test_second_plan_is_empty(root: Root) -> None:
    root.assert_idempotent()


def test_module_role_replaces_the_existing_one_in_one_apply(root: Root, aws: Callable[[str], Any]) -> None:
    override = root.path / "zz_existing_override.tf"
    lines = [line for line in override.read_text().splitlines(keepends=True) if "existing_role" not in line]
    override.write_text("".join(lines))
    root.apply()

    role = aws("lambda").get_function_configuration(FunctionName=NAME)["Role"]
    assert role.rpartition("/")[2].startswith(f"{NAME}-")


def test_log_groups_outlive_the_api(root: Root, aws: Callable[[str], Any]) -> None:
    root.destroy()

    assert len(log_groups(aws)) == 2
