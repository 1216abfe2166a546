"""The health checks of a group: masters, clocks, audit records, and the spread over the nodes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from provisioning.errors import ProvisioningError
from provisioning.health.node_checks import NodeState
from provisioning.health.public_checks import Service
from provisioning.health.results import CheckResult, fail, ok, warning
from provisioning.inventory import Inventory
from provisioning.kinds.audit_queue import AuditQueue
from provisioning.kinds.base import Item
from provisioning.kinds.file import File
from provisioning.parallel import in_parallel
from provisioning.ssh.agent_calls import Connection
from provisioning.upstreams import UPSTREAMS_FILE

GROUP = "group"
_CLOCK_WARNING_S, _CLOCK_FAIL_S = 2.0, 30.0
# A failover of the slowest profile takes 4 s, in which no node or two nodes hold the virtual IP.
SETTLE_S = 6.0
_LONGEST_WAIT_S = 40.0  # for an audit record
_VRRP = "VRRP (protocol 112) between the nodes: nft list ruleset on both, the security group; journalctl -u keepalived"
_PUMP = "journalctl -u iam-pump -u redis-server (redis on the RHEL family) on all nodes; the sink of iam-pump"
_MONGODB = "the line `database mongodb`; journalctl -u iam-pump on all nodes; docs/iam.md, MongoDB"


def check_masters(virtual_ips: Sequence[str], states: Sequence[NodeState]) -> list[CheckResult]:
    """Exactly one node must hold each virtual IP."""
    results: list[CheckResult] = []
    for address in virtual_ips:
        holders = [state.name for state in states if address in state.held]
        if len(holders) == 1:
            results.append(ok(GROUP, "virtual IP", f"{address} is held by {holders[0]}"))
        elif holders:
            results.append(fail(GROUP, "virtual IP", f"{address} is held by {' and '.join(holders)}", _VRRP))
        else:
            unknown = [state.name for state in states if not state.reached]
            seen = f"{address} is held by no node"
            if unknown:
                seen += f" that responds over SSH (without {', '.join(unknown)})"
            results.append(fail(GROUP, "virtual IP", seen, "the lines `VRRP` and `nginx` of the eligible nodes"))
    return results


def check_clocks(states: Sequence[NodeState]) -> list[CheckResult]:
    """Compare the clocks of the nodes with that of the operator's host: tokens and certificates depend on them."""
    results: list[CheckResult] = []
    for state in states:
        if not state.reached:
            continue
        behind = abs(state.offset_s)
        seen = f"{behind:.1f} s {'behind' if state.offset_s < 0 else 'ahead of'} the operator's host"
        look_at = f"timedatectl on {state.name} and on the operator's host"
        if behind >= _CLOCK_FAIL_S:
            results.append(fail(state.name, "clock", seen, look_at))
        elif behind >= _CLOCK_WARNING_S:
            results.append(warning(state.name, "clock", seen, look_at))
    reached = [state for state in states if state.reached]
    if reached and not results:
        results.append(ok(GROUP, "clocks", f"within {_CLOCK_WARNING_S:.0f} s"))
    return results


def find_queue(items: Mapping[str, Sequence[Item]]) -> AuditQueue | None:
    """The queue of audit records that all nodes share."""
    return next((item for of_node in items.values() for item in of_node if isinstance(item, AuditQueue)), None)


