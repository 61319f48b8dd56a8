"""Bearer tokens, which the old functions verify themselves: RS256, with the issuer's public keys."""

from __future__ import annotations

from typing import Any

import jwt


class InvalidToken(Exception):  # noqa: N818
    """There is no token, or not a valid one. The message is for the caller."""


class Verifier:
    """Verifies tokens of one issuer. The keys are fetched for the first token, and for one with an unknown key."""

    def __init__(self, issuer: str, keys_url: str) -> None:
        self._issuer = issuer
        self._keys = jwt.PyJWKClient(keys_url, lifespan=3600, timeout=5)

    def claims(self, token: str) -> dict[str, Any]:
        """Return a token's claims. Raises InvalidToken."""
        if not token:
            raise InvalidToken("missing token")
        try:
            key = self._keys.get_signing_key_from_jwt(token)
            # The tokens have no audience.
            options: Any = {"verify_aud": False, "require": ["exp"]}
            claims: dict[str, Any] = jwt.decode(token, key, algorithms=["RS256"], issuer=self._issuer, options=options)
        except jwt.PyJWKClientConnectionError:
            raise  # the keys are unreachable, which is no fault of the token
        except (jwt.PyJWTError, ValueError) as error:
            raise InvalidToken(str(error)) from error
        return claims
