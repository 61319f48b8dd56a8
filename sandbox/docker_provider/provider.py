"""The provider, and `docker_registry_image` as a resource and as a data source.

The order of steps and the error messages are those of the real provider's provider.go,
resource_docker_registry_image_funcs.go and data_source_docker_registry_image.go.
"""

import json
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar

from tf.iface import CreateContext, DeleteContext, PlanContext, ReadContext, ReadDataContext, UpdateContext
from tf.schema import Schema
from tf.utils import Diagnostics

from . import SOURCE, schema
from .engine import DEFAULT_HOST, Engine, EngineError
from .registry import (
    ImageName,
    Login,
    RegistryError,
    address_with_scheme,
    delete_manifest,
    find_login,
    home,
    read_digest,
    read_logins,
)

State = dict[str, Any]

UNSUPPORTED = ("ssh_opts", "ca_material", "cert_material", "key_material")
_DEFAULT_TIMEOUT = "20m"
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)(h|ms|m|s|us|µs|ns)")
_UNIT_SECONDS = {"h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


class DockerProvider:
    """The provider block: the engine, and the registries' logins."""

    def __init__(self) -> None:
        self.engine = Engine()
        self._logins: Mapping[str, Login] = {}

    def get_model_prefix(self) -> str:
        """Return the prefix of the type names."""
        return "docker_"

    def full_name(self) -> str:
        return SOURCE

    def get_provider_schema(self, _diagnostics: Diagnostics) -> Schema:
        return schema.PROVIDER

    def validate_config(self, diagnostics: Diagnostics, config: State) -> None:
        """Reject a login without an address."""
        for number, block in enumerate(_blocks(config, "registry_auth")):
            if block.get("address") == "":
                diagnostics.add_error(f'expected "registry_auth.{number}.address" to not be an empty string, got ')

    def configure_provider(self, diagnostics: Diagnostics, config: State) -> None:
        """Configure the engine and the logins; unknown values count as empty."""
        known = {name: value for name, value in config.items() if not schema.is_unknown(value)}
        context = known.get("context") or os.environ.get("DOCKER_CONTEXT")
        try:
            self.engine = Engine(
                _host_of_context(context) if context else known.get("host") or os.environ.get("DOCKER_HOST"),
                certificates=known.get("cert_path") or os.environ.get("DOCKER_CERT_PATH") or "",
                unsupported=[
                    name for name in UNSUPPORTED if known.get(name) or os.environ.get(f"DOCKER_{name.upper()}")
                ],
                ping=not known.get("disable_docker_daemon_check"),
            )
            self._logins = read_logins(_blocks(known, "registry_auth"))
        except OSError as error:
            diagnostics.add_error(f"Error loading Docker context '{context}': {error}")
        except RegistryError as error:
            diagnostics.add_error(f"Error loading registry auth config: {error}")

    def get_resources(self) -> list[type]:
        return [RegistryImage]

    def get_data_sources(self) -> list[type]:
        return [RegistryImageData]

    def get_functions(self) -> list[type]:
        return []

    def new_resource(self, kind: type["RegistryImage"]) -> "RegistryImage":
        return kind(self)

    def new_data_source(self, kind: type["RegistryImageData"]) -> "RegistryImageData":
        return kind(self)

    def login(self, registry: str, resource: State) -> Login:
        """Return a resource's own login, or else the provider's; `RegistryError` if there is none."""
        for own in resource.get("auth_config") or []:
            return Login(address_with_scheme(own["address"]), own.get("username") or "", own.get("password") or "")
        return find_login(self._logins, registry)


class _RegistryImage:
    """Base class of the resource and the data source."""

    _schema: ClassVar[Schema]

    def __init__(self, provider: DockerProvider) -> None:
        self._provider = provider

    @classmethod
    def get_name(cls) -> str:
        """Return the type's name without the provider's prefix."""
        return "registry_image"

    @classmethod
    def get_schema(cls) -> Schema:
        return cls._schema

    def validate(self, _diagnostics: Diagnostics, _type_name: str, _config: State) -> None:
        """Accept every configuration that fits the schema, as the real provider does."""


class RegistryImage(_RegistryImage):
    """The resource: an image in a registry, built from a context or already in the engine."""

    _schema = schema.RESOURCE

    def plan(self, _context: PlanContext, _current: State | None, planned: State) -> State:
        """Return the proposed state: updates in place do not affect the registry."""
        return planned

    def create(self, context: CreateContext, planned: State) -> State | None:
        """Build, push, and read the digest from the registry."""
        try:
            digest = self._publish(planned)
        except (EngineError, RegistryError) as error:
            context.diagnostics.add_error(str(error))
            return None
        return {**planned, "id": digest, "sha256_digest": digest}

    def _publish(self, planned: State) -> str:
        image = ImageName.parse(planned["name"])
        timeout = (planned.get("timeouts") or {}).get("create") or _DEFAULT_TIMEOUT
        deadline = time.monotonic() + (_seconds(timeout) or 0)
        self._provider.engine.check()
        for build in _blocks(planned, "build"):
            self._provider.engine.build(build, planned["name"], deadline)
        login = self._login("Create", image, planned)
        self._provider.engine.push(image, login, deadline)
        try:
            return read_digest(image, login, skip_verify=bool(planned.get("insecure_skip_verify")))
        except RegistryError as error:
            where = "inside resourceDockerRegistryImageCreate: unable to get digest"
            raise RegistryError(f"Got error getting registry image digest {where}: {error}") from error

    def read(self, context: ReadContext | UpdateContext, current: State) -> State | None:
        """Read the digest from the registry.

        As in the real provider, any failure (404, a rejected login, no response) removes the resource from the
        state; a missing registry_auth is an error.
        """
        image = ImageName.parse(current["name"])
        try:
            login = self._login("Read", image, current)
        except RegistryError as error:
            context.diagnostics.add_error(str(error))
            return current
        try:
            digest = read_digest(image, login, skip_verify=bool(current.get("insecure_skip_verify")))
        except RegistryError:
            return None
        return {**current, "sha256_digest": digest}

    def update(self, context: UpdateContext, _current: State, planned: State) -> State | None:
        """Store the new arguments and read again. Arguments that affect the image replace it instead."""
        return self.read(context, planned)

    def delete(self, context: DeleteContext, current: State) -> None:
        """Delete the image from the registry, unless keep_remotely is set."""
        if current.get("keep_remotely"):
            return
        image = ImageName.parse(current["name"])
        try:
            login = self._login("Delete", image, current)
        except RegistryError as error:
            context.diagnostics.add_error(str(error))
            return
        try:
            delete_manifest(image, login, current["sha256_digest"])
        except RegistryError as error:
            context.diagnostics.add_error(f"Got error deleting registry image: {error}")

    def _login(self, action: str, image: ImageName, resource: State) -> Login:
        try:
            return self._provider.login(image.registry, resource)
        except RegistryError as error:
            where = f"resourceDockerRegistryImage{action}"
            raise RegistryError(f"{where}: Unable to get authConfig for registry: {error}") from error


class RegistryImageData(_RegistryImage):
    """The data source: the digest of an image in a registry."""

    _schema = schema.DATA_SOURCE

    def read(self, context: ReadDataContext, config: State) -> State | None:
        """Read the digest from the registry; without a login, anonymously over https."""
        image = ImageName.parse(config["name"])
        try:
            login = self._provider.login(image.registry, config)
        except RegistryError:
            login = Login(address_with_scheme(image.registry))
        try:
            digest = read_digest(image, login, skip_verify=bool(config.get("insecure_skip_verify")))
        except RegistryError as error:
            version = f"{image.repository}:{image.tag}"
            context.diagnostics.add_error(
                f"Got error when attempting to fetch image version {version} from registry: {error}"
            )
            return None
        return {**config, "id": digest, "sha256_digest": digest}


def timeout_problem(resource: State) -> str | None:
    """Return the real provider's error for a resource's invalid `timeouts`, or None."""
    for name, value in (resource.get("timeouts") or {}).items():
        if isinstance(value, str) and _seconds(value) is None:
            reason = f'error parsing "{name}" timeout: time: invalid duration "{value}"'
            return f"[ERR] Error decoding timeout: {reason}"
    return None


def _seconds(duration: str) -> float | None:
    """Parse a Go duration (`1h30m`, `90s`); None if it is invalid."""
    if duration == "0":
        return 0
    parts = _DURATION.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        return None
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)


def _blocks(config: State, name: str) -> list[State]:
    blocks = config.get(name)
    return [block for block in (blocks if isinstance(blocks, list) else []) if not schema.is_unknown(block)]


def _host_of_context(name: str) -> str:
    """Return the host of a Docker context; `OSError` if there is no such context."""
    folder = home() / ".docker" / "contexts" / "meta"
    if not folder.is_dir():
        raise OSError(f"could not read contexts directory: open {folder}: no such file or directory")
    for file in folder.glob("*/meta.json"):
        with suppress(ValueError):
            context = json.loads(file.read_text(encoding="utf-8"))
            if context.get("Name") == name:
                return str(context["Endpoints"].get("docker", {}).get("Host") or DEFAULT_HOST)
    raise OSError(f"context '{name}' not found")
