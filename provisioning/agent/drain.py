"""The node's part of taking it out of service: requests in progress, the drain, and its units."""

from __future__ import annotations

import json
from typing import Any

from . import put_back_timer
from .node import Node, StepError
from .put_back_timer import DRAIN_CONF, DRAIN_MARK
from .serving import addresses_held, read_node_file
from .systemd import is_started, systemctl, unit_facts

RELEASE_S = 5  # time for the peer to take over from a lower priority, before this node enters FAULT
HOLD_S = 15  # a killed agent must not leave the node without new connections
FINISH_S = 1  # for requests in progress, once no new connections arrive
HOLD_TABLE = "tandem_drain"
_TRACK_FILE = "/run/tandem/nginx"  # of keepalived
AUDIT_S = 0.5  # iam-authz-server sends its audit records within 0.3 s (measured with marmotedu/iam 16c723d)

_HOLD = """
table inet {table}
delete table inet {table}
table inet {table} {{
    set addresses {{
        type ipv4_addr
        flags timeout
        elements = {{ {elements} }}
    }}
    chain input {{
        type filter hook input priority -10; policy accept;
        ip daddr @addresses tcp flags & (fin | syn | rst | ack) == syn drop
    }}
}}
"""


def finish_requests(node: Node, *, ports: list[int], deadline_s: float) -> int:
    """Wait until no client is connected to these ports, and audit records are sent. Returns the remaining connections.

    nginx has closed its idle connections to a server that is marked as down, so the others are requests in progress.
    """
    deadline = node.now() + deadline_s
    while (remaining := len(_connections(node, ports=ports))) and node.now() < deadline:
        node.sleep(0.1)
    node.sleep(AUDIT_S)
    return remaining


def drain(node: Node, *, virtual_ips: list[str], deadline_s: float, split: bool = False) -> dict[str, dict[str, int]]:
    """Ask clients to leave, then release the virtual IPs that this node holds.

    `split`: a peer holds one of them too and may not hear this node, so a lower priority has no effect.
    Returns for each released address the client connections that were still open, which are cut off. If this call is
    killed, the node ends the drain itself (put_back_timer.py).
    """
    settings = _settings(node)
    held = addresses_held(node, virtual_ips)
    put_back_timer.start(node)
    node.before("drain")
    if held:
        ask_clients_to_leave(node)
        _hold_new_connections(node, held)
    _track(node, settings["fault"] if split and held else settings["drain"], tracked=settings["tracked"])
    remaining = held if split else _wait_until_released(node, held, RELEASE_S)
    if remaining:
        # The peer did not receive the lower priority. FAULT releases the virtual IP in any case, and a peer serves.
        _track(node, settings["fault"], tracked=settings["tracked"])
        remaining = _wait_until_released(node, held, deadline_s)
    # The sockets outlive the address: these connections are cut off.
    cut = {address: len(_connections(node, addresses=[address])) for address in held}
    if held:
        node.run(["nft", "delete", "table", "inet", HOLD_TABLE])
    if remaining:
        end_drain(node)
        raise StepError(
            "drain", f"{', '.join(remaining)} was not released within {deadline_s:.0f} s; the drain was ended"
        )
    return {"cut": cut}


def _hold_new_connections(node: Node, addresses: list[str]) -> None:
    """Drop the first segment of new connections, and wait for the requests of the others.

    The client repeats the segment after a second, when a peer has the virtual IP. Otherwise connections that arrive
    between the last count and the release would be cut off. Without nft, they are cut off and counted.
    """
    elements = ", ".join(f"{address} timeout {HOLD_S}s" for address in addresses)
    node.run(["nft", "-f", "-"], text=_HOLD.format(table=HOLD_TABLE, elements=elements))
    deadline = node.now() + FINISH_S
    while _connections(node, addresses=addresses) and node.now() < deadline:
        node.sleep(0.05)


