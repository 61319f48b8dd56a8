# mypy: disallow-subclassing-any=False
# ruff: noqa: N802 - the protocol's method names
"""Terraform's plugin protocol, on top of `tf`: what `tf` lacks, and a server that shuts down cleanly."""

import base64
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import grpc
from tf.gen import grpc_controller_pb2 as controller
from tf.gen import grpc_controller_pb2_grpc as controller_rpc
from tf.gen import grpc_stdio_pb2_grpc as stdio_rpc
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc
from tf.provider import ProviderServicer
from tf.utils import Diagnostics, read_dynamic_value, to_dynamic_value

from .provider import DockerProvider, timeout_problem
from .registry import FatalError
from .schema import with_defaults

_COOKIE = ("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2")
_CORE_PROTOCOL, _PLUGIN_PROTOCOL = 1, 6
# A socket's path has at most 104 characters on macOS, 108 on Linux.
_MAX_SOCKET_FOLDER = 90
_THREADS = 16


class _Servicer(ProviderServicer):
    def __init__(self, app: DockerProvider, done: threading.Event) -> None:
        super().__init__(app)
        self._docker = app
        self._done = done
        self.failed = False

    def ConfigureProvider(
        self, request: pb.ConfigureProvider.Request, context: grpc.ServicerContext
    ) -> pb.ConfigureProvider.Response:
        """Configure. Exit where the real provider's process exits."""
        try:
            return super().ConfigureProvider(request, context)
        except FatalError as error:
            print(f"{datetime.now().astimezone():%Y/%m/%d %H:%M:%S} {error}", file=sys.stderr, flush=True)
            self.failed = True
            self._done.set()
            # What Terraform reports for a process that has exited.
            context.abort(grpc.StatusCode.UNAVAILABLE, "error reading from server: EOF")

    def PlanResourceChange(
        self, request: pb.PlanResourceChange.Request, context: grpc.ServicerContext
    ) -> pb.PlanResourceChange.Response:
        """Plan as the real provider does: with its defaults, and any change in `build` forces replacement."""
        proposed = read_dynamic_value(request.proposed_new_state)
        if proposed is None:
            return pb.PlanResourceChange.Response()
        proposed = with_defaults(proposed)
        if problem := timeout_problem(proposed):
            return pb.PlanResourceChange.Response(diagnostics=Diagnostics().add_error(problem).to_pb())
        prior = read_dynamic_value(request.prior_state)
        if prior is not None and {**prior, "timeouts": None} == {**proposed, "timeouts": None}:
            # A change to timeouts alone is ignored.
            return pb.PlanResourceChange.Response(planned_state=request.prior_state, legacy_type_system=True)
        request.proposed_new_state.CopyFrom(to_dynamic_value(proposed))
        response = super().PlanResourceChange(request, context)
        if prior is not None and prior.get("build") != proposed.get("build"):
            # In the real schema `build` is a set, so any change makes it another element.
            build = pb.AttributePath(steps=[pb.AttributePath.Step(attribute_name="build")])
            response.requires_replace.append(build)
        # As with the real provider's SDK, which plans values for missing arguments.
        response.legacy_type_system = True
        return response

    def ApplyResourceChange(
        self, request: pb.ApplyResourceChange.Request, context: grpc.ServicerContext
    ) -> pb.ApplyResourceChange.Response:
        """Apply, with the same flag as the plan."""
        response = super().ApplyResourceChange(request, context)
        response.legacy_type_system = True
        return response

    def StopProvider(
        self, _request: pb.StopProvider.Request, _context: grpc.ServicerContext
    ) -> pb.StopProvider.Response:
        """Stop running builds; their calls return an error."""
        self._docker.engine.stop()
        return pb.StopProvider.Response()


class _Controller(controller_rpc.GRPCControllerServicer):
    def __init__(self, done: threading.Event) -> None:
        self._done = done

    def Shutdown(self, _request: controller.Empty, _context: grpc.ServicerContext) -> controller.Empty:
        """Exit after this call."""
        self._done.set()
        return controller.Empty()


class _Stdio(stdio_rpc.GRPCStdioServicer):
    def StreamStdio(self, _request: object, _context: grpc.ServicerContext) -> Iterator[object]:
        """Stream nothing: Terraform reads the process's stderr."""
        return iter(())


def serve(provider: DockerProvider) -> None:
    """Serve the Terraform process that started this one, until it shuts down or dies."""
    if os.environ.get(_COOKIE[0]) != _COOKIE[1]:
        sys.exit("This is a Terraform provider: Terraform starts it.")
    # Ctrl-C reaches the whole process group, but Terraform then calls StopProvider.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    done = threading.Event()
    server = grpc.server(ThreadPoolExecutor(max_workers=_THREADS))
    servicer = _Servicer(provider, done)
    rpc.add_ProviderServicer_to_server(servicer, server)
    controller_rpc.add_GRPCControllerServicer_to_server(_Controller(done), server)
    stdio_rpc.add_GRPCStdioServicer_to_server(_Stdio(), server)
    key, certificate, certificate_der = _certificate()
    with _socket_folder() as folder:
        socket = f"{folder}/plugin.sock"
        server.add_secure_port(f"unix://{socket}", grpc.ssl_server_credentials([(key, certificate)]))
        server.start()
        encoded = base64.b64encode(certificate_der).decode().rstrip("=")
        print(f"{_CORE_PROTOCOL}|{_PLUGIN_PROTOCOL}|unix|{socket}|grpc|{encoded}", flush=True)
        while not done.wait(timeout=1):
            if os.getppid() != parent:
                break
        provider.engine.stop()
        server.stop(grace=0.2).wait()
    if servicer.failed:
        sys.exit(1)


def _socket_folder() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="tf-")
    if len(folder.name) > _MAX_SOCKET_FOLDER:
        folder.cleanup()
        folder = tempfile.TemporaryDirectory(prefix="tf-", dir="/tmp")
    return folder


def _certificate() -> tuple[bytes, bytes, bytes]:
    """Create a key and a certificate for this process only; nothing is shared or stored on disk."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=7))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private, certificate.public_bytes(pem), certificate.public_bytes(serialization.Encoding.DER)
