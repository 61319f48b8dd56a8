"""The sandbox's exception, for failures that the user can fix."""


class SandboxError(Exception):
    """An expected failure. Its message says what is wrong, what is needed, and how to fix it."""
