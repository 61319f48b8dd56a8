"""The journal of rollouts: a JSON document in a file or in S3, with a lock that one run at a time holds.

docs/delivery.md documents the schema.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import ClientError

from .aws import AwsError, Routing, call
from .errors import DeliveryError, RefusedError, UnknownError

SCHEMA = 1
KEPT = 20  # finished rollouts
LEASE_SECONDS = 60.0
"""How long the lock of a lost runner keeps others out."""


def now() -> str:
    """Return the time in UTC, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@dataclass
class Entry:
    """A rollout or a rollback. `percent` is the share of `new` that was last asked for.

    `state` is where it is: deploying, shifting (an apply changes the alias), watching, returning, or ended; then `result`
    is live, returned, unknown or refused, with the reason. `events` have `at`, `text` and, where the alias changed, `shares`.
    """

    old: str
    new: str | None
    steps: list[int]
    minutes: float
    alarms: list[str]
    kind: str = "rollout"
    state: str = "deploying"
    percent: int = 0
    result: str | None = None
    reason: str = ""
    started: str = field(default_factory=now)
    ended: str | None = None
    host: str = field(default_factory=socket.gethostname)
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    events: list[dict[str, Any]] = field(default_factory=list)

    def add(self, text: str, routing: Routing | None = None) -> None:
        """Add an event; with `routing`, the alias sends requests there from now on."""
        self.events.append({"at": now(), "text": text} | ({"shares": routing.shares} if routing else {}))

    def served(self) -> list[tuple[dict[str, int], float]]:
        """Return the percentages by version and for how many seconds, in order."""
        changes = [event for event in self.events if "shares" in event]
        times = [_seconds(event["at"]) for event in changes] + [_seconds(self.ended or now())]
        found: list[tuple[dict[str, int], float]] = []
        for change, start, end in zip(changes, times, times[1:], strict=False):
            if found and found[-1][0] == change["shares"]:
                found[-1] = (found[-1][0], found[-1][1] + end - start)
            else:
                found.append((change["shares"], end - start))
        return found


@dataclass
class Document:
    """The journal: the rollout that is under way, if any, and the last ones that ended, newest first."""

    current: Entry | None = None
    ended: list[Entry] = field(default_factory=list)

    def raw(self, function: str) -> dict[str, Any]:
        """Return it as JSON."""
        current = asdict(self.current) if self.current else None
        return {"schema": SCHEMA, "alias": function, "current": current, "ended": [asdict(e) for e in self.ended]}

    @classmethod
    def read(cls, raw: dict[str, Any] | None, function: str, where: str) -> Document:
        """Read JSON. RefusedError when it is another schema's, or another function's."""
        if raw is None:
            return cls()
        if raw.get("schema") != SCHEMA:
            raise RefusedError(f"the journal {where} has schema {raw.get('schema')!r}, and this version reads {SCHEMA}")
        if raw["alias"] != function:
            raise RefusedError(f"the journal {where} is of {raw['alias']}, not of {function}: give each API its own")
        current = Entry(**raw["current"]) if raw["current"] else None
        return cls(current, [Entry(**entry) for entry in raw["ended"]])


class Store(Protocol):
    """Where the journal is."""

    def read(self) -> dict[str, Any] | None:
        """Return the document, or None when there is none."""

    def write(self, raw: dict[str, Any]) -> None:
        """Replace the document."""

    @contextmanager
    def locked(self, owner: str) -> Iterator[None]:
        """Hold the lock. RefusedError when another run holds it."""


