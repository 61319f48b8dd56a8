"""Backfill existing items after a declaration has changed: `python -m service.backfill customer` (docs/service.md)."""

import argparse
import sys

from service.app import resources, table
from service.kit.auth import Principal
from service.kit.backfill import Progress, backfill
from service.kit.repository import Repository

NOBODY = Principal("backfill", scopes=None)


def main() -> int:
    """Backfill the given kinds, or all; return 1 if an item needs attention."""
    known = {resource.name: resource for resource in resources()}
    parser = argparse.ArgumentParser(prog="python -m service.backfill", description=__doc__)
    parser.add_argument("kinds", nargs="*", help=f"any of {', '.join(known)}; default: all")
    parser.add_argument("--after", help="continue after this id, which the interrupted command printed last")
    arguments = parser.parse_args()
    if unknown := set(arguments.kinds) - known.keys():
        parser.error(f"there is no kind {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if arguments.after and len(arguments.kinds) != 1:
        parser.error("--after is an id of one kind: give only that kind")
    problems = 0
    for kind in arguments.kinds or known:
        progress = Progress(kind)
        for progress in backfill(Repository(known[kind], table(), NOBODY), arguments.after):
            print(_line(progress), file=sys.stderr)  # noqa: T201 - a command
        for problem in progress.problems:
            print(problem)  # noqa: T201
        problems += len(progress.problems)
    return 1 if problems else 0


def _line(progress: Progress) -> str:
    done = (
        f"{progress.kind}: {progress.read} read, {progress.written} written, {progress.deleted_entries} entries deleted"
    )
    return f"{done}, {len(progress.problems)} problems" + (
        f"; continue with --after {progress.after}" if progress.after else ""
    )


if __name__ == "__main__":
    sys.exit(main())
