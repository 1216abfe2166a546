"""Health of a group: what users of the services see, and what will stop them from being served.

`check` repeats the checks through the public IP after a deployment. `check_group` runs all checks once, for
`tandem health`: through the public IP, on each node over SSH, and those that compare the nodes.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from provisioning.errors import HealthError, ProvisioningError
from provisioning.health.group_checks import (
    GROUP,
    SETTLE_S,
    check_audit,
    check_clocks,
    check_masters,
    check_spread,
    find_queue,
)
from provisioning.health.login_check import check_login
from provisioning.health.node_checks import NodeState, check_node, unreachable
from provisioning.health.public_checks import Address, Service, check_services, request
from provisioning.health.results import CheckResult, HealthReport, Level, fail
from provisioning.inventory import Inventory, RemoteNode
from provisioning.kinds.base import Item
from provisioning.parallel import in_parallel
from provisioning.ssh.agent_calls import Connection

# Traffic follows a HAVIP after about 10 s, in some regions after 1 to 2 minutes (document intl:215/31817).
DEADLINE_S = 180.0
_REQUESTS_PER_NODE = 4
Connect = Callable[[RemoteNode], Connection]


@dataclass(frozen=True, slots=True)
class PublicSide:
    """What clients use: the public IPs, the public names, and the password of the IAM account for health checks."""

    addresses: tuple[Address, ...]
    services: tuple[Service, ...]
    password: str  # "": without the IAM services


@dataclass(frozen=True, slots=True)
class Group:
    """A deployed group: how to reach it, and the items of each node, without placeholders."""

    public: PublicSide
    inventory: Inventory
    items: Mapping[str, Sequence[Item]]
    revision: str = ""  # of the items


def check(
    public: PublicSide,
    *,
    deadline_s: float = DEADLINE_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> HealthReport:
    """Repeat the checks through the public IP until none fails.

    Raises:
        HealthError: a check still fails after `deadline_s`; with the last results.
    """
    deadline = clock() + deadline_s
    while True:
        report = check_public(public, secrets.token_hex(6))
        if report.healthy:
            return report
        if clock() > deadline:
            raise HealthError(
                f"the group failed its health check for {deadline_s:.0f} s",
                seen=str(report),
                look_at="tandem health; journalctl -u nginx -u keepalived and of the services on the nodes",
            )
        sleep(0.3)


def check_public(public: PublicSide, nonce: str) -> HealthReport:
    """Run the checks through each public IP once. A login, which costs 50 ms of CPU, only if the others pass."""
    results: list[CheckResult] = []
    for address in public.addresses:
        found = check_services(address, public.services)
        if public.password and HealthReport(tuple(found)).healthy:
            found += check_login(address, public.services, public.password, nonce)
        results += found
    return HealthReport(tuple(results))


def check_group(
    group: Group,
    connect: Connect,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[HealthReport, tuple[NodeState, ...]]:
    """Run all checks once. Failed checks raise no exception."""
    nonce = secrets.token_hex(6)
    nodes = group.inventory.nodes
    with ThreadPoolExecutor(max_workers=2) as pool:
        public = pool.submit(check_public, group.public, nonce)
        opened = in_parallel(nodes, lambda node: _open(connect, node))
        connections = [each for each in opened if not isinstance(each, NodeState)]
        try:
            states = in_parallel(opened, lambda each: _check_one(group, each, nonce))
            states = _settle(group, connections, states, clock, sleep)
            results = [result for state in states for result in state.results]
            results += check_masters(group.inventory.virtual_ips, states)
            results += check_clocks(states)
            results += _spread(group, connections)
            results += _audit(group, connections, states, nonce)
        finally:
            for connection in connections:
                connection.close()
    return HealthReport((*public.result().results, *results)), tuple(states)


def _open(connect: Connect, node: RemoteNode) -> Connection | NodeState:
    try:
        return connect(node)
    except ProvisioningError as error:
        return unreachable(node.name, error)


def _check_one(group: Group, opened: Connection | NodeState, nonce: str) -> NodeState:
    if isinstance(opened, NodeState):
        return opened
    return check_node(opened, group.items[opened.node.name], group.inventory.virtual_ips, nonce, group.revision)


def _settle(
    group: Group,
    connections: Sequence[Connection],
    states: list[NodeState],
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> list[NodeState]:
    """Ask again who holds the virtual IPs while a failover may be in progress."""
    addresses = list(group.inventory.virtual_ips)
    deadline = clock() + SETTLE_S
    while not HealthReport(tuple(check_masters(addresses, states))).healthy and clock() < deadline:
        sleep(0.5)
        held = dict(in_parallel(connections, lambda connection: _held(connection, addresses)))
        states = [replace(state, held=held.get(state.name, state.held)) for state in states]
    return states


def _held(connection: Connection, addresses: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    operation = {"do": "held", "virtual_ips": list(addresses), "deadline_s": 0}
    try:
        return connection.node.name, tuple(connection.call([operation], deadline_s=20)[0])
    except ProvisioningError:
        return connection.node.name, ()


def _audit(
    group: Group, connections: Sequence[Connection], states: Sequence[NodeState], nonce: str
) -> list[CheckResult]:
    """Follow the authorization decisions that the checks of the nodes have made."""
    queue = find_queue(group.items)
    if queue is None:
        return []
    results = [result for state in states for result in state.results if result.name == "authorization"]
    if not any(result.level is Level.OK for result in results):
        seen, look_at = "not checked: no node made an authorization decision", "the lines `login` of the nodes"
        return [fail(GROUP, "audit records", seen, look_at)]
    return [check_audit(connections, queue, nonce)]


def _spread(group: Group, connections: Sequence[Connection]) -> list[CheckResult]:
    """Send some requests, and read in nginx's logs which nodes answered them."""
    nonce, public = secrets.token_hex(6), group.public
    count = _REQUESTS_PER_NODE * len(group.inventory.nodes)
    service = next((service for service in public.services if service.iam), None)
    if service is None:
        return []  # only of the IAM services it is known which path every node answers
    sent = sum(
        request(public.addresses[0], service, "GET", f"/healthz?tandem={nonce}")[0] is not None for _ in range(count)
    )
    eligible = [connection for connection in connections if connection.node.eligible]
    return check_spread(group.inventory, group.items, eligible, service, nonce) if sent == count else []
