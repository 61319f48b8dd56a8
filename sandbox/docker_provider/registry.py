"""Docker registries: image names, logins, and the HTTP API v2."""

import base64
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx2

INDEXES = (
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)
_MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
_SECONDS = 60


class RegistryError(Exception):
    """The registry refused, could not be reached, or no login for it was given."""


@dataclass(frozen=True)
class ImageName:
    """`registry/repository:tag`."""

    registry: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, name: str) -> "ImageName":
        """Split a name; raise `ValueError` when it names no registry, or a digest instead of a tag."""
        registry, slash, rest = name.partition("/")
        if not slash or not (registry == "localhost" or "." in registry or ":" in registry):
            raise ValueError(f'"{name}" names no registry: expected registry/repository:tag')
        if "@" in rest:
            raise ValueError(f'"{name}" holds a digest: an image is pushed under a tag, registry/repository:tag')
        repository, _, tag = rest.partition(":")
        return cls(registry, repository, tag or "latest")

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}:{self.tag}"


@dataclass(frozen=True)
class Login:
    """Where a registry answers (with its scheme), and as whom to ask; an empty username asks anonymously."""

    address: str
    username: str = ""
    password: str = ""

    @property
    def host(self) -> str:
        """The registry as image names write it."""
        return urlsplit(self.address).netloc

    @property
    def token(self) -> str:
        """`username:password` as HTTP's basic authentication and Docker's own configuration write it."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def address_with_scheme(address: str) -> str:
    """Give an address its scheme: https unless it says otherwise."""
    return address if address.startswith(("http://", "https://")) else f"https://{address}"


def find_login(blocks: Iterable[Mapping[str, Any]], registry: str) -> Login:
    """Pick a registry's login from the provider's `registry_auth` blocks; `RegistryError` if none fits."""
    addresses = []
    for block in blocks:
        login = Login(address_with_scheme(str(block["address"])))
        if login.host == registry:
            return _with_credentials(login, block)
        addresses.append(login.host)
    raise RegistryError(
        f"no auth config found for registry {registry}: the provider's registry_auth blocks name "
        f"{', '.join(addresses) or 'none'}"
    )


def _with_credentials(login: Login, block: Mapping[str, Any]) -> Login:
    """Take the first of: none wanted, user name, given file content, file; in the real provider's order."""
    if block.get("auth_disabled"):
        return login
    if username := block.get("username") or os.environ.get("DOCKER_REGISTRY_USER", ""):
        password = block.get("password") or os.environ.get("DOCKER_REGISTRY_PASS", "")
        return Login(login.address, username, password)
    if content := block.get("config_file_content"):
        return _from_docker_config(login, content, "config_file_content")
    file = block.get("config_file") or os.environ.get("DOCKER_CONFIG") or "~/.docker/config.json"
    try:
        return _from_docker_config(login, Path(file).expanduser().read_text(encoding="utf-8"), file)
    except OSError as error:
        raise RegistryError(f"could not open config file from filePath: {file}. Error: {error}") from error


def _from_docker_config(login: Login, content: str, source: str) -> Login:
    try:
        config = json.loads(content)
        entry = {urlsplit(address_with_scheme(key)).netloc: value for key, value in config.get("auths", {}).items()}
        username, _, password = base64.b64decode(entry[login.host]["auth"]).decode().partition(":")
    except KeyError as error:
        helpers = " (credential helpers are not supported by the stand-in provider)"
        raise RegistryError(f"{source} holds no user name and password for {login.host}{helpers}") from error
    except ValueError as error:
        raise RegistryError(f"{source} is not a Docker configuration in JSON: {error}") from error
    return Login(login.address, username, password)


@dataclass(frozen=True)
class Manifest:
    """What a registry holds under a tag."""

    digest: str
    media_type: str


def read_manifest(image: ImageName, login: Login, *, skip_verify: bool = False) -> Manifest:
    """Ask the registry what a tag points at; `RegistryError` for any answer but 200, and when none comes."""
    response = _request("HEAD", login, f"{image.repository}/manifests/{image.tag}", skip_verify)
    if response.status_code != 200:
        raise RegistryError(_refusal(image, response))
    digest = response.headers.get("Docker-Content-Digest", "")
    if not digest:
        raise RegistryError(f"the registry told no digest of {image} (header Docker-Content-Digest)")
    return Manifest(digest, response.headers.get("Content-Type", "").partition(";")[0])


def delete_manifest(image: ImageName, login: Login, digest: str) -> None:
    """Delete by digest, which removes every tag on it, or else by tag; an image already gone is fine."""
    for reference in (digest, image.tag):
        # The real provider never verifies certificates here either.
        response = _request("DELETE", login, f"{image.repository}/manifests/{reference}", skip_verify=True)
        if response.status_code in (200, 202, 404):
            return
    raise RegistryError(_refusal(image, response))


def _refusal(image: ImageName, response: "httpx2.Response") -> str:
    reason = f"got bad response from registry: {response.status_code} {response.reason_phrase} for {image}"
    if response.headers.get("WWW-Authenticate", "").startswith("Bearer"):
        reason += "; it asks for a login by token, which the stand-in provider does not do"
    return f"{reason}\n{response.text}".strip()


def _request(method: str, login: Login, path: str, skip_verify: bool) -> "httpx2.Response":
    # Imported here: it takes as long as the rest of the program, and most processes never ask a registry.
    import httpx2

    headers = {"Accept": ", ".join((*_MANIFESTS, *INDEXES))}
    if login.username:
        headers["Authorization"] = f"Basic {login.token}"
    secure = login.address.startswith("https://")
    loopback = urlsplit(login.address).hostname in ("localhost", "127.0.0.1", "::1")
    try:
        return httpx2.request(
            method,
            f"{login.address.rstrip('/')}/v2/{path}",
            headers=headers,
            verify=secure and not skip_verify,
            timeout=_SECONDS,
            # A proxy from the environment never stands between this machine and itself.
            trust_env=not loopback,
        )
    except httpx2.HTTPError as error:
        raise RegistryError(f"Error during registry request to {login.address}: {error}") from error
