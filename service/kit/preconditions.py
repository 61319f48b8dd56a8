"""Conditional requests, by RFC 9110, section 13: If-Match and If-None-Match."""

import re
from dataclasses import dataclass

from service.kit.errors import BadRequest, PreconditionFailed

ANY = "*"
TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
# A list may have empty elements (RFC 9110, 5.6.1.2).
LIST = re.compile(rf"[ \t,]*{TAG}(?:[ \t]*,[ \t,]*{TAG})*[ \t,]*")
# For the OpenAPI document: simpler than what is accepted.
PATTERN = r'^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*)$'


@dataclass(frozen=True)
class Preconditions:
    """A request's preconditions: entity tags, `{"*"}` for any, None without the header."""

    if_match: frozenset[str] | None = None
    if_none_match: frozenset[str] | None = None

    @classmethod
    def parse(cls, if_match: str | None = None, if_none_match: str | None = None) -> "Preconditions":
        """Return the preconditions of the two headers. Raises BadRequest for a value that is not a list of entity tags."""
        return cls(_tags("If-Match", if_match), _tags("If-None-Match", if_none_match))

    def check(self, etag: str) -> None:
        """Check a change of the resource with this entity tag. Raises PreconditionFailed."""
        self._check_if_match(etag)
        if self._is_none_match(etag):
            raise PreconditionFailed(f"If-None-Match lists the current ETag, which is {etag}.")

    def not_modified(self, etag: str) -> bool:
        """Return whether the client already has the representation with this entity tag (304). Raises PreconditionFailed."""
        self._check_if_match(etag)
        return self._is_none_match(etag)

    def _check_if_match(self, etag: str) -> None:
        # Compared strongly: a weak tag matches none.
        if self.if_match is not None and self.if_match.isdisjoint({ANY, etag}):
            raise PreconditionFailed(f"If-Match does not list the current ETag, which is {etag}.")

    def _is_none_match(self, etag: str) -> bool:
        # Compared weakly.
        return self.if_none_match is not None and not self.if_none_match.isdisjoint({ANY, etag, f"W/{etag}"})


def _tags(name: str, value: str | None) -> frozenset[str] | None:
    if value is None:
        return None
    value = value.strip(" \t")
    if value == ANY:
        return frozenset({ANY})
    if not LIST.fullmatch(value):
        raise BadRequest(f'{name} must be * or a list of entity tags in quotation marks, such as "1", "2".')
    return frozenset(re.findall(TAG, value))
