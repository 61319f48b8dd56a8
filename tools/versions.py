# /// script
# requires-python = ">=3.11"
# dependencies = ["boto3"]
# ///
"""List a Lambda function's published versions and what their snapshots cost, and delete those that nothing needs.

    python -m tools.versions FUNCTION [--keep N] [--delete] [--region REGION] [--profile PROFILE]

Without --delete it only reads. It keeps the newest N versions, and all that an alias or provisioned concurrency uses. It does not
see callers that name a version by its number, such as an event source mapping. Exit code 1 is an error, 2 a wrong argument.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_lambda import LambdaClient

KEPT = 10
# Of SnapStart's cache for Python, in dollars per GB of memory and second.
PRICES = {"us-east-1": 0.0000015046}
PRICES_OF, PRICE_SOURCE = "2025-10-01", "https://aws.amazon.com/lambda/pricing/"
PRICE_REGION = "us-east-1"
"""The region whose price is used for a region without one in PRICES."""
MONTH_SECONDS = 730 * 60 * 60
LEAST_HOURS = 3
"""AWS bills a snapshot for at least so long, even if its version is deleted earlier (PRICE_SOURCE)."""
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
IMAGE = re.compile(r"(?:(?P<account>\d{12})\.)?[^/]+/(?P<repository>.+)@(?P<digest>sha256:[0-9a-f]{64})")
# A function has thousands of versions at most, each with a request.
CLIENT = Config(retries={"mode": "standard", "total_max_attempts": 8})


class VersionsError(Exception):
    """An error that the user can fix, shown without a stack trace."""


@dataclass(frozen=True)
class Image:
    """Where a version's code is."""

    state: str
    """"in ECR", "deleted", "unknown" (no permission to look) or "zip" (no image)."""
    size_bytes: int | None = None
    """Compressed size; None if unknown."""


@dataclass(frozen=True)
class Version:
    """A published version."""

    number: int
    published: datetime
    description: str
    memory_mb: int
    has_snapshot: bool
    image: Image
    uses: tuple[str, ...]
    """What uses it, such as "live", "live (canary, 10 %)" or "provisioned concurrency (2)"."""

    def monthly_cost(self, price: float) -> float:
        """Return what its snapshot costs a month, in dollars."""
        return self.memory_mb / 1024 * MONTH_SECONDS * price if self.has_snapshot else 0


def read(function: LambdaClient, ecr: ECRClient, name: str) -> list[Version]:
    """Return the function's published versions, the newest first."""
    pages = function.get_paginator("list_versions_by_function").paginate(FunctionName=name)
    published = [config for page in pages for config in page["Versions"] if config["Version"] != "$LATEST"]
    used = uses(function, name)
    images = _images(function, ecr, name, published)
    versions = [
        Version(
            number=int(config["Version"]),
            published=datetime.fromisoformat(config["LastModified"]),
            description=config.get("Description", ""),
            memory_mb=config["MemorySize"],
            has_snapshot=config.get("SnapStart", {}).get("OptimizationStatus") == "On",
            image=images[config["Version"]],
            uses=tuple(used.get(config["Version"], ())),
        )
        for config in published
    ]
    return sorted(versions, key=lambda version: -version.number)


def uses(function: LambdaClient, name: str) -> Mapping[str, Sequence[str]]:
    """Return what uses each version: aliases, also by a weight, and provisioned concurrency."""
    found: dict[str, list[str]] = defaultdict(list)
    for aliases in function.get_paginator("list_aliases").paginate(FunctionName=name):
        for alias in aliases["Aliases"]:
            found[alias["FunctionVersion"]].append(alias["Name"])
            weights = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
            for version, weight in weights.items():
                found[version].append(f"{alias['Name']} (canary, {weight * 100:g} %)")
    for configs in function.get_paginator("list_provisioned_concurrency_configs").paginate(FunctionName=name):
        for config in configs["ProvisionedConcurrencyConfigs"]:
            # That of an alias is on a version that the alias uses.
            qualifier = config["FunctionArn"].rpartition(":")[2]
            found[qualifier].append(f"provisioned concurrency ({config['RequestedProvisionedConcurrentExecutions']})")
    return found


def unneeded(versions: Sequence[Version], keep: int) -> list[Version]:
    """Return the versions to delete, the oldest first: not among the newest `keep`, and used by nothing."""
    newest_first = sorted(versions, key=lambda version: -version.number)
    return [version for version in reversed(newest_first[keep:]) if not version.uses]


def delete(function: LambdaClient, name: str, versions: Iterable[Version]) -> Iterable[tuple[Version, str]]:
    """Delete the versions one by one, and yield each with "deleted", or with why it is kept after all.

    What uses a version is read again before it is deleted. AWS itself refuses to delete a version that an alias uses.
    """
    for version in versions:
        # Without a qualifier, Lambda would delete the function.
        qualifier = str(version.number)
        if used := uses(function, name).get(qualifier):
            yield version, f"kept: now used by {', '.join(used)}"
            continue
        try:
            function.delete_function(FunctionName=name, Qualifier=qualifier)
        except function.exceptions.ResourceConflictException as error:
            yield version, f"kept: {error.response['Error']['Message']}"
        except function.exceptions.ResourceNotFoundException:
            yield version, "was deleted meanwhile"
        else:
            yield version, "deleted"


