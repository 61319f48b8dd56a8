"""Store the daemon of DOCKER_HOST, with the certificates in DOCKER_CERT_PATH, as the Docker context `delivery`.

    python -m delivery.docker_context

kreuzwerker/docker 4.5 builds with a context's certificates, and with no others: see docs/docker-daemon.md. The files are those
that `docker context create` writes, so a job needs no docker command. Does nothing without both variables, or if DOCKER_HOST is
not tcp://. It waits a minute for the certificates, which a Docker-in-Docker service writes when it starts. Exit code 1, with one
sentence, when they do not appear.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shutil
import sys
import time
from pathlib import Path

from .errors import DeliveryError

NAME = "delivery"
FILES = ("ca.pem", "cert.pem", "key.pem")
SECONDS = 60


def store(host: str, certificates: Path, home: Path, seconds: float = SECONDS) -> Path:
    """Store the context in a home folder and return its metadata's file; DeliveryError without certificates."""
    deadline = time.monotonic() + seconds
    while missing := [name for name in FILES if not (certificates / name).is_file()]:
        if time.monotonic() > deadline:
            raise DeliveryError(
                f"{certificates} has no {' and no '.join(missing)}: DOCKER_CERT_PATH must be the folder in which the daemon's "
                "service writes the client's certificates, mounted into this job."
            )
        time.sleep(0.2)
    contexts = home / ".docker" / "contexts"
    identity = hashlib.sha256(NAME.encode()).hexdigest()
    keys = contexts / "tls" / identity / "docker"
    keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in FILES:
        shutil.copyfile(certificates / name, keys / name)
        (keys / name).chmod(0o600)
    metadata = contexts / "meta" / identity / "meta.json"
    metadata.parent.mkdir(parents=True, exist_ok=True)
    endpoints = {"docker": {"Host": host, "SkipTLSVerify": False}}
    metadata.write_text(json.dumps({"Name": NAME, "Metadata": {}, "Endpoints": endpoints}), encoding="utf-8")
    return metadata


def main() -> int:
    """Run the command and return its exit code."""
    host, certificates = os.environ.get("DOCKER_HOST", ""), os.environ.get("DOCKER_CERT_PATH")
    if not host.startswith("tcp://") or not certificates:
        return 0
    try:
        # The provider reads contexts from the home folder in the user database, not from HOME.
        store(host, Path(certificates), Path(pwd.getpwuid(os.getuid()).pw_dir))
    except (DeliveryError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
