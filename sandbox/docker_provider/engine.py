"""Build and push with the Docker engine, through the docker command.

Arguments are handled as in the real provider's docker_buildx_build.go and resource_docker_image_funcs.go. Those that the
installed docker command cannot support are refused.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .registry import ImageName, Login, home

DEFAULT_HOST = "unix:///var/run/docker.sock"
CONTEXT_HOST = "{{.Endpoints.docker.Host}}"
# The docker command's variables for TLS. The real provider reads DOCKER_CERT_PATH alone, and its builder none of them.
_TLS_VARIABLES = ("DOCKER_CERT_PATH", "DOCKER_TLS", "DOCKER_TLS_VERIFY")

BUILDX = "buildx"
BUILDKIT = "buildkit"
CLASSIC = "classic"

# Arguments and flags with the same meaning in every builder.
_FLAGS = {
    "target": "--target",
    "platform": "--platform",
    "network_mode": "--network",
    "no_cache": "--no-cache",
    "pull_parent": "--pull",
    "build_args": "--build-arg",
    "tag": "--tag",
    "extra_hosts": "--add-host",
    "cache_from": "--cache-from",
    "cgroup_parent": "--cgroup-parent",
    "shm_size": "--shm-size",
}
_BUILDX_FLAGS = {
    "label": "--label",
    "additional_contexts": "--build-context",
    "builder": "--builder",
    "cache_to": "--cache-to",
    "provenance": "--provenance",
    "sbom": "--sbom",
}
# The real provider always passes these to buildx as build arguments, with an empty value or 0 by default.
_BUILDX_BUILD_ARGS = {
    "cpu_set_cpus": "cpusetcpus",
    "cpu_set_mems": "cpusetmems",
    "cpu_shares": "cpushares",
    "cpu_quota": "cpuquota",
    "cpu_period": "cpuperiod",
    "memory": "memory",
    "memory_swap": "memoryswap",
}
_LEGACY_FLAGS = {
    "labels": "--label",
    "cpu_set_cpus": "--cpuset-cpus",
    "cpu_set_mems": "--cpuset-mems",
    "cpu_shares": "--cpu-shares",
    "cpu_quota": "--cpu-quota",
    "cpu_period": "--cpu-period",
    "memory": "--memory",
    "memory_swap": "--memory-swap",
    "isolation": "--isolation",
    "security_opt": "--security-opt",
    "squash": "--squash",
    "force_remove": "--force-rm",
}
UNSUPPORTED = {
    BUILDX: (),
    BUILDKIT: ("additional_contexts", "builder"),
    CLASSIC: ("additional_contexts", "builder", "cache_to", "secrets"),
}
"""Arguments that the real provider supports with buildx, and that a kind of builder does not."""
UNSUPPORTED_LEGACY = {BUILDKIT: ("remote_context",), CLASSIC: ("remote_context", "secrets")}
"""The same for `use_legacy_builder`."""

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")
_REMOTE = ("http://", "https://", "git://", "ssh://", "git@", "github.com/")
_ANONYMOUS_PUSH = 23
"""The first engine version that accepts a push without a login."""
_GRACE_SECONDS = 5


class EngineError(Exception):
    """A build or a push failed."""


@dataclass(frozen=True)
class Builder:
    """A docker command and the way it builds: BUILDX, BUILDKIT (built in, before Docker 23) or CLASSIC."""

    client: str
    kind: str

    def arguments(self, build: Mapping[str, Any], name: str, *, legacy: bool = False) -> list[str]:
        """Return the command line that builds `name`; paths are relative to the working directory."""
        self._refuse_unsupported(build, legacy)
        command = [self.client, "buildx", "build", "--load"] if self.kind == BUILDX else [self.client, "build"]
        command += [] if self.kind == CLASSIC else ["--progress=plain"]
        command += ["--tag", name]
        command += self._legacy(build) if legacy else self._buildx(build)
        for argument, flag in _FLAGS.items():
            command += _flag(flag, build.get(argument))
        for limit in build.get("ulimit") or []:
            command += ["--ulimit", f"{limit['name']}={limit['soft']}:{limit['hard']}"]
        for secret in build.get("secrets") or []:
            command += ["--secret", _secret(secret)]
        context, dockerfile = _paths(build)
        return [*command, "--file", dockerfile, context]

    def _refuse_unsupported(self, build: Mapping[str, Any], legacy: bool) -> None:
        for argument in (UNSUPPORTED_LEGACY if legacy else UNSUPPORTED)[self.kind]:
            if build.get(argument) and (argument, build[argument]) != ("builder", "default"):
                needed = "the engine's API" if legacy else "the buildx plugin"
                raise EngineError(f"build.{argument} needs {needed}, which is not available to the stand-in provider")
        if legacy and str(build["context"]).startswith(_REMOTE):
            raise EngineError("build.use_legacy_builder does not support a remote build.context")

    def _buildx(self, build: Mapping[str, Any]) -> Iterator[str]:
        for argument, name in _BUILDX_BUILD_ARGS.items():
            yield from ("--build-arg", f"{name}={build.get(argument) or ('' if 'set' in name else 0)}")
        if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
            yield from ("--build-arg", f"SOURCE_DATE_EPOCH={epoch}")
        if self.kind == BUILDX:
            for argument, flag in _BUILDX_FLAGS.items():
                yield from _flag(flag, build.get(argument))
            return
        yield from _flag("--label", build.get("label"))
        _refuse_attestations(build)
        for entry in build.get("cache_to") or []:
            if entry != "type=inline":
                raise _not_supported("Cache export", "build-cache-backends")
            yield from ("--build-arg", "BUILDKIT_INLINE_CACHE=1")

    def _legacy(self, build: Mapping[str, Any]) -> Iterator[str]:
        if build.get("remove") is False:
            yield "--rm=false"
        for argument, flag in _LEGACY_FLAGS.items():
            yield from _flag(flag, build.get(argument))

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that select this kind of builder."""
        return {} if self.kind == BUILDX else {"DOCKER_BUILDKIT": "1" if self.kind == BUILDKIT else "0"}

    def reason(self, log: Sequence[str], *, legacy: bool = False) -> str:
        """Return the error in a failed build's log, as the real provider reports it."""
        errors = [number for number, line in enumerate(log) if line.startswith("ERROR: ")]
        if errors:
            lines = [line for line in log[errors[-1] :] if not line.startswith("View build details")]
            return "\n".join(lines).removeprefix("ERROR: ")
        if legacy or not log[0].startswith("#"):
            return log[-1]
        return "failed to solve: " + re.sub(r"^failed to solve with frontend \S+: ", "", log[-1])


