"""Interactive documentation at /docs, with Swagger UI served from here and from nowhere else."""

import base64
import hashlib
import os
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

ASSETS = "/docs/assets"
INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
FILES = {"swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"}


class _Assets(StaticFiles):
    """Serves only the files that the page uses; browsers cache them for a day."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        return super().lookup_path(path) if path in FILES else ("", None)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = FileResponse(full_path, status_code, stat_result=stat_result)
        # From the content, since all files of the image have the same date.
        response.headers["etag"] = _etag(str(full_path))
        del response.headers["last-modified"]
        response.headers["cache-control"] = "public, max-age=86400"
        if self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response


@cache
def _etag(path: str) -> str:
    return f'"{hashlib.sha256(Path(path).read_bytes()).hexdigest()[:32]}"'


@cache
def _page(title: str) -> HTMLResponse:
    """Return the page. Its Content-Security-Policy allows its inline script and files of this API only."""
    page = get_swagger_ui_html(
        # Relative to /docs, for APIs below a path of their domain.
        openapi_url="openapi.json",
        title=title,
        swagger_js_url=f"{ASSETS[1:]}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS[1:]}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS[1:]}/favicon-32x32.png",
    )
    scripts = [hashlib.sha256(script).digest() for script in INLINE_SCRIPT.findall(bytes(page.body))]
    hashes = " ".join(f"'sha256-{base64.b64encode(each).decode()}'" for each in scripts)
    page.headers["content-security-policy"] = (
        f"default-src 'none'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
        " connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    return page


def operation_id(route: APIRoute) -> str:
    """Return the function's name, which client generators use as the method's name."""
    return route.name


def install(app: FastAPI) -> None:
    """Serve the documentation and its assets, which are in a package that is never imported."""
    package = find_spec("fastapi_swagger")
    if package is None or not package.submodule_search_locations:
        raise RuntimeError("the package fastapi-swagger, which carries Swagger UI, is not installed")
    folder = Path(package.submodule_search_locations[0]) / "resources"
    app.mount(ASSETS, _Assets(directory=folder, check_dir=False))

    @app.get("/docs", include_in_schema=False)
    async def read_docs() -> HTMLResponse:
        return _page(app.title)
