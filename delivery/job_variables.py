"""Give a job's later steps the root's variables, as TF_VAR_ lines in $GITHUB_ENV.

    python -m delivery.job_variables --root DIR [--keep "image_uri"] [--source FOLDER]

- VARIABLES and SECRET_VARIABLES, from the environment, have one name=value a line. Secret ones are masked in the log, and
  DELIVERY_MASKED lists their names for `delivery.plan_comment`.
- `--keep`: names of outputs whose current value is given to the variable of the same name, unless it is set above. So a plan
  of an environment that runs a promoted image shows other changes only. Outputs that do not exist yet are skipped.
- `--source`: folder whose Git tree hash becomes the variable source_hash.

Without GITHUB_ENV, as in GitLab CI, the lines are printed. Exit code 1, with one sentence, on invalid input.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from .errors import DeliveryError, one_line

LINE = re.compile(r"([A-Za-z_][\w-]*)\s*=\s*(.*)")


def parse(text: str, source: str) -> dict[str, str]:
    """Return the variables of a text with one name=value a line; DeliveryError, without a value, on another line."""
    variables = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = LINE.fullmatch(line.strip())
        if match is None:
            raise DeliveryError(
                f"line {number} of {source} is not name=value: write one variable a line, without quotes."
            )
        variables[match[1]] = match[2]
    return variables


def kept(root: Path, names: Iterable[str]) -> dict[str, str]:
    """Return current outputs by name; DeliveryError when they cannot be read, or are not one-line strings or numbers."""
    outputs = json.loads(_run([os.environ.get("TERRAFORM") or "terraform", "output", "-json", "-no-color"], root))
    values = {}
    for name in names:
        value = outputs.get(name, {}).get("value")
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, str | int | float) or "\n" in str(value):
            raise DeliveryError(f"the output {name} is not a string of one line, so it cannot be kept.")
        values[name] = str(value)
    return values


def source_hash(folder: str) -> str:
    """Return the Git tree hash of a folder at HEAD, relative to the current one."""
    path = os.path.relpath(folder, _run(["git", "rev-parse", "--show-toplevel"], Path()).strip())
    return _run(["git", "rev-parse", "--verify", f"HEAD:{path}"], Path()).strip()


def _run(command: list[str], folder: Path) -> str:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        reason = one_line(result.stderr)
        raise DeliveryError(f"`{' '.join(command[:3])}` failed in {folder.resolve().name}: {reason[:500]}")
    return result.stdout


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m delivery.job_variables", description="Set a job's Terraform variables."
    )
    parser.add_argument("--root", type=Path, required=True, help="folder of the root module, initialised")
    parser.add_argument("--keep", default="", help="names of outputs, separated by spaces")
    parser.add_argument("--source", default="", help="folder whose Git tree hash is the variable source_hash")
    parsed = parser.parse_args(arguments)
    try:
        given = parse(os.environ.get("VARIABLES", ""), "the variables")
        secret = parse(os.environ.get("SECRET_VARIABLES", ""), "the secret variables")
        names = [name for name in parsed.keep.split() if name not in given | secret]
        values = (kept(parsed.root, names) if names else {}) | given | secret
        if parsed.source:
            values.setdefault("source_hash", source_hash(parsed.source))
    except DeliveryError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    # Before anything else could print them.
    for value in filter(None, secret.values()):
        print(f"::add-mask::{value}")
    lines = [f"TF_VAR_{name}={value}\n" for name, value in values.items()]
    lines.append(f"DELIVERY_MASKED={' '.join(f'TF_VAR_{name}' for name in secret)}\n")
    if "GITHUB_ENV" in os.environ:
        with Path(os.environ["GITHUB_ENV"]).open("a", encoding="utf-8") as file:
            file.writelines(lines)
        print(f"variables: {', '.join(sorted(values)) or 'none'}")
    else:
        print("".join(lines), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
