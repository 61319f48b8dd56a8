"""Move an API of one-operation Lambda functions to the module: docs/migrating.md.

python -m migration inventory
python -m migration inventory --state terraform.tfstate --api people
python -m migration record --access-log access.log
python -m migration compare requests.jsonl --old https://old.example.com/prod --new https://new.example.com
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence

from migration import compare, inventory, record
from migration.errors import MigrationError


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m migration", description=(__doc__ or "").splitlines()[0])
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    for name, module, text in (
        ("inventory", inventory, "list APIs, routes, functions and risks, and write routes for the module"),
        ("record", record, "record requests for a comparison, from access logs or through a proxy, without secrets"),
        ("compare", compare, "send recorded requests to the old and the new API, and show how the responses differ"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    given = parser().parse_args(arguments)
    # For the command that continues after an interruption.
    given.command_line = shlex.join(["python", "-m", "migration", *(sys.argv[1:] if arguments is None else arguments)])
    try:
        code: int = given.run(given)
    except MigrationError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: what was read is kept, and --resume continues.", file=sys.stderr)
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
