"""The service's adapter is Mangum by a shorter way: Mangum's own tests pass, and no application is answered in another manner."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import AsyncGenerator, Callable, Iterator
from contextvars import ContextVar
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mangum import Mangum
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from sandbox.paths import ROOT
from service.aws_lambda.adapter import Adapter, EventLoop
from tests.service.test_handler import event

# What Mangum's tests import from then on; it tells how many of their requests went the shorter way.
SUBSTITUTE = """
import asyncio

import mangum
from service.aws_lambda import adapter

mangum.Mangum = mangum.adapter.Mangum = adapter.Adapter
loop = adapter.EventLoop()
asyncio.set_event_loop(loop)
complete, completed = loop.complete, []
loop.complete = lambda coroutine: (complete(coroutine), completed.append(1))


def pytest_unconfigure():
    print("completed:", len(completed))
    loop.close()
"""


@pytest.fixture(scope="module")
def suite(pytestconfig: pytest.Config) -> Path:
    """Return a folder with Mangum's tests, of the version and hash that the service pins; kept between runs."""
    folder: Path = pytestconfig.cache.mkdir(f"mangum-{version('mangum')}")
    if not (folder / "tests").exists():
        pins = (ROOT / "service" / "requirements.txt").read_text()
        pin = re.search(r"^mangum==(.*\\\n)*.*\n", pins, re.MULTILINE)
        assert pin
        (folder / "requirements.txt").write_text(pin[0])
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        download += ["--no-binary", "mangum", "--dest", str(folder), "--requirement", str(folder / "requirements.txt")]
        subprocess.run(download, check=True)
        [sources] = folder.glob("*.tar.gz")
        with tarfile.open(sources) as archive:
            archive.extractall(folder, filter="data")
        # Without the package beside them, which would be imported in place of the installed one.
        for name in ("pyproject.toml", "tests"):
            (folder / sources.name.removesuffix(".tar.gz") / name).rename(folder / name)
    return folder


def test_mangums_own_tests_pass(suite: Path, tmp_path: Path) -> None:
    (tmp_path / "substitute.py").write_text(SUBSTITUTE)
    # Those that deploy Mangum itself to an emulator have nothing of this in them.
    options = ["-q", "-p", "substitute", "-p", "no:cacheprovider", "-k", "not real_lambda"]
    command = [sys.executable, "-m", "pytest", *options]
    paths = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    run = subprocess.run(command, cwd=suite, env=os.environ | paths, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr
    passed, completed = (int(re.search(pattern, run.stdout)[1]) for pattern in (r"(\d+) passed", r"completed: (\d+)"))  # type: ignore[index]
    assert passed > 100
    assert completed > 50


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    with_turns = EventLoop()
    asyncio.set_event_loop(with_turns)
    yield with_turns
    asyncio.set_event_loop(None)
    with_turns.close()


def answer(adapter: Callable[..., Any], app: Any, **changes: Any) -> Any:
    return adapter(app, lifespan="off")(event("GET", "/", **changes), None)


# What an application may send, in any order, and do between: rubbish as well.
HEADERS = st.lists(
    st.tuples(
        st.sampled_from([b"content-type", b"Set-Cookie", b"x-many", b"X-Many"]),
        st.sampled_from([b"text/plain", b"application/json", b"image/png", b"a=1", b""]),
    ),
    max_size=4,
)
STEPS = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("http.response.start"), "status": st.sampled_from([200, 204, 404, 500])},
        optional={"headers": HEADERS},
    ),
    st.fixed_dictionaries(
        {"type": st.just("http.response.body")},
        optional={"body": st.binary(max_size=4) | st.just(b"text"), "more_body": st.booleans()},
    ),
    st.sampled_from(["receive", "sleep", "raise", "cancel", "exit", {"type": "http.response.push"}]),
)


