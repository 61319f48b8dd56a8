"""Docker registries: image names, logins, and the HTTP API v2.

The rules and the error messages are those of the real provider's provider.go, authentication_helpers.go and
data_source_docker_registry_image.go.
"""

import base64
import json
import os
import pwd
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from .schema import is_unknown

if TYPE_CHECKING:
    import httpx2

_MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)
_OLD_MANIFEST = "application/vnd.docker.distribution.manifest.v1+prettyjws"
_DOCKER_HUB = ("registry-1.docker.io", "index.docker.io", "docker.io", "registry.hub.docker.com")
_ECR_PUBLIC = "public.ecr.aws"
_ECR = re.compile(r".*?dkr\.ecr\..*?\.amazonaws\.com")
_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_SECONDS = 60


class RegistryError(Exception):
    """The registry rejected the request or is unreachable, or there is no login for it."""


class FatalError(Exception):
    """An error that ends the real provider's process."""


@dataclass(frozen=True)
class ImageName:
    """`registry/repository:tag`."""

    registry: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, name: str) -> "ImageName":
        """Parse a name. The default registry is Docker Hub, the default tag `latest`."""
        first, slash, rest = name.partition("/")
        registry = first if slash and ("/" in rest or first == "localhost" or set(first) & set(".:")) else ""
        repository, _, tag = name[len(registry) :].partition(":")
        repository = repository.removeprefix("/")
        if not registry:
            registry = _DOCKER_HUB[0]
            repository = repository if "/" in repository else f"library/{repository}"
        return cls(registry, repository, tag.partition("@")[2] or tag or "latest")

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}:{self.tag}"


@dataclass(frozen=True)
class Login:
    """A registry's address, with scheme, and credentials; an empty username means anonymous."""

    address: str
    username: str = ""
    password: str = ""

    @property
    def token(self) -> str:
        """`username:password` in base64, as in basic authentication and Docker's configuration."""
        return _base64(f"{self.username}:{self.password}")

    def authorization(self, registry: str) -> str:
        """Return the value of the Authorization header."""
        if registry == _ECR_PUBLIC:
            return f"Bearer {_ecr_token(self.password)}"
        if _is_ecr(registry):
            return f"Basic {_ecr_token(self.password)}"
        if registry in ("ghcr.io", "gcr.io") or registry.endswith(".azurecr.io"):
            return f"Bearer {_base64(self.password)}"
        return f"Basic {self.token}"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _is_ecr(registry: str) -> bool:
    return registry == _ECR_PUBLIC or _ECR.fullmatch(registry) is not None


def _ecr_token(password: str) -> str:
    """Convert an ECR password for basic authentication."""
    if password.startswith("ey"):
        return _base64(f"AWS:{password}")
    return _base64(password) if password.startswith("AWS:") else password


def _ecr_password(password: str) -> str:
    """Convert an ECR password for the engine; `FatalError` if its format is unknown."""
    if password.startswith("ey"):
        return password
    if password.startswith("AWS:"):
        return password.removeprefix("AWS:")
    if (position := _base64_error(password.encode())) is not None:
        raise FatalError(f"Error creating registry request: illegal base64 data at input byte {position}")
    return base64.b64decode(password).decode(errors="replace")


def _base64_error(data: bytes) -> int | None:
    """Return the byte position at which Go's decoder fails, or None."""
    positions = [position for position, byte in enumerate(data) if byte not in b"\r\n"]
    length = next((n for n, position in enumerate(positions) if data[position] not in _BASE64), len(positions))
    over = length % 4
    if length == len(positions):
        return len(data) - over if over else None
    if data[positions[length]] != ord("=") or over < 2:
        return positions[length]
    if over == 2:
        length += 1
        if length == len(positions):
            return len(data)
        if data[positions[length]] != ord("="):
            return positions[length] - 1
    return positions[length + 1] if length + 1 < len(positions) else None


def address_with_scheme(address: str) -> str:
    """Return an address with a scheme, by default https."""
    return address if address.startswith(("http://", "https://")) else f"https://{address}"


