"""Whether an environment variable holds a secret: judged by the words of its name and by what its value looks like."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

# checkov's own dependency. Its detector of names (keyword) is left out: the words below replace it.
from detect_secrets.plugins.artifactory import ArtifactoryDetector
from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.high_entropy_strings import Base64HighEntropyString, HexHighEntropyString
from detect_secrets.plugins.jwt import JwtTokenDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.private_key import PrivateKeyDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from lca_pack import is_reference

FORMATS = [
    detector()
    for detector in (
        ArtifactoryDetector,
        AWSKeyDetector,
        AzureStorageKeyDetector,
        DiscordBotTokenDetector,
        GitHubTokenDetector,
        JwtTokenDetector,
        MailchimpDetector,
        NpmDetector,
        PrivateKeyDetector,
        SendGridDetector,
        SlackDetector,
        SquareOAuthDetector,
        StripeDetector,
    )
]
BASE64, HEX = Base64HighEntropyString(), HexHighEntropyString()
MIN_BASE64, MIN_HEX = 20, 32  # characters
# Of a value whose name is that of some key; the detector's own limits hold for any other name.
KEY_ENTROPY = 3.5

# The last word of a name says what the variable is: a password …
PASSWORDS = {"password", "passwords", "passwd", "pwd", "pass", "passphrase", "passcode", "passwort"}
# … another secret …
SECRETS = {"secret", "secrets", "token", "tokens", "credential", "credentials", "creds", "apikey", "passkey", "pat"}
# … or a key, which is secret after one of these words, and a name (of a row, an object, a cache entry) after others.
KEY_KINDS = {
    "access", "account", "admin", "aes", "api", "app", "application", "auth", "cipher", "client", "consumer", "cookie", "credential",
    "crypt", "crypto", "decryption", "deploy", "encrypt", "encryption", "fernet", "hmac", "integration", "jwt", "license", "master",
    "pass", "priv", "private", "root", "secret", "server", "service", "session", "shared", "sign", "signature", "signing", "ssh",
    "storage", "subscription", "token", "verify", "webhook", "write",
}  # fmt: skip
# Words after the deciding one that do not change what it is: DB_PASSWORD_PROD, API_KEY_2, SECRET_KEY_BASE.
QUALIFIERS = {
    "base", "base64", "b64", "backup", "current", "default", "dev", "development", "live", "new", "next", "old", "pem", "plain",
    "previous", "primary", "prod", "production", "qa", "sandbox", "secondary", "stage", "staging", "string", "test", "text", "uat", "value",
}  # fmt: skip
# What a secret is for, where it stands after it: PASSWORD_DB, TOKEN_GITHUB.
PURPOSES = {
    "admin",
    "database",
    "db",
    "github",
    "gitlab",
    "mail",
    "mysql",
    "postgres",
    "redis",
    "root",
    "slack",
    "smtp",
    "stripe",
}
# First words that make it a setting: USE_TOKEN, MAX_TOKENS.
SETTING_FIRST = {
    "allow",
    "disable",
    "enable",
    "has",
    "hide",
    "is",
    "mask",
    "max",
    "min",
    "num",
    "redact",
    "require",
    "show",
    "skip",
    "use",
}
# Words of names whose values look random and are not secret.
IDENTIFIERS = {
    "anon", "arn", "audience", "cert", "certificate", "checksum", "ciphertext", "commit", "digest", "encrypted", "etag", "fingerprint",
    "hash", "id", "ids", "md5", "public", "publishable", "revision", "sha", "sha1", "sha256", "site", "thumbprint", "uuid", "version",
}  # fmt: skip
# PGPASSWORD, DBPASS, APIKEY: words that are written as one.
JOINED = re.compile(
    r"^(.{2,})(password|passwd|passphrase|secret|token)$|^(pg|db|my|sql|user|root|admin|smtp|ftp|mail|redis|mongo|rabbit)(pass|pwd)$"
    rf"|^({'|'.join(sorted(KEY_KINDS))})(key)$"
)
WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
ORDINAL = re.compile(r"^v?\d+$|^v$")

# Values that are no secret under any name: nothing, where the secret is, or what stands for it in documentation.
ELSEWHERE = re.compile(
    r"^(arn:aws|\{[{\w]|%|ssm:|secretsmanager:|vault:|op://|sm://|s3://|file://|gcp-?sm:|azurekv:)"
    r"|^(\.{0,2}|~)(/[\w.@-]+)+/?$|^[\w-]+(/[\w.-]+)+\.(pem|key|crt|json|ya?ml|txt)$|^<[^>]*>$|^[*x.-]+$"
)
BOOLEAN = re.compile(r"^(true|false|yes|no|on|off|enabled|disabled|none|null|nil|undefined)$", re.IGNORECASE)
# … and those that are no token or key: numbers, durations, URLs without a password, modes.
SETTING = re.compile(
    r"^[\d.,_%:-]+ ?(ms|s|m|h|d|w|sec|min|seconds?|minutes?|hours?|days?|[kmg]i?b)?$|^P(T?\d+[DHMS])+$|^\w+://"
    r"|^(auto|default|optional|required|bearer|basic|jwt|opaque|header|cookie|env|file|aws|iam|kms|vault|secretsmanager|ssm)$",
    re.IGNORECASE,
)
PASSWORD_IN_URL = re.compile(r"^[\w+.:-]+://[^\s/?#@]*?:(?P<password>[^\s/]+)@")
PASSWORD_IN_LIST = re.compile(
    r"(?:^|[;?&\s])(?:password|pwd|accountkey|sharedaccesskey)\s*=\s*(?P<password>[^;&\s]+)", re.IGNORECASE
)
# crypt(3), which a dictionary attack reverses.
PASSWORD_HASH = re.compile(r"^\$(2[abxy]?|argon2(id|i|d)|[156y]|pbkdf2-\w+|scrypt)\$")


def is_secret(name: str, value: Any) -> bool:
    """Return whether a variable's value is a secret. References, `true` and empty values are not."""
    if value is None or isinstance(value, bool):
        return False
    text = str(value).strip()
    if _has_password(text):
        return True
    if not text or is_reference(text) or ELSEWHERE.search(text) or BOOLEAN.match(text):
        return False
    if text.startswith("{"):
        return _is_secret_document(text)
    if PASSWORD_HASH.match(text) or any(any(detector.analyze_string(text)) for detector in FORMATS):
        return True
    words = _words(name)
    kind = _kind(words)
    if kind == "password":
        return True
    if kind == "secret":
        return not SETTING.match(text)
    return not IDENTIFIERS.intersection(words) and _is_random(text, KEY_ENTROPY if kind == "key" else None)


