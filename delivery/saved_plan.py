"""Carry a saved plan from the job that made it to the job that applies it: encrypted, and refused when it is stale.

    python -m delivery.saved_plan encrypt FILE          # writes FILE.gpg and deletes FILE
    python -m delivery.saved_plan decrypt FILE.gpg      # writes FILE
    python -m delivery.saved_plan apply --root DIR FILE

A plan contains every value in clear text, as a state does, and everyone who can read a repository can download its artifacts. So the file
is encrypted with gpg (AES-256, with an integrity check) and the passphrase in PLAN_PASSPHRASE, which both jobs get as a secret.
Exit code 1, with one sentence, when it is refused.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .errors import DeliveryError, one_line

VARIABLE = "PLAN_PASSPHRASE"
MIN_PASSPHRASE = 20  # characters
SUFFIX = ".gpg"
# What Terraform says → what to do. The last is for every other error.
REFUSALS = (
    (
        "Saved plan is stale",
        "the plan is stale: another apply changed the state after it was made. Nothing was applied: run the workflow again.",
    ),
    (
        "Error acquiring the state lock",
        "the state is locked by another run. Nothing was applied: apply again when it has ended.",
    ),
    (
        "failed to create Docker client",
        "the Docker daemon cannot be used, and the image has to be built: docs/docker-daemon.md explains the error above.",
    ),
)


def encrypt(file: Path) -> Path:
    """Encrypt a file, delete it, and return the path of the encrypted one."""
    encrypted = file.with_name(file.name + SUFFIX)
    if not file.is_file():
        raise DeliveryError(f"there is no plan {file}: save one with `terraform plan -out`.")
    _gpg(encrypted, "--symmetric", "--cipher-algo", "AES256", file)
    file.unlink()
    return encrypted


def decrypt(encrypted: Path) -> Path:
    """Decrypt a file that `encrypt` wrote, next to it, and return its path. DeliveryError when it was altered."""
    if not encrypted.is_file():
        raise DeliveryError(f"there is no plan {encrypted}: the artifact is kept for a day, so plan again.")
    file = encrypted.with_suffix("")
    _gpg(file, "--decrypt", encrypted)
    return file


def _gpg(output: Path, *arguments: str | Path) -> None:
    passphrase = os.environ.get(VARIABLE, "")
    if len(passphrase) < MIN_PASSPHRASE:
        raise DeliveryError(
            f"{VARIABLE} must have at least {MIN_PASSPHRASE} characters, since a plan contains secrets: set the repository's secret."
        )
    if shutil.which("gpg") is None:
        raise DeliveryError("gpg is not on PATH: install gnupg, which encrypts the plan.")
    # In a home of its own, whose agent is stopped: it would keep the passphrase.
    with tempfile.TemporaryDirectory(prefix="gpg-") as home:
        command = ["gpg", "--homedir", home, "--batch", "--yes", "--quiet", "--pinentry-mode", "loopback"]
        command += ["--passphrase-fd", "0", "--output", str(output), *map(str, arguments)]
        result = subprocess.run(command, input=passphrase.encode(), capture_output=True, check=False)
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], capture_output=True, check=False)
    if result.returncode:
        output.unlink(missing_ok=True)
        reason = result.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise DeliveryError(f"gpg failed, with a different {VARIABLE} or a file that was altered: {' '.join(reason)}")


def apply(root: Path, file: Path) -> None:
    """Apply a saved plan, with Terraform's output as it comes. DeliveryError when it fails."""
    binary = os.environ.get("TERRAFORM") or "terraform"
    if not file.is_file():
        raise DeliveryError(f"there is no plan {file}: plan again.")
    command = [binary, "apply", "-input=false", "-no-color", str(file.resolve())]
    lines: list[str] = []
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            lines.append(line)
            sys.stdout.write(line)
            sys.stdout.flush()
    if process.returncode:
        text = one_line("".join(lines))
        known = (sentence for pattern, sentence in REFUSALS if pattern in text)
        raise DeliveryError(
            next(known, f"{binary} apply failed: the errors are above, and a new plan shows what is left to do.")
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m delivery.saved_plan", description="Carry and apply a saved plan.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("encrypt", "encrypt it, and delete the original"), ("decrypt", "decrypt it")):
        commands.add_parser(name, help=text).add_argument("file", type=Path)
    applying = commands.add_parser("apply", help="apply it, or say why not")
    applying.add_argument("--root", type=Path, required=True, help="folder of the root module, initialised")
    applying.add_argument("file", type=Path)
    parsed = parser.parse_args(arguments)
    try:
        if parsed.command == "encrypt":
            print(encrypt(parsed.file))
        elif parsed.command == "decrypt":
            print(decrypt(parsed.file))
        else:
            apply(parsed.root, parsed.file)
    except DeliveryError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
