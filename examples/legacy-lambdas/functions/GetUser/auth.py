import json
import os
import urllib.request

from jose import JWTError, jwt

KEYS = None


def get_keys():
    global KEYS
    if KEYS is None:
        KEYS = json.load(urllib.request.urlopen(os.environ["KEYS_URL"], timeout=5))
    return KEYS


def check_token(event):
    """Returns the claims, or None."""
    header = (event.get("headers") or {}).get("Authorization") or (event.get("headers") or {}).get("authorization")
    if not header or not header.startswith("Bearer "):
        return None
    try:
        return jwt.decode(
            header[7:], get_keys(), algorithms=["RS256"], issuer=os.environ["ISSUER"], options={"verify_aud": False}
        )
    except JWTError:
        return None
