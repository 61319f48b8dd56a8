"""The CRUD operations of a resource over HTTP."""
# ruff: noqa: N806 - types that depend on the kind

from inspect import Parameter, Signature
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response, Security
from fastapi.security import SecurityScopes

from service.kit.auth import Authorized, Principal
from service.kit.docs import operation_id
from service.kit.errors import PHRASES, documented
from service.kit.models import ID_PATTERN, Page, Stored
from service.kit.parameters import Cursor, IdempotencyKey, IfMatch, IfNoneMatch, Limit, OptionalIfMatch
from service.kit.preconditions import Preconditions
from service.kit.repository import Repository
from service.kit.resource import Public, Resource
from service.kit.routing import ApiRoute
from service.kit.table import request_table

Responses = dict[int | str, dict[str, Any]]
ETAG = {"ETag": {"description": "The entity tag of this revision.", "schema": {"type": "string"}}}
LOCATION = {"Location": {"description": "The path of the new resource.", "schema": {"type": "string"}}}
LINK = {"Link": {"description": 'The next page, as rel="next".', "schema": {"type": "string"}}}


class RepositoryDependency(Authorized):
    """The dependency that returns the repository for the caller. It is one level deep: nested dependencies cost time."""

    def __init__(self, resource: Resource[Any]) -> None:
        self._resource = resource

    async def __call__(self, request: Request, required: SecurityScopes) -> Repository[Any]:
        """Return the repository for the caller. Raises Unauthorized, Forbidden."""
        caller: Principal = await super().__call__(request, required)
        return Repository(self._resource, await request_table(request), caller)


def repository(resource: Resource[Any], action: Literal["read", "write"]) -> Any:
    """Return a dependency that requires the resource's read or write scope and returns its repository.

    Usage: `tickets: Annotated[Repository[TicketPublic], repository(TICKETS, "write")]`.
    """
    return Security(RepositoryDependency(resource), scopes=[f"{resource.plural}:{action}"])


