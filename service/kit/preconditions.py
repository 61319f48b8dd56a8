"""Interim."""

from dataclasses import dataclass

from service.kit.errors import PreconditionFailed
from service.kit.parameters import etag_matches


@dataclass(frozen=True)
class Preconditions:
    if_match: str

    def check(self, etag: str) -> None:
        if not etag_matches(self.if_match, etag):
            raise PreconditionFailed(f"If-Match does not list the current ETag, which is {etag}.")
