"""The sandbox's commands, behind `make up`, `make url`, `make dev` and `make down`."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from sandbox import base_image, deployment, emulator, engine, providers
from sandbox.emulator import ROOT
from sandbox.errors import SandboxError
from sandbox.progress import step

TABLE = "people-api-dev"


def home(port: int) -> Path:
    """Return the folder that holds all of the sandbox on a port."""
    return ROOT / ".sandbox" / str(port)


def up(port: int) -> None:
    """Bring the sandbox to the state of the sources, from whatever state it is in, and print its URL."""
    begin = time.monotonic()
    with step("Terraform") as s:
        s.result = deployment.require_terraform()
    with step("Emulator of AWS") as s:
        aws = emulator.start(home(port), port)
        s.result = f"MiniStack on {aws.url}"
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
        example = deployment.prepare(home(port), aws, source, base)
        deployment.apply(example, s)
        s.result = f"version {example.output('version')} serves"
    with step("Smoke request through API Gateway"):
        deployment.smoke(example)
    url = example.output("endpoint")
    print(f"\n{url} is up, {time.monotonic() - begin:.0f} s in all. Try:\n")
    print(
        f'  curl -s -X POST {url}/users -H \'content-type: application/json\' -d \'{{"email":"ada@example.com","name":"Ada"}}\''
    )
    print(f"  curl -s {url}/users")
    print(f"  and in a browser {url}/docs")


def url(port: int) -> None:
    """Print the URL of what is deployed."""
    root = home(port) / "work" / "examples" / deployment.EXAMPLE
    if emulator.running(home(port)) is None or not root.exists():
        raise SandboxError(f"no sandbox runs on port {port}: run `make up`")
    print(deployment.Deployment(root, emulator.Emulator(port, home(port)), {}).output("endpoint"))


def down(port: int) -> None:
    """Remove all that `up` made, whatever there is of it."""
    folder = home(port)
    aws = emulator.Emulator(port, folder)
    with step("Emulator of AWS") as s:
        s.result = "stopped" if emulator.stop(folder) else "was not running"
    with step("Docker engine") as s:
        if engine.find() is None:
            s.result = "does not run"
        else:
            containers = engine.remove_containers(aws.instance)
            images = engine.remove_images(f"localhost:{port}/")
            stopped = engine.release(folder)
            s.result = f"{containers} containers and {images} images removed" + (", engine stopped" if stopped else "")
            if not stopped and not _others(port):
                engine.remove_images(base_image.STAND_IN.partition(":")[0])
    shutil.rmtree(folder, ignore_errors=True)
    installed = engine.PACKAGES.read_text().split() if engine.PACKAGES.exists() else []
    if not _others(port):
        shutil.rmtree(ROOT / ".sandbox", ignore_errors=True)
    print("nothing of the sandbox is left" + (" in its folder and the engine" if installed else ""))
    if installed:
        print(
            f"Debian packages that it installed stay; to remove them: apt-get purge --autoremove {' '.join(installed)}"
        )


def dev(port: int) -> None:
    """Run the service alone under uvicorn, reloading on save, on the emulator's DynamoDB; until interrupted."""
    import boto3

    started = emulator.running(home(port)) is None
    aws = emulator.start(home(port), port)
    try:
        client = boto3.client(
            "dynamodb",
            endpoint_url=aws.url,
            region_name=emulator.REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        if TABLE not in client.list_tables()["TableNames"]:
            client.create_table(
                TableName=TABLE,
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            )
        subprocess.run(
            [
                sys.executable,
                "-m",
                "uvicorn",
                "service.app:create_app",
                "--factory",
                "--reload",
                "--reload-dir",
                "service",
            ],
            cwd=ROOT,
            env=os.environ | aws.environment() | {"TABLE_NAME": TABLE},
            check=False,
        )
    except KeyboardInterrupt:
        pass
    finally:
        if started:
            emulator.stop(home(port))


def _others(port: int) -> list[Path]:
    """Return the folders of this clone's other sandboxes that run."""
    folders = [f for f in (ROOT / ".sandbox").glob("*") if f.is_dir() and f.name != str(port)]
    return [f for f in folders if emulator.running(f) is not None]


def main() -> int:
    """Run a command. Exit code 1 with a message, and no traceback, for everything a person can mend."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("command", choices=["up", "url", "down", "dev"])
    parser.add_argument("--port", type=int, default=4566, help="port of the emulator; each has a sandbox of its own")
    arguments = parser.parse_args()
    try:
        {"up": up, "url": url, "down": down, "dev": dev}[arguments.command](arguments.port)
    except SandboxError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; run the same command again to go on", file=sys.stderr)
        return 130
    return 0
