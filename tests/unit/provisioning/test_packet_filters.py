"""Health names packet filters of other software that drop VRRP. The JSON is what nft 1.0.6 prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provisioning.agent import packet_filters
from provisioning.agent.node import Node, Result

IP_PROTOCOL = {"payload": {"protocol": "ip", "field": "protocol"}}
L4_PROTOCOL = {"meta": {"key": "l4proto"}}
TCP_PORT = {"payload": {"protocol": "tcp", "field": "dport"}}


def chain(policy: str, table: str = "company", hook: str = "input") -> dict[str, Any]:
    return {"chain": {"family": "inet", "table": table, "name": hook, "hook": hook, "policy": policy}}


def rule(left: object, right: object, verdict: str = "drop", table: str = "company") -> dict[str, Any]:
    match = {"match": {"op": "==", "left": left, "right": right}}
    return {"rule": {"family": "inet", "table": table, "chain": "input", "expr": [match, {verdict: None}]}}


def check(root: Path, *objects: dict[str, Any], code: int = 0) -> list[str]:
    shown = json.dumps({"nftables": [{"metainfo": {}}, *objects]}) if code == 0 else ""

    def run(_argv: Any) -> Result:
        return Result(code, shown, "")

    node = Node(root=str(root), runner=run)
    return [f"{each['level']} {each['seen']}" for each in packet_filters.check(node)]


@pytest.mark.parametrize(
    ("objects", "seen"),
    [
        pytest.param([], "", id="no filter"),
        pytest.param([chain("drop", "tandem"), rule(IP_PROTOCOL, "vrrp", table="tandem")], "", id="Tandem's own"),
        pytest.param([chain("accept"), rule(TCP_PORT, 112)], "", id="drops a port with the number of VRRP"),
        pytest.param([chain("accept"), rule(IP_PROTOCOL, "vrrp", "accept")], "", id="accepts VRRP"),
        pytest.param([chain("drop", hook="forward")], "", id="drops what the node forwards"),
        pytest.param([chain("drop")], "chain input of the table inet company drops what it does not accept", id="all"),
        pytest.param([chain("drop", hook="output")], "chain output of the table inet company drops what", id="sent"),
        pytest.param([chain("accept"), rule(IP_PROTOCOL, 112)], "inet company drops VRRP", id="VRRP by its number"),
        pytest.param([chain("accept"), rule(L4_PROTOCOL, {"set": ["udp", "vrrp"]})], "drops VRRP", id="in a set"),
        pytest.param([chain("accept"), rule(IP_PROTOCOL, "vrrp", "reject")], "drops VRRP", id="rejects"),
    ],
)
def test_a_filter_that_drops_vrrp_is_named(tmp_path: Path, objects: list[dict[str, Any]], seen: str) -> None:
    (found,) = check(tmp_path, *objects)
    assert found.startswith("warning ") if seen else found == "ok no other filter drops packets"
    assert seen in found


def test_a_node_without_nftables_has_no_such_filter(tmp_path: Path) -> None:
    assert check(tmp_path, code=127) == []
