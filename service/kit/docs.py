"""Interactive documentation at /docs, with Swagger UI served from here and from nowhere else."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

ASSETS = "/docs/assets"
FILES = {"swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"}


class _Assets(StaticFiles):
    """The files that the page refers to, none of the others that lie beside them, kept by browsers for a day."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        return super().lookup_path(path) if path in FILES else ("", None)

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        response = super().file_response(*arguments, **options)
        response.headers["cache-control"] = "public, max-age=86400"
        return response


def operation_id(route: APIRoute) -> str:
    """Return the function's name alone, which is what a client generator should name the call."""
    return route.name


def install(app: FastAPI) -> None:
    """Serve the documentation and its assets, which lie in a package that is found but never imported."""
    package = find_spec("fastapi_swagger")
    if package is None or not package.submodule_search_locations:
        raise RuntimeError("the package fastapi-swagger, which carries Swagger UI, is not installed")
    folder = Path(package.submodule_search_locations[0]) / "resources"
    app.mount(ASSETS, _Assets(directory=folder, check_dir=False))

    @app.get("/docs", include_in_schema=False)
    async def read_docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=app.title,
            swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{ASSETS}/favicon-32x32.png",
        )
