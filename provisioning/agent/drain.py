"""The node's part of taking it out of service: requests in progress, the drain, and its units."""

from __future__ import annotations

import json
from typing import Any

from . import put_back_timer
from .drained import DRAIN_FILE, drained_routers
from .node import Node, StepError
from .put_back_timer import DRAIN_CONF
from .serving import addresses_held, nginx_runs, read_node_file
from .systemd import is_started, systemctl, unit_facts

HOLD_S = 15  # a killed agent must not leave the node without new connections
FINISH_S = 1  # for requests in progress, once no new connections arrive
HOLD_TABLE = "tandem_drain"
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

    `split`: a peer holds one of them too and may not hear this node, so this node stays in FAULT.
    Returns for each released address the client connections that were still open, which are cut off. If this call is
    killed, the node ends the drain itself (put_back_timer.py).
    """
    settings = _settings(node)
    routers = _routers_of(settings, virtual_ips)
    held = addresses_held(node, [address for router in routers for address in settings["routers"][router]])
    put_back_timer.start(node)
    node.before("drain")
    if not held:
        _track(node, routers, settings["drain"])
        return {"cut": {}}
    ask_clients_to_leave(node)
    remaining = _release_held(node, routers, held, settings["fault"], deadline_s)
    if not split and not remaining:
        # A drained node still takes over if its peer fails.
        _track(node, routers, settings["drain"])
    # The sockets outlive the address: these connections are cut off.
    cut = _stop_holding(node, held)
    if remaining:
        end_drain(node)
        raise StepError(
            "drain", f"{', '.join(remaining)} was not released within {deadline_s:.0f} s; the drain was ended"
        )
    return {"cut": cut}


def release(node: Node, *, virtual_ips: list[str], deadline_s: float) -> dict[str, int]:
    """Release virtual IPs that a returning peer prefers, without waiting for its preempt_delay.

    `ask_clients_to_leave` comes before. Returns for each address the client connections that were cut off.
    """
    settings = _settings(node)
    held = addresses_held(node, virtual_ips)
    if not held:
        return {}
    node.before("release")
    routers = _routers_of(settings, held)
    _release_held(node, routers, held, settings["fault"], deadline_s)
    _track(node, routers, 0)
    return _stop_holding(node, held)


def _release_held(node: Node, routers: list[str], held: list[str], fault: int, deadline_s: float) -> list[str]:
    """Enter FAULT as soon as no request is in progress. Returns the addresses that remain after the deadline.

    From FAULT the peer takes over within its skew time, a few milliseconds with the profile fast. From a lower priority
    it takes over after three advertisement intervals, in which new connections would have to wait.
    """
    _hold_new_connections(node, held)
    _track(node, routers, fault)
    return _wait_until_released(node, held, deadline_s)


def _stop_holding(node: Node, addresses: list[str]) -> dict[str, int]:
    """Accept new connections again. Returns the connections to each address that are still open."""
    found = {address: len(_connections(node, addresses=[address])) for address in addresses}
    node.run(["nft", "delete", "table", "inet", HOLD_TABLE])
    return found


def _hold_new_connections(node: Node, addresses: list[str]) -> None:
    """Drop the first segment of new connections, and wait for the requests of the others.

    The client repeats the segment after a second, when a peer has the virtual IP, so this must take no longer than it
    has to. Otherwise connections that arrive between the last count and the release would be cut off. Without nft,
    they are cut off and counted.
    """
    elements = ", ".join(f"{address} timeout {HOLD_S}s" for address in addresses)
    node.run(["nft", "-f", "-"], text=_HOLD.format(table=HOLD_TABLE, elements=elements))
    deadline = node.now() + FINISH_S
    while _connections(node, addresses=addresses) and node.now() < deadline:
        node.sleep(0.01)


def ask_clients_to_leave(node: Node) -> None:
    """Nginx closes each connection after its response, for the drain time. `stop_asking` ends it."""
    drain_s = _settings(node)["drain_s"]
    put_back_timer.start(node)
    if drain_s and nginx_runs(node):
        node.at(DRAIN_CONF).write_text("keepalive_timeout 0;\n")
        systemctl(node, "reload", "nginx")
        node.sleep(drain_s)


def stop_asking(node: Node) -> None:
    node.run(["nft", "delete", "table", "inet", HOLD_TABLE])
    if node.at(DRAIN_CONF).exists():
        node.at(DRAIN_CONF).unlink()
        if nginx_runs(node):
            systemctl(node, "reload", "nginx")
    put_back_timer.stop_if_done(node)


def end_drain(node: Node) -> None:
    """The node may become master again."""
    if drained := drained_routers(node):
        node.before("end drain")
        _track(node, drained, 0)
    stop_asking(node)


def keep_drained(node: Node) -> None:
    """Leave the node drained without a time limit: `end_drain`, a rollout or a boot ends it."""
    stop_asking(node)
    put_back_timer.stop(node)


def preferred_while_drained(node: Node) -> list[str]:
    """The virtual IPs that this node gets back from a peer when its drain ends; none if it is not drained."""
    settings = _settings(node)
    drained = {address for router in drained_routers(node) for address in settings["routers"].get(router, ())}
    return [address for address in settings["preferred"] if address in drained]


def preferred(node: Node) -> list[str]:
    """The virtual IPs that this node gets back from a healthy peer."""
    return list(_settings(node)["preferred"])


def retire(node: Node, *, units: list[str] | None = None) -> list[str]:
    """Stop units, by default those of the last rollout, in reverse order. Returns those that ran."""
    chosen = read_node_file(node)["units"] if units is None else units
    running = [unit for unit in reversed(chosen) if is_started(node, unit)]
    for unit in running:
        node.before("stop " + unit)
        systemctl(node, "stop", unit)
    return running


def resume(node: Node) -> None:
    """Start the enabled units of the last rollout that `retire` has stopped. Raises the first error after all units."""
    units = read_node_file(node)["units"]
    facts = unit_facts(node, units)
    errors: list[StepError] = []
    for unit in units:
        if facts.get(unit, {}).get("enabled") and not facts[unit]["active"]:
            node.before("start " + unit)
            try:
                systemctl(node, "start", unit)
            except StepError as error:
                errors.append(error)
    if errors:
        raise errors[0]


def _settings(node: Node) -> dict[str, Any]:
    """The file of the rollout; a node that may not hold a virtual IP has none."""
    default = {
        "routers": {},
        "together": False,
        "drain": 0,
        "fault": 0,
        "drain_s": 0,
        "preferred": [],
    }
    return {**default, **json.loads(node.read("/etc/tandem/switchover.json") or "{}")}


def _routers_of(settings: dict[str, Any], addresses: list[str]) -> list[str]:
    """The virtual routers that move if these virtual IPs move: all of them in a sync group."""
    routers: dict[str, list[str]] = settings["routers"]
    moving = [router for router, own in routers.items() if any(address in own for address in addresses)]
    return list(routers) if settings["together"] and moving else moving


def _track(node: Node, routers: list[str], value: int) -> None:
    """Report a value to keepalived, which has one track_file for the drain of each virtual router."""
    for router in routers:
        path = node.at(DRAIN_FILE + router)
        new = path.with_name(path.name + ".new")
        new.write_text(f"{value}\n")
        new.replace(path)


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
