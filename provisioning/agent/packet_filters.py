"""Packet filters of other software, for example ufw: they can drop VRRP, which shows only when the master changes."""

from __future__ import annotations

import json
from typing import Any

from .node import Node
from .results import ok, warning

_OURS = ("tandem", "tandem_servers")  # the tables of services/firewall.py
_HOOKS = ("input", "output")
_VRRP = ("vrrp", "ah", 112, 51)  # nft prints a name if the node has /etc/protocols
_PROTOCOL = ({"payload": {"protocol": "ip", "field": "protocol"}}, {"meta": {"key": "l4proto"}})


def check(node: Node) -> list[dict[str, Any]]:
    """A warning for each chain that drops VRRP, or all that it does not accept. Nothing without nftables."""
    shown = node.run(["nft", "--json", "--stateless", "list", "ruleset"])
    if shown.code:
        return []
    objects: list[dict[str, Any]] = json.loads(shown.out or "{}").get("nftables", [])
    hooked = {
        (chain["family"], chain["table"], chain["name"]): chain.get("policy", "accept")
        for chain in (each["chain"] for each in objects if "chain" in each)
        if chain["table"] not in _OURS and chain.get("hook") in _HOOKS
    }
    seen = {key: "drops what it does not accept" for key, policy in hooked.items() if policy == "drop"}
    for rule in (each["rule"] for each in objects if "rule" in each):
        key = (rule["family"], rule["table"], rule["chain"])
        if key in hooked and _drops_vrrp(rule["expr"]):
            seen[key] = "drops VRRP"
    found = [
        warning("packet filter", f"chain {chain} of the table {family} {table} {what}", "nft list ruleset")
        for (family, table, chain), what in seen.items()
    ]
    return found or [ok("packet filter", "no other filter drops packets")]


def _drops_vrrp(expressions: list[dict[str, Any]]) -> bool:
    ends = any("drop" in each or "reject" in each for each in expressions)
    return ends and any(_names_vrrp(each["match"]) for each in expressions if "match" in each)


def _names_vrrp(match: dict[str, Any]) -> bool:
    if match["left"] not in _PROTOCOL:
        return False
    value = match["right"]
    values = value["set"] if isinstance(value, dict) and "set" in value else [value]
    return any(each in _VRRP for each in values)
