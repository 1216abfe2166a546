"""Changes the VRRP settings of a group (profile, mode, router id, password, peers) without two masters at any time.

Nodes with different settings do not understand each other, and both become master. Therefore only one of them runs
keepalived during the change: stop the backups, reload the master, start the backups with the new settings, confirm one
master. If the change is interrupted, the backups stay stopped and disabled, also after a reboot, until the next `up`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from provisioning.errors import ProvisioningError, SwitchoverError
from provisioning.inventory import Inventory
from provisioning.kinds.unit import Unit
from provisioning.parallel import in_parallel
from provisioning.plan import Plan, Step
from provisioning.rollout.commit import NodeChange, commit_part
from provisioning.rollout.order import (
    VrrpNode,
    find_keeper,
    find_stopped,
    marked_as_changing,
    runs,
    vrrp_differs,
    vrrp_of,
    with_unit,
)
from provisioning.rollout.versions import Version
from provisioning.ssh.agent_calls import Connection
from provisioning.traffic.havip import Confirm
from provisioning.traffic.serving import read_state
from provisioning.traffic.switchover import move_to_peers, take_back

UNIT = "keepalived"
COMMIT_S = 300.0
CONFIRM_S = 30.0  # the slowest profile elects a master within 4 s
Report = Callable[[str], None]


def change_vrrp(
    inventory: Inventory,
    changes: Sequence[NodeChange],
    version: Version,
    token: str,
    report: Report,
    *,
    confirm: Confirm,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, tuple[str, ...]]:
    """Commit the plans of all nodes, which contain only the VRRP settings. Returns the changes made, by node name.

    Raises:
        SwitchoverError: a virtual IP does not have exactly one master after the change.
        ProvisioningError: a step failed on a node; stopped nodes stay stopped.
    """
    by_name = {change.node.name: change for change in changes}
    holders = _holders(changes, inventory.virtual_ips)
    nodes = [_vrrp_node(change, holders) for change in changes]
    keeper = find_keeper(nodes)
    stopped = find_stopped(nodes, keeper)
    changed: dict[str, tuple[str, ...]] = {}
    down: list[str] = []  # the nodes whose keepalived is stopped at present
    wait = _Wait(clock, sleep)
    if stopped:
        by = f"; until the change is complete no other node can take over from {keeper.name}" if keeper else ""
        report(f"{', '.join(stopped)}: stopping keepalived to change the VRRP settings{by}")
    try:
        for name in stopped:
            if keeper is not None and name in holders:
                _move(by_name[name], by_name[keeper.name], inventory.virtual_ips, confirm, report)
            step = Step(Unit(UNIT, enabled=False, running=False), "must be stopped")
            off = Plan(name, commit=(step,), postponed=by_name[name].plan.postponed)
            commit_part(by_name[name], off, version, token, deadline_s=COMMIT_S)
            down.append(name)
        if keeper is not None:
            report(
                f"{keeper.name}: changing the VRRP settings; the virtual IP is interrupted for a few seconds at most"
            )
            change = by_name[keeper.name]
            changed |= commit_part(change, _changing(change.plan, change), version, token, deadline_s=COMMIT_S)
            if holders:
                wait.until(lambda: _not_one_master([by_name[keeper.name]], inventory.virtual_ips))
        for change in changes:
            if keeper is None or change.node.name != keeper.name:
                plan = with_unit(change.plan, change.items, UNIT) if change.node.name in stopped else change.plan
                changed |= commit_part(change, _changing(plan, change), version, token, deadline_s=COMMIT_S)
                down = [name for name in down if name != change.node.name]
    except ProvisioningError as error:
        if down:
            error.message += f"; keepalived stays stopped on {', '.join(down)}, so that there is one master"
        if stopped:
            error.look_at = error.look_at or "run `tandem up` again, which completes the change"
        raise
    if holders:
        wait.until(lambda: _not_one_master(changes, inventory.virtual_ips))
    for name in stopped:
        _put_back(by_name[name].connection, [each.connection for each in changes if each.node.name != name],
                  confirm, report)  # fmt: skip
    return changed


def _put_back(returning: Connection, peers: Sequence[Connection], confirm: Confirm, report: Report) -> None:
    """End the node's drain. With preemption it gets its preferred virtual IPs back now."""
    preferred: list[str] = returning.call([{"do": "preferred_while_drained"}])[0]
    take_back(returning, preferred, peers, confirm, report)


def _vrrp_node(change: NodeChange, holders: dict[str, tuple[str, ...]]) -> VrrpNode:
    vrrp = vrrp_of(change.items)
    return VrrpNode(
        name=change.node.name,
        eligible=vrrp is not None and bool(vrrp.values),
        runs=runs(change.facts, UNIT),
        differs=vrrp_differs(change.items, change.facts),
        holds=change.node.name in holders,
    )


def _holders(changes: Sequence[NodeChange], virtual_ips: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The virtual IPs that each node holds now, by node name; without nodes that hold none."""
    question = {"do": "held", "virtual_ips": list(virtual_ips), "deadline_s": 0}
    held = in_parallel(changes, lambda change: tuple(change.connection.call([question])[0]))
    return {change.node.name: addresses for change, addresses in zip(changes, held, strict=True) if addresses}


def _move(
    leaving: NodeChange, keeper: NodeChange, virtual_ips: Sequence[str], confirm: Confirm, report: Report
) -> None:
    """Drain a node, and move its virtual IPs to the keeper. Raises SwitchoverError."""
    state, peer = read_state(leaving.connection, virtual_ips), read_state(keeper.connection, virtual_ips)
    move_to_peers(leaving.connection, state, [(keeper.connection, peer)], confirm, report)


def _changing(plan: Plan, change: NodeChange) -> Plan:
    return marked_as_changing(plan, change.items) if plan else plan


@dataclass(frozen=True, slots=True)
class _Wait:
    """Waits for the state of the virtual IPs, up to CONFIRM_S seconds."""

    clock: Callable[[], float]
    sleep: Callable[[float], None]

    def until(self, find_problem: Callable[[], str]) -> None:
        """Wait until `find_problem` returns "". Raises SwitchoverError with its last result."""
        deadline = self.clock() + CONFIRM_S
        while problem := find_problem():
            if self.clock() > deadline:
                raise SwitchoverError(
                    f"not one master of each virtual IP {CONFIRM_S:.0f} s after the change of the VRRP settings",
                    seen=problem,
                    look_at="journalctl -u keepalived -u nginx on the nodes",
                )
            self.sleep(0.1)


def _not_one_master(changes: Sequence[NodeChange], virtual_ips: Sequence[str]) -> str:
    """What is wrong with the masters of the virtual IPs; "" if each has exactly one."""
    holders = _holders(changes, virtual_ips)
    held = sorted(address for addresses in holders.values() for address in addresses)
    if held == sorted(virtual_ips):
        return ""
    return "\n".join(f"{name} holds {', '.join(addresses)}" for name, addresses in holders.items()) or "no master"