def router_of(resource: Resource[Public]) -> APIRouter:
    """Return a router with the resource's operations. A domain may add others to it."""
    name, plural = resource.name, resource.plural
    spoken, spoken_plural = name.replace("_", " "), plural.replace("_", " ").replace("-", " ")
    one = f"/{{{name}_id}}"
    refused = (
        [409] if resource.references or resource.before_change or any(each.unique for each in resource.lookups) else []
    )
    router = APIRouter(
        prefix=f"/{plural}",
        tags=[plural],
        responses=documented(401, 403, 503),
        generate_unique_id_function=operation_id,
        route_class=ApiRoute,
    )
    PublicModel, Create, Update = resource.public, resource.create, resource.update
    Readable = Annotated[Repository[Any], repository(resource, "read")]
    Writable = Annotated[Repository[Any], repository(resource, "write")]
    Identity = Annotated[str, Path(alias=f"{name}_id", pattern=ID_PATTERN, description=f"The {spoken}'s id.")]

    async def create(
        request: Request,
        items: Writable,
        body: Create,  # type: ignore[valid-type]  # known when the router is made
        response: Response,
        idempotency_key: IdempotencyKey = None,
    ) -> Stored:
        item: Stored = items.create(body, idempotency_key)
        root_path = request.scope.get("root_path", "")
        response.headers.update({"location": f"{root_path}/{plural}/{item.id}", "etag": item.etag})
        return item

    async def list_(
        request: Request,
        items: Readable,
        filters: Annotated[dict[str, Any], Depends(_filters(resource))],
        response: Response,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[Any]:
        page = items.page(limit, cursor, filters)
        if page.next_cursor:
            # A relative reference with only a query: correct behind any domain and path.
            query = request.url.include_query_params(cursor=page.next_cursor).query
            response.headers["link"] = f'<?{query}>; rel="next"'
        return page

    async def read(
        items: Readable,
        identity: Identity,
        response: Response,
        if_match: OptionalIfMatch = None,
        if_none_match: IfNoneMatch = None,
    ) -> Stored | Response:
        preconditions = Preconditions.parse(if_match, if_none_match)
        item: Stored = items.get(identity)
        if preconditions.not_modified(item.etag):
            return Response(status_code=304, headers={"etag": item.etag})
        response.headers["etag"] = item.etag
        return item

    async def replace(
        items: Writable,
        identity: Identity,
        if_match: IfMatch,
        body: Create,  # type: ignore[valid-type]
        response: Response,
        if_none_match: IfNoneMatch = None,
    ) -> Stored:
        item: Stored = items.update(identity, body, Preconditions.parse(if_match, if_none_match), whole=True)
        response.headers["etag"] = item.etag
        return item

    async def update(
        items: Writable,
        identity: Identity,
        if_match: IfMatch,
        body: Update,  # type: ignore[valid-type]
        response: Response,
        if_none_match: IfNoneMatch = None,
    ) -> Stored:
        item: Stored = items.update(identity, body, Preconditions.parse(if_match, if_none_match))
        response.headers["etag"] = item.etag
        return item

    async def delete(items: Writable, identity: Identity, if_match: IfMatch, if_none_match: IfNoneMatch = None) -> None:
        items.delete(identity, Preconditions.parse(if_match, if_none_match))

    changed = _headed(200, ETAG) | documented(400, 404, 412, 413, 428, *refused)
    routes: dict[str, dict[str, Any]] = {
        "create": {
            "path": "",
            "endpoint": create,
            "methods": ["POST"],
            "status_code": 201,
            "name": f"create_{name}",
            "summary": f"Create a {spoken}",
            "response_model": PublicModel,
            "responses": _headed(201, LOCATION | ETAG) | documented(400, 413, *refused),
        },
        "list": {
            "path": "",
            "endpoint": list_,
            "methods": ["GET"],
            "name": f"list_{plural.replace('-', '_')}",
            "summary": f"List {spoken_plural}",
            "response_model": Page[PublicModel],  # type: ignore[valid-type]
            "responses": _headed(200, LINK) | documented(400),
        },
        "read": {
            "path": one,
            "endpoint": read,
            "methods": ["GET"],
            "name": f"read_{name}",
            "summary": f"Read a {spoken}",
            "response_model": PublicModel,
            "responses": _headed(200, ETAG) | _headed(304, ETAG) | documented(400, 404, 412),
        },
        "replace": {
            "path": one,
            "endpoint": replace,
            "methods": ["PUT"],
            "name": f"replace_{name}",
            "summary": f"Replace a {spoken}",
            "response_model": PublicModel,
            "responses": changed,
        },
        "update": {
            "path": one,
            "endpoint": update,
            "methods": ["PATCH"],
            "name": f"update_{name}",
            "summary": f"Change some fields of a {spoken}",
            "response_model": PublicModel,
            "responses": changed,
        },
        "delete": {
            "path": one,
            "endpoint": delete,
            "methods": ["DELETE"],
            "status_code": 204,
            "name": f"delete_{name}",
            "summary": f"Delete a {spoken}",
            "responses": documented(400, 404, 409, 412, 428),
        },
    }
    for operation, options in routes.items():
        if operation in resource.operations:
            router.add_api_route(**options)
    return router


def _headed(status: int, headers: dict[str, Any]) -> Responses:
    return {status: {"description": PHRASES[status], "headers": headers}}


def _filters(resource: Resource[Any]) -> Any:
    """Return the dependency that returns a list's filters by field: one query parameter for each lookup."""

    async def filters(**values: Any) -> dict[str, Any]:
        return {name: value for name, value in values.items() if value is not None}

    owner = resource.owner.field if resource.owner else None
    parameters = []
    for lookup in resource.lookups:
        if lookup.field != owner:
            query = Query(description=f"Return only those with this {lookup.field.replace('_', ' ')}.")
            values: Any = resource.lookup_type(lookup.field)
            annotation = Annotated[values | None, query]
            parameters.append(Parameter(lookup.field, Parameter.KEYWORD_ONLY, default=None, annotation=annotation))
    filters.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # which FastAPI reads
    return filters
