"""The node's part of a switchover."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from .node import Node, StepError
from .systemd import is_started, systemctl

DRAIN_MARK = "/run/tandem/drain"  # exists during a switchover
DRAIN_CONF = "/run/tandem/nginx-drain.conf"  # included by every server block; in /run, so a reboot removes it
NODE_FILE = "/etc/tandem/node.json"  # the units of the node's manifest, in order


def serves(node: Node) -> bool:
    """Whether this node could become master: keepalived runs, nginx responds, and the node is not drained."""
    active = is_started(node, "keepalived")
    draining = node.at(DRAIN_MARK).exists()
    return active and not draining and node.probe("http://127.0.0.1/healthz") == "200"


def wait_until_held(node: Node, *, virtual_ips: list[str], deadline_s: float) -> list[str]:
    """Wait until this node holds a virtual IP. Returns those that it holds; may be empty after the deadline."""
    deadline = node.now() + deadline_s
    while not (held := addresses_held(node, virtual_ips)) and node.now() < deadline:
        node.sleep(0.05)
    return held


def drain(node: Node, *, virtual_ips: list[str], deadline_s: float) -> dict[str, list[Any]]:
    """Ask clients to leave, then release the virtual IPs.

    If this call is killed, the next rollout or a reboot ends the drain.
    """
    settings = json.loads(node.read("/etc/tandem/switchover.json") or "{}")
    held = addresses_held(node, virtual_ips)
    node.before("drain")
    node.at("/run/tandem").mkdir(parents=True, exist_ok=True)
    if held and settings.get("drain_s"):
        node.at(DRAIN_CONF).write_text("keepalive_timeout 0;\n")
        systemctl(node, "reload", "nginx")
        node.sleep(settings["drain_s"])
    cut = len(_clients(node, held)) if held else 0
    node.at(DRAIN_MARK).write_text("")
    if settings.get("tracked"):
        _track(node, settings["drain"])
    remaining = _wait_until_released(node, held, 5)
    if remaining and settings.get("tracked"):
        # The peer did not receive the lower priority. FAULT releases the virtual IP in any case, and a peer serves.
        _track(node, settings["fault"])
    if remaining:
        remaining = _wait_until_released(node, held, deadline_s)
    if remaining:
        end_drain(node)
        raise StepError(
            "drain", f"{', '.join(remaining)} was not released within {deadline_s:.0f} s; the drain was ended"
        )
    return {"moved": held, "cut": [cut]}


def end_drain(node: Node) -> None:
    settings = json.loads(node.read("/etc/tandem/switchover.json") or "{}")
    node.before("end drain")
    with contextlib.suppress(FileNotFoundError):
        node.at(DRAIN_MARK).unlink()
    ours = [str(settings.get("drain")), str(settings.get("fault"))]
    if settings.get("tracked") and node.read("/run/tandem/nginx") in ours:
        _track(node, 0)
    if node.at(DRAIN_CONF).exists():
        node.at(DRAIN_CONF).unlink()
        systemctl(node, "reload", "nginx")


def _track(node: Node, value: int) -> None:
    new = node.at("/run/tandem/nginx.drain")
    new.write_text(f"{value}\n")
    new.replace(node.at("/run/tandem/nginx"))


def _units(node: Node) -> list[str]:
    return json.loads(node.read(NODE_FILE) or '{"units": []}')["units"]


def retire(node: Node) -> list[str]:
    """Stop the units of the last rollout in reverse order, so that disks can be detached."""
    units = _units(node)
    running = [unit for unit in reversed(units) if is_started(node, unit)]
    for unit in running:
        node.before("stop " + unit)
        systemctl(node, "stop", unit)
    return running


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


def _wait_until_released(node: Node, addresses: list[str], deadline_s: float) -> list[str]:
    deadline = node.now() + deadline_s
    while (remaining := addresses_held(node, addresses)) and node.now() < deadline:
        node.sleep(0.02)
    return remaining


def _clients(node: Node, addresses: list[str]) -> list[str]:
    result = node.run(["ss", "-Htn", "state", "established"])
    return [line for line in result.out.splitlines() if line.split()[2].rsplit(":", 1)[0] in addresses]
