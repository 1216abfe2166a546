"""What this node serves: its services, the virtual IPs that it holds."""

from __future__ import annotations

import json
from typing import Any

from .drained import drained_routers
from .node import Node
from .systemd import is_started, unit_facts

NODE_FILE = "/etc/tandem/node.json"  # the units and health gates of the node's manifest, in order


def serves(node: Node) -> bool:
    """Whether this node could become master: keepalived runs, nginx responds, and the node is not drained."""
    active = is_started(node, "keepalived")
    return active and not drained_routers(node) and node.probe("http://127.0.0.1/healthz") == "200"


def wait_until_held(node: Node, *, virtual_ips: list[str], deadline_s: float) -> list[str]:
    """Wait until this node holds a virtual IP. Returns those that it holds; may be empty after the deadline."""
    deadline = node.now() + deadline_s
    while not (held := addresses_held(node, virtual_ips)) and node.now() < deadline:
        node.sleep(0.05)
    return held


def services(node: Node) -> dict[str, Any]:
    """The units of the last rollout, and the health of each of its services: "" or what its health URL returned."""
    known = read_node_file(node)
    health: dict[str, str] = {}
    for gate in known["gates"]:
        healthy, seen = node.is_healthy(gate)
        health[gate["name"]] = "" if healthy else f"{gate['url']}: {seen}"
    return {"units": known["units"], "health": health}


def read_node_file(node: Node) -> dict[str, Any]:
    return {"units": [], "gates": [], **json.loads(node.read(NODE_FILE) or "{}")}


def addresses_held(node: Node, virtual_ips: list[str]) -> list[str]:
    if not virtual_ips:
        return []
    result = node.run(["ip", "-j", "-4", "address", "show"])
    try:
        links = json.loads(result.out or "[]")
        local = {entry.get("local") for link in links for entry in link.get("addr_info", [])}
    except ValueError:
        return []
    return [address for address in virtual_ips if address in local]


def nginx_runs(node: Node) -> bool:
    """Whether nginx can be reloaded. A stopped one, or one that waits for its next start, reads its files then."""
    state = unit_facts(node, ["nginx"]).get("nginx", {})
    return bool(state.get("started") or (state.get("active") and not state.get("crashes")))
