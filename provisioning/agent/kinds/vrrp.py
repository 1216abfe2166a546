"""The digest of the VRRP settings that keepalived on this node has read."""

from __future__ import annotations

from typing import Any

from ..node import Node

_RECORD = "vrrp.json"


def facts(node: Node, questions: list[str]) -> dict[str, str]:
    del questions
    return {"digest": node.read_json(_RECORD, "")}


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    node.before("record the VRRP settings")
    node.write_json(_RECORD, item["digest"])
    return ["recorded the VRRP settings"]
