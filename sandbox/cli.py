"""The sandbox's commands, behind `make up`, `make plan`, `make url`, `make token`, `make dev` and `make down`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sandbox import base_image, deployment, emulator, engine, issuer, paths, providers, removal, terraform
from sandbox.engine import PACKAGES
from sandbox.errors import SandboxError
from sandbox.paths import ROOT, SANDBOXES
from sandbox.progress import step

TABLE = "people-api-dev"
# As examples/complete/main.tf declares it.
TABLE_SCHEMA: dict[str, Any] = {
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
}
DEFAULT_PORT = 4566
DEFAULT_SERVICE_PORT = 8000
LAST_PORT = 65535


def home(port: int) -> Path:
    """Return the folder of the sandbox on a port."""
    return SANDBOXES / str(port)


def up(port: int) -> None:
    """Create or update the sandbox from the sources, and print its URL."""
    begin = time.monotonic()
    with step("Terraform") as s:
        s.result = str(terraform.find())
    with step("AWS emulator") as s:
        aws = emulator.start(home(port), port)
        s.result = f"MiniStack on {aws.url}"
    with step("Token issuer") as s:
        tokens = issuer.ensure(aws)
        s.result = tokens.url
    with step("Docker engine") as s:
        found = engine.ensure(home(port), s)
        s.result = f"{found.version}, {'started by the sandbox' if found.home else 'already running'}"
    with step("Base image") as s:
        base = base_image.ensure(s)
        s.result = f"{base.reference} ({base.kind})"
    with step("Terraform providers") as s:
        source = providers.configure(home(port))
        s.result = f"docker: {source.docker}"
    with step("terraform apply of examples/complete") as s:
        example = deployment.prepare(home(port), aws, tokens, source, base)
        deployment.apply(example, s)
        s.result = f"version {example.output('version')} serves traffic"
    with step("Smoke request through API Gateway"):
        deployment.smoke(example)
    url = example.output("endpoint")
    print(f"\n{url} is up, after {time.monotonic() - begin:.0f} s. Try:\n")
    print(f"  token=$({_make_command('token', port)})")
    print(
        f"  curl -s {url}/users -H \"authorization: Bearer $token\" -H 'content-type: application/json'"
        ' -d \'{"email":"ada@example.com","name":"Ada"}\''
    )
    print(f'  curl -s {url}/users -H "authorization: Bearer $token"')
    print(f"  or open {url}/docs in a browser, and paste the token into Authorize")


def plan(port: int, example: str) -> None:
    """Print the plan of an example against the emulator; nothing is applied, and no engine is needed."""
    if example not in paths.examples():
        raise SandboxError(f"there is no example {example!r}: choose one of {', '.join(paths.examples())}")
    started = emulator.running(home(port)) is None
    aws = emulator.start(home(port), port)
    try:
        deployment.plan(deployment.prepare_plan(home(port), example, aws, providers.configure(home(port))))
    finally:
        if started:
            removal.remove(home(port), port)


def url(port: int) -> None:
    """Print the URL of the deployed API."""
    root = home(port) / "work" / "examples" / deployment.EXAMPLE
    if emulator.running(home(port)) is None or not root.exists():
        raise SandboxError(f"there is no sandbox on port {port}: run `make up`")
    print(deployment.Deployment(root, emulator.Emulator(port, home(port)), {}).output("endpoint"))


def token(port: int, scopes: Sequence[str] | None) -> None:
    """Print a token for the sandbox on a port, or for `dev` on its emulator, valid for an hour."""
    if emulator.running(home(port)) is None:
        raise SandboxError(f"there is no sandbox on port {port}: run `make up` or `make dev`")
    print(issuer.ensure(emulator.Emulator(port, home(port))).token(scopes))


def down(port: int) -> None:
    """Remove everything that `up` created, even a partial sandbox."""
    installed = PACKAGES.read_text().split() if PACKAGES.exists() else []
    with step(f"Removing the sandbox on port {port}") as s:
        removed = removal.remove(home(port), port)
        parts = ["emulator stopped" if removed.emulator else "no emulator was running"]
        parts += [f"{removed.containers} containers and {removed.images} images removed"]
        parts += ["engine stopped"] if removed.engine else []
        s.result = ", ".join(parts)
    for other in removal.running():
        print(f"another sandbox of this folder is still running: {other.relative_to(ROOT)}")
    if installed:
        print(
            f"the Debian packages that it installed remain; to remove them: apt-get purge --autoremove {' '.join(installed)}"
        )


def dev_environment(aws: emulator.Emulator, tokens: issuer.Issuer, table: str = TABLE) -> dict[str, str]:
    """Return the environment of the service and its authorizer, with a table in the emulator."""
    authorizer = {"SANDBOX_ISSUER": tokens.url, "SANDBOX_AUDIENCE": tokens.audience, "SANDBOX_KEYS": tokens.keys_url}
    return (
        emulator.neutral_environment()
        | aws.environment()
        | {"TABLE_NAME": table, "SCOPE_PREFIX": issuer.RESOURCE_SERVER}
        | authorizer
    )


def dev(port: int, service_port: int) -> None:
    """Run the service under uvicorn, with reload, on the emulator's DynamoDB, until interrupted."""
    alternative = f"SERVICE_PORT={emulator.free_port()} (PORT is the emulator's)"
    if service_port == port:
        raise SandboxError(f"port {port} is the emulator's, so the service needs another one: {alternative}")
    emulator.require_free_port(service_port, "service", alternative)
    started = emulator.running(home(port)) is None
    aws = emulator.start(home(port), port)
    try:
        client = aws.client("dynamodb")
        if TABLE not in client.list_tables()["TableNames"]:
            client.create_table(TableName=TABLE, **TABLE_SCHEMA)
        tokens = issuer.ensure(aws)
        environment = dev_environment(aws, tokens)
        # A separate process, since the service reads its environment once. If it fails, it prints why, and the service still runs.
        seed = environment | {"SANDBOX_TOKEN": tokens.token()}
        subprocess.run([sys.executable, "-m", "sandbox.seed"], cwd=ROOT, env=seed, check=False)
        print(f"Service: http://localhost:{service_port}/docs, AWS emulator: {aws.url}.")
        print(f"For a token: {_make_command('token', port)}", flush=True)
        listen = ["--host", "127.0.0.1", "--port", str(service_port)]
        reload = ["--reload", "--reload-dir", "service"]
        subprocess.run(
            [sys.executable, "-m", "uvicorn", "sandbox.gateway:create", "--factory", *listen, *reload],
            cwd=ROOT,
            env=environment,
            check=False,
        )
    except KeyboardInterrupt:
        pass
    finally:
        if started:
            removal.remove(home(port), port)


