"""The declaration of a resource. A declaration that cannot work is refused when the service is imported."""

import dataclasses
import enum
import re
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import PurePath
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import AnyUrl, BaseModel, PlainSerializer, Secret, SecretBytes, SecretStr, WrapSerializer
from pydantic.types import EncodedBytes

from service.kit.auth import Principal
from service.kit.models import Body, Stored

Public = TypeVar("Public", bound=Stored)
Operation = Literal["create", "list", "read", "replace", "update", "delete"]
OPERATIONS: tuple[Operation, ...] = typing.get_args(Operation)

# No hyphen: the keys of lookup entries and counters have one.
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
PATH = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
# Kinds of items that the kit itself stores, and attributes that it adds to items.
RESERVED_NAMES = {"idempotency", "readiness"}
RESERVED_FIELDS = {"pk", "sk", "expires_at", "revision", "entries", "etag", "references"}
# Names whose plural is not the name with an "s".
IRREGULAR = re.compile(r".*([^aeiou]y|s|x|z|ch|sh)")
# Types whose values cannot be restored as they were stored, and why.
LOST: dict[tuple[type, ...], str] = {
    (bytes, bytearray, memoryview): "bytes need not be text; pydantic's Base64Bytes is",
    (Secret, SecretStr, SecretBytes): "a secret is written as asterisks",
}
# Types that Pydantic writes as JSON and reads back, besides those that define how.
KEPT: tuple[type, ...] = (
    str,
    int,
    float,
    Decimal,
    date,
    time,
    timedelta,
    UUID,
    enum.Enum,
    PurePath,
    types.NoneType,
    list,
    dict,
    set,
    frozenset,
    tuple,
)
KEPT += (IPv4Address, IPv6Address, IPv4Network, IPv6Network, IPv4Interface, IPv6Interface)
# What can be a lookup's value: types with one text for each value.
SINGLE = (str, int, UUID, date, time, enum.Enum, IPv4Address, IPv6Address, AnyUrl)


@dataclass(frozen=True)
class Lookup:
    """A field that filters lists: `?field=value`."""

    field: str
    unique: bool = False
    """Whether two items may not share a value (409)."""
    order: Literal["id", "newest"] = "id"
    """The order of a filtered list: by id, or newest first."""


UNRESTRICTED = object()
"""Returned by `Owner.of` for callers who may use the items of every owner."""


@dataclass(frozen=True)
class Owner:
    """Who owns an item. Callers see and change only their own items; others do not exist for them (404)."""

    field: str
    """The field of the public model that holds the owner. It is set when an item is created; requests cannot change it."""
    of: Callable[[Principal], Any]
    """Returns the caller's owner, such as `lambda caller: caller.claims["tenant"]`; UNRESTRICTED for all owners, None for none (403)."""


