"""docs/adopting.md, applied: an API that Terraform already manages moves into the module and serves throughout.

The moved, removed and permission blocks are the page's. terraform-aws-modules are represented by stand-ins with the same resource
addresses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from harness import Root
from sandbox import overrides
from sandbox.base_image import BaseImage
from sandbox.emulator import Emulator
from sandbox.engine import Engine
from sandbox.paths import ROOT
from tests.e2e.conftest import load

SECTIONS = dict(
    re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", (ROOT / "docs/adopting.md").read_text(), re.MULTILINE | re.DOTALL)
)
BLOCK = re.compile(r"^```hcl\n(.*?)^```$", re.MULTILINE | re.DOTALL)
IN_ROOT, COMPOSITION, OTHER_STATE = (
    "Resources in the same root",
    "terraform-aws-modules' lambda, apigateway-v2 and ecr",
    "Resources in another state",
)
# Built and pushed by the root, to the repository that it names.
IMAGE = """
resource "docker_registry_image" "api" {{
  name          = "{registry}/${{local.repository}}:1"
  keep_remotely = false

  build {{
    context    = "../minimal/app"
    build_args = {{ BASE_IMAGE = "{base}" }}
    provenance = "false"
    sbom       = "false"
  }}
}}
"""
# What a team writes by hand.
RESOURCES = (
    IMAGE
    + """
resource "aws_ecr_repository" "api" {{
  name         = "{name}"
  force_delete = true
}}

locals {{
  repository = aws_ecr_repository.api.name
}}

resource "aws_iam_role" "api" {{
  name = "{name}-role"

  assume_role_policy = jsonencode({{
    Version   = "2012-10-17"
    Statement = [{{ Effect = "Allow", Principal = {{ Service = "lambda.amazonaws.com" }}, Action = "sts:AssumeRole" }}]
  }})
}}

resource "aws_iam_role_policy" "logs" {{
  name   = "logs"
  role   = aws_iam_role.api.name
  policy = jsonencode({{ Version = "2012-10-17", Statement = [{{ Effect = "Allow", Action = "logs:*", Resource = "*" }}] }})
}}

resource "aws_cloudwatch_log_group" "api" {{
  name              = "/aws/lambda/{name}"
  retention_in_days = 30
}}

resource "aws_lambda_function" "api" {{
  function_name = "{name}"
  role          = aws_iam_role.api.arn
  package_type  = "Image"
  image_uri     = "{registry}/{name}@${{docker_registry_image.api.sha256_digest}}"
  memory_size   = 256
  timeout       = 20
  depends_on    = [aws_cloudwatch_log_group.api, aws_iam_role_policy.logs]
}}

resource "aws_apigatewayv2_api" "api" {{
  name          = "{name}"
  protocol_type = "HTTP"
}}

resource "aws_apigatewayv2_integration" "api" {{
  api_id                 = aws_apigatewayv2_api.api.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.api.invoke_arn
  payload_format_version = "2.0"
}}

resource "aws_apigatewayv2_route" "default" {{
  api_id    = aws_apigatewayv2_api.api.id
  route_key = "$default"
  target    = "integrations/${{aws_apigatewayv2_integration.api.id}}"
}}

resource "aws_apigatewayv2_stage" "default" {{
  api_id      = aws_apigatewayv2_api.api.id
  name        = "$default"
  auto_deploy = true
}}

