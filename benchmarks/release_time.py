"""How long it takes from an edit of the source to its answer through the API: with the module, and with the same parts written flat.

    python -m benchmarks.release_time [PROJECT …]

The flat root is what most would write: one file with a hash over the source, the build, a published version, the alias, the API,
and nothing that asks a version before it serves. Both build the smallest example on the sandbox and take turns, edit by edit; the
ratio of the medians is the result, the seconds are this machine's. Other checkouts of this project that are named are compared, too.
A Docker engine is needed.
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.runs import own_emulator, spread, terraform_environment
from harness import Root
from harness.root import copy_project
from sandbox import base_image, engine, overrides
from sandbox.emulator import Emulator
from sandbox.paths import EXAMPLE_SOURCES, ROOT
from sandbox.progress import Step

ROUNDS = 7
SECONDS = 60
# What the smallest example answers to GET /.
MESSAGE = re.compile(r'\{"message": ".*?"\}')
IMAGE = """  image = {{ build = {{ context = "app", args = {{ BASE_IMAGE = "{base}" }} }} }}
"""
FLAT = """
locals {{
  hash = sha256(join("", [for f in sort(fileset("app", "**")) : filesha256("app/${{f}}")]))
  url  = "{registry}/${{aws_ecr_repository.this.name}}"
}}

resource "aws_ecr_repository" "this" {{
  name         = "flat-api"
  force_delete = true
}}

resource "docker_registry_image" "this" {{
  name          = "${{local.url}}:${{substr(local.hash, 0, 12)}}"
  keep_remotely = true
  triggers      = {{ hash = local.hash }}

  build {{
    context    = "app"
    build_args = {{ BASE_IMAGE = "{base}" }}
    provenance = "false"
    sbom       = "false"
  }}
}}

resource "aws_iam_role" "this" {{
  name = "flat-api"
  assume_role_policy = jsonencode({{
    Version   = "2012-10-17"
    Statement = [{{ Effect = "Allow", Action = "sts:AssumeRole", Principal = {{ Service = "lambda.amazonaws.com" }} }}]
  }})
}}

resource "aws_lambda_function" "this" {{
  function_name = "flat-api"
  role          = aws_iam_role.this.arn
  package_type  = "Image"
  image_uri     = "${{local.url}}@${{docker_registry_image.this.sha256_digest}}"
  publish       = true
  memory_size   = 512
  timeout       = 10
}}

resource "aws_lambda_alias" "live" {{
  name             = "live"
  function_name    = aws_lambda_function.this.function_name
  function_version = aws_lambda_function.this.version
}}

resource "aws_apigatewayv2_api" "this" {{
  name          = "flat-api"
  protocol_type = "HTTP"
}}

resource "aws_apigatewayv2_integration" "this" {{
  api_id                 = aws_apigatewayv2_api.this.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_alias.live.invoke_arn
  payload_format_version = "2.0"
}}

resource "aws_apigatewayv2_route" "this" {{
  api_id    = aws_apigatewayv2_api.this.id
  route_key = "$default"
  target    = "integrations/${{aws_apigatewayv2_integration.this.id}}"
}}

resource "aws_apigatewayv2_stage" "this" {{
  api_id      = aws_apigatewayv2_api.this.id
  name        = "$default"
  auto_deploy = true
}}

resource "aws_lambda_permission" "this" {{
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this.function_name
  qualifier     = aws_lambda_alias.live.name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${{aws_apigatewayv2_api.this.execution_arn}}/*/*"
}}

output "endpoint" {{
  value = aws_apigatewayv2_api.this.api_endpoint
}}
"""


@dataclass(frozen=True)
class Deployed:
    """An applied root, and the source that it builds."""

    root: Root
    source: Path
    host: str

    def release(self, aws: Emulator, message: str) -> float:
        """Edit the source, apply, wait for the new answer, and return how many seconds that took."""
        self.source.write_text(MESSAGE.sub(f'{{"message": "{message}"}}', self.source.read_text()))
        begin = time.perf_counter()
        self.root.apply()
        while message not in aws.get("/", self.host, SECONDS)[1]:
            if time.perf_counter() > begin + SECONDS:
                raise TimeoutError(f"{self.host} does not answer with {message} within {SECONDS} s")
            time.sleep(0.05)
        return time.perf_counter() - begin


def roots(
    folder: Path, aws: Emulator, base: str, projects: Mapping[str, Path], applied: ExitStack
) -> dict[str, Deployed]:
    """Return all that is compared, applied: the example with each project's module, and the flat root."""
    environment = terraform_environment(aws)
    made = {}

    def make(name: str, path: Path, files: Mapping[str, str]) -> None:
        root = Root(path, environment=environment)
        for file, text in files.items():
            root.write(file, text)
        root.init()
        applied.callback(root.destroy)
        root.apply()
        made[name] = Deployed(root, path / "app/hello.py", root.output("endpoint", str).partition("://")[2])

    for number, (name, project) in enumerate(projects.items()):
        copy = copy_project(project, folder / f"module-{number}", EXAMPLE_SOURCES)
        module = f'  name = "module-{number}"\n' + overrides.NO_ALARMS + IMAGE.format(base=base)
        make(name, copy / "examples/minimal", {overrides.NAME: overrides.applied(aws.registry, module)})
    flat = copy_project(ROOT / "examples/minimal", folder / "flat", ["app"])
    blocks = overrides.AWS_PROVIDER + overrides.DOCKER_PROVIDER.format(registry=aws.registry)
    sources = {
        "versions.tf": (ROOT / "versions.tf").read_text(),
        "main.tf": blocks + FLAT.format(base=base, registry=aws.registry),
    }
    make("flat", flat, sources)
    return made


def main() -> None:
    """Measure, and print a line for each root and each ratio."""
    projects = {"module": ROOT} | {f"module of {path}": Path(path).resolve() for path in sys.argv[1:]}
    with own_emulator() as aws, tempfile.TemporaryDirectory() as folder:
        engine.ensure(aws.home, Step("Docker engine"))
        base = base_image.ensure(Step("Base image")).reference
        with ExitStack() as applied:
            compared = roots(Path(folder), aws, base, projects, applied)
            seconds: dict[str, list[float]] = {name: [] for name in compared}
            for number in range(ROUNDS):
                for name, deployed in compared.items():
                    seconds[name].append(deployed.release(aws, f"edit {number}"))
                    print(f"round {number + 1} of {ROUNDS}: {name} {seconds[name][-1]:.2f} s", flush=True)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    for name, times in seconds.items():
        print(f"{name:20} {spread(times)}")
    for name in compared:
        if name != "flat":
            print(f"{name} / flat: {median[name] / median['flat']:.2f}")


if __name__ == "__main__":
    main()