def _make_command(name: str, port: int) -> str:
    return f"make --silent {name}" + ("" if port == DEFAULT_PORT else f" PORT={port}")


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: use a number from 1 to {LAST_PORT}")
    return int(text)


def main() -> int:
    """Run a command. Exit code 1 with a message, without a traceback, for failures that the user can fix."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("command", choices=["up", "plan", "url", "token", "down", "dev"])
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, help="port of the emulator; each port has its own sandbox"
    )
    parser.add_argument(
        "--service-port", type=_port, default=DEFAULT_SERVICE_PORT, help="port of the service under `dev`"
    )
    parser.add_argument(
        "--example", default=deployment.EXAMPLE, help="folder of examples/ that `plan` plans (%(default)s)"
    )
    parser.add_argument("--scopes", nargs="+", help="scopes of the token (default: all)")
    arguments = parser.parse_args()
    port = arguments.port
    commands: dict[str, Callable[[], None]] = {
        "up": lambda: up(port),
        "plan": lambda: plan(port, arguments.example),
        "url": lambda: url(port),
        "token": lambda: token(port, arguments.scopes),
        "down": lambda: down(port),
        "dev": lambda: dev(port, arguments.service_port),
    }
    try:
        commands[arguments.command]()
    except SandboxError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; run the same command again to continue", file=sys.stderr)
        return 130
    return 0
