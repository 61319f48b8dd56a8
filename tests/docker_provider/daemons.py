"""Docker daemons of the tests' own, beside the machine's: with TLS on TCP, rootless, and behind SSH.

Each has its own data, sockets and processes below one folder, and is stopped at the end. They run in the host's network, so
that they reach the emulator's registry as `localhost`, and change none of the machine's firewall rules.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox import packages
from sandbox.emulator import free_port
from sandbox.engine import PACKAGES, unmount_below
from sandbox.progress import Step

START_SECONDS = 30
STOP_SECONDS = 20
ROOTLESS_USER = "docker-rootless-test"
ROOTLESS_SCRIPTS = ("/usr/bin/dockerd-rootless.sh", "/usr/share/docker.io/contrib/dockerd-rootless.sh")
# For a rootless daemon, which cannot change the machine's bridges: the builds of its tests run no command, and need no network.
NO_NETWORK = ("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false")
DOCKER_VARIABLES = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_TLS")


@dataclass(frozen=True)
class Daemon:
    """A running daemon: its socket for the tests, its address for clients, and what these need.

    `environment` has variables, `files` is the folder with a client's certificates or with the files of SSH.
    """

    socket: str
    host: str
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Path = Path()

    def docker(self, *arguments: str) -> str:
        """Run the docker command against this daemon and return its output."""
        return docker(self.socket, *arguments)

    def has_image(self, name: str) -> bool:
        return bool(self.docker("image", "ls", "--quiet", name).strip())


def docker(host: str, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in DOCKER_VARIABLES}
    command = ["docker", "--host", host, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def require(*programs: str, install: Sequence[str] = ()) -> None:
    """Skip the test without root or one of the programs; on Debian and Ubuntu, install them as the sandbox does."""
    if os.geteuid() != 0:
        pytest.skip("it starts a Docker daemon of its own, which needs root")
    if any(shutil.which(program) is None for program in programs) and packages.may_install():
        packages.install(list(install), PACKAGES, Step("Docker daemon"))
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not on PATH: {', '.join(missing)}")


@contextmanager
def tls(folder: Path, *arguments: str) -> Iterator[Daemon]:
    """A daemon on TCP that accepts clients with a certificate of its CA only, as Docker-in-Docker does."""
    require("dockerd")
    certificates = create_certificates(folder / "certificates")
    port = free_port()
    host, control = f"tcp://127.0.0.1:{port}", f"unix://{folder / 'docker.sock'}"
    verify = [f"--{name}={certificates / 'server' / file}" for name, file in TLS_FLAGS.items()]
    command = [
        *("dockerd", f"--data-root={folder / 'data'}", f"--exec-root={folder / 'exec'}"),
        *(f"--pidfile={folder / 'pid'}", f"--host={host}", f"--host={control}", "--tlsverify", *verify),
    ]
    with ExitStack() as stack:
        # With `--bridge=none` a daemon deletes docker0, the bridge of the machine's own.
        network = arguments or stack.enter_context(bridge(f"daemon-{port}", f"172.30.{port % 250}.0/24"))
        stack.enter_context(_running([*command, *network], folder, control))
        yield Daemon(control, host, files=certificates / "client")


@contextmanager
def rootless(folder: Path) -> Iterator[Daemon]:
    """A daemon of an unprivileged user, in the host's network."""
    require("dockerd", "rootlesskit", "newuidmap", install=["rootlesskit", "uidmap"])
    script = next((path for path in ROOTLESS_SCRIPTS if Path(path).exists()), None)
    if script is None:
        pytest.skip("dockerd-rootless.sh is not installed")
    with _unprivileged_user() as user:
        os.chown(folder, user.pw_uid, user.pw_gid)
        # systemd makes this folder at a login.
        runtime = folder / "run"
        runtime.mkdir(mode=0o700)
        os.chown(runtime, user.pw_uid, user.pw_gid)
        control = f"unix://{runtime / 'docker.sock'}"
        environment = {
            "HOME": str(folder),
            "PATH": "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin:/sbin:/bin",
            "XDG_RUNTIME_DIR": str(runtime),
            # slirp4netns needs /dev/net/tun, which containers often lack.
            "DOCKERD_ROOTLESS_ROOTLESSKIT_NET": "host",
            "DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER": "none",
        }
        command = ["sh", script, f"--data-root={folder / 'data'}", *NO_NETWORK]
        with _running(command, folder, control, environment=environment, user=user.pw_name):
            yield Daemon(control, control, {"DOCKER_HOST": control})