resource "aws_lambda_permission" "api" {{
  function_name = aws_lambda_function.api.function_name
  statement_id  = "AllowAPIGateway"
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${{aws_apigatewayv2_api.api.execution_arn}}/*/*"
}}

output "endpoint" {{
  value = aws_apigatewayv2_api.api.api_endpoint
}}

output "ids" {{
  value = {{
    api         = aws_apigatewayv2_api.api.id
    integration = aws_apigatewayv2_integration.api.id
    route       = aws_apigatewayv2_route.default.id
  }}
}}
"""
)
# The composition, with the addresses of terraform-aws-modules' lambda 7, apigateway-v2 5 and ecr 2.
COMPOSITION_ROOT = (
    IMAGE
    + """
module "ecr" {{
  source = "./modules/ecr"
  name   = "{name}"
}}

locals {{
  repository = module.ecr.name
}}

module "lambda" {{
  source        = "./modules/lambda"
  name          = "{name}"
  image_uri     = "{registry}/{name}@${{docker_registry_image.api.sha256_digest}}"
  execution_arn = module.api_gateway.execution_arn
}}

module "api_gateway" {{
  source     = "./modules/api_gateway"
  name       = "{name}"
  invoke_arn = module.lambda.invoke_arn
}}

output "endpoint" {{
  value = module.api_gateway.endpoint
}}

output "ids" {{
  value = {{ api = module.api_gateway.id }}
}}
"""
)
ENDPOINT_ALONE = """
output "endpoint" {{
  value = "none of {name} yet"
}}
"""
STAND_INS = {
    "ecr": """
variable "name" {}

resource "aws_ecr_repository" "this" {
  count        = 1
  name         = var.name
  force_delete = true
}

output "name" {
  value = aws_ecr_repository.this[0].name
}
""",
    "lambda": """
variable "name" {}
variable "image_uri" {}
variable "execution_arn" {}

resource "aws_cloudwatch_log_group" "lambda" {
  count = 1
  name  = "/aws/lambda/${var.name}"
}

resource "aws_iam_role" "lambda" {
  count = 1
  name  = "${var.name}-role"

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy" "logs" {
  count  = 1
  name   = "logs"
  role   = aws_iam_role.lambda[0].name
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "logs:*", Resource = "*" }] })
}

resource "aws_lambda_function" "this" {
  count         = 1
  function_name = var.name
  role          = aws_iam_role.lambda[0].arn
  package_type  = "Image"
  image_uri     = var.image_uri
  timeout       = 20
  depends_on    = [aws_cloudwatch_log_group.lambda, aws_iam_role_policy.logs]
}

resource "aws_lambda_permission" "unqualified_alias_triggers" {
  for_each      = toset(["APIGateway"])
  function_name = aws_lambda_function.this[0].function_name
  statement_id  = "AllowAPIGateway"
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${var.execution_arn}/*/*"
}

output "invoke_arn" {
  value = aws_lambda_function.this[0].invoke_arn
}
""",
    "api_gateway": """
variable "name" {}
variable "invoke_arn" {}

resource "aws_apigatewayv2_api" "this" {
  count         = 1
  name          = var.name
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_integration" "this" {
  for_each               = toset(["$default"])
  api_id                 = aws_apigatewayv2_api.this[0].id
  integration_type       = "AWS_PROXY"
  integration_uri        = var.invoke_arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "this" {
  for_each  = toset(["$default"])
  api_id    = aws_apigatewayv2_api.this[0].id
  route_key = each.key
  target    = "integrations/${aws_apigatewayv2_integration.this[each.key].id}"
}

resource "aws_apigatewayv2_stage" "this" {
  count       = 1
  api_id      = aws_apigatewayv2_api.this[0].id
  name        = "$default"
  auto_deploy = true
}

output "endpoint" {
  value = aws_apigatewayv2_api.this[0].api_endpoint
}

output "execution_arn" {
  value = aws_apigatewayv2_api.this[0].execution_arn
}

output "id" {
  value = aws_apigatewayv2_api.this[0].id
}
""",
}
MODULE = """
module "api" {{
  source = "../../modules/lambda_container_api"

  name     = "{name}"
  image    = {{ build = {{ context = "../minimal/app", args = {{ BASE_IMAGE = "{base}" }} }} }}
  function = {{ timeout_seconds = 20 }}
  auth     = {{ public = {{ reason = "Says hello to everybody and holds no data" }} }}
}}

output "endpoint" {{
  value = module.api.endpoint
}}
"""
KEPT = {
    "aws_apigatewayv2_api.this",
    "aws_apigatewayv2_integration.live",
    "aws_apigatewayv2_route.default",
    "aws_apigatewayv2_stage.default",
    "aws_cloudwatch_log_group.function",
    "aws_ecr_repository.this[0]",
    "aws_iam_role.execution[0]",
    "aws_lambda_function.this",
}


@dataclass(frozen=True)
class Adopter:
    """Makes roots with an API that is not the module's, and puts the module in its place."""

    roots: Callable[..., Root]
    emulator: Emulator
    base: str

    def before(self, text: str, name: str, modules: dict[str, str] | None = None) -> Root:
        """Apply an API that is not the module's."""
        providers = overrides.AWS_PROVIDER + overrides.DOCKER_PROVIDER.format(registry=self.emulator.registry)
        files = {f"modules/{module}/main.tf": source for module, source in (modules or {}).items()}
        main = text.format(name=name, registry=self.emulator.registry, base=self.base)
        root = self.roots("examples/minimal", files | {"main.tf": main, "providers.tf": providers})
        root.apply()
        return root

    def adopt(self, root: Root, name: str, blocks: list[str]) -> None:
        """Write the module and the page's blocks in place of the resources."""
        text = MODULE.format(name=name, base=self.base)
        (root.path / "main.tf").write_text(text + "\n".join(blocks))
        override = overrides.applied(self.emulator.registry, overrides.NO_ALARMS)
        (root.path / overrides.NAME).write_text(override)
        root.init()


@pytest.fixture(scope="module")
def adopter(terraform_roots: Callable[..., Root], emulator: Emulator, engine: Engine, base_image: BaseImage) -> Adopter:
    return Adopter(terraform_roots, emulator, base_image.reference)


@pytest.fixture
def destroyed() -> Iterator[list[Root]]:
    roots: list[Root] = []
    yield roots
    for root in roots:
        root.destroy()


def blocks(section: str) -> list[str]:
    found = BLOCK.findall(SECTIONS[section])
    assert found, f"docs/adopting.md has no block in {section!r}"
    return list(found)


def assert_adopted(root: Root, name: str, emulator: Emulator, allowed: set[str]) -> None:
    """Plan and apply the module under load. Only `allowed` is destroyed, and nothing that serves is replaced."""
    endpoint = root.output("endpoint", str)
    api = root.output("ids", dict)["api"]
    plan = root.plan()
    kept = {f"module.api.{address}" for address in KEPT}
    assert {a for a in kept if plan.resources.get(a) and "delete" in plan.resources[a].actions} == set()
    assert {a for a, change in plan.resources.items() if "delete" in change.actions} <= allowed

    with load(emulator, endpoint, "/", clients=2) as requests:
        root.apply_planned()
    requests.assert_none_failed(least=10)
    assert root.output("endpoint", str) == endpoint
    assert emulator.client("lambda").get_function_configuration(FunctionName=name)["Role"].endswith(f"{name}-role")
    assert api in endpoint
    root.assert_idempotent()


def test_resources_in_the_same_root(adopter: Adopter, emulator: Emulator, destroyed: list[Root]) -> None:
    name = "adopted-api"
    root = adopter.before(RESOURCES, name)
    destroyed.append(root)
    adopter.adopt(root, name, blocks(IN_ROOT))

    assert_adopted(root, name, emulator, {"aws_iam_role_policy.logs"})


def test_resources_of_a_composition_of_modules(adopter: Adopter, emulator: Emulator, destroyed: list[Root]) -> None:
    name = "adopted-composition"
    root = adopter.before(COMPOSITION_ROOT, name, STAND_INS)
    destroyed.append(root)
    image_and_permission = blocks(IN_ROOT)[1]
    adopter.adopt(root, name, [*blocks(COMPOSITION), image_and_permission])

    assert_adopted(root, name, emulator, {"module.lambda.aws_iam_role_policy.logs[0]"})


def test_resources_in_another_state(adopter: Adopter, emulator: Emulator, destroyed: list[Root]) -> None:
    name = "adopted-import"
    old = adopter.before(RESOURCES, name)
    ids = old.output("ids", dict)
    table = re.findall(r"^\| `([^`]+)` \| (.+) \|$", SECTIONS[OTHER_STATE], re.MULTILINE)
    assert {address for address, _ in table} == KEPT
    words = {"API ID": ids["api"], "integration ID": ids["integration"], "route ID": ids["route"]}
    imports = [import_block(address, text, words, name) for address, text in table]
    assert import_block("aws_lambda_function.this", "function name", words, "orders-api") in blocks(OTHER_STATE)[0]

    root = adopter.before(ENDPOINT_ALONE, name)
    destroyed.append(root)
    root.imports_allowed = True
    adopter.adopt(root, name, imports)
    plan = root.plan()
    assert {a for a, change in plan.resources.items() if "delete" in change.actions} == set()
    with load(emulator, old.output("endpoint", str), "/", clients=2) as requests:
        root.apply_planned()
    requests.assert_none_failed(least=10)
    assert root.output("endpoint", str) == old.output("endpoint", str)
    root.assert_idempotent()


def import_block(address: str, text: str, words: dict[str, str], name: str) -> str:
    """Return the import block of a row of the page's table."""
    identity = text.strip("`")
    for word, value in words.items():
        identity = identity.replace(f"<{word}>", value).replace(word, value)
    if identity in {"repository name", "role name", "function name"}:
        identity = f"{name}-role" if identity == "role name" else name
    identity = identity.replace("<name>", name)
    return f'import {{\n  to = module.api.{address}\n  id = "{identity}"\n}}\n'
