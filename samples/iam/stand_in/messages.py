"""Requests, responses and routes, as handlers see them, without sockets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from . import VERSION
from .codes import BIND, CodedError
from .jsontext import dump

JSON_TYPE = "application/json; charset=utf-8"


@dataclass(slots=True)
class Request:
    """One request. Authentication sets `username`; the router sets `parameters`."""

    method: str
    target: str  # path and query as received
    headers: Mapping[str, str]  # names as in Content-Type; see `header`
    body: bytes = b""
    username: str = ""
    parameters: dict[str, str] = field(default_factory=dict[str, str])

    def header(self, name: str) -> str:
        """The header's value, empty if the request does not have it."""
        return self.headers.get(name, "")

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query)

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises CodedError(BIND)."""
        try:
            value = json.loads(self.body)
        except ValueError as error:
            raise CodedError(BIND, str(error)) from error
        if not isinstance(value, dict):
            raise CodedError(BIND, f"the body must be a JSON object (got {type(value).__name__})")
        return value


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: str
    content_type: str = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()


def ok(value: Any = None) -> Response:
    return Response(HTTPStatus.OK, dump(value))


def failure(error: CodedError) -> Response:
    return Response(error.code.status, dump({"code": error.code.number, "message": error.code.message}))


def unforeseen() -> Response:
    """The response of the real servers to an error without a code."""
    body = {
        "code": 1,
        "message": "An internal server error occurred",
        "reference": "http://github.com/marmotedu/errors/README.md",
    }
    return Response(HTTPStatus.INTERNAL_SERVER_ERROR, dump(body))


def healthz(_: Request) -> Response:
    """A constant response, as in the real servers: it only shows that the process and its HTTP loop work."""
    return ok({"status": "ok"})


def version(_: Request) -> Response:
    return ok(
        {
            "gitVersion": VERSION,
            "gitCommit": "",
            "gitTreeState": "",
            "buildDate": "1970-01-01T00:00:00Z",
            "goVersion": "",
            "compiler": "cpython",
            "platform": "linux",
        }
    )


class Router:
    """Routes such as `/v1/users/:name`. `otherwise` handles requests that match none."""

    def __init__(self, otherwise: Callable[[Request], Response]) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Callable[[Request], Response]]] = []
        self._otherwise = otherwise

    def add(self, method: str, path: str, handler: Callable[[Request], Response]) -> None:
        pattern = re.sub(r":(\w+)", r"(?P<\1>[^/]+)", path)
        self._routes.append((method, re.compile(f"{pattern}"), handler))

    def __call__(self, request: Request) -> Response:
        for method, pattern, handler in self._routes:
            found = pattern.fullmatch(request.path) if method == request.method else None
            if found:
                request.parameters = {name: unquote(value) for name, value in found.groupdict().items()}
                return handler(request)
        return self._otherwise(request)
