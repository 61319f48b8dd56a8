"""Reads parts of an account, keeps each that was read, and notes each that was not."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from migration.errors import MigrationError
from migration.model import Unread

T = TypeVar("T")
Parts = dict[str, Any]
# Reads of functions run in parallel. Lambda allows 100 GetFunction requests a second.
READERS = 8
# No later read would succeed.
CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}


class Reader:
    """The parts by name, such as `rest/abc123/resources`, and the parts that could not be read."""

    def __init__(self, parts: Parts | None = None, *, quiet: bool = False) -> None:
        self.parts: Parts = dict(parts or {})
        self.unread: list[Unread] = []
        self.reads = 0
        self._quiet = quiet
        self._lock = threading.Lock()

    def part(self, name: str, operation: str, fetch: Callable[[], Any], missing: str = "") -> Any:
        """Return a part: of an earlier run, or fetched now. None if AWS refuses it, which is noted.

        `missing` is the error code that says that there is none, for which the part is None too. Raises MigrationError if no part can be
        read, because of credentials or the network.
        """
        if name in self.parts:
            return self.parts[name]
        try:
            value = _plain(fetch())
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in CREDENTIALS:
                raise MigrationError(
                    f"AWS rejects the credentials: {error}. Log in again, and continue with --resume."
                ) from error
            if code != missing:
                with self._lock:
                    self.unread.append(Unread(name, operation, f"{code}: {error.response['Error'].get('Message', '')}"))
                return None
            value = None
        except BotoCoreError as error:
            raise MigrationError(f"cannot read {name} ({operation}): {error}. Continue with --resume.") from error
        with self._lock:
            self.parts[name] = value
            self.reads += 1
        return value

    def each(self, title: str, items: list[T], read: Callable[[T], object]) -> None:
        """Read the parts of each item in parallel, with progress on standard error."""
        self.say(f"{title}: {len(items)}")
        with ThreadPoolExecutor(READERS) as pool:
            for done, _ in enumerate(pool.map(read, items), 1):
                if done % 50 == 0 and done < len(items):
                    self.say(f"{title}: {done} of {len(items)} read")

    def say(self, text: str) -> None:
        """Print a line of progress."""
        if not self._quiet:
            print(text, file=sys.stderr, flush=True)


def load(file: Path) -> Parts:
    """Return the parts that an earlier run saved. Raises MigrationError."""
    try:
        parts: Parts = json.loads(file.read_text(encoding="utf-8"))["parts"]
    except FileNotFoundError as error:
        raise MigrationError(f"{file} does not exist, so there is nothing to resume: run without --resume.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MigrationError(
            f"{file} is not a file of an earlier run ({error}): delete it, and run without --resume."
        ) from error
    return parts


def save(file: Path, parts: Parts) -> None:
    """Write the parts to a file, at once."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps({"parts": parts}, indent=1, ensure_ascii=False), encoding="utf-8")
    temporary.replace(file)


def _plain(value: Any) -> Any:
    """Return a response as JSON values."""
    return json.loads(json.dumps(value, default=str))
