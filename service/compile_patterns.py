"""Compile the regular expressions of dependencies ahead: the build's step, `python compile_patterns.py FOLDER SERVICE …`.

Python compiles some 200 of them while the service's dependencies are imported, which is a fourteenth of a cold start, and keeps
no bytecode of them. Their code is written down here, beside the packages, and `startup` puts it where `re` looks first.
"""

import _sre  # type: ignore[import-not-found]  # of Python itself, which typeshed leaves out
import marshal
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

NAME = "patterns.bin"
IMPORTED = ["boto3.dynamodb.types", "fastapi.staticfiles", "mangum", "pydantic_settings"]


def compiled(pattern: str | bytes, flags: int) -> tuple[Any, ...]:
    """Return what the engine is given for a regular expression: flags, code, and groups, in plain types."""
    given: list[tuple[Any, ...]] = []
    engine = _sre.compile
    _sre.compile = lambda *arguments: given.append(arguments) or engine(*arguments)  # type: ignore[func-returns-value]
    try:
        re._compiler.compile(pattern, flags)  # type: ignore[attr-defined]
    finally:
        _sre.compile = engine
    ((_, all_flags, code, groups, by_name, by_number),) = given
    return int(all_flags), [int(each) for each in code], groups, dict(by_name), tuple(by_number)


def write(packages: Path, services: list[str]) -> None:
    """Write the file into a folder of packages, for what their import and clients of these services of AWS compile."""
    sys.path.insert(0, str(packages))
    for name in IMPORTED:
        import_module(name)
    for service in services:
        import_module("boto3").client(service, region_name="eu-central-1")
    # Flags may be of a kind of their own, which counts as the number that it is.
    known = [(pattern, int(flags), compiled(pattern, flags)) for _, pattern, flags in re._cache]  # type: ignore[attr-defined]
    (packages / NAME).write_bytes(marshal.dumps((sys.version, known)))


if __name__ == "__main__":
    write(Path(sys.argv[1]), sys.argv[2:])