@dataclass(frozen=True)
class Resource(Generic[Public]):
    """A resource: its models, its operations, and its relations to others.

    Raises ValueError or TypeError for a declaration that cannot work, with the place and the reason.
    """

    name: str
    """The singular, such as "user" or "line_item"."""
    public: type[Public]
    """The model of responses."""
    create: type[Body] | None = None
    """All fields that a request may set: the body of `create` and `replace`."""
    update: type[Body] | None = None
    """The same fields, all of them optional: the body of `update`."""
    plural: str = ""
    """The path and the scopes: /users, users:read. By default the name with an "s"."""
    operations: Collection[Operation] = OPERATIONS
    """The operations served over HTTP."""
    lookups: Collection[Lookup] = ()
    references: Mapping[str, str] = field(default_factory=dict)
    """Fields with the id of another item, and its kind: {"owner_id": "user"}. That item must exist (409), and cannot be deleted while
    an item refers to it (409). A kind cannot refer to itself."""
    initial: Mapping[str, Any] = field(default_factory=dict)
    """Fields that requests cannot set, and their values in a new item."""
    before_change: Callable[[Public | None, Public | None], None] | None = None
    """Called with the item before (None if it is created) and after the change (None if it is deleted), before it is written.
    Raise Conflict, or another ApiError, to refuse the change."""
    owner: Owner | None = None

    def __post_init__(self) -> None:
        if not self.plural:
            object.__setattr__(self, "plural", f"{self.name}s")
            self._require(
                not IRREGULAR.fullmatch(self.name), "what is its plural? Give `plural`, as in plural='categories'"
            )
        if self.owner and self.owner.field not in {lookup.field for lookup in self.lookups}:
            object.__setattr__(self, "lookups", (*self.lookups, Lookup(self.owner.field)))
        self._check_names()
        self._check_models()
        self._check_relations()

    def bodies(self) -> dict[str, type[Body]]:
        """Return the models of requests by their parameter's name."""
        return {name: model for name, model in (("create", self.create), ("update", self.update)) if model}

    def lookup_type(self, name: str) -> Any:
        """Return the type of a field's values, as a request states them; None is not one of them."""
        models: list[type[BaseModel]] = [*self.bodies().values(), self.public]
        model = next(model for model in models if name in model.model_fields)
        # Whole, with what only readers of the OpenAPI document need.
        kinds = [
            kind
            for kind in _members(typing.get_type_hints(model, include_extras=True)[name])
            if kind is not types.NoneType
        ]
        return kinds[0] if len(kinds) == 1 else typing.Union[tuple(kinds)]  # noqa: UP007 - made of what is there

    def _check_names(self) -> None:
        self._require(
            NAME.fullmatch(self.name), "a name has lower-case letters, digits and single underscores, as line_item"
        )
        self._require(
            self.name not in RESERVED_NAMES, f"the kit keeps items of its own by the names {sorted(RESERVED_NAMES)}"
        )
        self._require(
            PATH.fullmatch(self.plural), f"the plural {self.plural!r} is a path and a scope: letters, digits, hyphens"
        )
        unknown = set(self.operations) - set(OPERATIONS)
        self._require(not unknown, f"unknown operations {sorted(unknown)}; there are {', '.join(OPERATIONS)}")
        for operation, model in {"create": "create", "replace": "create", "update": "update"}.items():
            if operation in self.operations:
                self._require(getattr(self, model), f"the operation {operation} needs the model `{model}`")

    def _check_models(self) -> None:
        models: dict[str, type[BaseModel]] = {**self.bodies(), "public": self.public}
        for place, model in models.items():
            for name, info in model.model_fields.items():
                self._require(name not in RESERVED_FIELDS, f"{place}.{name}: the kit has an attribute of that name")
                self._require(
                    place == "public" or name not in Stored.model_fields, f"{place}.{name}: the kit sets this field"
                )
                self._require(not info.exclude, f"{place}.{name}: an excluded field would not be stored")
            self._check_types(place, model)
        settable = set(self.create.model_fields) if self.create else set()
        if self.create and self.update:
            unknown = set(self.update.model_fields) - settable
            self._require(not unknown, f"update has fields that create lacks: {sorted(unknown)}")
        known = settable | set(self.initial) | set(Stored.model_fields) | ({self.owner.field} if self.owner else set())
        missing = {name for name, info in self.public.model_fields.items() if info.is_required()} - known
        self._require(not self.create or not missing, f"public requires what nothing sets: {sorted(missing)}")

    def _check_types(self, place: str, model: type[BaseModel]) -> None:
        for path, kind, metadata in _leaves(place, model):
            if reason := _why_lost(kind, metadata):
                raise TypeError(f"Resource {self.name!r}, {path}: it would not come back as it was stored: {reason}")

    def _check_relations(self) -> None:
        fields = self.public.model_fields
        lookups = [lookup.field for lookup in self.lookups]
        for place, names in {"lookups": lookups, "references": self.references, "initial": self.initial}.items():
            unknown = set(names) - set(fields)
            self._require(not unknown, f"{place} names fields that public lacks: {sorted(unknown)}")
        self._require(len(set(lookups)) == len(lookups), "a field has one lookup")
        for name in lookups:
            single = _is_single(self.lookup_type(name))
            self._require(single, f"lookups: {name} is not a single value, such as text, a whole number or a date")
        settable = {name for model in self.bodies().values() for name in model.model_fields}
        fixed = set(self.initial) & settable
        self._require(not fixed, f"initial sets what requests may set: {sorted(fixed)}")
        if self.owner:
            self._require(self.owner.field in fields, f"owner: public has no field {self.owner.field!r}")
            self._require(self.owner.field not in settable, f"owner: requests may not set {self.owner.field!r}")
        # DynamoDB takes one write of an item in a transaction: one that refers to itself would need two.
        self._require(self.name not in self.references.values(), "references: a kind cannot refer to itself")

    def _require(self, condition: object, reason: str) -> None:
        if not condition:
            raise ValueError(f"Resource {self.name!r}: {reason}")