def _images(function: LambdaClient, ecr: ECRClient, name: str, published: Sequence[Any]) -> dict[str, Image]:
    """Return each version's image by the version."""
    images: dict[str, Image] = {}
    repositories: dict[tuple[str, str], dict[str, int] | None] = {}
    for config in published:
        if config["PackageType"] == "Zip":
            images[config["Version"]] = Image("zip", config["CodeSize"])
            continue
        code = function.get_function(FunctionName=name, Qualifier=config["Version"])["Code"]
        found = IMAGE.fullmatch(code.get("ResolvedImageUri") or code.get("ImageUri", ""))
        if not found:
            images[config["Version"]] = Image("unknown")
            continue
        place = found["account"] or "", found["repository"]
        if place not in repositories:
            repositories[place] = _stored(ecr, *place)
        stored = repositories[place]
        if stored is None:
            images[config["Version"]] = Image("unknown")
        elif found["digest"] in stored:
            images[config["Version"]] = Image("in ECR", stored[found["digest"]])
        else:
            images[config["Version"]] = Image("deleted")
    return images


def _stored(ecr: ECRClient, account: str, repository: str) -> dict[str, int] | None:
    """Return the sizes of a repository's images by their digests; None if this account may not look."""
    registry: dict[str, Any] = {"registryId": account} if account else {}
    try:
        pages = ecr.get_paginator("describe_images").paginate(repositoryName=repository, **registry)
        return {image["imageDigest"]: image["imageSizeInBytes"] for page in pages for image in page["imageDetails"]}
    except ecr.exceptions.RepositoryNotFoundException:
        return {}
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        return None


def table(versions: Sequence[Version], not_needed: Sequence[Version], price: float) -> str:
    """Return the versions as a table, a line each."""
    rows = [("version", "age", "memory", "size", "image", "snapshot", "used by", "needed", "description")]
    for version in versions:
        size, cost = version.image.size_bytes, version.monthly_cost(price)
        rows.append(
            (
                str(version.number),
                age(version.published),
                f"{version.memory_mb} MB",
                "-" if size is None else f"{size / 1_000_000:.1f} MB",
                version.image.state,
                f"${cost:.2f} a month" if version.has_snapshot else "-",
                ", ".join(version.uses) or "-",
                "no" if version in not_needed else "yes",
                version.description,
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def age(then: datetime) -> str:
    """Return a time's age in days, or in hours below two days."""
    hours = (datetime.now(UTC) - then).total_seconds() / 3600
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} d"


def run(arguments: argparse.Namespace) -> None:
    """Print the table, and delete if asked. Raises VersionsError."""
    name: str = arguments.function
    session = boto3.Session(profile_name=arguments.profile, region_name=arguments.region)
    function, ecr = session.client("lambda", config=CLIENT), session.client("ecr", config=CLIENT)
    region = function.meta.region_name
    try:
        versions = read(function, ecr, name)
        if not versions:
            print(f"{name} in {region} has no published versions.")
            return
        price = PRICES.get(region, PRICES[PRICE_REGION])
        not_needed = unneeded(versions, arguments.keep)
        print(table(versions, not_needed, price))
        _print_costs(versions, price, region)
        for version in versions:
            if version.uses and version.image.state == "deleted":
                print(
                    f"Warning: version {version.number} is used, but its image is deleted: Lambda may fail to start it."
                )
        if not not_needed:
            print(f"Every version is needed: used, or among the newest {arguments.keep}.")
        elif arguments.delete:
            for version, result in delete(function, name, not_needed):
                print(f"version {version.number} {result}", flush=True)
        else:
            numbers = ", ".join(str(version.number) for version in not_needed)
            saved = sum(version.monthly_cost(price) for version in not_needed)
            print(f"Not needed: {numbers}; ${saved:.2f} a month. To delete them, run this again with --delete.")
    except function.exceptions.ResourceNotFoundException as error:
        raise VersionsError(f"there is no function {name} in {region}, or it was deleted meanwhile") from error


def _print_costs(versions: Sequence[Version], price: float, region: str) -> None:
    snapshots = [version for version in versions if version.has_snapshot]
    if not snapshots:
        print(f"{len(versions)} versions, none with a snapshot: they cost nothing.")
        return
    total = sum(version.monthly_cost(price) for version in snapshots)
    of = region if region in PRICES else f"{PRICE_REGION}, none is recorded for {region}"
    print(
        f"{len(versions)} versions, {len(snapshots)} with a snapshot: ${total:.2f} a month, at ${price:.10f} per GB-second "
        f"(price of {of}; {PRICES_OF}, {PRICE_SOURCE}). AWS bills a snapshot for at least {LEAST_HOURS} hours."
    )


def main(words: Sequence[str] | None = None) -> int:
    """Run the command, and return the exit code."""
    parser = argparse.ArgumentParser(prog="versions", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("function", type=_name, help="the function's name")
    parser.add_argument(
        "--keep", type=_count, default=KEPT, help="how many of the newest to keep, from 1 (%(default)s)"
    )
    parser.add_argument("--delete", action="store_true", help="delete the versions that are not needed")
    parser.add_argument("--region", help="AWS region (by default, that of the environment or the profile)")
    parser.add_argument("--profile", help="profile of the AWS configuration")
    arguments = parser.parse_args(words)
    try:
        run(arguments)
    except ClientError as error:
        details = error.response["Error"]
        print(f"error: {error.operation_name}: {details['Code']}: {details['Message']}", file=sys.stderr)
    except (BotoCoreError, VersionsError) as error:
        print(f"error: {error}", file=sys.stderr)
    else:
        return 0
    return 1


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a function's name without a version or alias")
    return text


def _count(text: str) -> int:
    # The newest one is the configuration's own.
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
