"""Building and pushing with the Docker engine, through the docker command."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .registry import ImageName, Login

BUILDX = "buildx"
BUILDKIT = "buildkit"
LEGACY = "legacy"

# Honoured by every builder, together with context, dockerfile and build_log_file.
_FLAGS = {
    "target": "--target",
    "platform": "--platform",
    "network_mode": "--network",
    "no_cache": "--no-cache",
    "pull_parent": "--pull",
    "build_args": "--build-arg",
    "label": "--label",
    "tag": "--tag",
    "extra_hosts": "--add-host",
    "cache_from": "--cache-from",
}
_OTHERS_HONOURED = {
    *("context", "dockerfile", "build_log_file", "secrets", "provenance", "sbom", "use_legacy_builder"),
    # About the containers of the legacy builder; BuildKit leaves none behind.
    *("remove", "force_remove"),
}
_ATTESTATIONS = ("provenance", "sbom")
_OFF = ("", "false")
_EXCERPT_LINES = 30
_UNTIL_KILLED_SECONDS = 5


class EngineError(Exception):
    """A build or a push failed; `summary` is one line, the detail says more."""

    def __init__(self, summary: str, detail: str = "") -> None:
        super().__init__(summary)
        self.summary = summary
        self.detail = detail


def refusals(build: Mapping[str, Any]) -> Iterator[str]:
    """Say of each argument of a `build` block that cannot be honoured why; values still unknown pass."""
    context = build.get("context")
    if isinstance(context, str) and (context == "-" or context.startswith("git@") or "://" in context):
        yield f'build.context = "{context}" is not supported by the stand-in provider: local folders only.'
    for name, value in build.items():
        given = isinstance(value, (bool, int, float, str, list, dict)) and bool(value)
        if name in _ATTESTATIONS and isinstance(value, str) and value.lower() not in _OFF:
            yield (
                f'build.{name} = "{value}" would push an image index, which the stand-in provider does not '
                f'make and Lambda does not take: set it to "false".'
            )
        elif name == "labels" and given:
            yield "build.labels has no effect in the real provider when it uses BuildKit: use build.label."
        elif given and name not in _FLAGS and name not in _OTHERS_HONOURED:
            yield f"build.{name} is not supported by the stand-in provider."


@dataclass(frozen=True)
class Builder:
    """A docker command and the way it builds: BUILDX, BUILDKIT (built in, before Docker 23) or LEGACY."""

    client: str
    kind: str

    def arguments(self, build: Mapping[str, Any], name: str) -> list[str]:
        """Compose the command line that builds `name`; paths stay relative to the working directory."""
        if self.kind == LEGACY and build.get("secrets"):
            raise EngineError(
                "build.secrets needs BuildKit",
                f"{self.client} has neither the buildx plugin nor a BuildKit of its own.",
            )
        command = [self.client, "buildx", "build", "--load"] if self.kind == BUILDX else [self.client, "build"]
        if self.kind == BUILDX:
            command += ["--provenance=false", "--sbom=false"]
        if self.kind == LEGACY:
            command += [f"--rm={str(bool(build.get('remove', True))).lower()}"]
            command += ["--force-rm"] if build.get("force_remove") else []
        else:
            command += ["--progress=plain"]
        command += ["--tag", name]
        for argument, flag in _FLAGS.items():
            command += _flag(flag, build.get(argument))
        for secret in build.get("secrets") or []:
            command += ["--secret", _secret(secret)]
        context = str(build["context"])
        return [*command, "--file", str(Path(context, build.get("dockerfile") or "Dockerfile")), context]

    @property
    def environment(self) -> dict[str, str]:
        """What the command needs to build in this way."""
        return {} if self.kind == BUILDX else {"DOCKER_BUILDKIT": "1" if self.kind == BUILDKIT else "0"}


def _flag(flag: str, value: object) -> list[str]:
    if value is True:
        return [flag]
    if isinstance(value, dict):
        value = [f"{key}={item}" for key, item in sorted(value.items())]
    values = value if isinstance(value, list) else [value]
    return [part for item in values if item for part in (flag, str(item))]


def _secret(secret: Mapping[str, Any]) -> str:
    source = f"src={secret['src']}" if secret.get("src") else f"env={secret.get('env') or ''}"
    return f"id={secret['id']},{source}"


def choose_builder(clients: Sequence[str], *, legacy: bool = False) -> Builder:
    """Choose a docker command: the first with the buildx plugin, else with BuildKit built in, else the first.

    Raises `EngineError` if there is no docker command at all.
    """
    if not clients:
        raise EngineError("The docker command was not found", "An image must be built, and building needs it.")
    if legacy:
        return Builder(clients[0], LEGACY)
    for client in clients:
        if _output(client, "buildx", "version"):
            return Builder(client, BUILDX)
    for client in clients:
        version = re.search(r"version (\d+)\.(\d+)", _output(client, "--version"))
        # Docker 23 moved BuildKit out of the command into the plugin; 18.09 brought it.
        if version and (18, 9) <= tuple(map(int, version.groups())) < (23, 0):
            return Builder(client, BUILDKIT)
    return Builder(clients[0], LEGACY)


def _output(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stdout if result.returncode == 0 else ""


def docker_commands() -> list[str]:
    """List every docker command on PATH, and Debian's, which may stand behind another one."""
    folders = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin"]
    found = (shutil.which("docker", path=folder) for folder in folders)
    return list(dict.fromkeys(command for command in found if command))


