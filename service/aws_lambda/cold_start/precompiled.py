"""What Python compiles at each start although it is the same each time, compiled ahead: `python precompiled.py FOLDER SERVICE …`.

While the service's dependencies are imported, Python compiles some 200 regular expressions, and 800 pieces of source that
`dataclasses`, `typing` and `collections` write: a seventh of a cold start, of which no bytecode is kept. The image's build
writes it all into one file beside the packages, and `startup` recalls it.
"""

import _sre  # type: ignore[import-not-found]  # of Python itself, which typeshed leaves out
import collections
import dataclasses
import marshal
import re
import sys
import typing
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import CodeType
from typing import Any

FILE = "precompiled.bin"
IMPORTED = ["boto3.dynamodb.types", "fastapi.staticfiles", "mangum", "pydantic_settings"]
# Who writes source, and hands it to which of Python's functions; a module's own of that name comes before Python's.
WRITERS = ((dataclasses, "exec"), (collections, "eval"), (typing, "compile"))

Code = Callable[[str, str], CodeType]


def recall(file: Path) -> bool:
    """Let Python find what `write` has written until `forget`; return whether.

    It does not without the file, or with that of another Python.
    """
    if not file.exists():
        return False
    version, patterns, sources = marshal.loads(file.read_bytes())  # noqa: S302 - the image's own, as its bytecode is
    if version != sys.version:
        return False
    for pattern, flags, code in patterns:
        re._cache[type(pattern), pattern, flags] = _sre.compile(pattern, *code)  # type: ignore[attr-defined]
    _give(lambda text, mode: sources.get((text, mode)) or _compiled(text, mode))
    return True


def forget() -> None:
    """Let Python compile source again, as it ever does."""
    for module, name in WRITERS:
        vars(module).pop(name, None)


def write(packages: Path, services: list[str]) -> None:
    """Write the file into a folder of packages, for what their import and clients of these services of AWS compile."""
    sources: dict[tuple[str, str], CodeType] = {}

    def noted(text: str, mode: str) -> CodeType:
        return sources.setdefault((text, mode), _compiled(text, mode))

    sys.path.insert(0, str(packages))
    _give(noted)
    for name in IMPORTED:
        import_module(name)
    for service in services:
        import_module("boto3").client(service, region_name="eu-central-1")
    forget()
    # Flags may be of a kind of their own, which counts as the number that it is.
    patterns = [(pattern, int(flags), engine_code(pattern, flags)) for _, pattern, flags in re._cache]  # type: ignore[attr-defined]
    (packages / FILE).write_bytes(marshal.dumps((sys.version, patterns, sources)))


def engine_code(pattern: str | bytes, flags: int) -> tuple[Any, ...]:
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


def _give(code: Code) -> None:
    given: dict[str, Callable[..., Any]] = {
        "exec": lambda text, *scopes: exec(code(text, "exec"), *scopes),  # noqa: S102 - what the module would
        "eval": lambda text, *scopes: eval(code(text, "eval"), *scopes),  # noqa: S307
        "compile": lambda text, _, mode: code(text, mode),
    }
    for module, name in WRITERS:
        vars(module)[name] = given[name]


def _compiled(text: str, mode: str) -> CodeType:
    code: CodeType = compile(text, "<string>", mode, dont_inherit=True)
    return code


if __name__ == "__main__":
    write(Path(sys.argv[1]), sys.argv[2:])
