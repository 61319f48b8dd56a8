"""Who calls, and what they may do. The gateway authenticates; this is the one place where the service learns the result."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase

from service.kit.errors import Forbidden, Unauthorized

# The ARN of an assumed role's session: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
SESSION = re.compile(r"^(arn:[^:]+:sts::[0-9]+:assumed-role/[^/]+)/.*$")


SCOPE_KEY = "service.principal"


@dataclass(frozen=True)
class Principal:
    """A caller: the subject of its token, or its AWS ARN."""

    subject: str
    scopes: frozenset[str] | None
    """What the token allows. None is everything: of callers who sign with IAM, IAM itself has checked the operation
    (`execute-api:Invoke` by method and path), and it knows no scopes."""

    claims: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """What the token says of the caller; empty for callers who sign with IAM."""

    @property
    def identity(self) -> str:
        """Who stays the same from one session to the next: the subject, or the ARN without the session of an assumed role."""
        return SESSION.sub(r"\1", self.subject)

    def lacks(self, scopes: list[str]) -> list[str]:
        """Return those of the scopes that the caller does not have."""
        return [] if self.scopes is None else [scope for scope in scopes if scope not in self.scopes]


def caller(event: dict[str, Any]) -> Principal | None:
    """Return whom API Gateway's authorizer has found to call, as its event (payload 2.0) tells; None when it was not asked.

    A Lambda authorizer's context has whatever keys its author chose, so none are known here.
    """
    authorizer = (event.get("requestContext") or {}).get("authorizer") or {}
    claims = (authorizer.get("jwt") or {}).get("claims") or {}
    if subject := claims.get("sub") or claims.get("client_id"):
        return Principal(str(subject), _scopes(claims.get("scope")) | _scopes(claims.get("scp")), claims)
    if arn := (authorizer.get("iam") or {}).get("userArn"):
        return Principal(str(arn), scopes=None)
    return None


def _scopes(claim: Any) -> frozenset[str]:
    """Return the scopes of a claim (RFC 6749, 3.3): separated by spaces, or a list, which API Gateway writes as "[a b]"."""
    if isinstance(claim, list):
        return frozenset(map(str, claim))
    text = str(claim or "")
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    return frozenset(text.split())


def install(app: FastAPI, scope_prefix: str) -> None:
    """Name the resource server that the scopes of tokens belong to; "" where the issuer writes them without one.

    With "people", `users:read` is needed as `people/users:read`, as Cognito writes it.
    """
    app.state.scope_prefix = scope_prefix


class Authorized(SecurityBase):
    """The dependency that is the caller, and the security scheme that documents it; what a caller needs first may extend it.

    The scheme's header is the gateway's business, which has verified it before the service is asked.
    """

    scheme_name = "bearer"
    model = HTTPBearer(
        bearerFormat="JWT",
        description="A token of the issuer that the gateway trusts. Its claim `scope` (or `scp`) lists what it allows.",
    )

    async def __call__(self, request: Request, required: SecurityScopes) -> Any:
        """Return the Principal. Raises Unauthorized, Forbidden."""
        return self.authorize(request, required.scopes)

    def authorize(self, request: Request, scopes: list[str]) -> Principal:
        """Return the caller. Raises Unauthorized without one that the gateway knows, Forbidden when it lacks a scope."""
        principal: Principal | None = request.scope.get(SCOPE_KEY)
        if principal is None:
            principal = caller(request.scope.get("aws.event") or {})
            if principal is None:
                raise Unauthorized
            # A route asks before it reads the body, and its dependencies ask again.
            request.scope[SCOPE_KEY] = principal
            request.state.principal = principal.subject
        prefix = request.app.state.scope_prefix
        needed = [f"{prefix}/{scope}" for scope in scopes] if prefix else scopes
        if principal.lacks(needed):
            raise Forbidden(needed)
        return principal


_authorized = Authorized()


def requires(scope: str) -> Any:
    """Return the dependency of an operation that only callers with this scope may use; it is the Principal."""
    return Security(_authorized, scopes=[scope])


Caller = Annotated[Principal, Depends(_authorized)]
"""Any caller whom the gateway knows, whatever its scopes."""
