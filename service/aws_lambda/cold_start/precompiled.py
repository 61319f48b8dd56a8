"""What Python compiles anew at each start, compiled once by the image's build: `python precompiled.py PACKAGES SOURCE FILE SERVICE…`.

Importing the service's dependencies compiles some 200 regular expressions, and some 800 pieces of source that `dataclasses`,
`typing` and `collections` generate. Python keeps no bytecode of either. `write` imports what the service's source imports and
stores the results; `load` gives them to Python, and `unload` takes back all but the regular expressions, which are in re's own
cache. Nothing of an installed package is changed. Without the file, or with one that cannot be used, Python compiles as ever.
"""

import _sre  # type: ignore[import-not-found]  # Python's own regular expression engine, which typeshed leaves out
import ast
import builtins
import collections
import dataclasses
import marshal
import re
import sys
import typing
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

FILE = "precompiled.bin"
# Bytecode and regular expressions fit one build of Python. The line is read before anything is unmarshalled.
HEADER = f"precompiled 1, Python {sys.version!r}\n".encode()
CHECKSUM_BYTES = 4
# Modules that generate source, and the builtin by which each compiles it; a module's global comes before the builtin.
GENERATORS = ((dataclasses, "exec"), (collections, "eval"), (typing, "compile"))

Compile = Callable[[str, str], CodeType]


def load(file: Path) -> bool:
    """Let Python use what `write` has stored, until `unload`; return whether. False with a warning if the file cannot be used."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return False
    except OSError as error:
        return _skip(file, f"it cannot be read: {error.strerror}")
    if not content.startswith(HEADER):
        return _skip(file, "it was written by another Python, or is no such file")
    checksum, body = content[len(HEADER) :][:CHECKSUM_BYTES], content[len(HEADER) + CHECKSUM_BYTES :]
    if checksum != _checksum(body):
        return _skip(file, "it is damaged")
    try:
        patterns, sources = marshal.loads(body)  # noqa: S302 - part of the image, as its bytecode is
        cached = {(type(pattern), pattern, flags): _sre.compile(pattern, *code) for pattern, flags, code in patterns}
        re._cache.update(cached)  # type: ignore[attr-defined]
        _intercept(lambda text, mode: sources.get((text, mode)) or _compile(text, mode))
    except Exception as error:  # noqa: BLE001 - a start must not depend on it
        unload()
        return _skip(file, f"{type(error).__name__}: {error}")
    return True


def unload() -> None:
    """Let Python compile generated source again, as ever."""
    for module, name in GENERATORS:
        vars(module).pop(name, None)


def write(packages: Path, source: Path, file: Path, services: list[str]) -> None:
    """Store what importing a service's dependencies compiles.

    `packages` is the folder they are installed in, `source` the service's own package, and `services` the AWS services whose
    clients it creates.
    """
    sources: dict[tuple[str, str], CodeType] = {}

    def record(text: str, mode: str) -> CodeType:
        return sources.setdefault((text, mode), _compile(text, mode))

    sys.path.insert(0, str(packages))
    _intercept(record)
    for module, names in imports(source):
        try:
            __import__(module, fromlist=names)
        except Exception as error:  # noqa: BLE001 - it may need what a build does not have
            print(f"not precompiled: {module}: {error}", file=sys.stderr)  # noqa: T201
    for service in services:
        __import__("boto3").client(service, region_name="eu-central-1")
    unload()
    # Flags may be a subclass of int, which marshal does not know.
    patterns = [(pattern, int(flags), engine_code(pattern, flags)) for _, pattern, flags in re._cache]  # type: ignore[attr-defined]
    body = marshal.dumps((patterns, sources))
    file.write_bytes(HEADER + _checksum(body) + body)


def imports(source: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the modules that a package's source imports at its files' top level from other packages, and the names it takes of each."""
    for path in sorted(source.rglob("*.py")):
        for node in ast.parse(path.read_bytes()).body:
            if isinstance(node, ast.Import):
                found = [(alias.name, [""]) for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found = [(node.module, [alias.name for alias in node.names])]
            else:
                continue
            yield from (each for each in found if each[0].partition(".")[0] != source.name)


def engine_code(pattern: str | bytes, flags: int) -> tuple[Any, ...]:
    """Return what re's engine is given for a regular expression: flags, code, and groups, in types that marshal knows."""
    given: list[tuple[Any, ...]] = []
    engine = _sre.compile
    _sre.compile = lambda *arguments: given.append(arguments) or engine(*arguments)  # type: ignore[func-returns-value]
    try:
        re._compiler.compile(pattern, flags)  # type: ignore[attr-defined]
    finally:
        _sre.compile = engine
    ((_, all_flags, code, groups, by_name, by_number),) = given
    return int(all_flags), [int(each) for each in code], groups, dict(by_name), tuple(by_number)


def _intercept(compile_: Compile) -> None:
    """Have generated source compiled by this function, where it is asked for as Python 3.11 to 3.13 ask; else by the builtin."""

    def run(builtin: Callable[..., Any], mode: str) -> Callable[..., Any]:
        return lambda text, *scopes, **other: builtin(
            compile_(text, mode) if isinstance(text, str) and not other else text, *scopes, **other
        )

    def compile_expression(text: Any, filename: Any, mode: Any, *other: Any, **named: Any) -> Any:
        if isinstance(text, str) and filename == "<string>" and mode == "eval" and not other and not named:
            return compile_(text, mode)
        return builtins.compile(text, filename, mode, *other, **named)

    replacements = {
        "exec": run(builtins.exec, "exec"),
        "eval": run(builtins.eval, "eval"),
        "compile": compile_expression,
    }
    for module, name in GENERATORS:
        vars(module)[name] = replacements[name]


def _compile(text: str, mode: str) -> CodeType:
    code: CodeType = compile(text, "<string>", mode, dont_inherit=True)
    return code


def _checksum(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(CHECKSUM_BYTES, "big")


def _skip(file: Path, reason: str) -> bool:
    import logging  # here, so that regular expressions of its own imports are precompiled, too

    logging.getLogger(__name__).warning("%s is not used, Python compiles instead: %s", file, reason)
    return False


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