def ask_clients_to_leave(node: Node, *, virtual_ips: list[str] | None = None) -> dict[str, int]:
    """Nginx closes each connection after its response, for the drain time. `stop_asking` ends it.

    Returns the client connections of the given virtual IPs that are still open.
    """
    drain_s = _settings(node)["drain_s"]
    put_back_timer.start(node)
    if drain_s:
        node.at(DRAIN_CONF).write_text("keepalive_timeout 0;\n")
        systemctl(node, "reload", "nginx")
        node.sleep(drain_s)
    if virtual_ips:
        _hold_new_connections(node, virtual_ips)
    return {address: len(_connections(node, addresses=[address])) for address in virtual_ips or []}


def stop_asking(node: Node) -> None:
    node.run(["nft", "delete", "table", "inet", HOLD_TABLE])
    if node.at(DRAIN_CONF).exists():
        node.at(DRAIN_CONF).unlink()
        systemctl(node, "reload", "nginx")
    put_back_timer.stop_if_done(node)


def end_drain(node: Node) -> None:
    """The node may become master again."""
    settings = _settings(node)
    if node.at(DRAIN_MARK).exists():
        node.before("end drain")
        node.at(DRAIN_MARK).unlink()
    if settings["tracked"] and node.read(_TRACK_FILE) in (str(settings["drain"]), str(settings["fault"])):
        _write_value(node, _TRACK_FILE, 0)
    stop_asking(node)


def keep_drained(node: Node) -> None:
    """Leave the node drained without a time limit: `end_drain`, a rollout or a boot ends it."""
    stop_asking(node)
    put_back_timer.stop(node)


def preferred_while_drained(node: Node) -> list[str]:
    """The virtual IPs that this node gets back from a peer when its drain ends; none if it is not drained."""
    return list(_settings(node)["preferred"]) if node.at(DRAIN_MARK).exists() else []


def retire(node: Node, *, units: list[str] | None = None) -> list[str]:
    """Stop units, by default those of the last rollout, in reverse order. Returns those that ran."""
    chosen = read_node_file(node)["units"] if units is None else units
    running = [unit for unit in reversed(chosen) if is_started(node, unit)]
    for unit in running:
        node.before("stop " + unit)
        systemctl(node, "stop", unit)
    return running


def resume(node: Node) -> None:
    """Start the enabled units of the last rollout that `retire` has stopped."""
    units = read_node_file(node)["units"]
    facts = unit_facts(node, units)
    for unit in units:
        if facts.get(unit, {}).get("enabled") and not facts[unit]["active"]:
            node.before("start " + unit)
            systemctl(node, "start", unit)


def _settings(node: Node) -> dict[str, Any]:
    """The file of the rollout; a node that may not hold a virtual IP has none."""
    default = {"tracked": False, "drain": 0, "fault": 0, "drain_s": 0, "preferred": []}
    return {**default, **json.loads(node.read("/etc/tandem/switchover.json") or "{}")}


def _track(node: Node, value: int, *, tracked: bool) -> None:
    """Report a value to keepalived. The health daemon repeats the value in the drain mark, and no other value."""
    for path in [DRAIN_MARK, *([_TRACK_FILE] if tracked else [])]:
        _write_value(node, path, value)


def _write_value(node: Node, path: str, value: int) -> None:
    new = node.at(path + ".drain")  # the health daemon has another name for its new file
    new.write_text(f"{value}\n")
    new.replace(node.at(path))


def _wait_until_released(node: Node, addresses: list[str], deadline_s: float) -> list[str]:
    deadline = node.now() + deadline_s
    while (remaining := addresses_held(node, addresses)) and node.now() < deadline:
        node.sleep(0.02)
    return remaining


def _connections(node: Node, *, addresses: list[str] | None = None, ports: list[int] | None = None) -> list[str]:
    """The established connections to these addresses, or to these ports, of this node."""
    result = node.run(["ss", "-Htn", "state", "established"])
    found: list[str] = []
    for line in result.out.splitlines():
        address, _, port = line.split()[2].rpartition(":")
        if address in (addresses or ()) or (ports and int(port) in ports):
            found.append(line)
    return found
