"""An API whose dependencies are locked by uv."""

from fastapi import FastAPI
from mangum import Mangum

app = FastAPI()
handler = Mangum(app, lifespan="off")


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/")
async def hello() -> dict[str, str]:
    return {"message": "hello"}
