"""Pagination: parse the query, and format the response."""

from __future__ import annotations

from .messages import Request
from .stores import Page

_LIMIT = 1000  # default


def listing(total: int, items: list[dict[str, object]]) -> dict[str, object]:
    """Go omits a count of 0."""
    return {**({"totalCount": total} if total else {}), "items": items}


def page_of(request: Request) -> Page:
    """offset, limit and fieldSelector=name=... of the query. A value that is not a number is ignored."""
    query = request.query

    def number(key: str, otherwise: int) -> int:
        text = query.get(key, [""])[0]
        return int(text) if text.removeprefix("-").isdecimal() else otherwise

    selector = query.get("fieldSelector", [""])[0]
    name = selector.removeprefix("name=").removeprefix("=") if selector.startswith("name=") else ""
    return Page(offset=number("offset", 0), limit=number("limit", _LIMIT), name_contains=name)