def home() -> Path:
    """Return the current user's home folder, as Go does: from the user database, not from HOME."""
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path("~").expanduser()


def read_logins(blocks: Iterable[Mapping[str, Any]]) -> dict[str, Login]:
    """Return a login by registry from the provider's `registry_auth` blocks."""
    logins = {}
    for block in blocks:
        address = address_with_scheme(_text(block, "address"))
        registry = address.partition("://")[2].partition("/")[0]
        logins[registry] = Login(address, *_credentials(block, registry))
    return logins


def _text(block: Mapping[str, Any], name: str, default: str = "") -> str:
    """Return an argument as text; an unknown value is empty, as in the real provider."""
    value = block.get(name)
    return default if value is None else "" if is_unknown(value) else str(value)


def _credentials(block: Mapping[str, Any], registry: str) -> tuple[str, str]:
    """Return user name and password from the first of: auth_disabled, username, config_file_content, config_file."""
    username = _text(block, "username", os.environ.get("DOCKER_REGISTRY_USER", ""))
    password = _text(block, "password", os.environ.get("DOCKER_REGISTRY_PASS", ""))
    if block.get("auth_disabled") is True:
        username, password = "username", "password"
    if username:
        return username, _ecr_password(password) if _is_ecr(registry) else password
    if content := _text(block, "config_file_content"):
        try:
            return _from_docker_config(content, registry)
        except ValueError as error:
            raise RegistryError(f"Error parsing docker registry config json: {error}") from error
        except OSError as error:
            raise RegistryError(f"couldn't find registry config for '{registry}' in file content") from error
    if not (file := _text(block, "config_file", _default_config_file())):
        return "", ""
    path = str(home() / file[2:]) if file.startswith("~/") else file
    try:
        content = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        reason = f"open {path}: {(error.strerror or '').lower()}"
        raise RegistryError(f"could not open config file from filePath: {path}. Error: {reason}") from error
    try:
        return _from_docker_config(content, registry)
    except ValueError as error:
        raise RegistryError(f"could not read and load config file: {error}") from error
    except OSError as error:
        reason = "could not get auth config (the credentialhelper did not work or was not found)"
        raise RegistryError(f"{reason}: {error}") from error


def _default_config_file() -> str:
    path = os.environ.get("DOCKER_CONFIG") or "~/.docker/config.json"
    return str(Path(path, "config.json")) if Path(path).is_dir() else path


def _from_docker_config(content: str, registry: str) -> tuple[str, str]:
    """Return a registry's user name and password, or empty strings."""
    config = json.loads(content)
    if not isinstance(config, dict):
        raise ValueError("a Docker configuration is an object")  # noqa: TRY004 - invalid content, not a wrong argument type
    if helper := config.get("credHelpers", {}).get(registry) or config.get("credsStore"):
        return _from_credential_helper(helper, registry)
    entries = {address_with_scheme(key).split("/")[2]: value for key, value in config.get("auths", {}).items()}
    entry: Mapping[str, str] = next((entries[name] for name in _names(registry) if name in entries), {})
    username, _, password = base64.b64decode(entry.get("auth", "")).decode().partition(":")
    return entry.get("username") or username, entry.get("password") or password


def _from_credential_helper(helper: str, registry: str) -> tuple[str, str]:
    """Return the credentials from a Docker credential helper; `OSError` if it is missing or fails."""
    command = [f"docker-credential-{helper}", "get"]
    result = subprocess.run(command, input=registry, capture_output=True, text=True, check=False)
    if "credentials not found" in result.stdout:
        return "", ""
    if result.returncode != 0:
        raise OSError(
            f"error getting credentials - err: exit status {result.returncode}, out: `{result.stdout.strip()}`"
        )
    credentials = json.loads(result.stdout)
    # An identity token is not a password; the real provider ignores it.
    return ("", "") if credentials["Username"] == "<token>" else (credentials["Username"], credentials["Secret"])


def _names(registry: str) -> Iterable[str]:
    """Return the names under which a login may be stored; Docker Hub has more than one."""
    return (registry, *_DOCKER_HUB) if registry in _DOCKER_HUB else (registry,)


