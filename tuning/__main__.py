"""Propose memory and concurrency of a Lambda function from the REPORT lines of its log: docs/tuning.md.

python -m tuning --function orders
python -m tuning day1.log day2.log
aws logs tail /aws/lambda/orders --since 1d | python -m tuning -
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from tuning.errors import TuningError
from tuning.model import MONTH_SECONDS, Option, Prices, Proposal, Targets, propose
from tuning.reports import Report, from_cloudwatch, parse

ROWS = 8


def read(arguments: argparse.Namespace) -> list[list[Report]]:
    """Return the reports of each source that the command names."""
    sources = [_read_file(file) for file in arguments.files]
    return [*sources, _read_log_group(arguments.function, arguments.hours)] if arguments.function else sources


def _read_file(file: str) -> list[Report]:
    if file == "-":
        return list(parse(sys.stdin, "standard input"))
    try:
        with Path(file).open(encoding="utf-8") as lines:
            return list(parse(lines, file))
    except (OSError, UnicodeDecodeError) as error:
        raise TuningError(f"cannot read {file}: {error}") from error


def _read_log_group(function: str, hours: float) -> list[Report]:
    import boto3  # only here: files need no AWS client
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return list(from_cloudwatch(boto3.client("logs"), function, hours))
    except (ClientError, BotoCoreError) as error:
        raise TuningError(f"cannot read /aws/lambda/{function}: {error}") from error


def table(proposal: Proposal) -> str:
    """Return the options around the proposed one as text, marked where proposed or current."""
    step = max(len(proposal.options) // ROWS, 1)
    shown = {
        o.memory_mb: o for o in [*proposal.options[::step], proposal.options[-1], proposal.current, proposal.chosen]
    }
    rate = proposal.load.per_second if proposal.load else None
    lines = ["memory_mb  mean ms  p99 ms  $/1,000" + ("  $/month  reserved  provisioned" if rate else "")]
    for memory_mb, option in sorted(shown.items()):
        line = f"{memory_mb:9}  {option.mean_ms:7.1f}  {option.p99_ms:6.0f}  {option.usd:7.5f}"
        if rate:
            line += (
                f"  {option.usd * rate * MONTH_SECONDS / 1000:7.2f}  {option.reserved:8}  {_provisioned(option):>11}"
            )
        marks = {"proposed": option is proposal.chosen, "now": memory_mb == proposal.current.memory_mb}
        marks["short of memory"] = memory_mb < proposal.floor_mb
        lines.append(line + "".join(f"  <- {mark}" for mark, applies in marks.items() if applies))
    return "\n".join(lines)


def _provisioned(option: Option) -> str:
    return "to".join(f"{number:^4}" for number in dict.fromkeys(option.provisioned)) if option.provisioned else "none"


def summary(proposal: Proposal, prices: Prices, requests: int) -> str:
    """Return what the proposal is based on, as text."""
    durations, load = proposal.durations, proposal.load
    sizes = " and ".join(f"{number:,} at {size} MB" for size, number in sorted(durations.sizes.items()))
    lines = [
        f"{requests:,} requests, warm: {sizes}; {proposal.cold_share:.2%} cold starts of {proposal.start_ms:.0f} ms",
        f"memory: {proposal.used_mb} MB used at most, so {proposal.floor_mb} MB or more",
    ]
    if len(proposal.options) > 1:
        error = durations.error(proposal.chosen.memory_mb)
        lines.append(
            f"mean duration: {durations.constant_ms:.1f} ms + {durations.cpu_ms:.1f} ms * 1769 / memory_mb, "
            f"within {error:.1%} at the proposed size"
        )
    if load:
        lines.append(
            f"load: {load.per_second:.2f} requests/s on average, {load.busiest:.2f} in the busiest minute; "
            f"at most {load.peak} at once in {load.seconds / 3600:.1f} h"
        )
    return "\n".join([*lines, f"prices: {prices.region}, {prices.date}, API Gateway and Lambda"])


def tfvars(proposal: Proposal, architecture: str, requests: int) -> str:
    """Return the proposal as inputs of the module."""
    chosen = proposal.chosen
    function = {"architecture": f'"{architecture}"', "memory_mb": chosen.memory_mb}
    if chosen.reserved is not None:
        function["reserved_concurrency"] = chosen.reserved
    lines = [
        f"# Proposed by `python -m tuning` from {requests:,} requests. These objects replace yours: merge them.",
        "function = {",
        *(f"  {name:{max(map(len, function))}} = {value}" for name, value in function.items()),
        "}",
    ]
    if chosen.provisioned:
        least, most = chosen.provisioned
        limits = f"min = {least}" + (f", max = {most}" if most > least else "")
        lines.append(f"provisioned_concurrency = {{ {limits} }}")
    elif proposal.load:
        lines.append("provisioned_concurrency = null")
    return "\n".join(lines) + "\n"


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m tuning", description=(__doc__ or "").splitlines()[0])
    made.add_argument("files", nargs="*", metavar="FILE", help="log lines, JSON or text; - for standard input")
    made.add_argument("--function", help="read /aws/lambda/FUNCTION from CloudWatch Logs, with the AWS CLI's settings")
    made.add_argument("--hours", type=float, default=24, help="how far back --function reads (default: 24)")
    made.add_argument(
        "--architecture", choices=["x86_64", "arm64"], default="x86_64", help="for prices (default: x86_64)"
    )
    made.add_argument(
        "--mean-ms", type=float, default=Targets.mean_ms, help="mean duration to stay below (default: %(default)s)"
    )
    made.add_argument(
        "--cold-percent",
        type=float,
        default=100 * Targets.cold_share,
        help="percentage of requests that may have a cold start; above it, provisioned concurrency (default: %(default)s)",
    )
    made.add_argument("--tfvars", type=Path, help="write the proposal as inputs of the module")
    made.add_argument("--plot", type=Path, help="draw duration and cost by memory (PNG; needs matplotlib)")
    return made


def run(arguments: argparse.Namespace) -> None:
    """Print a proposal, and write what else was asked for. TuningError if there can be none."""
    if not arguments.files and not arguments.function:
        raise TuningError("no log: name a file, - for standard input, or --function.")
    for name in ("hours", "mean_ms"):
        if not getattr(arguments, name) > 0:
            raise TuningError(f"--{name.replace('_', '-')} must be above 0.")
    if not 0 <= arguments.cold_percent <= 100:
        raise TuningError("--cold-percent must be from 0 to 100.")
    if arguments.plot and not importlib.util.find_spec("matplotlib"):
        raise TuningError("--plot needs matplotlib: pip install -r requirements/docs.txt, or leave it out.")
    sources = read(arguments)
    prices = Prices.of(arguments.architecture)
    proposal = propose(sources, prices, Targets(arguments.mean_ms, arguments.cold_percent / 100))
    requests = sum(map(len, sources))
    inputs = tfvars(proposal, arguments.architecture, requests)
    notes = "\n".join(f"note: {note}" for note in proposal.notes)
    print("\n\n".join(part for part in (summary(proposal, prices, requests), table(proposal), notes, inputs) if part))
    if arguments.tfvars:
        arguments.tfvars.write_text(inputs, encoding="utf-8")
    if arguments.plot:
        from tuning.plot import draw

        draw(proposal, arguments.plot)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 with a message on standard error if there can be no proposal."""
    try:
        run(parser().parse_args(arguments))
    except TuningError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
