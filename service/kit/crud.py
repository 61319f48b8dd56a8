"""The six operations of a kind of thing over HTTP, the same for every kind."""
# ruff: noqa: N806 - types that depend on the kind

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response, Security
from fastapi.security import SecurityScopes

from service.kit.auth import Authorized, Principal
from service.kit.docs import operation_id
from service.kit.errors import documented
from service.kit.models import ID_PATTERN, Page
from service.kit.parameters import Cursor, IdempotencyKey, IfMatch, IfNoneMatch, Limit, etag, names
from service.kit.resource import NO_LOOKUP, Lookup, Repository, Resource
from service.kit.table import Item, request_table

Responses = dict[int | str, dict[str, Any]]
ETAG = {"ETag": {"description": "Names this revision of it.", "schema": {"type": "string"}}}
LOCATION = {"Location": {"description": "Where it is read.", "schema": {"type": "string"}}}


class _Opened(Authorized):
    """The dependency that is the things that a caller has asked for: one level, since each that is nested costs a request."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    async def __call__(self, request: Request, required: SecurityScopes) -> Repository:
        """Return the repository for a caller who may use it. Raises Unauthorized, Forbidden."""
        caller: Principal = await super().__call__(request, required)
        return Repository(self._resource, await request_table(request), caller.subject)


def router_of(resource: Resource) -> APIRouter:
    """Return a router with create, list, read, replace, update and delete, to which a domain may add operations of its own."""
    name, plural = resource.name, f"{resource.name}s"
    one = f"/{{{name}_id}}"
    related = [409] if resource.lookup.unique or resource.references else []
    router = APIRouter(
        prefix=f"/{plural}",
        tags=[plural],
        responses=documented(401, 403, 503),
        generate_unique_id_function=operation_id,
    )

    opened = _Opened(resource)
    Readable = Annotated[Repository, Security(opened, scopes=[f"{plural}:read"])]
    Writable = Annotated[Repository, Security(opened, scopes=[f"{plural}:write"])]
    Identity = Annotated[str, Path(alias=f"{name}_id", pattern=ID_PATTERN, description="As the API gave it.")]

    @router.post(
        "",
        status_code=201,
        name=f"create_{name}",
        summary=f"Create a {name}",
        response_model=resource.shown,
        responses=_headed(201, LOCATION | ETAG) | documented(400, 413, *related),
    )
    async def create(
        things: Writable,
        body: resource.write,  # type: ignore[name-defined]  # known when the router is made
        response: Response,
        idempotency_key: IdempotencyKey = None,
    ) -> Item:
        item = things.create(body, idempotency_key)
        response.headers.update({"location": f"/{plural}/{item['id']}", "etag": etag(item)})
        return item

    @router.get(
        "",
        name=f"list_{plural}",
        summary=f"List {plural}, a page at a time",
        response_model=Page[resource.shown],  # type: ignore[name-defined]
        responses=documented(400),
    )
    async def list_(
        things: Readable,
        value: Annotated[str | None, Depends(_filter(resource.lookup))],
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[Any]:
        return things.page(limit, cursor, value)

    @router.get(
        one,
        name=f"read_{name}",
        summary=f"Read a {name}",
        response_model=resource.shown,
        responses=_headed(200, ETAG) | _headed(304, ETAG) | documented(404),
    )
    async def read(
        things: Readable, identity: Identity, response: Response, if_none_match: IfNoneMatch = None
    ) -> Item | Response:
        item = things.get(identity)
        if if_none_match is not None and names(if_none_match, item, weakly=True):
            return Response(status_code=304, headers={"etag": etag(item)})
        response.headers["etag"] = etag(item)
        return item

    @router.put(
        one,
        name=f"replace_{name}",
        summary=f"Replace a {name}",
        response_model=resource.shown,
        responses=_headed(200, ETAG) | documented(400, 404, 412, 413, 428, *related),
    )
    async def replace(
        things: Writable,
        identity: Identity,
        if_match: IfMatch,
        body: resource.write,  # type: ignore[name-defined]
        response: Response,
    ) -> Item:
        item = things.change(identity, body.model_dump(), if_match)
        response.headers["etag"] = etag(item)
        return item

    @router.patch(
        one,
        name=f"update_{name}",
        summary=f"Change some fields of a {name}",
        response_model=resource.shown,
        responses=_headed(200, ETAG) | documented(400, 404, 412, 413, 428, *related),
    )
    async def update(
        things: Writable,
        identity: Identity,
        if_match: IfMatch,
        body: resource.update,  # type: ignore[name-defined]
        response: Response,
    ) -> Item:
        item = things.change(identity, body.model_dump(exclude_unset=True), if_match)
        response.headers["etag"] = etag(item)
        return item

    @router.delete(
        one,
        status_code=204,
        name=f"delete_{name}",
        summary=f"Delete a {name}",
        responses=documented(404, 409, 412, 428),
    )
    async def delete(things: Writable, identity: Identity, if_match: IfMatch) -> None:
        things.delete(identity, if_match)

    return router


def _headed(status: int, headers: dict[str, Any]) -> Responses:
    return {status: {"description": HTTPStatus(status).phrase, "headers": headers}}


def _filter(lookup: Lookup) -> Any:
    """Return the dependency that is the value to filter a list by, None without."""
    if lookup is NO_LOOKUP:

        async def nothing() -> None:
            return None

        return nothing
    kind, name = lookup.type, lookup.field

    async def value(
        value: Annotated[kind | None, Query(alias=name, description=f"Only those with this {name}.")] = None,  # type: ignore[valid-type]
    ) -> str | None:
        return value

    return value
