"""What the stand-in does with `docker_registry_image`, as a resource and as a data source."""

import re
from collections.abc import Iterator
from typing import Any

from tf.iface import CreateContext, DeleteContext, PlanContext, ReadContext, ReadDataContext, UpdateContext
from tf.schema import Schema
from tf.types import Unknown
from tf.utils import Diagnostics

from . import SOURCE, schema
from .engine import Engine, EngineError, refusals
from .registry import (
    INDEXES,
    ImageName,
    Login,
    Manifest,
    RegistryError,
    address_with_scheme,
    delete_manifest,
    find_login,
    read_manifest,
)

State = dict[str, Any]

_DEFAULT_TIMEOUT = "20m"
_UNSUPPORTED = ("ssh_opts", "ca_material", "cert_material", "key_material", "cert_path")


class DockerProvider:
    """The provider block: which engine, and the logins of the registries."""

    def __init__(self) -> None:
        self.engine = Engine()
        self._logins: list[State] = []

    def get_model_prefix(self) -> str:
        """Return what every type's name begins with."""
        return "docker_"

    def full_name(self) -> str:
        """Return the provider's source address."""
        return SOURCE

    def get_provider_schema(self, _diagnostics: Diagnostics) -> Schema:
        """Return the schema of the provider block."""
        return schema.PROVIDER

    def validate_config(self, diagnostics: Diagnostics, config: State) -> None:
        """Refuse arguments that would not be honoured."""
        for name in _UNSUPPORTED:
            if config.get(name):
                diagnostics.add_error(f"{name} is not supported by the stand-in provider", path=[name])
        if config.get("host") and config.get("context"):
            diagnostics.add_error("host and context exclude each other", path=["context"])

    def configure_provider(self, _diagnostics: Diagnostics, config: State) -> None:
        """Remember the configuration; values may still be unknown during a plan."""
        self.engine = Engine(_known(config.get("host")), _known(config.get("context")))
        blocks = config.get("registry_auth")
        self._logins = [] if blocks is Unknown else [block for block in blocks or [] if Unknown not in block.values()]

    def get_resources(self) -> list[type]:
        """List the resource types."""
        return [RegistryImage]

    def get_data_sources(self) -> list[type]:
        """List the data source types."""
        return [RegistryImageData]

    def get_functions(self) -> list[type]:
        """List the functions: none."""
        return []

    def new_resource(self, kind: type["RegistryImage"]) -> "RegistryImage":
        """Make a resource of this provider."""
        return kind(self)

    def new_data_source(self, kind: type["RegistryImageData"]) -> "RegistryImageData":
        """Make a data source of this provider."""
        return kind(self)

    def login(self, registry: str, resource: State) -> Login:
        """Pick a resource's own login, else the provider's; `RegistryError` if there is none."""
        for own in resource.get("auth_config") or []:
            return Login(address_with_scheme(own["address"]), own.get("username") or "", own.get("password") or "")
        return find_login(self._logins, registry)


