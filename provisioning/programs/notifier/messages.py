"""The text of an event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_STATES = {
    "MASTER": "{node} is master of {where}",
    "BACKUP": "{node} is backup for {where}",
    "FAULT": "{node} is in FAULT and cannot hold {where}",
    "STOP": "keepalived on {node} stopped ({where})",
    "SECOND_MASTER": "another node is master of {where}, as {node} is",
    "failed": "{where} failed, as {node} has seen",
    "healthy": "{where} is healthy again, as {node} has seen",
}
# In bytes. WeCom has the lowest limit of all receivers, 2048; a message that it refuses would block all later ones.
# https://developer.work.weixin.qq.com/document/path/91770
_MAX_BYTES = 2000


def read_event(path: Path) -> dict[str, Any]:
    """Read an event (event_recorder.py). One that cannot be read is sent as it is, and must not stop the others."""
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        event = json.loads(text)
    except ValueError:
        event = None
    if isinstance(event, dict) and {"group", "node", "subject", "state"} <= event.keys():
        return event
    return _unreadable(path.name, text)


def _unreadable(name: str, text: str) -> dict[str, Any]:
    return {"group": "", "node": "", "subject": name, "state": "unreadable", "seen": text[:2000]}


def subject(event: Mapping[str, Any]) -> str:
    where = event.get("address") or event["subject"]
    text = _STATES.get(event["state"], "{where} on {node}: {state}")
    before = f" (before: {event['previous']})" if event.get("previous") else ""
    return f"[{event['group']}] " + text.format(node=event["node"], where=where, state=event["state"]) + before


def describe(event: Mapping[str, Any]) -> str:
    """The text of a message: what happened, when, and what was seen."""
    text = "\n".join(line for line in (subject(event), event.get("at"), event.get("seen")) if line)
    return text.encode(errors="replace")[:_MAX_BYTES].decode(errors="ignore")
