"""The exception of the package."""


class MigrationError(Exception):
    """A failure that the user can fix. Its message is one sentence, which says what is wrong and what to do."""
