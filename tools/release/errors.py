"""The error of the release commands."""


class ReleaseError(Exception):
    """A release cannot be compared or recorded; the message says why, and how to fix it."""
