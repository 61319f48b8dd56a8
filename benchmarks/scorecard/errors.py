"""The errors that users of the scorecard can fix."""


class ScorecardError(Exception):
    """An input is missing or wrong; the message names it."""
