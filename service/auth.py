"""Who calls. The gateway authenticates; this is the one place where the service learns the result."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request


@dataclass(frozen=True)
class Principal:
    """A caller: the subject of its token or its AWS ARN; "anonymous" where the gateway asked for neither."""

    subject: str


async def principal(request: Request) -> Principal:
    """Return the caller as API Gateway's authorizer described it in the event."""
    event: dict[str, Any] = request.scope.get("aws.event", {})
    authorizer = event.get("requestContext", {}).get("authorizer") or {}
    subject = (
        (authorizer.get("jwt") or {}).get("claims", {}).get("sub")
        or (authorizer.get("iam") or {}).get("userArn")
        or "anonymous"
    )
    return Principal(str(subject))


Caller = Annotated[Principal, Depends(principal)]

authenticated = [Depends(principal)]
"""Dependencies of every router that serves data: what they will demand of callers is decided here."""