def _words(name: str) -> list[str]:
    """Split DB_PASS, dbPass and PGPASS into words in lower case."""
    words = []
    for word in WORD.findall(name):
        joined = JOINED.match(word.lower())
        words += [part for part in joined.groups() if part] if joined else [word.lower()]
    return words


def _kind(words: list[str]) -> str:
    """Return what a name promises: `password`, `secret`, `key` (of any kind) or `setting`."""
    while len(words) > 1 and (words[-1] in QUALIFIERS or words[-1] in PURPOSES or ORDINAL.match(words[-1])):
        words = words[:-1]
    if not words or words[0] in SETTING_FIRST:
        return "setting"
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last in PASSWORDS:
        return "password"
    if last in SECRETS:
        return "secret"
    if last in {"key", "keys"}:
        return "secret" if before in KEY_KINDS and not IDENTIFIERS.intersection(words) else "key"
    return "setting"


def _has_password(text: str) -> bool:
    """Return whether a connection string contains a password, and not a reference to one."""
    found = PASSWORD_IN_URL.search(text) or PASSWORD_IN_LIST.search(text)
    return bool(found and not is_reference(found["password"]) and not ELSEWHERE.search(found["password"]))


def _is_secret_document(text: str) -> bool:
    try:
        document = json.loads(text)
    except ValueError:
        return False
    return isinstance(document, Mapping) and any(is_secret(name, value) for name, value in document.items())


def _is_random(text: str, limit: float | None) -> bool:
    """Return whether the whole value, or a part without separators of words, is random hexadecimal or base64."""
    if len(text) >= MIN_HEX and re.fullmatch(r"[0-9a-fA-F]+", text):
        return HEX.calculate_shannon_entropy(text) > HEX.entropy_limit
    longest = max(re.split(r"[-_.,:/ ]", text), key=len)
    mixed = all(re.search(pattern, longest) for pattern in ("[a-z]", "[A-Z]", r"\d"))
    if len(longest) < MIN_BASE64 or not mixed or not re.fullmatch(r"[\w+/=-]+", text, re.ASCII):
        return False
    return BASE64.calculate_shannon_entropy(text) > (limit or BASE64.entropy_limit)