class Engine:
    """The Docker engine at `host`, or where DOCKER_HOST or the Docker context in use point."""

    def __init__(self, host: str | None = None, context: str | None = None) -> None:
        self._host = host
        self._context = context
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def stop(self) -> None:
        """End builds and pushes under way, and start no further one."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            _end(process)

    def build(self, build: Mapping[str, Any], name: str, seconds: float) -> None:
        """Build an image; raises `EngineError` with the engine's own words and the end of the log.

        The whole log goes to `build_log_file`, else to a temporary file that stays after a failure.
        """
        commands = docker_commands()
        builder = choose_builder(commands, legacy=bool(build.get("use_legacy_builder")))
        environment = self._environment(builder.client) | builder.environment
        arguments = builder.arguments(build, name)
        given = build.get("build_log_file")
        path = Path(given or _temporary_file())
        with path.open("ab+") as log, tempfile.TemporaryDirectory() as scratch:
            start = log.seek(0, os.SEEK_END)
            _copy_configuration(environment, Path(scratch))
            code = self._run(arguments, environment | {"DOCKER_CONFIG": scratch}, log, seconds)
            excerpt = _excerpt(log, start)
        if code != 0:
            raise EngineError(
                f"Error building docker image: {excerpt[-1] if excerpt else f'exit code {code}'}",
                "\n".join([*excerpt, "", f"Whole build log: {path}"]),
            )
        if not given:
            path.unlink()

    def push(self, image: ImageName, login: Login, seconds: float) -> None:
        """Push an image of this engine; raises `EngineError` with the registry's own words."""
        clients = docker_commands()
        if not clients:
            raise EngineError("The docker command was not found", "Pushing an image needs it.")
        environment = self._environment(clients[0])
        with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as log:
            logins = {login.host: {"auth": login.token}} if login.username else {}
            Path(scratch, "config.json").write_text(json.dumps({"auths": logins}), encoding="utf-8")
            # A configuration of its own: `docker login` and credential helpers of the user play no part.
            environment |= {"DOCKER_CONFIG": scratch}
            code = self._run([clients[0], "push", str(image)], environment, log, seconds)
            if code == 0:
                return
            excerpt = _excerpt(log)
        raise EngineError(
            f"Error pushing docker image: {excerpt[-1] if excerpt else f'exit code {code}'}",
            "\n".join(excerpt),
        )

    def _environment(self, client: str) -> dict[str, str]:
        """Settle which engine is meant, and that it answers."""
        environment = dict(os.environ)
        host = self._host or (None if self._context else environment.get("DOCKER_HOST"))
        if not host:
            inspect = [client, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
            host = _output(*inspect, *([self._context] if self._context else [])).strip()
        if self._context and not host:
            raise EngineError(f"Unknown Docker context {self._context}", "The provider's argument `context` names it.")
        if host:
            environment["DOCKER_HOST"] = host
        environment.pop("DOCKER_CONTEXT", None)
        ping = subprocess.run(
            [client, "version", "--format", "{{.Server.Version}}"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if ping.returncode != 0:
            raise EngineError(
                _last_line(ping.stderr) or "Cannot connect to the Docker daemon",
                "An image must be built and pushed, and that needs a Docker engine at "
                f"{host or 'the default socket'}: start one, or point DOCKER_HOST or the provider's `host` "
                "at one that runs.",
            )
        return environment

    def _run(self, command: list[str], environment: dict[str, str], log: IO[bytes], seconds: float) -> int:
        with self._lock:
            if self._stopped:
                raise EngineError("Cancelled", "Terraform asked the provider to stop.")
            # A session of its own: what the terminal sends on Ctrl-C reaches it through `stop` only.
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running.add(process)
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            _end(process)
            raise EngineError(f"`docker {command[1]}` took longer than {seconds:g} s (timeouts.create)") from error
        finally:
            with self._lock:
                self._running.discard(process)
        if self._stopped:
            raise EngineError("Cancelled", f"Terraform asked the provider to stop during `docker {command[1]}`.")
        return code


def _copy_configuration(environment: Mapping[str, str], copy: Path) -> None:
    """Lend a build the user's logins and plugins; it writes beside them, so it gets copies."""
    original = Path(environment.get("DOCKER_CONFIG") or Path("~/.docker").expanduser())
    if (original / "config.json").exists():
        shutil.copy(original / "config.json", copy)
    if (original / "cli-plugins").exists():
        (copy / "cli-plugins").symlink_to((original / "cli-plugins").resolve())


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=_UNTIL_KILLED_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _temporary_file() -> str:
    descriptor, path = tempfile.mkstemp(prefix="docker-build-", suffix=".log")
    os.close(descriptor)
    return path


def _excerpt(log: IO[bytes], start: int = 0) -> list[str]:
    """Return the last lines after the position `start`, the failing step among them, without blank ones."""
    log.seek(start)
    lines = log.read().decode(errors="replace").splitlines()
    return [line for line in lines if line.strip()][-_EXCERPT_LINES:]


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")
