"""Runtime hooks for SnapStart, where Lambda starts many environments from one snapshot of the initialised process.

What they would share, or what grows old in the snapshot, is dropped before it or made anew after the restore: open connections,
Python's pseudo-random numbers, settings and credentials. The hooks do not call AWS. Identifiers and tokens need no hook: `uuid4`,
`secrets` and TLS draw from the operating system and OpenSSL, which AWS's base images keep unique.
https://docs.aws.amazon.com/lambda/latest/dg/snapstart-uniqueness.html
"""

import asyncio
import logging
import random

import boto3
import botocore.session

from service.app import table
from service.settings import settings

logger = logging.getLogger(__name__)


def register() -> None:
    """Have Lambda's runtime client run the hooks, if it has AWS's library for them; a warning if not."""
    try:
        # Not at the top of the file: only environments with SnapStart need it, and it comes with the runtime client.
        from snapshot_restore_py import register_after_restore, register_before_snapshot
    except ModuleNotFoundError as missing:
        if missing.name != "snapshot_restore_py":
            raise
        logger.warning(
            "SnapStart without runtime hooks: environments share random numbers, connections and credentials"
        )
        return
    register_before_snapshot(before_snapshot)
    register_after_restore(after_restore)


def before_snapshot() -> None:
    """Close what has a socket: DynamoDB's connections and the event loop. The handler creates a new loop."""
    table().close()
    asyncio.get_event_loop().close()


def after_restore() -> None:
    """Reseed `random`, and read settings and credentials anew for a new client of DynamoDB.

    Lambda waits for it before it invokes the handler, at most 10 seconds (AWS's limit).
    """
    random.seed()
    settings.cache_clear()
    table.cache_clear()
    _renew_session()
    table()


def _renew_session() -> None:
    """Replace boto3's default session, which holds the credentials. The new one keeps the service models that were read."""
    new = botocore.session.Session()
    if old := boto3.DEFAULT_SESSION:
        new.register_component("data_loader", old._session.get_component("data_loader"))
    boto3.setup_default_session(botocore_session=new)