def together(resources: Iterable[Resource[Any]]) -> list[Resource[Any]]:
    """Return the resources of an application, each once. Raises ValueError for two of one name, and for references to none."""
    by_name: dict[str, Resource[Any]] = {}
    for resource in resources:
        if by_name.setdefault(resource.name, resource) is not resource:
            raise ValueError(f"Resource {resource.name!r}: another one has this name")
    for resource in by_name.values():
        for name, kind in resource.references.items():
            if kind not in by_name:
                raise ValueError(f"Resource {resource.name!r}: {name} refers to {kind!r}, which no resource is")
    return list(by_name.values())


def _members(annotation: Any) -> tuple[Any, ...]:
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if union else (annotation,)


def _is_single(annotation: Any) -> bool:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _is_single(arguments[0])
    if origin is Literal:
        return all(isinstance(value, SINGLE) for value in arguments)
    if len(arguments) > 1 and arguments == _members(annotation):
        return all(map(_is_single, arguments))
    return isinstance(annotation, type) and issubclass(annotation, SINGLE)


def _leaves(path: str, annotation: Any, metadata: tuple[Any, ...] = ()) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """Yield the types that an annotation is made of, each with its place and what `Annotated` adds to it."""
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is Annotated:
        yield from _leaves(path, arguments[0], (*metadata, *arguments[1:]))
    elif typing.get_origin(annotation) is Literal:
        for value in arguments:
            yield path, type(value), metadata
    elif arguments:
        origin = typing.get_origin(annotation)
        if origin in (Callable, Secret, type):
            yield path, origin, metadata
            return
        for each in arguments:
            yield from _leaves(path, each, metadata)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _fields(
            path, {name: (info.annotation, tuple(info.metadata)) for name, info in annotation.model_fields.items()}
        )
    elif dataclasses.is_dataclass(annotation) or typing.is_typeddict(annotation) or hasattr(annotation, "_fields"):
        hints = typing.get_type_hints(annotation, include_extras=True)
        yield from _fields(path, {name: (hint, ()) for name, hint in hints.items()})
    elif annotation is not Ellipsis:
        yield path, annotation, metadata


def _why_lost(kind: Any, metadata: tuple[Any, ...]) -> str | None:
    if any(isinstance(each, EncodedBytes | PlainSerializer | WrapSerializer) for each in metadata) or kind is Any:
        return None
    if isinstance(kind, type):
        for lost, reason in LOST.items():
            if issubclass(kind, lost):
                return reason
        if issubclass(kind, KEPT) or hasattr(kind, "__get_pydantic_core_schema__"):
            return None
    return "it has no form in JSON that Pydantic reads back"


def _fields(path: str, fields: Mapping[str, tuple[Any, tuple[Any, ...]]]) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    for name, (annotation, metadata) in fields.items():
        yield from _leaves(f"{path}.{name}", annotation, metadata)
