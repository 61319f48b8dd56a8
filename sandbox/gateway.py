"""The service under `make dev`, behind a stand-in for API Gateway's JWT authorizer.

A request without a token passes without a caller, and gets the service's own 401. One with an invalid token gets the
gateway's.
"""

from __future__ import annotations

import os
from typing import Any

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from service.app import create_app


class Authorizer:
    """Verifies a bearer token as API Gateway does, and passes its claims on in the event (payload 2.0)."""

    def __init__(self, app: ASGIApp, issuer: str, audience: str, keys_url: str) -> None:
        self.app = app
        self.issuer = issuer
        self.audience = audience
        self.keys = jwt.PyJWKClient(keys_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application unless the request has an invalid token."""
        if scope["type"] == "http":
            kind, _, token = Request(scope).headers.get("authorization", "").partition(" ")
            if kind.lower() == "bearer":
                try:
                    claims = self._claims(token)
                except jwt.PyJWTError:
                    await JSONResponse({"message": "Unauthorized"}, 401)(scope, receive, send)
                    return
                scope["aws.event"] = {"requestContext": {"authorizer": {"jwt": {"claims": claims, "scopes": None}}}}
        await self.app(scope, receive, send)

    def _claims(self, token: str) -> dict[str, Any]:
        key = self.keys.get_signing_key_from_jwt(token)
        # A Cognito access token has client_id instead of aud.
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=["RS256"], issuer=self.issuer, options={"verify_aud": False}
        )
        if self.audience not in (claims.get("aud"), claims.get("client_id")):
            raise jwt.InvalidAudienceError
        return claims


def create() -> ASGIApp:
    """Return the service behind the authorizer that the environment configures. uvicorn calls it at each reload."""
    issuer, audience, keys_url = (os.environ[f"SANDBOX_{name}"] for name in ("ISSUER", "AUDIENCE", "KEYS"))
    return Authorizer(create_app(), issuer, audience, keys_url)
