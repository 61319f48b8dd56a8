"""Fill the tables: `python3 seed.py legacy-people` writes 5,000 users and 5,000 customers, the same ones at every run.

Needs boto3, and uses the AWS CLI's settings. Items of earlier runs are overwritten.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

GIVEN = ("Ada", "Björn", "Chidi", "Dolores", "Emeka", "Fatima", "Grace", "Hedy", "Ilse", "Jörg", "Katherine", "Łucja")
FAMILY = (
    "Lovelace",
    "Lindqvist",
    "Okafor",
    "Huerta",
    "Nwosu",
    "Rahman",
    "Hopper",
    "Lamarr",
    "Weber",
    "Meyer",
    "Kowalska",
)
FIRST = datetime(2021, 1, 4, 8, tzinfo=UTC)
BATCH = 25  # BatchWriteItem's limit
ATTEMPTS = 8


def identity(kind: str, number: int) -> str:
    """Return the id of a seeded item: 32 lower-case hexadecimal digits, as the functions make them."""
    return hashlib.md5(f"{kind} {number}".encode(), usedforsecurity=False).hexdigest()


def user(number: int) -> dict[str, Any]:
    """Return a user in DynamoDB's JSON. Addresses are unique."""
    given, family = GIVEN[number % len(GIVEN)], FAMILY[number % len(FAMILY)]
    created = int((FIRST + timedelta(hours=number * 7)).timestamp())
    return {
        "userId": {"S": identity("user", number)},
        "userName": {"S": f"{given} {family}"},
        "emailAddress": {"S": f"user{number}@example.com"},
        "createdAt": {"N": str(created)},
        "updatedAt": {"N": str(created + number * 60)},
        "createdBy": {"S": "seed"},
    }


def customer(number: int, users: int) -> dict[str, Any]:
    """Return a customer in DynamoDB's JSON. Some have no contact, and some no account manager."""
    created = FIRST + timedelta(hours=number * 5)
    item = {
        "customerId": {"S": identity("customer", number)},
        "customerName": {"S": f"{FAMILY[number % len(FAMILY)]} & {GIVEN[number % len(GIVEN)]} {number}"},
        "createdDate": {"S": created.strftime("%Y-%m-%dT%H:%M:%SZ")},
        "modifiedDate": {"S": (created + timedelta(days=number % 90)).strftime("%Y-%m-%dT%H:%M:%SZ")},
    }
    if number % 10:
        item["contactEmail"] = {"S": f"office{number % 4000}@example.org"}
    if users and number % 4:
        item["accountManager"] = {"S": identity("user", number % users)}
    return item


def write(client: Any, table: str, items: list[dict[str, Any]]) -> None:
    """Write up to 25 items, and those that DynamoDB did not process again. Raises RuntimeError if some remain."""
    requests = {table: [{"PutRequest": {"Item": item}} for item in items]}
    for attempt in range(ATTEMPTS):
        requests = client.batch_write_item(RequestItems=requests)["UnprocessedItems"]
        if not requests:
            return
        time.sleep(0.05 * 2**attempt)
    raise RuntimeError(f"{table}: DynamoDB did not accept {len(requests[table])} items in {ATTEMPTS} attempts")


def seed(client: Any, prefix: str, users: int, customers: int) -> None:
    """Write the items of both tables."""
    tables = {
        f"{prefix}-users": [user(number) for number in range(users)],
        f"{prefix}-customers": [customer(number, users) for number in range(customers)],
    }
    batches = [
        (table, items[start : start + BATCH])
        for table, items in tables.items()
        for start in range(0, len(items), BATCH)
    ]
    with ThreadPoolExecutor(4) as pool:
        for done, _ in enumerate(pool.map(lambda batch: write(client, *batch), batches), 1):
            if done % 100 == 0 or done == len(batches):
                print(f"{done} of {len(batches)} batches written", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("prefix", help="Terraform's variable `prefix`, with which the tables' names begin")
    parser.add_argument("--users", type=int, default=5000)
    parser.add_argument("--customers", type=int, default=5000)
    given = parser.parse_args()
    seed(boto3.client("dynamodb"), given.prefix, given.users, given.customers)


if __name__ == "__main__":
    main()
