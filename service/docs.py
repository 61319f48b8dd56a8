"""Interactive documentation at /docs, with Swagger UI served from here and from nowhere else."""

from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

ASSETS = "/docs/assets"


def install(app: FastAPI) -> None:
    """Serve the documentation and its assets, which lie in a package that is found but never imported."""
    package = find_spec("fastapi_swagger")
    if package is None or not package.submodule_search_locations:
        raise RuntimeError("the package fastapi-swagger, which carries Swagger UI, is not installed")
    folder = Path(package.submodule_search_locations[0]) / "resources"
    app.mount(ASSETS, StaticFiles(directory=folder, check_dir=False))

    @app.get("/docs", include_in_schema=False)
    async def read_docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=app.title,
            swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{ASSETS}/favicon-32x32.png",
        )
