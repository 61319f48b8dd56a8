"""The command `inventory`: what an account or a state has, as routes for the module."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from migration import account, output, state
from migration.build import build
from migration.errors import MigrationError
from migration.model import Inventory
from migration.reader import Reader, load, save

COMPLETE, FAILED, INCOMPLETE = 0, 1, 3
CHECKPOINT = "read.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--api", action="append", default=[], metavar="NAME", help="only this API, by name or id (may be repeated)"
    )
    parser.add_argument("--stage", help="the stage to read, if an API has several")
    parser.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="read a Terraform state, or `terraform show -json`, instead of the account",
    )
    parser.add_argument("--region", help="the account's region (default: that of the AWS CLI)")
    parser.add_argument("--profile", help="the AWS CLI's profile")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("inventory"),
        metavar="FOLDER",
        help="where files are written (default: inventory)",
    )
    parser.add_argument(
        "--resume", action="store_true", help="read only what an earlier run into the same folder could not read"
    )
    parser.add_argument("--openapi", action="store_true", help="also write a sketch of each API as OpenAPI 3.1")
    parser.add_argument(
        "--stubs",
        type=Path,
        metavar="FOLDER",
        help="also write stub routes, a domain folder for each resource, such as into service",
    )


def run(given: argparse.Namespace) -> int:
    """Read, write the files, print the table, and return the exit code. Raises MigrationError."""
    inventory = _of_state(given) if given.state else _of_account(given)
    files = _files(inventory, given)
    output.write(files, keep=given.stubs)
    print(output.table(inventory))
    print(f"\nWritten: {', '.join(str(path) for path in files)}", flush=True)
    return _conclude(inventory, given)


def _of_state(given: argparse.Namespace) -> Inventory:
    if given.resume or given.region or given.profile:
        raise MigrationError("--state reads a file: --resume, --region and --profile are for accounts.")
    parts, unread, region = state.read(state.load(given.state))
    if not parts["rest"] and not parts["http"]:
        raise MigrationError(
            f"{given.state} contains no REST or HTTP API (aws_api_gateway_rest_api, aws_apigatewayv2_api): give the state that does."
        )
    return build(str(given.state), region, parts, unread, given.api, given.stage)


def _of_account(given: argparse.Namespace) -> Inventory:
    checkpoint = given.out / CHECKPOINT
    clients = account.clients(given.region, given.profile)
    region = clients("lambda").meta.region_name
    reader = Reader(load(checkpoint) if given.resume else None)
    try:
        account.read(reader, clients, given.api)
    finally:
        # Also after Ctrl-C and lost credentials.
        save(checkpoint, reader.parts)
    reader.say(f"{reader.reads} parts read, {len(reader.unread)} refused")
    if not reader.parts.get("rest") and not reader.parts.get("http") and not reader.unread:
        raise MigrationError(f"the account has no REST or HTTP API in {region}: choose another region with --region.")
    return build(f"account, {region}", region, reader.parts, reader.unread, given.api, given.stage)


def _files(inventory: Inventory, given: argparse.Namespace) -> dict[Path, str]:
    files = {given.out / "inventory.json": json.dumps(inventory.as_json(), indent=2, ensure_ascii=False) + "\n"}
    names = output.file_names(inventory)
    for api in inventory.apis:
        files[given.out / f"{names[api.id]}.tfvars"] = output.tfvars(api, inventory)
        if given.openapi:
            sketch = json.dumps(output.openapi(api), indent=2, ensure_ascii=False) + "\n"
            files[given.out / f"{names[api.id]}.openapi.json"] = sketch
        if given.stubs:
            if len(inventory.apis) > 1:
                raise MigrationError("--stubs writes the routes of one API: choose it with --api.")
            files |= {given.stubs / path: text for path, text in output.stubs(api).items()}
    return files


def _conclude(inventory: Inventory, given: argparse.Namespace) -> int:
    """Print what is missing and how to go on, and return the exit code."""
    if inventory.complete:
        return COMPLETE
    if inventory.unmapped:
        print(
            f"{len(inventory.unmapped)} routes are not mapped: they are named above, with the reasons.", file=sys.stderr
        )
    if inventory.unread and given.state:
        print(
            f"{len(inventory.unread)} parts are not in the state: read the account instead, without --state.",
            file=sys.stderr,
        )
    elif inventory.unread:
        apis = "".join(f" --api {name}" for name in given.api)
        actions = ", ".join(sorted({each.operation.partition(" ")[0] for each in inventory.unread}))
        print(
            f"{len(inventory.unread)} parts could not be read, and what was read is kept. Once the permissions are there ({actions}), "
            f"continue with: python -m migration inventory{apis} --out {given.out} --resume",
            file=sys.stderr,
        )
    return INCOMPLETE
