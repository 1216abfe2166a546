"""The result of one health check on the node, as JSON data."""

from __future__ import annotations

from typing import Any

OK, WARNING, FAIL = "ok", "warning", "fail"


def ok(name: str, seen: str) -> dict[str, Any]:
    return {"name": name, "level": OK, "seen": seen, "look_at": ""}


def warning(name: str, seen: str, look_at: str) -> dict[str, Any]:
    return {"name": name, "level": WARNING, "seen": seen, "look_at": look_at}


def fail(name: str, seen: str, look_at: str) -> dict[str, Any]:
    return {"name": name, "level": FAIL, "seen": seen, "look_at": look_at}
