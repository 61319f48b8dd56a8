"""Parse an HTTP request into an AWS operation and its input, in all of AWS's protocols, with botocore's models."""

from __future__ import annotations

import functools
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel
from botocore.parsers import RpcV2CBORParser

from sandbox.emulator_server.asgi import Scope, header

Shape: TypeAlias = Any  # botocore's; its attributes depend on its type_name
CREDENTIAL = re.compile(r"AWS4-\S+ Credential=(?P<key>[^/]+)/\d+/(?P<region>[^/]*)/(?P<service>[^/]+)/aws4_request")
CBOR_PATH = re.compile(r"^/service/(?P<target>[^/]+)/operation/(?P<operation>[^/]+)$")
# Signing name → model name, where they differ.
MODELS = {
    "elasticloadbalancing": "elbv2",
    "email": "sesv2",
    "es": "opensearch",
    "monitoring": "cloudwatch",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
}
# Services with unsigned operations, by target prefix.
UNSIGNED = {"AWSCognitoIdentityProviderService": "cognito-idp"}
DATA_PLANE = "execute-api"
DATA_PLANE_HOST = re.compile(r"\.(execute-api|lambda-url)\.")
# Virtual-hosted buckets, here and on AWS.
BUCKET_HOST = re.compile(r"^(?P<bucket>.+?)\.(s3\.|s3-|localhost)")
FORM = b"application/x-www-form-urlencoded"
# The Go SDK adds the operation to the query of REST requests.
SDK_QUERY = {"x-id"}


class UnmatchedError(Exception):
    """A request to AWS that matches no operation."""


@dataclass
class Call:
    """A parsed request. `input` has the model's names; `problems` are the parts that do not fit the model."""

    service: str
    operation: OperationModel
    protocol: str
    region: str
    input: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Service and operation, such as `lambda.PublishVersion`."""
        return f"{self.service}.{self.operation.name}"


@functools.cache
def model(service: str) -> ServiceModel:
    """Return a service's model. Loading takes 0.02 s, and 0.2 s for EC2."""
    return ServiceModel(_loader().load_service_model(service, "service-2"), service)


def protocol(api: ServiceModel) -> str:
    """Return the protocol that botocore uses for a service."""
    return str(api.metadata["protocol"])


@functools.cache
def _loader() -> Loader:
    return Loader()


def preload(service: str) -> None:
    """Load a service's model and, for REST protocols, its routes."""
    if service in _loader().list_available_services("service-2") and protocol(model(service)).startswith("rest"):
        _routes(service)


def destination(scope: Scope) -> tuple[str, str] | None:
    """Return a request's service and region, or None if it is not for an AWS API, such as an invocation of an HTTP API."""
    if scope["type"] != "http":
        return None
    if signed := CREDENTIAL.search(header(scope, b"authorization").decode("latin-1")):
        name = signed["service"]
        if name == DATA_PLANE or DATA_PLANE_HOST.search(header(scope, b"host").decode("latin-1")):
            return None
        if name == "apigateway" and scope["path"].startswith("/v2/"):
            name = "apigatewayv2"
        return MODELS.get(name, name), signed["region"]
    prefix = header(scope, b"x-amz-target").decode("latin-1").partition(".")[0]
    return (UNSIGNED[prefix], "") if prefix in UNSIGNED else None


def parse(scope: Scope, body: bytes, service: str, region: str = "") -> Call:
    """Parse a request to a service. UnmatchedError when it matches no operation."""
    if service not in _loader().list_available_services("service-2"):
        raise UnmatchedError(f"unknown service {service}")
    api = model(service)
    path = scope.get("raw_path", b"").decode("latin-1").partition("?")[0]
    if service == "s3" and (host := BUCKET_HOST.match(header(scope, b"host").decode("latin-1"))):
        path = f"/{host['bucket']}{path}"
    query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    target = header(scope, b"x-amz-target").decode("latin-1")
    form = header(scope, b"content-type").startswith(FORM)
    if cbor := CBOR_PATH.match(path):
        call = _named(api, cbor["target"], cbor["operation"], "smithy-rpc-v2-cbor", region)
        _read_typed(call, body, _cbor)
    elif target:
        prefix, _, name = target.rpartition(".")
        call = _named(api, prefix, name, "json", region)
        _read_typed(call, body, json.loads)
    elif form and not api.metadata["protocol"].startswith("rest"):
        pairs = dict([*query, *parse_qsl(body.decode(), keep_blank_values=True)])
        protocol = "ec2" if api.metadata["protocol"] == "ec2" else "query"
        call = _named(api, "", pairs.pop("Action", ""), protocol, region)
        pairs.pop("Version", "")
        call.input = Reader(call.problems).form(call.operation.input_shape, _tree(pairs), "", protocol == "ec2") or {}
    else:
        call = _routed(api, scope, path, query, body, region)
    return call


