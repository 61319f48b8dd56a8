"""Health, readiness and version."""

import logging
import time

from botocore.exceptions import BotoCoreError, ClientError
from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.kit.docs import operation_id
from service.kit.errors import Unavailable, documented
from service.kit.routing import ApiRoute
from service.kit.table import CONNECT_SECONDS, READ_SECONDS, RequestTable
from service.settings import settings

router = APIRouter(route_class=ApiRoute, tags=["system"], generate_unique_id_function=operation_id)
logger = logging.getLogger(__name__)
# Enough for one call with its full time-outs, and too short for a second one.
ONE_TRY_SECONDS = CONNECT_SECONDS + READ_SECONDS + 0.1


class Status(BaseModel):
    """The state of the service."""

    status: str = Field(examples=["ok"])


class Version(BaseModel):
    """The deployed version."""

    release: str = Field(examples=["7"])
    source_hash: str = Field(examples=["3f786850e387550fdab836ed7e6dc881de23001b3f786850e387550fdab836ed"])


@router.get("/healthz")
async def read_health() -> Status:
    """Return whether the process runs. It uses nothing else."""
    return Status(status="ok")


@router.get("/readyz", responses=documented(503))
async def read_readiness(table: RequestTable) -> Status:
    """Return whether the table can be read, after one try."""
    try:
        table.until(time.monotonic() + ONE_TRY_SECONDS).get("readiness", "probe")
    except (BotoCoreError, ClientError) as error:
        logger.warning("the table cannot be read: %s", error)
        raise Unavailable("The table cannot be read.") from error
    return Status(status="ok")


@router.get("/version")
async def read_version() -> Version:
    """Return the function's version and the hash of its sources."""
    return Version(release=settings().release, source_hash=settings().source_hash)
