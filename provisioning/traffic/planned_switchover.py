"""A switchover on request of an operator: each virtual IP of one eligible node moves to its peer.

With mode `nopreempt` the virtual IP stays at the peer. With `preempt` and `dual-master` a node would get its preferred
virtual IP back as soon as its drain ends, so it stays drained until `switch_back`, the next rollout or its next boot. A
drained node still takes over if its peer fails: it only has a lower priority.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from provisioning.errors import ProvisioningError, SwitchoverError
from provisioning.inventory import Inventory
from provisioning.ssh.connections import ask_each
from provisioning.traffic.node_changes import (
    RESUME_DEADLINE_S,
    VIRTUAL_IPS_ONLY,
    Group,
    connected,
    put_back_node,
)
from provisioning.traffic.out_of_service import (
    Surroundings,
    check_kept_out,
    check_none_is_kept_out,
    put_back,
    put_back_after_failure,
    take_out,
)
from provisioning.traffic.serving import NodeState, read_states
from provisioning.traffic.switchover import Switchover

_MOVE = replace(VIRTUAL_IPS_ONLY, stops=False)
_LOOKS, _BETWEEN_LOOKS_S = 4, 0.3


def switch_over(group: Group, to: str | None) -> tuple[Switchover, ...]:
    """Move the virtual IPs to the node `to`, or from the only node that holds one to its peer.

    Returns the moves, none if the node holds all of them already. Raises SwitchoverError or another ProvisioningError.
    """
    leaving = choose_leaving(_read_settled_states(group), group.inventory, to)
    if leaving is None:
        return ()
    if drained := [name for name in _find_drained(group) if name != leaving]:
        moves = _put_back(group, drained)
        # In dual-master mode the drained node gets only its own virtual IP back.
        return moves if to is None else (*moves, *switch_over(group, to))
    with connected(group, leaving) as around:
        if not isinstance(around, Surroundings):
            raise SwitchoverError(f"{leaving} cannot be drained: it cannot be reached; nothing was changed")
        check_none_is_kept_out(around)
        moves = take_out(around, _MOVE)
        with put_back_after_failure(around):
            if around.leaving.call([{"do": "preferred_while_drained"}])[0]:
                around.leaving.call([{"do": "keep_drained"}])
                group.report(
                    f"{leaving} stays drained until `tandem switchover --back`, the next `up` or its next boot"
                )
            else:
                put_back(around)
        return moves


def switch_back(group: Group) -> tuple[Switchover, ...]:
    """End the drains that `switch_over` has left, so that each virtual IP returns to its preferred node.

    Raises SwitchoverError or another ProvisioningError; nothing is changed if no node is drained.
    """
    if not _find_drained(group):
        raise SwitchoverError(
            "no node is drained by a switchover; nothing was changed",
            look_at="tandem switchover --to NODE; with keepalived.mode nopreempt a virtual IP stays where it is",
        )
    return end_drains(group)


def end_drains(group: Group) -> tuple[Switchover, ...]:
    """End the drain of each node that a switchover has left drained. Returns the moves; none without such a node."""
    return _put_back(group, _find_drained(group))


def choose_leaving(states: Sequence[NodeState], inventory: Inventory, to: str | None) -> str | None:
    """The node whose virtual IPs have to move; None if the node `to` holds all of them. Pure.

    Raises SwitchoverError if the request is not possible.
    """
    seen = "\n".join(_describe(state) for state in states)
    names = [state.node.name for state in states]
    if to is not None and to not in names:
        raise SwitchoverError(f"--to must be an eligible node: {' or '.join(names)} (got {to})")
    if len(states) == 1:
        raise SwitchoverError(f"a switchover needs a second eligible node; {names[0]} has no peer")
    for state in states:
        if state.unreachable:
            raise SwitchoverError(
                f"{state.node.name} cannot be queried; nothing was changed", seen=seen, look_at="tandem health"
            )
    for address in inventory.virtual_ips:
        holders = [state.node.name for state in states if address in state.held]
        if len(holders) != 1:
            raise SwitchoverError(
                f"{address} must be held by one node (held by {' and '.join(holders) or 'none'}); nothing was changed",
                seen=seen,
                look_at="tandem health; journalctl -u keepalived on the eligible nodes",
            )
    leaving = [state.node.name for state in states if state.held and state.node.name != to]
    if len(leaving) > 1:
        raise SwitchoverError(f"--to is required, because {' and '.join(leaving)} hold a virtual IP each", seen=seen)
    return leaving[0] if leaving else None


def _read_settled_states(group: Group) -> list[NodeState]:
    """Read again while a virtual IP moves: the nodes are not read at the same instant."""
    for _ in range(_LOOKS - 1):
        states = _read_states(group)
        held = [address for state in states for address in state.held]
        if sorted(held) == sorted(group.inventory.virtual_ips):
            return states
        group.sleep(_BETWEEN_LOOKS_S)
    return _read_states(group)


def _read_states(group: Group) -> list[NodeState]:
    nodes = [node for node in group.inventory.nodes if node.eligible]
    return read_states(nodes, group.connector(), group.inventory.virtual_ips)


def _find_drained(group: Group) -> list[str]:
    """The nodes that get a virtual IP back when their drain ends.

    Raises SwitchoverError if an operator keeps a node out of service, which only `tandem undrain` ends. Raises another
    ProvisioningError if a node cannot be queried.
    """
    nodes = [node for node in group.inventory.nodes if node.eligible]
    questions = [{"do": "preferred_while_drained"}, {"do": "kept_out"}]
    found = ask_each(nodes, group.connector(), lambda each: each.call(questions))
    drained: list[str] = []
    for node, answer in zip(nodes, found, strict=True):
        if isinstance(answer, ProvisioningError):
            raise answer
        preferred, kept_out = answer
        check_kept_out([kept_out.get("node", "")])
        drained += [node.name] if preferred else []
    return drained


def _put_back(group: Group, names: Sequence[str]) -> tuple[Switchover, ...]:
    return tuple(move for name in names for move in put_back_node(group, name, deadline_s=RESUME_DEADLINE_S))


def _describe(state: NodeState) -> str:
    return f"{state.node.name}: {state.unreachable or 'holds ' + (', '.join(state.held) or 'no virtual IP')}"
