"""The caller and its permissions. The gateway authenticates; only this module reads the result."""

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
    """The token's scopes. None means everything: for IAM callers, IAM has checked the operation (`execute-api:Invoke` by method
    and path), and it has no scopes."""

    claims: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """The token's claims; empty for IAM callers."""

    @property
    def identity(self) -> str:
        """The caller across sessions: the subject, or the ARN without the session name of an assumed role."""
        return SESSION.sub(r"\1", self.subject)

    def lacks(self, scopes: list[str]) -> list[str]:
        """Return the scopes that the caller lacks."""
        return [] if self.scopes is None else [scope for scope in scopes if scope not in self.scopes]


def caller(event: dict[str, Any]) -> Principal | None:
    """Return the caller that API Gateway's authorizer has put into the event (payload 2.0), None without one.

    A Lambda authorizer's context has keys of its author's choice, so it is not read here.
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
    """Set the resource server that prefixes the scopes of tokens; "" for none.

    With "people", `users:read` is required as `people/users:read`, Cognito's form.
    """
    app.state.scope_prefix = scope_prefix


class Authorized(SecurityBase):
    """The dependency that returns the caller, and the security scheme in the OpenAPI document.

    The gateway has verified the token before it invokes the service.
    """

    scheme_name = "bearer"
    model = HTTPBearer(
        bearerFormat="JWT",
        description="A JWT of the issuer that the gateway trusts. Its claim `scope` (or `scp`) lists the scopes.",
    )

    async def __call__(self, request: Request, required: SecurityScopes) -> Any:
        """Return the Principal. Raises Unauthorized, Forbidden."""
        return self.authorize(request, required.scopes)

    def authorize(self, request: Request, scopes: list[str]) -> Principal:
        """Return the caller. Raises Unauthorized without an authenticated caller, Forbidden if it lacks a scope."""
        principal: Principal | None = request.scope.get(SCOPE_KEY)
        if principal is None:
            principal = caller(request.scope.get("aws.event") or {})
            if principal is None:
                raise Unauthorized
            # The route checks it before it reads the body, and the dependencies again.
            request.scope[SCOPE_KEY] = principal
            request.state.principal = principal.subject
        prefix = request.app.state.scope_prefix
        needed = [f"{prefix}/{scope}" for scope in scopes] if prefix else scopes
        if principal.lacks(needed):
            raise Forbidden(needed)
        return principal


_authorized = Authorized()


def requires(scope: str) -> Any:
    """Return a dependency that requires this scope and returns the Principal."""
    return Security(_authorized, scopes=[scope])


Caller = Annotated[Principal, Depends(_authorized)]
"""An authenticated caller with any scopes."""
