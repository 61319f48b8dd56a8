"""The tool's only error: its message is all that the command prints."""


class TuningError(Exception):
    """The logs or options do not allow a proposal; the message says why, and what to do."""
