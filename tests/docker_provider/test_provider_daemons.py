"""The stand-in with daemons other than the machine's own, by the settings in docs/docker-daemon.md.

The errors are those that Docker's Go libraries, which the real provider is made of, return in the same situation.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox import paths
from sandbox.docker_provider.engine import Engine, EngineError
from sandbox.emulator import free_port
from tests.docker_provider import daemons
from tests.docker_provider.daemons import Daemon
from tests.docker_provider.workspace import JSON, MINUTES, Finished, Repository, Workspace

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("engine")]

CONTEXT = "docker-daemon-test"
UNREACHABLE = "failed to create Docker client: Error pinging Docker server, please make sure that {} is reachable"
NO_SOCKET = "unix:///nowhere/docker.sock"
HTTP_TO_HTTPS = "Client sent an HTTP request to an HTTPS server"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with TLS, and a Docker context with its certificates.

    The provider reads contexts from the user's own home folder, whatever HOME says.
    """
    with daemons.tls(tmp_path_factory.mktemp("tls")) as daemon:
        files = {name: daemon.files / f"{name}.pem" for name in ("ca", "cert", "key")}
        endpoint = ",".join([f"host={daemon.host}", *(f"{name}={path}" for name, path in files.items())])
        home = pwd.getpwuid(os.getuid()).pw_dir
        environment = os.environ | {"HOME": home, "DOCKER_CONFIG": f"{home}/.docker"}
        remove = ["docker", "context", "rm", "--force", CONTEXT]
        subprocess.run(remove, env=environment, capture_output=True, check=False)  # of a killed run
        try:
            create = ["docker", "context", "create", CONTEXT, "--docker", endpoint]
            subprocess.run(create, env=environment, capture_output=True, check=True)
            yield daemon
        finally:
            subprocess.run(remove, env=environment, capture_output=True, check=False)


@pytest.fixture(scope="module")
def rootless() -> Iterator[Daemon]:
    # Its user must reach the folder, and pytest's are the current user's alone.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, daemons.rootless(Path(folder)) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemons.ssh(tmp_path_factory.mktemp("ssh")) as daemon:
        yield daemon


Apply = Callable[..., Finished]


@pytest.fixture
def docker_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """For setting Docker's variables; none is set at first."""
    for name in daemons.DOCKER_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture
def apply(workspace: Workspace, repository: Repository, docker_environment: pytest.MonkeyPatch) -> Apply:
    """`apply(**variables)` builds and pushes an image with these variables, and without any other of Docker's."""

    def run(**variables: object) -> Finished:
        workspace.variables = {name: str(value) for name, value in variables.items()}
        build = {"context": "context", "provenance": "false", "sbom": "false"}
        image = {"name": repository.tag("1"), "keep_remotely": True, "build": build}
        login = {"address": f"http://{repository.registry}", "auth_disabled": True}
        workspace.configure(login, resource={"docker_registry_image": {"this": image}})
        return workspace.apply()

    return run


def in_context(daemon: Daemon) -> dict[str, object]:
    config = Path(pwd.getpwuid(os.getuid()).pw_dir, ".docker")
    return {"DOCKER_CONTEXT": CONTEXT, "DOCKER_CERT_PATH": daemon.files, "DOCKER_CONFIG": config}


def assert_pushed(applied: Finished, repository: Repository) -> None:
    assert applied.code == 0, applied.text
    assert repository.request("HEAD", "manifests/1").status_code == 200


def test_context_and_certificates_build_and_push_with_tls(tls: Daemon, apply: Apply, repository: Repository) -> None:
    assert_pushed(apply(**in_context(tls)), repository)
    assert tls.has_image(repository.tag("1"))


def test_legacy_builder_needs_no_context_for_tls(tls: Daemon, apply: Apply, repository: Repository) -> None:
    applied = apply(DOCKER_HOST=tls.host, DOCKER_CERT_PATH=tls.files, DOCKER_BUILDKIT=0)
    assert_pushed(applied, repository)
    assert tls.has_image(repository.tag("1"))


def test_rootless_daemon_builds_and_pushes(rootless: Daemon, apply: Apply, repository: Repository) -> None:
    assert "rootless" in rootless.docker("info", "--format", "{{.SecurityOptions}}")
    assert Path(rootless.host.removeprefix("unix://")).stat().st_uid != 0
    assert_pushed(apply(**rootless.environment), repository)
    assert rootless.has_image(repository.tag("1"))


def test_remote_daemon_builds_and_pushes_over_ssh(ssh: Daemon, apply: Apply, repository: Repository) -> None:
    assert_pushed(apply(**ssh.environment), repository)


def test_plan_needs_no_daemon_and_apply_says_which_is_missing(
    workspace: Workspace, repository: Repository, apply: Apply
) -> None:
    applied = apply(DOCKER_HOST=NO_SOCKET)
    assert applied.code == 1
    assert UNREACHABLE.format(NO_SOCKET) in applied.text
    assert f"Cannot connect to the Docker daemon at {NO_SOCKET}. Is the docker daemon running?" in applied.text
    assert workspace.actions() == {"docker_registry_image.this": ["create"]}


