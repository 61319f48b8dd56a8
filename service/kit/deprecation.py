"""Operations that are going away: the Deprecation (RFC 9745) and Sunset (RFC 8594) headers, and the mark in the OpenAPI document."""

from datetime import UTC, datetime
from email.utils import format_datetime

from fastapi import APIRouter

from service.kit.routing import ApiRoute


def deprecate(
    router: APIRouter,
    *operations: str,
    since: datetime,
    sunset: datetime | None = None,
    documentation: str | None = None,
    successor: str | None = None,
) -> None:
    """Mark operations of a router as deprecated, by their operation ids; all of them when none is named.

    `since` and `sunset` need a time zone. From `sunset` on, the operations may stop working; this does not stop them. `documentation` is
    the URL of a page for developers, `successor` the URL of what to use instead. Raises ValueError for an operation that the router
    does not have, and for dates without a time zone or in the wrong order.
    """
    for moment in filter(None, (since, sunset)):
        if moment.tzinfo is None:
            raise ValueError(f"{moment} needs a time zone, such as datetime.UTC")
    if sunset and sunset < since:
        raise ValueError(f"sunset ({sunset}) is before since ({since}): RFC 9745 does not allow that")
    routes = {route.name: route for route in router.routes if isinstance(route, ApiRoute)}
    if unknown := sorted(set(operations) - routes.keys()):
        raise ValueError(f"the router has no operation {', '.join(unknown)}: it has {', '.join(routes)}")
    headers = [("deprecation", f"@{int(since.timestamp())}")]
    if sunset:
        headers.append(("sunset", format_datetime(sunset.astimezone(UTC), usegmt=True)))
    links = {"deprecation": documentation, "successor-version": successor}
    headers += [("link", f'<{url}>; rel="{relation}"') for relation, url in links.items() if url]
    for name in operations or routes:
        routes[name].deprecated = True
        routes[name].response_headers = tuple((key.encode(), value.encode()) for key, value in headers)