class RegistryImage:
    """The resource: an image in a registry, built from a folder or already in the engine."""

    def __init__(self, provider: DockerProvider) -> None:
        self._provider = provider

    @classmethod
    def get_name(cls) -> str:
        """Return the type's name after the provider's prefix."""
        return "registry_image"

    @classmethod
    def get_schema(cls) -> Schema:
        """Return the resource's schema."""
        return schema.RESOURCE

    def validate(self, diagnostics: Diagnostics, _type_name: str, config: State) -> None:
        """Refuse what could not be honoured later."""
        _validate_name(diagnostics, config)
        for build in _builds(config):
            for reason in refusals(build):
                diagnostics.add_error(reason, path=["build"])
        timeouts = config.get("timeouts") or {}
        for name, value in timeouts.items():
            if isinstance(value, str) and _seconds(value) is None:
                diagnostics.add_error(f'timeouts.{name} = "{value}" is no duration such as "20m"', path=["timeouts"])

    def plan(self, _context: PlanContext, _current: State | None, planned: State) -> State:
        """Keep the proposal: whatever changes in place changes nothing in the registry."""
        return planned

    def create(self, context: CreateContext, planned: State) -> State | None:
        """Build, push, and ask the registry for the digest."""
        try:
            manifest = self._publish(planned)
        except EngineError as error:
            context.diagnostics.add_error(error.summary, error.detail)
            return None
        except RegistryError as error:
            context.diagnostics.add_error("The registry did not take the image", str(error))
            return None
        except OSError as error:
            context.diagnostics.add_error(f"{error.strerror}: {error.filename}", "While building or pushing an image.")
            return None
        return {**planned, "id": manifest.digest, "sha256_digest": manifest.digest}

    def _publish(self, planned: State) -> Manifest:
        image = ImageName.parse(planned["name"])
        login = self._provider.login(image.registry, planned)
        seconds = _seconds((planned.get("timeouts") or {}).get("create") or _DEFAULT_TIMEOUT) or 0
        for build in _builds(planned):
            # Values that were unknown when the configuration was validated.
            for reason in refusals(build):
                raise EngineError(reason)
            self._provider.engine.build(build, str(image), seconds)
        self._provider.engine.push(image, login, seconds)
        manifest = read_manifest(image, login, skip_verify=bool(planned.get("insecure_skip_verify")))
        if planned.get("build") and manifest.media_type in INDEXES:
            raise EngineError(
                f"{image} became an image index in the registry, not an image",
                "Lambda refuses indexes. The engine adds attestations: turn its containerd image store off.",
            )
        return manifest

    def read(self, context: ReadContext, current: State) -> State | None:
        """Ask the registry for the digest.

        As in the real provider, every failure to get it (404, a refused login, no answer at all) drops the
        resource from the state; a missing registry_auth is an error.
        """
        image = ImageName.parse(current["name"])
        try:
            login = self._provider.login(image.registry, current)
        except RegistryError as error:
            context.diagnostics.add_error("Unable to get authConfig for registry", str(error))
            return current
        try:
            manifest = read_manifest(image, login, skip_verify=bool(current.get("insecure_skip_verify")))
        except RegistryError:
            return None
        return {**current, "sha256_digest": manifest.digest}

    def update(self, _context: UpdateContext, _current: State, planned: State) -> State:
        """Take the new arguments over; those that matter to the image replace it instead."""
        return planned

    def delete(self, context: DeleteContext, current: State) -> None:
        """Delete the image from the registry, unless it is to stay."""
        if current.get("keep_remotely"):
            return
        image = ImageName.parse(current["name"])
        try:
            delete_manifest(image, self._provider.login(image.registry, current), current["sha256_digest"])
        except RegistryError as error:
            context.diagnostics.add_error("Got error deleting registry image", str(error))


class RegistryImageData:
    """The data source: the digest of an image in a registry."""

    def __init__(self, provider: DockerProvider) -> None:
        self._provider = provider

    @classmethod
    def get_name(cls) -> str:
        """Return the type's name after the provider's prefix."""
        return "registry_image"

    @classmethod
    def get_schema(cls) -> Schema:
        """Return the data source's schema."""
        return schema.DATA_SOURCE

    def validate(self, diagnostics: Diagnostics, _type_name: str, config: State) -> None:
        """Refuse a name that holds no registry and tag."""
        _validate_name(diagnostics, config)

    def read(self, context: ReadDataContext, config: State) -> State | None:
        """Ask the registry for the digest; without a login for it, anonymously over https."""
        image = ImageName.parse(config["name"])
        try:
            login = self._provider.login(image.registry, config)
        except RegistryError:
            login = Login(address_with_scheme(image.registry))
        try:
            manifest = read_manifest(image, login, skip_verify=bool(config.get("insecure_skip_verify")))
        except RegistryError as error:
            context.diagnostics.add_error(f"Got error when attempting to fetch {image} from registry", str(error))
            return None
        return {**config, "id": manifest.digest, "sha256_digest": manifest.digest}


def _known(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _builds(resource: State) -> Iterator[State]:
    blocks = resource.get("build")
    return (build for build in (blocks if isinstance(blocks, list) else []) if build is not Unknown)


def _validate_name(diagnostics: Diagnostics, config: State) -> None:
    if isinstance(config.get("name"), str):
        try:
            ImageName.parse(config["name"])
        except ValueError as error:
            diagnostics.add_error(f"name: {error}", path=["name"])


def _seconds(duration: str) -> float | None:
    """Read a duration as Go writes it (`1h30m`, `90s`); None if it is none."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(h|ms|m|s)", duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        return None
    return sum(float(number) * {"h": 3600, "m": 60, "s": 1, "ms": 0.001}[unit] for number, unit in parts)