def scripted(steps: list[Any], seen: list[Message]) -> Any:
    """Return an application that takes these steps, and what it is given on the way."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append({**scope, "headers": sorted(map(tuple, scope["headers"]))})
        asked = 0
        for step in steps:
            if step == "receive":
                asked += 1
                if asked == 1:  # a second one waits for the answer's end
                    seen.append(await receive())
            elif step == "sleep":
                await asyncio.sleep(0)
            elif step == "raise":
                raise ValueError
            elif step == "cancel":
                raise asyncio.CancelledError
            elif step == "exit":
                raise SystemExit(1)
            else:
                await send(step)

    return app


@given(
    steps=st.lists(STEPS, max_size=6),
    body=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    headers=st.dictionaries(st.sampled_from(["Host", "x-forwarded-proto", "Cookie"]), st.just("http")),
    cookies=st.none() | st.lists(st.sampled_from(["a=1", "b=2"])),
    query=st.sampled_from(["", "a=1&b=%20"]),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_application_is_answered_as_by_mangum(
    loop: EventLoop, steps: list[Any], body: str | None, headers: dict[str, str], cookies: list[str] | None, query: str
) -> None:
    outcomes: list[Any] = []
    for adapter in (Mangum, Adapter):
        seen: list[Message] = []
        changes = {"body": body, "headers": headers, "cookies": cookies, "rawQueryString": query}
        try:
            outcome = answer(adapter, scripted(steps, seen), **changes)
        except (AttributeError, RuntimeError):  # Mangum's, and ours, for an application that has sent no answer
            outcome = "none"
        outcomes.append((outcome, seen))
    assert outcomes[0] == outcomes[1]


BALANCED = {"httpMethod": "GET", "path": "/", "headers": {}, "requestContext": {"elb": {}}, "queryStringParameters": {}}
REST = {
    "resource": "/",
    "httpMethod": "GET",
    "path": "/",
    "headers": {"a": "b"},
    "requestContext": {"stage": "$default"},
}


@pytest.mark.parametrize("other", [BALANCED, BALANCED | {"version": "2.0"}, REST, REST | {"version": "1.0"}], ids=str)
def test_other_events_are_read_as_by_mangum(loop: EventLoop, other: dict[str, Any]) -> None:
    answers = []
    for adapter in (Mangum, Adapter):
        seen: list[Message] = []
        steps = ["receive", {"type": "http.response.start", "status": 200}, {"type": "http.response.body"}]
        answers.append((adapter(scripted(steps, seen), lifespan="off")(other, None), seen))  # type: ignore[arg-type]
    assert answers[0] == answers[1]


async def sleeps(request: Request) -> PlainTextResponse:
    await asyncio.sleep(0.001)
    return PlainTextResponse("slept")


def threaded(request: Request) -> PlainTextResponse:
    return PlainTextResponse("of a thread")


async def grouped(request: Request) -> PlainTextResponse:
    words = []

    async def say(word: str) -> None:
        await anyio.sleep(0)
        words.append(word)

    async with anyio.create_task_group() as group:
        group.start_soon(say, "of")
        group.start_soon(say, "tasks")
    with anyio.move_on_after(0.001):
        await anyio.sleep(60)
    return PlainTextResponse(" ".join(words))


async def streamed(request: Request) -> StreamingResponse:
    async def parts() -> AsyncGenerator[str]:
        for part in ("in ", "parts"):
            await asyncio.sleep(0)
            yield part

    # Its second task waits for the caller to go away.
    return StreamingResponse(parts(), media_type="text/plain")


async def reads(request: Request) -> PlainTextResponse:
    body = await request.body()
    return PlainTextResponse(body + str(await request.is_disconnected()).encode())


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        (sleeps, "slept"),
        (threaded, "of a thread"),
        (grouped, "of tasks"),
        (streamed, "in parts"),
        (reads, "givenFalse"),
    ],
)
def test_what_waits_is_waited_for(loop: EventLoop, endpoint: Any, body: str) -> None:
    app = Starlette(routes=[Route("/", endpoint)])
    for _ in range(3):
        answers = [answer(adapter, app, body="given") for adapter in (Mangum, Adapter)]
        assert answers[0] == answers[1]
        assert answers[1]["body"] == body


def test_another_event_loop_serves_as_well() -> None:
    with asyncio.Runner() as runner:
        asyncio.set_event_loop(runner.get_loop())
        assert answer(Adapter, Starlette(routes=[Route("/", sleeps)]))["body"] == "slept"


def test_inside_of_a_running_event_loop_there_is_an_error_as_with_mangum(loop: EventLoop) -> None:
    async def nested() -> None:
        answer(Adapter, Starlette(routes=[Route("/", sleeps)]))

    for run in (loop.run_until_complete, loop.complete):
        with pytest.raises(RuntimeError, match="already running"):
            run(nested())


def test_what_a_request_sets_is_gone_with_it(loop: EventLoop) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="nothing")

    async def app(request: Request) -> PlainTextResponse:
        found = variable.get()
        variable.set("something")
        assert asyncio.current_task() is not None
        assert asyncio.get_running_loop() is loop
        return PlainTextResponse(found)

    served = Starlette(routes=[Route("/", app)])
    assert [answer(Adapter, served)["body"] for _ in range(2)] == ["nothing", "nothing"]
    assert asyncio.all_tasks(loop) == set()


def test_a_generator_that_was_left_is_closed(loop: EventLoop) -> None:
    closed = []

    async def numbers() -> AsyncGenerator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    async def app(request: Request) -> PlainTextResponse:
        async for _ in numbers():
            break
        gc.collect()
        return PlainTextResponse("left")

    assert answer(Adapter, Starlette(routes=[Route("/", app)]))["body"] == "left"
    loop.run_until_complete(asyncio.sleep(0.001))
    assert closed == [True]


def test_an_application_that_ends_without_an_answer_is_an_error_that_says_so(loop: EventLoop) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})

    with pytest.raises(RuntimeError, match="without an answer"):
        answer(Adapter, app)
