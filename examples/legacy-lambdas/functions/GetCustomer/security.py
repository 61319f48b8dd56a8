import json
import os
import urllib.request

from jose import jwt

_jwks = {}


class AuthError(Exception):
    pass


def authenticate(headers):
    token = ""
    for key, value in (headers or {}).items():
        if key.lower() == "authorization":
            token = value
    if token.lower().startswith("bearer "):
        token = token.split(" ")[1]
    if not token:
        raise AuthError("missing token")
    if not _jwks:
        _jwks.update(json.loads(urllib.request.urlopen(os.environ["KEYS_URL"], timeout=3).read()))
    try:
        # aud is not set in our tokens
        return jwt.decode(token, _jwks, algorithms=["RS256"], options={"verify_aud": False})
    except Exception as e:
        raise AuthError(str(e))