def _flag(flag: str, value: object) -> list[str]:
    if value is True:
        return [flag]
    if isinstance(value, dict):
        value = [f"{key}={item}" for key, item in sorted(value.items())]
    values = value if isinstance(value, list) else [value]
    return [part for item in values if item for part in (flag, str(item))]


def _secret(secret: Mapping[str, Any]) -> str:
    env, source = secret.get("env"), secret.get("src")
    return (f"type=env,id={secret['id']},env={env}" if env else "") + (
        f"type=file,id={secret['id']},src={source}" if source else ""
    )


def _refuse_attestations(build: Mapping[str, Any]) -> None:
    """Refuse attestations as buildx does with an engine without the containerd image store."""
    for argument in ("provenance", "sbom"):
        value = build.get(argument) or "false"
        fields = value.split(",")
        if value in _FALSE or "disabled=true" in fields:
            continue
        if value not in _TRUE and (unnamed := [field for field in fields if "=" not in field]):
            raise EngineError(f"invalid value {unnamed[0]}")
        raise _not_supported("Attestation", "attestations")


def _not_supported(feature: str, page: str) -> EngineError:
    return EngineError(
        f"{feature} is not supported for the docker driver.\n"
        "Switch to a different driver, or turn on the containerd image store, and try again.\n"
        f"Learn more at https://docs.docker.com/go/{page}/"
    )


def _paths(build: Mapping[str, Any]) -> tuple[str, str]:
    """Return the paths of context and Dockerfile; the `dockerfile` argument is relative to the context."""
    context, dockerfile = str(build["context"]), str(build.get("dockerfile") or "Dockerfile")
    if context.startswith(_REMOTE):
        return context, dockerfile
    if context.startswith("~/"):
        context = str(home() / context[2:])
    return context, str(Path(context, dockerfile))


def choose_builder(clients: Sequence[str], *, legacy: bool = False) -> Builder:
    """Choose a docker command: the first with the buildx plugin, or else with built-in BuildKit, or else the first.

    The real provider's legacy builder is BuildKit too, through the engine's older API. `EngineError` if there is no
    docker command.
    """
    for client in () if legacy else clients:
        if _output(client, "buildx", "version"):
            return Builder(client, BUILDX)
    for client in clients:
        version = re.search(r"version (\d+)\.(\d+)", _output(client, "--version"))
        # The docker command included BuildKit from 18.09 until Docker 23 moved it into the plugin.
        if version and (18, 9) <= tuple(map(int, version.groups())) < (23, 0):
            return Builder(client, BUILDKIT)
    return Builder(_first(clients), CLASSIC)


def _first(clients: Sequence[str]) -> str:
    if not clients:
        raise EngineError("The stand-in provider builds and pushes with the docker command, which is not on PATH")
    return clients[0]


