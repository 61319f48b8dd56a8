"""Roll out an API's next version while its alarms are watched, and return by itself: docs/delivery.md.

Exit codes: 0 the new version is live; 1 returned, what served before serves; 2 could not tell which version serves, or could
not return: look at it; 3 refused, nothing was changed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from .aws import Request
from .errors import DeliveryError, RefusedError
from .journal import Entry
from .report import LiveProgress, Progress, summary, write
from .rollout import Rollout, Settings
from .terraform import Names, Terraform

EXIT_CODES = {"live": 0, "returned": 1, "unknown": 2}
REFUSED = RefusedError.exit_code
NAMES = {
    "version_variable": "variable that pins the version",
    "canary_variable": "variable with the canary's percentage",
    "alias_output": "output with the alias's ARN",
    "alarms_output": "output with the ARNs of the alarms",
    "newest_output": "output with the newest version",
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors have the exit code of a refusal."""

    def error(self, message: str) -> NoReturn:
        """Print the error and how the command is used."""
        self.print_usage(sys.stderr)
        self.exit(REFUSED, f"refused: {message}\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = Parser(prog="delivery", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest="command", required=True, parser_class=Parser)
    helps = {
        "rollout": "deploy without traffic, then raise the new version's share by steps",
        "rollback": "pin a version; by default the one that served before",
        "status": "print what serves, what is half-done, and how to go on",
        "variables": "print the variables that keep what serves as it is, for plan, apply and drift jobs",
    }
    for name, text in helps.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--root", type=Path, required=True, metavar="DIR", help="root module, initialised")
        command.add_argument("--journal", metavar="PATH|s3://BUCKET/KEY", help="default: delivery.json in .terraform")
        for option, what in NAMES.items():
            default = getattr(Names, option)
            flag = f"--{option.replace('_', '-')}"
            command.add_argument(flag, default=default, metavar="NAME", help=f"{what}, default {default}")
    for name in ("rollout", "rollback"):
        command = commands.choices[name]
        command.add_argument("--minutes", type=float, default=5, help="how long each step is watched, default 5")
        command.add_argument("--poll", type=float, default=10, metavar="SECONDS", help="between two looks, default 10")
        command.add_argument(
            "--alarm", action="append", default=[], help="another alarm: a name, or an ARN in any region"
        )
        command.add_argument(
            "--summary", type=Path, metavar="FILE", help="Markdown; besides $GITHUB_STEP_SUMMARY, if set"
        )
        command.add_argument("--var-file", type=Path, action="append", default=[], metavar="FILE")
        command.add_argument("--var", action="append", default=[], metavar="NAME=VALUE")
        command.add_argument("--lock-timeout", default="30s", help="how long to wait for the state's lock, default 30s")
    rollout = commands.choices["rollout"]
    rollout.add_argument(
        "--steps", type=int, nargs="+", default=[10, 50, 100], metavar="PERCENT", help="default 10 50 100"
    )
    rollout.add_argument(
        "--request", action="append", default=[], help="sent to the new version first: GET /readyz 200"
    )
    rollout.add_argument("--plan", type=Path, metavar="FILE", help="saved plan to deploy with, instead of a new one")
    rollout.add_argument("--allow-dirty", action="store_true", help="although the checkout has uncommitted changes")
    rollout.add_argument("--again", action="store_true", help="although this version was returned before")
    rollout.add_argument("--without-alarms", action="store_true", help="watch nothing but the alias")
    commands.choices["rollback"].add_argument("--to", metavar="VERSION")
    commands.choices["variables"].add_argument("--format", choices=("env", "args", "json"), default="env")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return the exit code."""
    given = parser().parse_args(arguments)
    progress = LiveProgress() if sys.stderr.isatty() else Progress()
    try:
        return _run(given, progress)
    except DeliveryError as error:
        # Every error before a rollout begins is a refusal; from then on, errors end the rollout.
        print(f"refused: {error}. Nothing was changed.", file=sys.stderr)
        return REFUSED


def _run(given: argparse.Namespace, progress: Progress) -> int:
    names = Names(**{option: getattr(given, option) for option in NAMES})
    terraform = Terraform(given.root)
    settings = Settings(journal=given.journal)
    if given.command in {"rollout", "rollback"}:
        terraform.var_files, terraform.variables = given.var_file, given.var
        terraform.lock_timeout = given.lock_timeout
        settings.minutes, settings.poll, settings.alarms = given.minutes, given.poll, given.alarm
    if given.command == "rollout":
        settings.steps, settings.plan, settings.again = given.steps, given.plan, given.again
        settings.requests = [Request.of(text) for text in given.request]
        settings.allow_dirty, settings.without_alarms = given.allow_dirty, given.without_alarms
    rollout = Rollout(terraform, settings, names, progress)
    match given.command:
        case "variables":
            print("\n".join(_variables(rollout.variables(), given.format)))
            return 0
        case "status":
            return _status(rollout)
        case _:
            return _finish(_watched(rollout, given), rollout, given)


def _watched(rollout: Rollout, given: argparse.Namespace) -> Entry:
    def stop(number: int, _: object) -> None:
        name = signal.Signals(number).name
        print(f"{name}: returning to the version that served before; please wait", file=sys.stderr, flush=True)
        rollout.stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    return rollout.roll_back(given.to) if given.command == "rollback" else rollout.run()


def _finish(entry: Entry, rollout: Rollout, given: argparse.Namespace) -> int:
    text = summary(entry, str(rollout.function.target))
    if given.summary:
        write(given.summary, text)
    if page := os.environ.get("GITHUB_STEP_SUMMARY"):
        write(Path(page), text, append=True)
    return EXIT_CODES[str(entry.result)]


def _variables(values: dict[str, int], style: str) -> list[str]:
    if style == "json":
        return [json.dumps(values)]
    prefix = "TF_VAR_" if style == "env" else "-var="
    return [f"{prefix}{name}={value}" for name, value in values.items()]


def _status(rollout: Rollout) -> int:
    routing, half_done, ended = rollout.status()
    root = rollout.terraform.root
    print(f"{rollout.function.target} serves {routing}")
    for name, alarm in rollout.alarms.states().items():
        print(f"alarm {name}: {alarm.state}")
    if ended:
        last = ended[0]
        print(f"last {last.kind}: version {last.old} to {last.new}, {last.result}, {last.ended}: {last.reason}")
    if half_done is None:
        print("nothing is half-done")
        return 0
    print(
        f"half-done, or running elsewhere: {half_done.kind} from version {half_done.old} to {half_done.new}, "
        f"{half_done.state} at {half_done.percent} % since {half_done.events[-1]['at']}\n"
        f"to finish it: delivery rollout --root {root}\n"
        f"to return to version {half_done.old}: delivery rollback --root {root}"
    )
    return 2


if __name__ == "__main__":
    sys.exit(main())
