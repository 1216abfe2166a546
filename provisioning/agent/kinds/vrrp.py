"""The digest of the VRRP settings that keepalived on this node has read, and the revision that has changed them."""

from __future__ import annotations

from typing import Any

from ..node import Node
from ..previous import UNDO

_RECORD = "vrrp.json"


def facts(node: Node, questions: list[str]) -> dict[str, str]:
    del questions
    return node.read_json(_RECORD, {"digest": "", "revision": ""})


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    node.before("record the VRRP settings")
    revision = (node.read_json(UNDO, None) or {}).get("revision", "")
    node.write_json(_RECORD, {"digest": item["digest"], "revision": revision})
    return ["recorded the VRRP settings"]
