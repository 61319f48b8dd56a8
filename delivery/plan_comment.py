"""Render a saved plan as Markdown for a pull request: what changes, and the plan in a fold, without secrets.

    python -m delivery.plan_comment --root DIR --plan FILE [--title TEXT] > comment.md

The text is Terraform's own for people, where sensitive values are "(sensitive value)". Besides, the values of environment
variables that DELIVERY_MASKED names, such as a TF_VAR_ that is not declared sensitive, become ***. The plan's JSON, which
contains all values, is only counted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from .errors import DeliveryError, one_line
from .github import MAX_BODY

# Room for the heading and the fold.
MAX_PLAN = MAX_BODY - 4_000
MIN_SECRET = 4  # characters; shorter values would mask parts of words
VERBS: dict[tuple[str, ...], str] = {
    ("create",): "create",
    ("update",): "change",
    ("delete",): "destroy",
    ("forget",): "forget",
}


def render(plan: dict[str, Any], text: str, title: str, secrets: list[str]) -> str:
    """Return the Markdown of a plan: its JSON for the counts, its text for the fold."""
    counts = Counter(_verb(tuple(change["change"]["actions"])) for change in plan.get("resource_changes", []))
    del counts[""]
    outputs = sum(change["actions"] != ["no-op"] for change in plan.get("output_changes", {}).values())
    parts = [
        f"{counts[verb]} to {verb}" for verb in ("create", "change", "replace", "destroy", "forget") if counts[verb]
    ]
    parts += [f"{outputs} output{'s' if outputs > 1 else ''} to change"] if outputs else []
    summary = ", ".join(parts) or "no changes"
    destroyed = counts["destroy"] + counts["replace"]
    warning = (
        f"\n\n**{destroyed} resource{'s are' if destroyed > 1 else ' is'} destroyed or replaced.**" if destroyed else ""
    )
    shown = _cut(_masked(text.strip(), secrets))
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    fold = f"<details><summary>The plan</summary>\n\n{fence}diff\n{_as_diff(shown)}\n{fence}\n\n</details>"
    return f"### {title}: {summary}{warning}\n\n{fold}\n"


def show(root: Path, plan: Path, *options: str) -> str:
    """Return what `terraform show` prints of a saved plan; DeliveryError with Terraform's reason when it cannot read it."""
    command = [os.environ.get("TERRAFORM") or "terraform", "show", "-no-color", *options, str(plan.resolve())]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if result.returncode:
        raise DeliveryError(f"the plan {plan} cannot be shown: {one_line(result.stderr)[:500]}")
    return result.stdout


def _verb(actions: tuple[str, ...]) -> str:
    return "replace" if len(actions) > 1 else VERBS.get(actions, "")


def _masked(text: str, secrets: list[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        for line in {secret, *secret.splitlines()}:
            if len(line.strip()) >= MIN_SECRET:
                text = text.replace(line, "***")
    return text


def _cut(text: str) -> str:
    if len(text) <= MAX_PLAN:
        return text
    kept = text[:MAX_PLAN].rpartition("\n")[0]
    return f"{kept}\n\nThe rest is left out ({len(text) - len(kept):,} characters): the job's log has the whole plan."


def _as_diff(text: str) -> str:
    """Move the signs of changes to the line's beginning, and make ~ a !, for the colours of a `diff` block."""
    return re.sub(
        r"^( +)([-+~])(/[-+])?",
        lambda m: ("!" if m[2] == "~" else m[2]) + m[1] + (m[3] or ""),
        text,
        flags=re.MULTILINE,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m delivery.plan_comment", description="Render a saved plan as Markdown."
    )
    parser.add_argument("--root", type=Path, required=True, help="folder of the root module, initialised")
    parser.add_argument("--plan", type=Path, required=True, help="the saved plan")
    parser.add_argument("--title", default="Terraform plan")
    parsed = parser.parse_args(arguments)
    try:
        plan = json.loads(show(parsed.root, parsed.plan, "-json"))
        text = show(parsed.root, parsed.plan)
    except DeliveryError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    secrets = [os.environ[name] for name in os.environ.get("DELIVERY_MASKED", "").split() if os.environ.get(name)]
    print(render(plan, text, parsed.title, secrets), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
