"""Sends a request to an API as it was recorded, and measures the response. Redirects are not followed: they are compared."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from urllib.parse import urlsplit

from migration.errors import MigrationError

CONNECT_SECONDS = 5.0
# A connection that fails was used for no request, so reads connect again, after these pauses.
PAUSES = (0.2, 1.0)


class UnreachableError(Exception):
    """No connection could be made, so nothing was sent."""


class NoResponseError(Exception):
    """The request was sent, and no complete response arrived: what the API did with it is not known."""


@dataclass(frozen=True)
class Response:
    """A response. Names of headers are in lower case; repeated ones are joined with commas."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    milliseconds: float


@dataclass(frozen=True)
class Target:
    """The URL of an API, in parts. `path` is what its paths are below, such as the stage of a REST API."""

    scheme: str
    host: str
    port: int
    netloc: str
    path: str

    @classmethod
    def parse(cls, url: str, option: str) -> Target:
        """Return the target of a URL. Raises MigrationError, which names the command's option."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise MigrationError(f"{option} {url} is not a URL: {error}.") from error
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise MigrationError(f"{option} must be a URL such as https://api.example.com/prod, not {url!r}.")
        if parts.username is not None:
            raise MigrationError(
                f"{option} contains credentials: send them as a header, with --header-env authorization=VARIABLE."
            )
        if not re.fullmatch(r"[!-~]*", parts.path):
            raise MigrationError(f"{option} has a path with characters that a URL encodes: {parts.path!r}.")
        standard = 443 if parts.scheme == "https" else 80
        return cls(parts.scheme, parts.hostname, port or standard, parts.netloc, parts.path.rstrip("/"))

    @property
    def url(self) -> str:
        """The URL without a trailing slash."""
        return f"{self.scheme}://{self.netloc}{self.path}"

    @property
    def place(self) -> tuple[str, str, int, str]:
        """What is the same for two URLs of one API."""
        return self.scheme, self.host, self.port, self.path

    def connection(self, timeout: float) -> http.client.HTTPConnection:
        """Return a connection. Raises UnreachableError."""
        # Names below localhost are this machine (RFC 6761), which not every resolver knows.
        address = "127.0.0.1" if self.host.endswith(".localhost") else self.host
        kind = http.client.HTTPSConnection if self.scheme == "https" else http.client.HTTPConnection
        connection = kind(address, self.port, timeout=min(timeout, CONNECT_SECONDS))
        try:
            connection.connect()
        # A name that no DNS allows is a UnicodeError.
        except (OSError, UnicodeError) as error:
            connection.close()
            raise UnreachableError(f"{self.scheme}://{self.netloc} cannot be reached: {error}") from error
        connection.sock.settimeout(timeout)
        return connection

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, timeout: float, *, again: bool
    ) -> Response:
        """Send a request and return the response; `again` connects again if no connection can be made.

        The time is that between sending the request and the end of the response, without the connection's. Raises UnreachableError and
        NoResponseError.
        """
        connection = self._connected(timeout, PAUSES if again else ())
        sent = {**headers, "host": headers.get("host", self.netloc), "accept-encoding": "identity"}
        start = time.perf_counter()
        try:
            connection.request(method, f"{self.path}{path}", body or _empty(method), sent)
            response = connection.getresponse()
            content = response.read()
            milliseconds = (time.perf_counter() - start) * 1000
        except TimeoutError as error:
            raise NoResponseError(f"{self.url} did not respond to {method} within {timeout:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise NoResponseError(f"{self.url} sent no complete response to {method}: {reason}") from error
        finally:
            connection.close()
        return Response(response.status, joined(response.headers), content, milliseconds)

    def _connected(self, timeout: float, pauses: tuple[float, ...]) -> http.client.HTTPConnection:
        for pause in pauses:
            try:
                return self.connection(timeout)
            except UnreachableError:
                time.sleep(pause)
        return self.connection(timeout)


def joined(headers: Message) -> dict[str, str]:
    """Return headers with their names in lower case. Repeated ones are joined, as HTTP allows."""
    names = sorted({name.lower() for name in headers})
    return {name: ("; " if name == "cookie" else ", ").join(headers.get_all(name) or []) for name in names}


def _empty(method: str) -> bytes | None:
    """Return the body of a request without one: writes say that its length is 0."""
    return None if method in {"GET", "HEAD", "OPTIONS"} else b""