# The errors below need no Terraform, which takes most of the time of the tests above.


def refusal(engine: Engine, build: JSON | None = None) -> str:
    """Return the error of an engine's check, or of a build after it."""
    try:
        engine.check()
        if build is not None:
            engine.build(build, "localhost:1/app:1", time.monotonic() + MINUTES)
    except EngineError as error:
        return str(error)
    return pytest.fail("the engine accepted it")


def test_docker_commands_variables_for_tls_do_not_build(
    tls: Daemon, workspace: Workspace, docker_environment: pytest.MonkeyPatch
) -> None:
    docker_environment.setenv("DOCKER_HOST", tls.host)
    docker_environment.setenv("DOCKER_CERT_PATH", str(tls.files))
    docker_environment.setenv("DOCKER_TLS_VERIFY", "1")
    error = refusal(Engine(tls.host, certificates=str(tls.files)), {"context": str(workspace.root / "context")})
    assert error.startswith("Error running buildx build: ")
    assert HTTP_TO_HTTPS in error


def test_missing_certificates_are_named(tls: Daemon, tmp_path: Path) -> None:
    engine = Engine(tls.host, certificates=str(tmp_path))
    reason = "failed to create Docker client: failed to create tls config: could not"
    missing = tmp_path / "ca.pem"
    assert refusal(engine) == f'{reason} read CA certificate "{missing}": open {missing}: no such file or directory'

    shutil.copy(tls.files / "ca.pem", tmp_path)
    expected = f"{reason} load X509 key pair: open {tmp_path / 'cert.pem'}: no such file or directory"
    assert refusal(engine) == expected


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ("ca.pem", "x509: certificate signed by unknown authority"),
        ("cert.pem key.pem", "check your TLS client certification settings"),
    ],
    ids=["daemon of another CA", "client of another CA"],
)
def test_certificate_of_another_ca_is_refused(tls: Daemon, tmp_path: Path, own: str, reason: str) -> None:
    others = daemons.create_certificates(tmp_path) / "client"
    for name in {"ca.pem", "cert.pem", "key.pem"} - {*own.split()}:
        shutil.copy(tls.files / name, others)
    error = refusal(Engine(tls.host, certificates=str(others)))
    assert error.startswith(UNREACHABLE.format(tls.host))
    assert reason in error


def test_no_certificates_for_a_daemon_with_tls_is_reported(tls: Daemon) -> None:
    error = refusal(Engine(tls.host))
    assert error.startswith(UNREACHABLE.format(tls.host))
    assert HTTP_TO_HTTPS in error


def test_certificates_do_not_fit_a_socket(tls: Daemon) -> None:
    error = refusal(Engine(tls.socket, certificates=str(tls.files)))
    assert error.startswith(UNREACHABLE.format(tls.socket))
    assert "http: server gave HTTP response to HTTPS client" in error


def test_build_on_another_engine_than_docker_host_is_refused(
    tls: Daemon, workspace: Workspace, docker_environment: pytest.MonkeyPatch
) -> None:
    error = refusal(Engine(tls.socket), {"context": str(workspace.root / "context")})
    assert f"{tls.socket} is not the engine of DOCKER_HOST or the Docker context, unix:///" in error


def test_unknown_ssh_host_is_reported(ssh: Daemon, docker_environment: pytest.MonkeyPatch) -> None:
    docker_environment.setenv("PATH", ssh.environment["PATH"])
    known_hosts = ssh.files / "known_hosts"
    before = known_hosts.read_text()
    known_hosts.write_text("")
    try:
        error = refusal(Engine(ssh.host))
    finally:
        known_hosts.write_text(before)
    assert error.startswith(UNREACHABLE.format(ssh.host))
    assert "Host key verification failed." in error


def test_no_ssh_server_is_reported(ssh: Daemon, docker_environment: pytest.MonkeyPatch) -> None:
    docker_environment.setenv("PATH", ssh.environment["PATH"])
    host = f"{ssh.host.rpartition(':')[0]}:{free_port()}"
    error = refusal(Engine(host))
    assert error.startswith(UNREACHABLE.format(host))
    assert "Connection refused" in error


def test_socket_of_another_user_is_reported(apply: Apply) -> None:
    daemons.require("runuser")
    command = ["runuser", "-u", "nobody", "--", "docker", "--host", "unix:///var/run/docker.sock", "version"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "permission denied while trying to connect to the Docker daemon socket" in result.stderr


def test_page_has_the_errors_that_these_tests_provoke() -> None:
    page = (paths.ROOT / "docs/docker-daemon.md").read_text()
    for error in (
        "Cannot connect to the Docker daemon at",
        "permission denied while trying to connect to the Docker daemon socket",
        "Client sent an HTTP request to an HTTPS server",
        "could not read CA certificate",
        "could not load X509 key pair",
        "certificate signed by unknown authority",
        "check your TLS client certification settings",
        "server gave HTTP response to HTTPS client",
        "Host key verification failed.",
        "Connection refused",
    ):
        assert error in page, error
