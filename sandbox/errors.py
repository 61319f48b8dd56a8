"""The one exception of the sandbox: something a person can mend, said in a sentence."""


class SandboxError(Exception):
    """An expected failure. Its message names what was found, what is needed and what to do."""