class FileStore:
    """A journal in a file. The kernel releases the lock when the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def read(self) -> dict[str, Any] | None:
        """Return the document, or None when there is none."""
        try:
            return _parse(self.path.read_text(encoding="utf-8"), str(self))
        except FileNotFoundError:
            return None

    def write(self, raw: dict[str, Any]) -> None:
        """Replace the document, completely or not at all."""
        temporary = self.path.with_name(f"{self.path.name}.new")
        temporary.write_text(json.dumps(raw, indent=2), encoding="utf-8")
        temporary.replace(self.path)

    @contextmanager
    def locked(self, owner: str) -> Iterator[None]:
        """Hold the lock. RefusedError when another run holds it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_name(f"{self.path.name}.lock").open("a+", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise _running(lock.read()) from None
            lock.truncate(0)
            lock.write(owner)
            lock.flush()
            yield


class S3Store:
    """A journal in S3, for runners that do not keep files.

    The lock is an object beside it, created with If-None-Match and renewed with If-Match: S3 decides who has it. It expires
    LEASE_SECONDS after the last renewal, by S3's clock, so a lost runner does not keep it.
    """

    def __init__(self, bucket: str, key: str, s3: Any, lease: float = LEASE_SECONDS) -> None:
        self.bucket, self.key, self.client, self.lease = bucket, key, s3, lease
        self.lost = threading.Event()

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def read(self) -> dict[str, Any] | None:
        """Return the document, or None when there is none."""
        found = self._get(self.key)
        return _parse(found[0], str(self)) if found else None

    def write(self, raw: dict[str, Any]) -> None:
        """Replace the document. UnknownError when another run has taken the lock."""
        if self.lost.is_set():
            raise UnknownError(f"another run has taken over the rollout: this one could not renew its lock in {self}")
        body = json.dumps(raw, indent=2).encode()
        call(self.client.put_object, Bucket=self.bucket, Key=self.key, Body=body, ContentType="application/json")

    @contextmanager
    def locked(self, owner: str) -> Iterator[None]:
        """Hold the lock. RefusedError when another run holds it."""
        etag = self._take(owner)
        stop = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(owner, etag, stop), daemon=True)
        renewing.start()
        try:
            yield
        finally:
            stop.set()
            renewing.join()
            if not self.lost.is_set():
                call(self.client.delete_object, Bucket=self.bucket, Key=self._lock)

    @property
    def _lock(self) -> str:
        return f"{self.key}.lock"

    def _take(self, owner: str) -> str:
        for _ in range(3):
            try:
                return self._put(owner, IfNoneMatch="*")
            except _TakenError:
                found = self._get(self._lock)
            if found is None:  # released meanwhile
                continue
            text, etag, age = found
            if age < self.lease:
                raise _running(f"{text}; its lock expires in {self.lease - age:.0f} s unless it is renewed")
            try:
                return self._put(owner, IfMatch=etag)
            except _TakenError:
                continue
        raise _running("started at the same time")

    def _renew(self, owner: str, etag: str, stop: threading.Event) -> None:
        """Write the lock again and again. It is lost when somebody else wrote it."""
        while not stop.wait(self.lease / 3):
            try:
                etag = self._put(owner, IfMatch=etag)
            except _TakenError:
                self.lost.set()
                return
            except AwsError:
                continue  # the next attempt is before the lease expires; if not, another run takes the lock

    def _put(self, owner: str, **condition: str) -> str:
        try:
            response = self.client.put_object(Bucket=self.bucket, Key=self._lock, Body=owner.encode(), **condition)
        except ClientError as error:
            # 404: the object of If-Match was deleted.
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in {404, 409, 412} and condition:
                code = error.response["Error"]["Code"]
                if code != "NoSuchBucket":
                    raise _TakenError from error
            raise RefusedError(f"the journal {self} cannot be locked: {error}") from error
        return str(response["ETag"])

    def _get(self, key: str) -> tuple[str, str, float] | None:
        """Return an object's text, its ETag and its age in seconds, by S3's own clock."""
        try:
            response = self.client.get_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise RefusedError(f"the journal {self} cannot be read: {error}") from error
        date = response["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        age = (_http_date(date) - response["LastModified"]).total_seconds()
        return response["Body"].read().decode(), response["ETag"], age


class _TakenError(Exception):
    """The condition of a write did not hold."""


def _http_date(text: str) -> datetime:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return datetime.now(UTC)


def _running(owner: str) -> RefusedError:
    return RefusedError(f"a rollout is already running ({owner.strip()}): wait until it ends, or stop it")


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise RefusedError(f"the journal {where} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise RefusedError(f"the journal {where} is not a JSON object")
    return document


def store(where: str | None, default: Path, region: str) -> FileStore | S3Store:
    """Return the store of a path or an s3:// URL; by default the path `default`."""
    from .aws import client

    if where is None:
        return FileStore(default)
    if not where.startswith("s3://"):
        return FileStore(Path(where))
    bucket, _, key = where.removeprefix("s3://").partition("/")
    if not bucket or not key:
        raise RefusedError(f"--journal {where} is not s3://BUCKET/KEY")
    return S3Store(bucket, key, client("s3", region))


@dataclass
class Journal:
    """The journal of one alias. Every change is written at once."""

    store: FileStore | S3Store
    function: str
    document: Document = field(default_factory=Document)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock, and read what is there. RefusedError when another run holds it."""
        with self.store.locked(f"{socket.gethostname()}, process {os.getpid()}, since {now()[:19]}Z"):
            self.load()
            yield

    def load(self) -> Document:
        """Read the document."""
        self.document = Document.read(self.store.read(), self.function, str(self.store))
        return self.document

    def save(self) -> None:
        """Write the document."""
        self.store.write(self.document.raw(self.function))

    def begin(self, entry: Entry) -> Entry:
        """Start a rollout."""
        self.document.current = entry
        self.save()
        return entry

    def end(self, result: str, reason: str = "") -> Entry:
        """End the rollout that is under way."""
        entry = self.document.current
        if entry is None:
            raise DeliveryError("no rollout is under way")
        entry.state, entry.result, entry.reason, entry.ended = "ended", result, reason, now()
        self.document.current, self.document.ended = None, [entry, *self.document.ended][:KEPT]
        self.save()
        return entry
