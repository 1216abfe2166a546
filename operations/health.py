"""`tandem health`: all health checks of a group, as a table or as JSON."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from provisioning.cloud_calls import CallApi
from provisioning.errors import ProvisioningError
from provisioning.health.checks import Connect, Group, check_group
from provisioning.health.group_checks import GROUP
from provisioning.health.node_checks import NodeState
from provisioning.health.results import CheckResult, HealthReport, Level, count, fail, ok, warning
from provisioning.ssh.connections import connector
from provisioning.traffic.havip import find_detached, find_havip

SSH_DEADLINE_S = 10.0
HAVIP_SETTLE_S = 12.0
_ANNOUNCEMENTS = "DescribeHaVips; gratuitous ARP of the master: journalctl -u keepalived"
_MARKS = {Level.OK: ("ok", "green"), Level.WARNING: ("WARN", "yellow"), Level.FAIL: ("FAIL", "red")}


def check(group: Group, call_api: CallApi | None = None, connect: Connect | None = None) -> HealthReport:
    """Run all checks once. `call_api` adds the cloud's view of each virtual IP. Failed checks raise no exception."""
    connect = connect or connector(group.inventory, deadline_s=SSH_DEADLINE_S)
    report, states = check_group(group, connect)
    cloud = check_cloud(group, states, call_api) if call_api is not None else []
    return put_causes_first(HealthReport((*report.results, *cloud)))


def put_causes_first(report: HealthReport) -> HealthReport:
    """What fails for the whole group comes before the domains and nodes, whose failures are often a consequence."""
    return HealthReport(
        tuple(sorted(report.results, key=lambda each: (each.target, each.level) != (GROUP, Level.FAIL)))
    )


def check_cloud(
    group: Group,
    states: Sequence[NodeState],
    call_api: CallApi,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[CheckResult]:
    """Compare the instance that each HAVIP points to with the master. A HAVIP follows it after up to 10 s."""
    deadline = clock() + HAVIP_SETTLE_S
    while True:
        try:
            results = [
                each for address in group.inventory.virtual_ips for each in _compare(group, states, call_api, address)
            ]
        except ProvisioningError as error:
            return [
                warning(GROUP, "HAVIP", f"the cloud's view is unknown: {error.message}", "the credentials of the API")
            ]
        if HealthReport(tuple(results)).healthy or clock() > deadline:
            return results
        sleep(1)


def _compare(group: Group, states: Sequence[NodeState], call_api: CallApi, address: str) -> list[CheckResult]:
    names = {node.instance_id: node.name for node in group.inventory.nodes}
    havip = find_havip(call_api, group.inventory, address)
    if havip is None:
        return [
            fail(
                GROUP,
                "HAVIP",
                f"{address}: the cloud has no HAVIP of this group",
                "the HAVIP in the console; tandem up",
            )
        ]
    instance = havip.get("InstanceId")
    results: list[CheckResult] = []
    if detached := find_detached(havip, group.inventory):
        seen = f"{address}: {' and '.join(detached)} cannot take over: not attached to the HAVIP in the cloud"
        results.append(fail(GROUP, "HAVIP", seen, "`tandem up` attaches it again after `tandem fence`"))
    masters = [state.name for state in states if address in state.held]
    seen = f"{address} is at {names.get(instance or '', instance or 'no instance')} in the cloud"
    if names.get(instance or "") in masters:
        return [*results, ok(GROUP, "HAVIP", seen)]
    seen += f", but the master is {' and '.join(masters) or 'no node'}"
    remedy = "tandem switchover announces the address from the other node; " if len(masters) == 1 else ""
    return [*results, fail(GROUP, "HAVIP", seen, f"{remedy}{_ANNOUNCEMENTS}")]


def to_json(report: HealthReport) -> dict[str, Any]:
    return {"healthy": report.healthy, "checks": [result.to_data() for result in report.results]}


def group_by_target(report: HealthReport) -> dict[str, list[CheckResult]]:
    """The results of each target, in the order of its first one."""
    by_target: dict[str, list[CheckResult]] = {}
    for result in report.results:
        by_target.setdefault(result.target, []).append(result)
    return by_target


def make_table(report: HealthReport, stack: str, subject: str = "Health of", hint: str = "look at") -> Table:
    """The results as a table; `hint` introduces the next place to look, or the remedy, of failures and warnings."""
    table = Table("", "target", "check", "result", title=f"{subject} stack {stack}", title_justify="left")
    for target, results in group_by_target(report).items():
        for number, result in enumerate(results):
            shown = Text(result.seen)
            if result.look_at:
                shown.append(f"\n{hint}: {result.look_at}", style="dim")
            # Text: a message may contain brackets, which are not markup.
            name = Text("" if number else target)
            table.add_row(Text(*_MARKS[result.level]), name, Text(result.name), shown)
        table.add_section()
    counts = [sum(result.level is level for result in report.results) for level in (Level.FAIL, Level.WARNING)]
    table.caption = f"{count(len(report.results), 'check')}, {counts[0]} failed, {count(counts[1], 'warning')}"
    return table
