"""The class of all routes: checks the caller first, then the query, then the body, which is strict JSON."""

import email.message
import json
import math
import re
import types
import typing
from collections.abc import Callable, Coroutine, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.params import Form
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from service.kit.auth import Authorized

LONGEST_KEY = 100
MAX_DEPTH = 100
"""Levels of nested arrays and objects in a body. Python's own limit depends on its version."""
STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
BRACKET = re.compile(r"[\[\]{}]")
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class ApiRoute(APIRoute):
    """A route that checks the caller before anything else (401, 403), and accepts only JSON bodies (415, 400)."""

    response_headers: tuple[tuple[bytes, bytes], ...] = ()
    """Added to all its responses, errors included. Names are in lower case."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function that handles requests; FastAPI calls this once for each route."""
        handler = super().get_route_handler()
        guards = list(_guards(self.dependant))
        known = dict(_query_parameters(self.dependant))
        reads_json = self.body_field is not None and not isinstance(self.body_field.field_info, Form)

        async def serve(request: Request) -> Response:
            for guard, scopes in guards:
                guard.authorize(request, scopes)
            if request.scope["query_string"]:
                _check_query(request, known)
            return await handler(_JsonRequest(request.scope, request.receive) if reads_json else request)

        return serve


def _guards(dependant: Dependant) -> Iterator[tuple[Authorized, list[str]]]:
    for each in dependant.dependencies:
        if isinstance(each.call, Authorized):
            yield each.call, each.own_oauth_scopes or []
        yield from _guards(each)


def _query_parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """Yield the names of the query parameters, and whether each may be sent more than once."""
    for field in dependant.query_params:
        annotation = field.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):  # a model of all of them
            for name, info in annotation.model_fields.items():
                yield info.alias or name, _is_list(info.annotation)
        else:
            yield field.alias, _is_list(annotation)
    for each in dependant.dependencies:
        yield from _query_parameters(each)


def _is_list(annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(map(_is_list, typing.get_args(annotation)))
    return (origin or annotation) in (list, set, frozenset, tuple)


def _check_query(request: Request, known: Mapping[str, bool]) -> None:
    """Raise RequestValidationError for a query parameter that the route does not have, or that is repeated and is no list."""
    sent = [name for name, _ in request.query_params.multi_items()]
    faults = [("extra_forbidden", name, "Unknown query parameter") for name in dict.fromkeys(sent) if name not in known]
    repeated = [name for name in dict.fromkeys(sent) if sent.count(name) > 1 and known.get(name) is False]
    faults += [("repeated", name, "The query parameter may be sent only once") for name in repeated]
    if faults:
        raise RequestValidationError(
            [{"type": kind, "loc": ("query", name), "msg": text} for kind, name, text in faults]
        )


class _JsonRequest(Request):
    """A request whose body is one JSON text in UTF-8 (RFC 8259), with each key once and numbers that JSON has."""

    async def body(self) -> bytes:
        # FastAPI reads the body first. With the media type checked here, it never guesses whether a body is JSON.
        body = await super().body()
        if body:
            self._check_headers()
        return body

    async def json(self) -> Any:
        body = await self.body()
        try:
            text = body.decode()
            _check_depth(text)
            value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite)
            if SURROGATE.search(text):
                json.dumps(value, ensure_ascii=False).encode()
        except UnicodeDecodeError:
            raise _bad("it is not UTF-8") from None
        except UnicodeEncodeError:
            raise _bad("a string has half of a surrogate pair") from None
        except json.JSONDecodeError as error:
            raise _bad(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
        except ValueError as error:
            raise _bad(str(error)) from None
        return value

    def _check_headers(self) -> None:
        message = email.message.Message()
        message["content-type"] = self.headers.get("content-type", "")
        kind, subtype = message.get_content_maintype(), message.get_content_subtype()
        charset = message.get_param("charset", "utf-8")
        is_json = (
            "content-type" in self.headers
            and kind == "application"
            and (subtype == "json" or subtype.endswith("+json"))
        )
        if not is_json or str(charset).lower() != "utf-8":
            raise HTTPException(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "The body must be JSON in UTF-8: send Content-Type: application/json.",
                {"Accept": "application/json"},
            )
        if self.headers.get("content-encoding", "identity").lower() != "identity":
            raise HTTPException(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "The body must not be compressed: send it without Content-Encoding.",
                {"Accept-Encoding": "identity"},
            )


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in BRACKET.findall(STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested too deeply, the limit is {MAX_DEPTH} levels")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        key = next(key for key in found if keys.count(key) > 1)
        raise ValueError(f"an object has the key {json.dumps(key[:LONGEST_KEY])} more than once")
    return found


def _refuse(name: str) -> float:
    raise ValueError(f"JSON has no {name}")


def _finite(text: str) -> float:
    if math.isinf(value := float(text)):
        raise ValueError("a number is too large")
    return value


def _bad(reason: str) -> HTTPException:
    return HTTPException(HTTPStatus.BAD_REQUEST, f"The body is not valid JSON: {reason}.")
