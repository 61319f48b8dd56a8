"""The sandbox's commands, behind `make up`, `make url`, `make token`, `make dev` and `make down`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sandbox import base_image, deployment, emulator, engine, issuer, providers, removal, terraform
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
    """Return the folder that holds all of the sandbox on a port."""
    return SANDBOXES / str(port)


def up(port: int) -> None:
    """Bring the sandbox to the state of the sources, from whatever state it is in, and print its URL."""
    begin = time.monotonic()
    with step("Terraform") as s:
        s.result = str(terraform.find())
    with step("Emulator of AWS") as s:
        aws = emulator.start(home(port), port)
        s.result = f"MiniStack on {aws.url}"
    with step("Issuer of tokens") as s:
        tokens = issuer.ensure(aws)
        s.result = tokens.url
    with step("Docker engine") as s:
        found = engine.ensure(home(port), s)
        s.result = f"{found.version}, {'started by the sandbox' if found.home else 'the one that runs here'}"
    with step("Base image") as s:
        base = base_image.ensure(s)
        s.result = f"{base.reference} ({base.kind})"
    with step("Terraform providers") as s:
        source = providers.configure(home(port))
        s.result = f"docker: {source.docker}"
    with step("terraform apply of examples/complete") as s:
        example = deployment.prepare(home(port), aws, tokens, source, base)
        deployment.apply(example, s)
        s.result = f"version {example.output('version')} serves"
    with step("Smoke request through API Gateway"):
        deployment.smoke(example)
    url = example.output("endpoint")
    print(f"\n{url} is up, {time.monotonic() - begin:.0f} s in all. Try:\n")
    print(f"  token=$({_make_command('token', port)})")
    print(
        f"  curl -s {url}/users -H \"authorization: Bearer $token\" -H 'content-type: application/json'"
        ' -d \'{"email":"ada@example.com","name":"Ada"}\''
    )
    print(f'  curl -s {url}/users -H "authorization: Bearer $token"')
    print(f"  and in a browser {url}/docs, where Authorize takes the token")


def url(port: int) -> None:
    """Print the URL of what is deployed."""
    root = home(port) / "work" / "examples" / deployment.EXAMPLE
    if emulator.running(home(port)) is None or not root.exists():
        raise SandboxError(f"no sandbox runs on port {port}: run `make up`")
    print(deployment.Deployment(root, emulator.Emulator(port, home(port)), {}).output("endpoint"))


def token(port: int, scopes: Sequence[str] | None) -> None:
    """Print a token that the sandbox on a port, or `dev` on its emulator, takes for an hour."""
    if emulator.running(home(port)) is None:
        raise SandboxError(f"no sandbox runs on port {port}: run `make up`, or `make dev`")
    print(issuer.ensure(emulator.Emulator(port, home(port))).token(scopes))


def down(port: int) -> None:
    """Remove all that `up` made, whatever there is of it."""
    installed = PACKAGES.read_text().split() if PACKAGES.exists() else []
    with step(f"Removing the sandbox on port {port}") as s:
        gone = removal.remove(home(port), port)
        parts = ["emulator stopped" if gone.emulator else "no emulator ran"]
        parts += [f"{gone.containers} containers and {gone.images} images removed"]
        parts += ["engine stopped"] if gone.engine else []
        s.result = ", ".join(parts)
    for other in removal.running():
        print(f"another sandbox of this folder still runs: {other.relative_to(ROOT)}")
    if installed:
        print(
            f"Debian packages that it installed stay; to remove them: apt-get purge --autoremove {' '.join(installed)}"
        )


def dev_environment(aws: emulator.Emulator, tokens: issuer.Issuer, table: str = TABLE) -> dict[str, str]:
    """Return the environment of the service and its authorizer on a table of the emulator."""
    authorizer = {"SANDBOX_ISSUER": tokens.url, "SANDBOX_AUDIENCE": tokens.audience, "SANDBOX_KEYS": tokens.keys_url}
    return (
        emulator.neutral_environment()
        | aws.environment()
        | {"TABLE_NAME": table, "SCOPE_PREFIX": issuer.RESOURCE_SERVER}
        | authorizer
    )


def dev(port: int, service_port: int) -> None:
    """Run the service alone under uvicorn, reloading on save, on the emulator's DynamoDB; until interrupted."""
    other = f"SERVICE_PORT={emulator.free_port()} (PORT is the emulator's)"
    if service_port == port:
        raise SandboxError(f"the emulator has port {port}, so the service needs another: {other}")
    emulator.refuse_a_port_in_use(service_port, "service", other)
    started = emulator.running(home(port)) is None
    aws = emulator.start(home(port), port)
    try:
        client = aws.client("dynamodb")
        if TABLE not in client.list_tables()["TableNames"]:
            client.create_table(TableName=TABLE, **TABLE_SCHEMA)
        tokens = issuer.ensure(aws)
        environment = dev_environment(aws, tokens)
        # A process of its own, for the service reads its environment once. One that fails says so, and the service runs.
        seed = environment | {"SANDBOX_TOKEN": tokens.token()}
        subprocess.run([sys.executable, "-m", "sandbox.seed"], cwd=ROOT, env=seed, check=False)
        print(f"The service is at http://localhost:{service_port}/docs, the emulator of AWS at {aws.url}.")
        print(f"A token: {_make_command('token', port)}", flush=True)
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
        raise argparse.ArgumentTypeError(f"{text!r} is no port: it is a number from 1 to {LAST_PORT}")
    return int(text)


def main() -> int:
    """Run a command. Exit code 1 with a message, and no traceback, for everything a person can mend."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("command", choices=["up", "url", "token", "down", "dev"])
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, help="port of the emulator; each has a sandbox of its own"
    )
    parser.add_argument(
        "--service-port", type=_port, default=DEFAULT_SERVICE_PORT, help="port of the service, which `dev` runs"
    )
    parser.add_argument("--scopes", nargs="+", help="what a token allows (everything)")
    arguments = parser.parse_args()
    port = arguments.port
    commands: dict[str, Callable[[], None]] = {
        "up": lambda: up(port),
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
        print("\ninterrupted; run the same command again to go on", file=sys.stderr)
        return 130
    return 0
