"""A simulated snapshot: one process initialises the handler and is forked twice, as Lambda restores environments from one snapshot.

    python -m tests.service.simulated_snapshot hooks|no-hooks

A fork is not a restore. It copies no machine, so that both copies have the same open sockets, and Python reseeds `random` in a
fork, which is undone here. The hooks are those that AWS's library holds, run in the order of AWS's runtime client. Both restores
live at the same time. The snapshot's open sockets and both reports are printed in JSON.
"""

import json
import os
import random
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import snapshot_restore_py

import service.app
from tests.service.test_handler import event

Report = dict[str, Any]


def main(*, hooks: bool) -> None:
    """Print a snapshot's open sockets, and the reports of two restores."""
    from service.aws_lambda.handler import handler

    # A request of the initialisation leaves a connection open, as reading a secret would.
    assert handler(event("GET", "/readyz"), None)["statusCode"] == 200
    if hooks:
        for function, arguments, options in reversed(_registered(snapshot_restore_py.get_before_snapshot)):
            function(*arguments, **options)
    snapshot, state = sorted(_sockets()), random.getstate()

    def restore(name: str) -> Report:
        random.setstate(state)
        return _restore(name, handler, hooks=hooks)

    end, keep = os.pipe()
    restored = [_fork(restore, name, end, keep) for name in ("one", "two")]
    os.close(keep)
    sys.stdout.write(json.dumps({"sockets": snapshot, "restored": [report for _, report in restored]}) + "\n")
    for pid, _ in restored:
        os.waitpid(pid, 0)


def _restore(name: str, handler: Callable[..., Any], *, hooks: bool) -> Report:
    """Serve requests in a restored environment, and return what must be its own."""
    os.environ |= {"AWS_ACCESS_KEY_ID": f"restored-{name}", "SOURCE_HASH": f"restored-{name}"}
    if hooks:
        for function, arguments, options in _registered(snapshot_restore_py.get_after_restore):
            function(*arguments, **options)
    numbers = [random.random() for _ in range(3)]  # noqa: S311 - of the generator that retries use
    signatures: list[str] = []
    service.app.table()._client.meta.events.register(
        "before-send.dynamodb", lambda request, **_: signatures.append(request.headers["Authorization"].decode())
    )
    request = event("POST", "/users", json.dumps({"email": f"{uuid.uuid4().hex}@example.com", "name": name}))
    request["headers"]["idempotency-key"] = uuid.uuid4().hex
    created, repeated = handler(request, None), handler(request, None)
    return {
        "statuses": [created["statusCode"], repeated["statusCode"]],
        "user": json.loads(created["body"])["id"],
        "repeated user": json.loads(repeated["body"])["id"],
        "correlation ids": [each["headers"]["x-correlation-id"] for each in (created, repeated)],
        "random numbers": numbers,
        "access keys": sorted({each.partition("Credential=")[2].partition("/")[0] for each in signatures}),
        "source hash": json.loads(handler(event("GET", "/version"), None)["body"])["source_hash"],
        "sockets": sorted(_sockets()),
    }


def _fork(child: Callable[[str], Report], name: str, end: int, keep: int) -> tuple[int, Report]:
    """Run a function in a copy of this process, and return the copy's id and report. It lives until all `keep` are closed."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(keep)
        os.write(write, json.dumps(child(name)).encode())
        os.close(write)
        os.read(end, 1)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        return pid, json.load(pipe)


def _sockets() -> set[str]:
    """Return the sockets that this process has open."""
    open_files = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    return {each for each in open_files if each.startswith("socket:")}


def _registered(get: Callable[[], Any]) -> list[tuple[Callable[..., Any], Any, Any]]:
    return list(get())


if __name__ == "__main__":
    main(hooks=sys.argv[1] == "hooks")
