"""An API that can serve below a path of its domain."""

import os

from fastapi import FastAPI, Request
from mangum import Mangum

app = FastAPI(root_path=os.environ.get("ROOT_PATH", ""))
handler = Mangum(app, lifespan="off")


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/hello/{name}")
async def hello(name: str, request: Request) -> dict[str, str]:
    return {"message": f"hello, {name}", "url": str(request.url_for("hello", name=name))}