def check_audit(
    connections: Sequence[Connection],
    queue: AuditQueue,
    nonce: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> CheckResult:
    """Wait until the audit record with this nonce is in MongoDB, or without one in the csv file of any node.

    The pumps of all nodes share the queue, so any of them may have moved the record. A pump writes it to both, and does
    not repeat a write that MongoDB did not accept.
    """
    operation = {"do": "audit", "queue": queue.operation(), "nonce": nonce}
    began = clock()
    wait_s = min(2 * queue.interval_s + 6.0, _LONGEST_WAIT_S)
    while True:
        answers = in_parallel(connections, lambda connection: _audit(connection, operation))
        seen_by = [name for name, answer in answers if answer.get("in_csv")]
        took = f"{clock() - began:.0f} s"
        if queue.mongodb and any(answer.get("in_mongodb") for _, answer in answers):
            return ok(GROUP, "audit records", f"a decision was recorded in MongoDB within {took}")
        if seen_by and not queue.mongodb:
            return ok(GROUP, "audit records", f"a decision was recorded by iam-pump on {seen_by[0]} within {took}")
        if clock() - began > wait_s:
            if seen_by:
                return _only_in_csv(seen_by[0], [answer for _, answer in answers], took)
            return _explain(queue, [answer for _, answer in answers], took)
        sleep(0.5)


def _audit(connection: Connection, operation: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    try:
        return connection.node.name, connection.call([operation], deadline_s=20)[0]
    except ProvisioningError as error:
        return connection.node.name, {"error": error.message}


def _only_in_csv(node: str, answers: Sequence[Mapping[str, Any]], took: str) -> CheckResult:
    seen = f"a decision was not recorded in MongoDB within {took}, only in the csv file of {node}"
    return fail(GROUP, "audit records", "; ".join([seen, *_mongodb_errors(answers)]), _MONGODB)


def _mongodb_errors(answers: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(str(each["mongodb_error"]) for each in answers if each.get("mongodb_error")))


def _explain(queue: AuditQueue, answers: Sequence[Mapping[str, Any]], took: str) -> CheckResult:
    known = next((answer for answer in answers if answer.get("queued", -1) >= 0), None)
    if known is None:
        errors = "; ".join(dict.fromkeys(str(answer.get("error")) for answer in answers)) or "no node could be reached"
        return fail(GROUP, "audit records", f"Redis cannot be checked: {errors}", _PUMP)
    if known["stale_s"]:
        seen = f"the lock iam-pump in Redis has been held for {known['stale_s']:.0f} s by a pump that was stopped"
        return fail(GROUP, "audit records", f"{seen}; {known['queued']} records wait", "tandem up deletes the lock")
    waiting = f"{known['queued']} records are in the queue"
    if 2 * queue.interval_s + 6.0 > _LONGEST_WAIT_S:
        return ok(GROUP, "audit records", f"iam-pump moves them every {queue.interval_s} s, not waited for; {waiting}")
    seen = [f"a decision was not recorded within {took}", waiting, *_mongodb_errors(answers)]
    return fail(GROUP, "audit records", "; ".join(seen), _MONGODB if queue.mongodb else _PUMP)


def check_spread(
    inventory: Inventory,
    items: Mapping[str, Sequence[Item]],
    eligible: Sequence[Connection],
    service: Service,
    nonce: str,
) -> list[CheckResult]:
    """Check that the requests whose URL contains the nonce were answered by all nodes."""
    configured = "".join(
        item.text
        for of_node in items.values()
        for item in of_node
        if isinstance(item, File) and item.path == UPSTREAMS_FILE
    )
    if "ip_hash;" in configured or len(inventory.nodes) < 2:  # noqa: PLR2004 - one node has nothing to balance
        return []
    counted: Counter[str] = Counter()
    for connection in eligible:
        with suppress(ProvisioningError):
            counted.update(connection.call([{"do": "spread", "nonce": nonce}], deadline_s=20)[0])
    by_node = {
        node.name: sum(n for address, n in counted.items() if address.startswith(f"{node.private_address}:"))
        for node in inventory.nodes
    }
    seen = f"{service.domain}: " + ", ".join(f"{name} {count}" for name, count in by_node.items())
    missing = [name for name, count in by_node.items() if not count]
    if not missing:
        return [ok(GROUP, "spread", seen)]
    look_at = f"the services on {', '.join(missing)}; {UPSTREAMS_FILE} and /var/log/nginx/error.log on the master"
    return [warning(GROUP, "spread", f"{seen} of {counted.total()} requests", look_at)]