def find_login(logins: Mapping[str, Login], registry: str) -> Login:
    """Return a registry's login; `RegistryError` if there is none."""
    for name in _names(registry):
        if name in logins:
            return logins[name]
    # The real provider's message has the logins themselves, with passwords.
    raise RegistryError(f"no auth config found for registry {registry} in auth configs: {', '.join(logins) or 'none'}")


def read_digest(image: ImageName, login: Login, *, skip_verify: bool = False) -> str:
    """Return the digest of an image's tag; `RegistryError` if there is none or the login is rejected."""
    try:
        return _digest(image, login, skip_verify, old=False)
    except RegistryError:
        return _digest(image, login, skip_verify, old=True)


def _digest(image: ImageName, login: Login, skip_verify: bool, old: bool) -> str:
    response = _request("HEAD", image, login, image.tag, "push,pull", skip_verify, old)
    if response.status_code != 200:
        raise RegistryError(_refusal(response))
    if digest := response.headers.get("Docker-Content-Digest"):
        return str(digest)
    raise RegistryError("Error reading registry response body: %!s(<nil>)")


def delete_manifest(image: ImageName, login: Login, digest: str) -> None:
    """Delete by digest, with all its tags, or else by tag. A missing image is not an error."""
    for reference, old in ((digest, False), (image.tag, True)):
        # The real provider does not verify certificates here either.
        response = _request("DELETE", image, login, reference, "*", skip_verify=True, old=old)
        if response.status_code in (200, 202, 404):
            return
    raise RegistryError(_refusal(response))


def _status(response: "httpx2.Response") -> str:
    return f"{response.status_code} {response.reason_phrase}"


def _refusal(response: "httpx2.Response") -> str:
    challenge = response.headers.get("WWW-Authenticate", "")
    if response.status_code == 401 and not challenge.startswith("Bearer"):
        return f"bad credentials: {_status(response)}"
    return f"got bad response from registry: {_status(response)}"


def _request(
    method: str, image: ImageName, login: Login, reference: str, scope: str, skip_verify: bool, old: bool
) -> "httpx2.Response":
    """Send a manifest request; if the registry requires a token, get one and repeat the request."""
    url = f"{login.address}/v2/{image.repository}/manifests/{reference}"
    headers = {"Accept": _OLD_MANIFEST if old else ", ".join(_MANIFESTS)}
    if login.username:
        headers["Authorization"] = login.authorization(image.registry)
    response = _send(method, url, headers, skip_verify)
    challenge = response.headers.get("WWW-Authenticate", "")
    if response.status_code != 401 or not challenge.startswith("Bearer"):
        return response
    parameters = dict(re.findall(r'(\w+)="(.*?)"', challenge))
    query = {
        "service": parameters.get("service", ""),
        "scope": parameters.get("scope") or f"repository:{image.repository}:{scope}",
    }
    basic = {"Authorization": f"Basic {login.token}"} if login.username else {}
    token_response = _send("GET", f"{parameters.get('realm', '')}?{urlencode(query)}", basic, skip_verify)
    if token_response.status_code != 200:
        raise RegistryError(f"got bad response from registry: {_status(token_response)}")
    token = token_response.json().get("token") or token_response.json().get("access_token")
    return _send(method, url, {**headers, "Authorization": f"Bearer {token}"}, skip_verify)


def _send(method: str, url: str, headers: Mapping[str, str], skip_verify: bool) -> "httpx2.Response":
    # A slow import: it takes as long as the rest of the program, and most processes never contact a registry.
    import httpx2

    address = urlsplit(url)
    try:
        return httpx2.request(
            method,
            url,
            headers=headers,
            verify=address.scheme == "https" and not skip_verify,
            timeout=_SECONDS,
            # Requests to this machine bypass a proxy in the environment.
            trust_env=address.hostname not in ("localhost", "127.0.0.1", "::1"),
        )
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise RegistryError(f"Error during registry request: {error}") from error
