"""Changes of one node of a deployed group, for the hooks and the rollout: resize, replacement, removal, demotion."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from provisioning.change_lock import locked
from provisioning.errors import HostKeyError, ProvisioningError, SwitchoverError, UnreachableError
from provisioning.inventory import Inventory, RemoteNode
from provisioning.ssh.agent_calls import Connection
from provisioning.ssh.connections import connector
from provisioning.traffic.havip import Confirm
from provisioning.traffic.out_of_service import (
    DRAIN,
    EVERYTHING,
    Extent,
    Report,
    Surroundings,
    check_none_is_kept_out,
    put_back,
    put_back_after_failure,
    take_out,
)
from provisioning.traffic.serving import NodeState, read_state
from provisioning.traffic.switchover import Switchover

CONNECT_DEADLINE_S = 10.0
BOOT_DEADLINE_S = 300.0  # a resized node boots, starts its services and passes its health checks
RESUME_DEADLINE_S = 120.0
VIRTUAL_IPS_ONLY = Extent(services=(), ports=())
_POLL_S = 2.0


@dataclass(frozen=True, slots=True)
class Group:
    """A deployed group, with the connections and the clock that tests replace."""

    inventory: Inventory
    confirm: Confirm
    report: Report
    connect: Callable[[RemoteNode], Connection] | None = None
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic

    def connector(self, deadline_s: float = CONNECT_DEADLINE_S) -> Callable[[RemoteNode], Connection]:
        return self.connect or connector(self.inventory, deadline_s=deadline_s)


def take_out_node(group: Group, name: str, extent: Extent = EVERYTHING) -> tuple[Switchover, ...]:
    """Take a node out of service. A node that cannot be reached is not an error if the others serve without it.

    Raises SwitchoverError or another ProvisioningError; nothing was changed, or the node was put back.
    """
    with connected(group, name) as around:
        if isinstance(around, Surroundings):
            return take_out(around, extent)
        _check_group_serves_without(group, name, around)
        return ()


def drain_node(group: Group, name: str, seconds: int) -> None:
    """Take a node out of service until an operator puts it back, at most for this time.

    Every node with a part in it restarts its timer, which puts the node back without an operator. Raises
    ProvisioningError, also if another node is drained or this one is unreachable; the node then serves as before.
    """
    with connected(group, name) as around:
        if not isinstance(around, Surroundings):
            raise UnreachableError(
                f"{name} cannot be drained: it cannot be reached; nothing was changed",
                look_at="tandem health; the instance's console",
            )
        check_none_is_kept_out(around, name)
        take_out(around, DRAIN)
        with put_back_after_failure(around):
            for connection in (around.leaving, *around.others):
                connection.call([{"do": "stay_out", "name": name, "seconds": seconds}])


def retire(group: Group, name: str) -> list[str]:
    """Take a node out of service and stop its units, so that its disks can be detached. Returns the stopped units.

    Raises ProvisioningError; the node was put back.
    """
    with connected(group, name) as around:
        if not isinstance(around, Surroundings):
            _check_group_serves_without(group, name, around)
            return []
        take_out(around)
        try:
            return around.leaving.call([{"do": "retire"}], deadline_s=300)[0]
        except ProvisioningError:
            with suppress(ProvisioningError):  # do not hide the original error
                around.leaving.call([{"do": "resume"}], deadline_s=300)
                put_back(around)
            raise


@contextmanager
def retired(group: Group, names: Sequence[str]) -> Generator[None]:
    """Retire nodes while a rollout removes them from the group, before the others drop them as VRRP peers.

    They are resumed if the rollout fails before its commit, unless an earlier run had stopped them. After a commit a
    peer may have dropped them, and with their keepalived two nodes could hold the virtual IP. Raises ProvisioningError.
    """
    stopped: list[str] = []
    try:
        for name in names:
            # If no unit ran, an earlier run has stopped the node, or the node is unreachable.
            stopped += [name] if retire(group, name) else []
        yield
    except ProvisioningError as error:
        for name in stopped:
            if error.commit_began:
                group.report(f"{name} stays stopped, since the others may have changed; the next `tandem up` continues")
                continue
            try:
                resume_node(group, name)
            except ProvisioningError as failed:
                group.report(str(failed))
        raise


def demote(group: Group, name: str) -> None:
    """Move the virtual IPs of a node that stays in the group to its peers, and stop its keepalived.

    Does nothing if the node was not eligible. Raises ProvisioningError; the node is then back in service.
    """
    if not group.inventory.get(name).eligible:
        return
    with connected(group, name) as around:
        if isinstance(around, Surroundings):
            take_out(around, VIRTUAL_IPS_ONLY)
            with put_back_after_failure(around):
                around.leaving.call([{"do": "retire", "units": ["keepalived"]}], deadline_s=60)
        else:
            _check_group_serves_without(group, name, around)


def put_back_node(
    group: Group, name: str, *, deadline_s: float = BOOT_DEADLINE_S, changed: bool = False
) -> tuple[Switchover, ...]:
    """Wait until the node serves, then put it back into service. Returns the virtual IPs that it got back.

    `changed`: its instance was changed meanwhile (out_of_service.put_back).

    Raises ProvisioningError: the node does not serve. The others do not use it then.
    """
    return _put_back(group, name, deadline_s, resume=False, changed=changed)


def resume_node(group: Group, name: str) -> None:
    """Start the units that `retire` has stopped, then put the node back into service. Raises ProvisioningError."""
    _put_back(group, name, RESUME_DEADLINE_S, resume=True, changed=True)


def _put_back(group: Group, name: str, deadline_s: float, *, resume: bool, changed: bool) -> tuple[Switchover, ...]:
    began = group.now()
    with connected(group, name, deadline_s=deadline_s) as around:
        if not isinstance(around, Surroundings):
            raise UnreachableError(
                f"{name} cannot be put back into service: it could not be reached within {deadline_s:.0f} s",
                look_at="the instance's console; run `tandem up` when it runs again",
            )
        if resume:
            around.leaving.call([{"do": "resume"}], deadline_s=300)
        _wait_until_it_serves(group, around, deadline_s - (group.now() - began))
        return put_back(around, changed=changed)


def _wait_until_it_serves(group: Group, around: Surroundings, deadline_s: float) -> None:
    deadline = group.now() + max(deadline_s, _POLL_S)
    while True:
        state = read_state(around.leaving, around.virtual_ips)
        problems = [f"{service}: {seen}" for service, seen in state.health.items() if seen]
        if not problems and not state.unreachable:
            return
        if group.now() > deadline:
            raise SwitchoverError(
                f"{around.leaving.node.name} does not serve within {deadline_s:.0f} s and is not put back into service",
                seen=state.unreachable or "\n".join(problems),
                look_at="tandem health; run `tandem up` when it serves again",
            )
        group.sleep(_POLL_S)


def _check_group_serves_without(group: Group, name: str, others: Sequence[NodeState]) -> None:
    """Check that the virtual IPs of an unreachable node are held by peers that serve. Raises SwitchoverError."""
    missing = [
        address
        for address in group.inventory.virtual_ips
        if not any(address in other.held and other.can_be_master for other in others)
    ]
    if missing:
        raise SwitchoverError(
            f"{name} cannot be reached, and no other node holds {', '.join(missing)} and serves; nothing was changed",
            seen="\n".join(
                f"{other.node.name}: {other.unreachable or 'holds ' + (', '.join(other.held) or 'no virtual IP')}"
                for other in others
            ),
            look_at="tandem health; the nodes' consoles",
        )


@contextmanager
def connected(
    group: Group, name: str, deadline_s: float = CONNECT_DEADLINE_S
) -> Generator[Surroundings | list[NodeState]]:
    """Connect to all nodes and take the change lock on them.

    If the named node cannot be reached, the result is the state of the others. Raises LockedError, HostKeyError.
    """
    with ExitStack() as stack:
        others: list[Connection] = []
        unreachable: list[NodeState] = []
        for node in group.inventory.nodes:
            if node.name != name:
                try:
                    others.append(group.connector()(node))
                    stack.callback(others[-1].close)
                except HostKeyError:  # another host answers: the node is not merely unreachable
                    raise
                except UnreachableError as error:
                    unreachable.append(NodeState(node, unreachable=error.message))
        try:
            leaving = group.connector(deadline_s)(group.inventory.get(name))
        except HostKeyError:
            raise
        except UnreachableError:
            yield [*(read_state(other, group.inventory.virtual_ips) for other in others), *unreachable]
            return
        stack.callback(leaving.close)
        lock = stack.enter_context(locked([leaving, *others], group.report, group.sleep))
        yield Surroundings(
            lock.on(leaving),
            tuple(lock.on(other) for other in others),
            tuple(unreachable),
            group.inventory.virtual_ips,
            group.confirm,
            group.report,
        )
