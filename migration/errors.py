"""The exceptions of the package."""


class MigrationError(Exception):
    """A failure that the user can fix. Its message is one sentence, which says what is wrong and what to do."""

    exit_code = 1


class ComparisonError(MigrationError):
    """A comparison that cannot be made: a bad file, or an API that cannot be reached. Exit code 1 means that responses differ."""

    exit_code = 2