def _output(*command: str) -> str:
    # With the variables for TLS, and without the files that they name, the docker command prints only an error.
    result = subprocess.run(command, env=_without(_TLS_VARIABLES), capture_output=True, text=True, check=False)
    return result.stdout if result.returncode == 0 else ""


def docker_commands() -> list[str]:
    """Return every docker command on PATH, and Debian's, which another one may shadow."""
    folders = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin"]
    paths = (shutil.which("docker", path=folder) for folder in folders)
    return list(dict.fromkeys(path for path in paths if path))


class Engine:
    """The Docker engine at `host`. `certificates` is a folder with ca.pem, cert.pem and key.pem, for TLS.

    As in the real provider, they are for the check of the engine, the push and the legacy builder. A build with buildx
    connects by DOCKER_HOST or the Docker context instead, and uses TLS only if the context has certificates.
    """

    def __init__(
        self, host: str | None = None, *, certificates: str = "", unsupported: Sequence[str] = (), ping: bool = True
    ) -> None:
        self._host = host or DEFAULT_HOST
        self._certificates = certificates
        self._unsupported = unsupported
        self._ping = ping
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def stop(self) -> None:
        """Stop running builds and pushes, and start no more."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            _terminate(process)

    def check(self) -> None:
        """Raise `EngineError` if the engine does not respond, or if an unsupported argument is set."""
        for name in self._unsupported:
            raise EngineError(f"{name} is not supported by the stand-in provider")
        self._check_certificates()
        if self._ping:
            self._refuse_certificates_for_a_socket()
            self._version()

    def build(self, build: Mapping[str, Any], name: str, deadline: float) -> None:
        """Build an image; `EngineError` has the engine's error.

        The log goes to `build_log_file`, and without one is discarded, as in the real provider.
        """
        legacy = bool(build.get("use_legacy_builder")) or _buildkit_is_off()
        context, dockerfile = _paths(build)
        if not legacy and not context.startswith(_REMOTE) and not Path(dockerfile).exists():
            missing = os.path.normpath(Path.cwd() / dockerfile)
            raise EngineError(f"Error mapping build attributes: dockerfile not found at path: {missing}")
        try:
            self._build(build, name, deadline, legacy)
        except EngineError as error:
            raise EngineError(f"Error running {'legacy' if legacy else 'buildx'} build: {error}") from error

    def _build(self, build: Mapping[str, Any], name: str, deadline: float, legacy: bool) -> None:
        builder = choose_builder(docker_commands(), legacy=legacy)
        if not legacy:
            self._check_build_host(builder.client)
        with (
            _open_log("" if legacy else build.get("build_log_file") or "") as log,
            tempfile.TemporaryDirectory() as scratch,
        ):
            start = log.seek(0, os.SEEK_END)
            environment = self._environment if legacy else _without(_TLS_VARIABLES)
            environment |= builder.environment | {"DOCKER_CONFIG": scratch}
            _copy_configuration(Path(scratch))
            command = builder.arguments(build, name, legacy=legacy)
            if self._run(command, environment, log, deadline) != 0:
                raise EngineError(builder.reason(_lines(log, start), legacy=legacy))

    def push(self, image: ImageName, login: Login, deadline: float) -> None:
        """Push an image from this engine; `EngineError` has the registry's error."""
        try:
            self._push(image, login, deadline)
        except EngineError as error:
            raise EngineError(f"Error pushing docker image: {error}") from error

    def _push(self, image: ImageName, login: Login, deadline: float) -> None:
        if not login.username and self._version() < _ANONYMOUS_PUSH:
            raise EngineError("Error response from daemon: Bad parameters and missing X-Registry-Auth: EOF")
        with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as log:
            logins = {image.registry: {"auth": login.token}} if login.username else {}
            # A separate configuration, without the user's `docker login` and credential helpers.
            Path(scratch, "config.json").write_text(json.dumps({"auths": logins}), encoding="utf-8")
            command = [_first(docker_commands()), "push", str(image)]
            if self._run(command, self._environment | {"DOCKER_CONFIG": scratch}, log, deadline) == 0:
                return
            last = _lines(log)[-1]
        if last.startswith(("Error response from daemon:", "Cannot connect", "cannot push", "invalid reference")):
            raise EngineError(last)
        hint = ""
        if image.registry == "public.ecr.aws":
            hint = (
                "You are trying to push to a public ECR repository. One error cause might be that the image name does "
                "not have the correct format and registry alias: public.ecr.aws/<registry_alias>/<image>"
            )
        raise EngineError(f"Error pushing image. {hint}. Full error: {last}")

    @property
    def _environment(self) -> dict[str, str]:
        verify = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": self._certificates} if self._certificates else {}
        return _without([*_TLS_VARIABLES, "DOCKER_CONTEXT"]) | {"DOCKER_HOST": self._host} | verify

    def _check_certificates(self) -> None:
        for name in ("ca.pem", "cert.pem", "key.pem") if self._certificates else ():
            path = Path(self._certificates, name)
            if not path.exists():
                what = f'read CA certificate "{path}"' if name == "ca.pem" else "load X509 key pair"
                reason = f"could not {what}: open {path}: no such file or directory"
                raise EngineError(f"failed to create Docker client: failed to create tls config: {reason}")

    def _refuse_certificates_for_a_socket(self) -> None:
        # The docker command ignores certificates for a socket.
        if self._certificates and self._host.startswith("unix://"):
            raise self._unreachable("error during connect: http: server gave HTTP response to HTTPS client")

    def _check_build_host(self, client: str) -> None:
        """Refuse what fails later in the real provider: it builds with one engine, and pushes from another."""
        context = _output(client, "context", "inspect", "--format", CONTEXT_HOST).strip()
        host = os.environ.get("DOCKER_HOST") or context or DEFAULT_HOST
        if host != self._host:
            raise EngineError(
                f"{self._host} is not the engine of DOCKER_HOST or the Docker context, {host}: "
                "version 4.5 of the provider would build there, and the stand-in does not. Set DOCKER_HOST or DOCKER_CONTEXT"
            )
        if self._certificates:
            # They are not used here. The docker command's own builder would report only a closed connection.
            result = self._ask_version(client, _without(_TLS_VARIABLES))
            if result.returncode:
                raise EngineError(_last_line(result.stderr))

    def _version(self) -> int:
        """Return the engine's major version; `EngineError` if it does not respond."""
        result = self._ask_version(_first(docker_commands()), self._environment)
        if result.returncode != 0:
            raise self._unreachable(_last_line(result.stderr))
        return int(re.sub(r"\D.*", "", result.stdout.strip(), flags=re.DOTALL) or 0)

    @staticmethod
    def _ask_version(client: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        command = [client, "version", "--format", "{{.Server.Version}}"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def _unreachable(self, reason: str) -> EngineError:
        needed = f"please make sure that {self._host} is reachable and has a  '_ping' endpoint"
        return EngineError(f"failed to create Docker client: Error pinging Docker server, {needed}. Error: {reason}")

    def _run(self, command: list[str], environment: dict[str, str], log: IO[bytes], deadline: float) -> int:
        with self._lock:
            if self._stopped:
                raise EngineError("context canceled")
            # A separate session, so that Ctrl-C stops it through `stop` only.
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
            code = process.wait(timeout=max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            _terminate(process)
            raise EngineError("context deadline exceeded") from error
        finally:
            with self._lock:
                self._running.discard(process)
        if self._stopped:
            raise EngineError("context canceled")
        return code


def _without(names: Iterable[str]) -> dict[str, str]:
    """Return this process's environment without these variables."""
    return {name: value for name, value in os.environ.items() if name not in names}


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def _buildkit_is_off() -> bool:
    value = os.environ.get("DOCKER_BUILDKIT") or "1"
    if value not in (*_TRUE, *_FALSE):
        reason = f'strconv.ParseBool: parsing "{value}": invalid syntax'
        raise EngineError(f"DOCKER_BUILDKIT environment variable expects boolean value: {reason}")
    return value in _FALSE


def _copy_configuration(copy: Path) -> None:
    """Copy the user's logins, builders and plugins for a build, which writes to its configuration folder."""
    original = Path(os.environ.get("DOCKER_CONFIG") or Path("~/.docker").expanduser())
    if (original / "config.json").exists():
        shutil.copy(original / "config.json", copy)
    for folder in ("buildx", "contexts"):
        if (original / folder).is_dir():
            shutil.copytree(original / folder, copy / folder)
    if (original / "cli-plugins").exists():
        (copy / "cli-plugins").symlink_to((original / "cli-plugins").resolve())


def _terminate(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _open_log(path: str) -> IO[bytes]:
    if not path:
        return tempfile.TemporaryFile()
    try:
        return Path(path).open("ab+")
    except OSError as error:
        reason = f"open {path}: {(error.strerror or '').lower()}"
        raise EngineError(f"failed to open build log file: {reason}") from error


def _lines(log: IO[bytes], start: int = 0) -> list[str]:
    """Return the non-blank lines from the position `start` on, at least one."""
    log.seek(start)
    lines = log.read().decode(errors="replace").splitlines()
    return [line for line in lines if line.strip()] or ["no error output"]
