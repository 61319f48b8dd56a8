"""What a person can mend, as the sentence that it is."""


class ReleaseError(Exception):
    """A release cannot be compared or recorded; the text says why, and what to do."""