def _named(api: ServiceModel, target: str, name: str, protocol: str, region: str) -> Call:
    if target and target != api.metadata.get("targetPrefix"):
        raise UnmatchedError(f"{target} is not a target of {api.service_name}")
    if name not in api.operation_names:
        raise UnmatchedError(f"{api.service_name} has no operation {name!r}")
    return Call(api.service_name, api.operation_model(name), protocol, region)


def _read_typed(call: Call, body: bytes, decode: Any) -> None:
    try:
        document = decode(body) if body else {}
    except (ValueError, LookupError, OSError) as error:
        call.problems.append(f"the body is not {call.protocol}: {error}")
        return
    call.input = Reader(call.problems).typed(call.operation.input_shape, document, "") or {}


def _cbor(body: bytes) -> Any:
    parser = RpcV2CBORParser()
    return parser.parse_data_item(parser.get_peekable_stream_from_bytes(body))


# --- REST: the route identifies the operation ---


@dataclass(frozen=True)
class _Route:
    name: str
    method: str
    path: re.Pattern[str]
    labels: tuple[str, ...]
    constants: tuple[tuple[str, str], ...]
    rank: tuple[int, ...]


@functools.cache
def _routes(service: str) -> tuple[_Route, ...]:
    """Return a service's routes, most specific first."""
    api = model(service)
    routes = []
    for name in api.operation_names:
        operation = api.operation_model(name)
        http = operation.http
        path, _, query = http["requestUri"].partition("?")
        parts = re.split(r"\{([^}]+)\}", path.rstrip("/"))
        # An escaped slash is part of a label, so paths are matched before they are decoded.
        pattern = "".join(
            (r"(.+)" if part.endswith("+") else r"([^/]+)") if number % 2 else re.escape(part)
            for number, part in enumerate(parts)
        )
        labels = tuple(part.rstrip("+") for part in parts[1::2])
        constants = tuple(parse_qsl(query, keep_blank_values=True))
        shape: Shape = operation.input_shape
        required = len(shape.required_members) if shape else 0
        # S3 has deprecated operations with the route of their successor.
        current = int(not operation.deprecated)
        rank = (len(constants), sum(len(part) for part in parts[::2]), -len(labels), current, required)
        routes.append(_Route(name, http["method"], re.compile(rf"{pattern}/?"), labels, constants, rank))
    return tuple(sorted(routes, key=lambda route: route.rank, reverse=True))


def _routed(api: ServiceModel, scope: Scope, path: str, query: list[tuple[str, str]], body: bytes, region: str) -> Call:
    headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
    call = None
    for route in _routes(api.service_name):
        matched = route.method == scope["method"] and route.path.fullmatch(path)
        if not matched or not set(route.constants) <= set(query):
            continue
        call = Call(api.service_name, api.operation_model(route.name), api.metadata["protocol"], region)
        reader = Reader(call.problems)
        labels = dict(zip(route.labels, map(unquote, matched.groups()), strict=True))
        rest = [pair for pair in query if pair not in route.constants]
        call.input = reader.rest(call.operation, labels, rest, headers, body)
        if call.operation.input_shape is None or _has_located_members(call):
            return call
    if call is None:
        raise UnmatchedError(f"{api.service_name} has no operation {scope['method']} {path}")
    return call  # with a required member missing


def _has_located_members(call: Call) -> bool:
    """Whether the required members in path, query and headers are present. It distinguishes S3 operations with the same route."""
    shape: Shape = call.operation.input_shape
    located = (name for name in shape.required_members if "location" in shape.members[name].serialization)
    return all(name in call.input for name in located)