@contextmanager
def ssh(folder: Path) -> Iterator[Daemon]:
    """The machine's own daemon, reached through an SSH server as if on another machine.

    `environment` puts an `ssh` first on PATH that reads the folder's configuration instead of the user's.
    """
    require("sshd", "ssh-keygen", install=["openssh-server", "openssh-client"])
    port = free_port()
    for key in ("server", "client"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    shutil.copy(folder / "client.pub", folder / "authorized_keys")
    public = " ".join((folder / "server.pub").read_text().split()[:2])
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}\n")
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'server'}\nPidFile none\n"
        f"AuthorizedKeysFile {folder / 'authorized_keys'}\nStrictModes no\nPasswordAuthentication no\nUsePAM no\n"
    )
    (folder / "ssh_config").write_text(
        f"Host *\n  IdentityFile {folder / 'client'}\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {folder / 'known_hosts'}\n  GlobalKnownHostsFile /dev/null\n"
    )
    wrapper = folder / "bin" / "ssh"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder / "ssh_config"} "$@"\n')
    wrapper.chmod(0o755)
    Path("/run/sshd").mkdir(exist_ok=True)  # the server's own requirement
    host = f"ssh://{pwd.getpwuid(os.getuid()).pw_name}@127.0.0.1:{port}"
    environment = {"DOCKER_HOST": host, "PATH": f"{wrapper.parent}:{os.environ['PATH']}"}
    server = subprocess.Popen([str(shutil.which("sshd")), "-D", "-f", folder / "sshd_config"], stdin=subprocess.DEVNULL)
    try:
        _wait(lambda: _accepts(port), server)
        yield Daemon("unix:///var/run/docker.sock", host, environment, folder)
    finally:
        server.terminate()
        server.wait()


@contextmanager
def bridge(name: str, network: str) -> Iterator[tuple[str, ...]]:
    """A bridge with a way out for the builds of a daemon, and that daemon's arguments.

    A second daemon that manages the firewall would remove the rules of the first, so these are added here.
    """
    require("ip", "iptables", install=["iproute2", "iptables"])
    gateway = str(next(ipaddress.ip_network(network).hosts()))
    rules = [
        ("-t", "nat", "POSTROUTING", "-s", network, "!", "-o", name, "-j", "MASQUERADE"),
        ("-t", "filter", "FORWARD", "-i", name, "-j", "ACCEPT"),
        ("-t", "filter", "FORWARD", "-o", name, "-j", "ACCEPT"),
    ]
    try:
        _run("ip", "link", "add", "name", name, "type", "bridge")
        _run("ip", "address", "add", f"{gateway}/{network.partition('/')[2]}", "dev", name)
        _run("ip", "link", "set", name, "up")
        for option, table, chain, *rule in rules:
            _run("iptables", option, table, "-I", chain, *rule)
        yield (f"--bridge={name}", *NO_NETWORK[1:])
    finally:
        for option, table, chain, *rule in rules:
            subprocess.run(["iptables", option, table, "-D", chain, *rule], capture_output=True, check=False)
        subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def _running(
    command: Sequence[str],
    folder: Path,
    control: str,
    *,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
) -> Iterator[None]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            group=user and pwd.getpwnam(user).pw_gid,
            extra_groups=[] if user else None,
            cwd=folder,
        )
    try:
        _wait(lambda: _responds(control), process, folder / "log")
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        unmount_below(folder)


def _responds(control: str) -> bool:
    try:
        docker(control, "version")
    except subprocess.CalledProcessError:
        return False
    return True


def _accepts(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def _wait(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path | None = None) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            end = "\n".join(log.read_text(errors="replace").splitlines()[-10:]) if log else ""
            pytest.fail(f"{process.args!r} did not start. End of its log:\n{end}", pytrace=False)
        time.sleep(0.1)


@contextmanager
def _unprivileged_user() -> Iterator[pwd.struct_passwd]:
    """A user with subordinate IDs, which a rootless daemon maps its containers' users to."""
    subprocess.run(["userdel", ROOTLESS_USER], capture_output=True, check=False)  # of a killed run
    _run("useradd", "--no-create-home", "--shell", "/usr/sbin/nologin", ROOTLESS_USER)
    try:
        yield pwd.getpwnam(ROOTLESS_USER)
    finally:
        subprocess.run(["userdel", ROOTLESS_USER], capture_output=True, check=False)


TLS_FLAGS = {"tlscacert": "ca.pem", "tlscert": "cert.pem", "tlskey": "key.pem"}


def create_certificates(folder: Path) -> Path:
    """Create a CA and certificates that it signed, in `server/` and `client/`, by the names that Docker expects."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "docker-daemon-test")])
    authority = _certificate(authority_name, authority_key, authority_name, authority_key, None)
    for name, usage in (("server", ExtendedKeyUsageOID.SERVER_AUTH), ("client", ExtendedKeyUsageOID.CLIENT_AUTH)):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = _certificate(subject, key, authority_name, authority_key, usage)
        target = folder / name
        target.mkdir(parents=True)
        pem = serialization.Encoding.PEM
        (target / "ca.pem").write_bytes(authority.public_bytes(pem))
        (target / "cert.pem").write_bytes(certificate.public_bytes(pem))
        (target / "key.pem").write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
    return folder


def _certificate(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    usage: x509.ObjectIdentifier | None,
) -> x509.Certificate:
    """Create a certificate; without a usage, a CA's."""
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=usage is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
