"""Headers that the settings add to responses and to requests for an upstream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from settings.base import refuse_repeated
from settings.texts import HeaderValue, RequestHeaderValue

HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]*$", max_length=100)]
HSTS = "strict-transport-security"
CORS = "access-control-"
# Headers of one connection (RFC 9110, 7.6.1), and Content-Length, which nginx computes.
_OF_A_CONNECTION = ("connection", "content-length", "keep-alive", "trailer", "transfer-encoding", "upgrade")
_OF_A_RESPONSE = (*_OF_A_CONNECTION, "content-encoding", "content-range", "content-type", "date", "server")


def _without(names: tuple[str, ...], reason: str) -> Callable[[dict[str, str]], dict[str, str]]:
    def check(headers: dict[str, str]) -> dict[str, str]:
        for name in headers:
            if name.lower() in names:
                raise ValueError(f"cannot contain {name}, {reason}")
        return headers

    return check


def _different_names(headers: dict[str, str]) -> dict[str, str]:
    refuse_repeated(headers, "header")
    return headers


Headers = Annotated[
    dict[HeaderName, HeaderValue],
    AfterValidator(_different_names),
    AfterValidator(
        _without(
            _OF_A_RESPONSE,
            "which nginx or the upstream sends: clients would receive it twice. The type of a fixed response is "
            "respond.contentType",
        )
    ),
]
RequestHeaders = Annotated[
    dict[HeaderName, RequestHeaderValue],
    AfterValidator(_different_names),
    AfterValidator(
        _without(
            _OF_A_CONNECTION,
            "which belongs to nginx's connection to the upstream: a client could smuggle requests past the other "
            "locations. For WebSocket set websocket: true",
        )
    ),
]


def find_header(headers: dict[str, str], prefix: str) -> str | None:
    """Return the first header name that begins with `prefix` (lower case), regardless of case; None without one."""
    return next((name for name in headers if name.lower().startswith(prefix)), None)