# --- Reading the input with the model's names ---


def _tree(pairs: dict[str, str]) -> dict[str, Any]:
    """Return `{"A.member.1": "x"}` as `{"A": {"member": {"1": "x"}}}`."""
    tree: dict[str, Any] = {}
    for name, value in pairs.items():
        node = tree
        *parents, last = name.split(".")
        for parent in parents:
            if not isinstance(node.get(parent), dict):  # an empty list is only its name
                node[parent] = {}
            node = node[parent]
        node.setdefault(last, value)
    return tree


@dataclass
class Reader:
    """Reads raw input by shapes. Unknown members become problems; the rest is still read."""

    problems: list[str]

    def typed(self, shape: Shape, raw: Any, path: str) -> Any:
        """Read JSON or CBOR, which are typed."""
        if raw is None or shape is None or getattr(shape, "is_document_type", False):
            return raw
        if shape.type_name == "structure" and isinstance(raw, dict):
            names = {member.serialization.get("name", name): name for name, member in shape.members.items()}
            self._unknown(set(raw) - set(names) - {"__type"}, shape, path)
            known = ((names[key], value) for key, value in raw.items() if key in names and value is not None)
            return {name: self.typed(shape.members[name], value, _at(path, name)) for name, value in known}
        if shape.type_name == "list" and isinstance(raw, list):
            return [self.typed(shape.member, item, f"{path}[{number}]") for number, item in enumerate(raw)]
        if shape.type_name == "map" and isinstance(raw, dict):
            return {key: self.typed(shape.value, value, _at(path, key)) for key, value in raw.items()}
        return raw

    def form(self, shape: Shape | None, raw: Any, path: str, ec2: bool) -> Any:
        """Read a form of the protocols `query` and `ec2`, with paths as names."""
        if shape is None:
            return self._unknown(set(raw), shape, path)
        if shape.type_name == "structure":
            names = {_form_name(name, member, ec2): name for name, member in shape.members.items()}
            children = raw if isinstance(raw, dict) else {}
            self._unknown(set(children) - set(names), shape, path)
            known = ((names[key], value) for key, value in children.items() if key in names)
            return {name: self.form(shape.members[name], value, _at(path, name), ec2) for name, value in known}
        if shape.type_name == "list":
            if not ec2 and not shape.serialization.get("flattened") and isinstance(raw, dict):
                raw = raw.get(shape.member.serialization.get("name", "member"), raw)
            items = _numbered(raw)
            return [self.form(shape.member, item, f"{path}[{number}]", ec2) for number, item in enumerate(items)]
        if shape.type_name == "map":
            flat = shape.serialization.get("flattened") or not isinstance(raw, dict)
            entries = [entry for entry in _numbered(raw if flat else raw.get("entry", raw)) if isinstance(entry, dict)]
            key, value = shape.key.serialization.get("name", "key"), shape.value.serialization.get("name", "value")
            pairs = ((entry.get(key, ""), entry.get(value, "")) for entry in entries)
            return {name: self.form(shape.value, item, _at(path, name), ec2) for name, item in pairs}
        return self.text(shape, raw, path)

    def rest(
        self,
        operation: OperationModel,
        labels: dict[str, str],
        query: list[tuple[str, str]],
        headers: dict[str, str],
        body: bytes,
    ) -> dict[str, Any]:
        """Read labels, query, headers and body by the members' locations."""
        shape: Shape = operation.input_shape
        if shape is None:
            return {}
        read: dict[str, Any] = {}
        payload = shape.serialization.get("payload")
        in_query = set(SDK_QUERY)
        for name, member in shape.members.items():
            wire, location = member.serialization.get("name", name), member.serialization.get("location")
            if location == "uri" and wire in labels:
                read[name] = self.text(member, labels[wire], name)
            elif location == "querystring":
                in_query.add(wire)
                if member.type_name == "map":
                    read |= {name: dict(query)} if query else {}
                    in_query |= {key for key, _ in query}
                elif values := [value for key, value in query if key == wire]:
                    many = member.type_name == "list"
                    texts = [self.text(member.member if many else member, value, name) for value in values]
                    read[name] = texts if many else texts[0]
            elif location == "header" and wire.lower() in headers:
                many = member.type_name == "list"
                read[name] = (
                    headers[wire.lower()].split(",") if many else self.text(member, headers[wire.lower()], name)
                )
            elif location == "headers":
                given = {
                    key.removeprefix(wire.lower()): value for key, value in headers.items() if key.startswith(wire)
                }
                read |= {name: given} if given else {}
        self._unknown({key for key, _ in query} - in_query, shape, "")
        if payload:
            member = shape.members[payload]
            if member.type_name == "structure" and not getattr(member, "eventstream", False):
                read |= {payload: self._document(operation, member, body, payload)} if body else {}
            elif body:
                read[payload] = body.decode() if member.type_name == "string" else body
            return read
        located = {name for name, member in shape.members.items() if "location" in member.serialization}
        document = self._document(operation, shape, body, "") if body else {}
        for name in located & set(document):
            self.problems.append(f"{name} must not be in the body")
        return read | document

    def _document(self, operation: OperationModel, shape: Shape, body: bytes, path: str) -> dict[str, Any]:
        try:
            if operation.service_model.metadata["protocol"] == "rest-json":
                return self.typed(shape, json.loads(body), path) or {}
            return self.xml(shape, ElementTree.fromstring(body), path) or {}  # noqa: S314 - our own clients' requests
        except (ValueError, ElementTree.ParseError) as error:
            self.problems.append(f"the body cannot be read: {error}")
            return {}

    def xml(self, shape: Shape, element: ElementTree.Element, path: str) -> Any:
        """Read XML, ignoring namespaces."""
        children: dict[str, list[ElementTree.Element]] = {}
        for child in element:
            children.setdefault(child.tag.rpartition("}")[2], []).append(child)
        if shape.type_name == "structure":
            names = {_xml_name(name, member): name for name, member in shape.members.items()}
            self._unknown(set(children) - set(names), shape, path)
            read = {}
            for tag, name in names.items():
                member = shape.members[name]
                if tag not in children:
                    continue
                if member.type_name == "list" and member.serialization.get("flattened"):
                    items = enumerate(children[tag])
                    read[name] = [self.xml(member.member, item, f"{_at(path, name)}[{n}]") for n, item in items]
                else:
                    read[name] = self.xml(member, children[tag][0], _at(path, name))
            return read
        if shape.type_name == "list":
            tag = shape.member.serialization.get("name", "member")
            self._unknown(set(children) - {tag}, shape, path)
            return [self.xml(shape.member, item, f"{path}[{n}]") for n, item in enumerate(children.get(tag, []))]
        return self.text(shape, element.text or "", path)

    def text(self, shape: Shape, raw: Any, path: str) -> Any:
        """Read a value that is text on the wire."""
        try:
            if shape.type_name in ("integer", "long"):
                return int(raw)
            if shape.type_name in ("float", "double"):
                return float(raw)
            if shape.type_name == "boolean":
                return {"true": True, "false": False}[raw]
        except (ValueError, TypeError, KeyError):
            self.problems.append(f"{path or shape.name} is {raw!r}, must be of type {shape.type_name}")
            return None
        return raw

    def _unknown(self, names: set[str], shape: Shape | None, path: str) -> None:
        parent = f"{path or 'the input'} ({shape.name if shape else 'no members'})"
        self.problems += [f"{name} is not a member of {parent}" for name in sorted(names)]


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _form_name(name: str, member: Shape, ec2: bool) -> str:
    wire: str = member.serialization.get("name", name)
    if ec2:
        return str(member.serialization.get("queryName") or wire[:1].upper() + wire[1:])
    if member.type_name == "list" and member.serialization.get("flattened"):
        return str(member.member.serialization.get("name", wire))
    return wire


def _xml_name(name: str, member: Shape) -> str:
    if member.type_name == "list" and member.serialization.get("flattened"):
        return str(member.member.serialization.get("name", member.serialization.get("name", name)))
    return str(member.serialization.get("name", name))


def _numbered(raw: Any) -> Iterator[Any]:
    if isinstance(raw, dict):
        yield from (raw[key] for key in sorted(raw, key=lambda key: int(key) if key.isdigit() else 0))
