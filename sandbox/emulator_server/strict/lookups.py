"""Read the emulator's state for rules, with AWS requests."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import unquote, urlencode

from botocore.awsrequest import HeadersDict
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from sandbox.emulator_server.asgi import App, Response, Scope, call_app, header, replay
from sandbox.emulator_server.strict import requests

# The emulator's Cognito serves these documents at the pool's path.
COGNITO = re.compile(r"https://cognito-idp\.[^./]+\.amazonaws\.com(?:\.cn)?(?P<path>/.+)")
DISCOVERY_SECONDS = 1.5  # API Gateway's timeout


class Lookups:
    """Lookups in the account and region of a request; each is sent once."""

    def __init__(self, app: App, scope: Scope, region: str) -> None:
        self.app = app
        self.scope = scope
        self.region = region
        signed = requests.CREDENTIAL.search(header(scope, b"authorization").decode("latin-1"))
        self.key = signed["key"] if signed else "test"  # the emulator derives the account from it
        self.results: dict[str, Any] = {}

    async def __call__(self, operation: str, parameters: dict[str, Any]) -> Any:
        """Return an operation's output with boto3's names, or a URL's JSON; None after an error or without a required parameter."""
        key = f"{operation} {parameters}"
        if key not in self.results:
            self.results[key] = await self._fetch(operation, parameters)
        return self.results[key]

    async def _fetch(self, operation: str, parameters: dict[str, Any]) -> Any:
        if operation == "url":
            return await self._document(str(parameters["url"]))
        service, name = operation.split(".")
        model: Any = requests.model(service).operation_model(name)
        given = {key: value for key, value in parameters.items() if value is not None}
        if any(given.get(required) in (None, "") for required in model.input_shape.required_members):
            return None
        response = await self.send(model, given)
        if not 200 <= response.status < 300:
            return None
        headers = response.messages[0].get("headers", [])
        raw = {
            "status_code": response.status,
            "headers": HeadersDict({key.decode(): value.decode() for key, value in headers}),
            "body": response.body,
        }
        return create_parser(requests.protocol(model.service_model)).parse(raw, model.output_shape)

    async def send(self, model: Any, parameters: dict[str, Any]) -> Response:
        """Send an operation's request without validating the parameters."""
        serializer = create_serializer(requests.protocol(model.service_model), include_validation=False)
        request = serializer.serialize_to_request(parameters, model)
        body = request["body"]
        body = urlencode(body).encode() if isinstance(body, dict) else body
        body = body.encode() if isinstance(body, str) else body
        signed = model.service_model.signing_name
        headers = {
            **{key.lower(): value for key, value in request["headers"].items()},
            "authorization": f"AWS4-HMAC-SHA256 Credential={self.key}/20260101/{self.region}/{signed}/aws4_request, Signature=0",
            "content-length": str(len(body)),
            "host": "localhost",
        }
        path, _, constant = request["url_path"].partition("?")  # such as List=ALL
        query = "&".join(filter(None, (constant, urlencode(request["query_string"], doseq=True))))
        return await self._request(request["method"], path, query, headers, body)

    async def _request(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Response:
        pairs = [(key.encode(), value.encode()) for key, value in headers.items()]
        own = {
            "method": method,
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
        }

        async def nothing() -> Any:
            await asyncio.Event().wait()

        return await call_app(self.app, {**self.scope, **own, "headers": pairs}, replay(body, nothing))

    async def _document(self, url: str) -> Any:
        if match := COGNITO.fullmatch(url):
            response = await self._request("GET", match["path"], "", {"host": "localhost"}, b"")
            body = response.body if response.status == 200 else b""
        else:
            body = await asyncio.to_thread(_download, url)
        try:
            return json.loads(body)
        except ValueError:
            return None


def _download(url: str) -> bytes:
    """Return a document from the internet, over HTTPS only, as AWS does."""
    if not url.startswith("https://"):
        return b""
    try:
        with urllib.request.urlopen(url, timeout=DISCOVERY_SECONDS) as response:  # noqa: S310 - HTTPS
            content: bytes = response.read(150_000)
            return content
    except (OSError, ValueError):
        return b""
