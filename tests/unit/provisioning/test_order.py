"""The order of the changes of a rollout, as a table of plans."""

from __future__ import annotations

import pytest

from provisioning.facts import Facts
from provisioning.kinds.account import Account
from provisioning.kinds.base import Item, reload, restart
from provisioning.kinds.check import Check
from provisioning.kinds.file import File
from provisioning.kinds.unit import Unit
from provisioning.kinds.vrrp import Vrrp
from provisioning.plan import Plan, Step
from provisioning.rollout.order import VrrpNode, divide, find_keeper, find_stopped, node_order, with_unit

RULES = File("/etc/tandem/firewall/rules.nft", "", after=(reload("firewall"),))
ACCOUNT = Account("iam", "10.0.4.22", "secret")
SERVICE = File("/etc/iam/iam.yaml", "", after=(restart("iam"),))
KEEPALIVED = File("/etc/keepalived/keepalived.conf", "", after=(reload("keepalived"),))
VRRP = Vrrp("id 51", ("/etc/keepalived/keepalived.conf", "unit keepalived"))
OFF = Unit("mariadb", enabled=False, running=False)


def plan(*items: Item) -> Plan:
    return Plan(
        node="iam-a",
        commit=tuple(Step(item, "differs") for item in items),
        checks=(Check("iam", ("true",), ("/etc/iam",)), Check("keepalived", ("true",), ("/etc/keepalived",))),
        unit_actions=("reload firewall", "restart iam", "reload keepalived"),
        pending=("reload nginx",),
        drained=True,
    )


def items(part: Plan) -> list[Item]:
    return [step.item for step in part.commit]


def test_what_other_nodes_need_comes_first_with_everything_that_precedes_it() -> None:
    parts = divide(plan(RULES, Unit("firewall"), Unit("mariadb", others_need=True), ACCOUNT, SERVICE, OFF))
    assert items(parts.before_others) == [RULES, Unit("firewall"), Unit("mariadb", others_need=True), ACCOUNT]
    assert items(parts.in_order) == [SERVICE]
    assert items(parts.after_all) == [OFF]
    assert not parts.vrrp


def test_each_part_has_its_own_checks_and_actions() -> None:
    parts = divide(plan(RULES, ACCOUNT, SERVICE, KEEPALIVED, VRRP), together=(*VRRP.together, VRRP.label))
    assert parts.before_others.unit_actions == ("reload firewall",)
    assert [check.name for check in parts.in_order.checks] == ["iam"]
    assert parts.in_order.unit_actions == ("restart iam",)
    assert [check.name for check in parts.vrrp.checks] == ["keepalived"]
    assert items(parts.vrrp) == [KEEPALIVED, VRRP]


def test_unfinished_work_of_an_interrupted_run_belongs_to_the_turn_of_the_node() -> None:
    parts = divide(plan(ACCOUNT))
    assert (parts.in_order.pending, parts.in_order.drained) == (("reload nginx",), True)
    assert (parts.before_others.pending, parts.before_others.drained) == ((), False)


def test_without_needs_of_other_nodes_all_steps_stay_in_order() -> None:
    parts = divide(plan(RULES, SERVICE, KEEPALIVED, VRRP))
    assert items(parts.in_order) == [RULES, SERVICE, KEEPALIVED, VRRP]
    assert not (parts.before_others)
    assert not (parts.vrrp)
    assert not (parts.after_all)


def test_new_nodes_come_before_backups_and_backups_before_masters() -> None:
    def facts(*, active: bool, addresses: tuple[str, ...] = ()) -> Facts:
        return Facts(answers={"unit": {"iam": {"active": active}, "ssh": {"active": True}}}, addresses=addresses)

    manifest = (Unit("ssh"), Unit("iam"))
    nodes = {
        "master": facts(active=True, addresses=("10.0.4.99",)),
        "backup": facts(active=True),
        "new": facts(active=False),
    }
    assert sorted(nodes, key=lambda name: node_order(manifest, nodes[name])) == ["new", "backup", "master"]


# ---- which node keeps the virtual IP while the VRRP settings change --------------------------------------------------


def node(name: str, *flags: str) -> VrrpNode:
    return VrrpNode(name, "not eligible" not in flags, "stopped" not in flags, "old" in flags, "holds" in flags)


@pytest.mark.parametrize(
    ("nodes", "keeper", "stopped"),
    [
        pytest.param([node("a", "old"), node("b", "old", "holds")], "b", ["a"], id="the master keeps it"),
        pytest.param([node("a", "holds"), node("b", "old", "holds")], "a", ["b"], id="two masters: the new settings"),
        pytest.param([node("a", "old", "holds"), node("b", "stopped")], "a", [], id="the backup is stopped already"),
        pytest.param([node("a", "old", "holds"), node("b")], "a", [], id="a backup with the new settings may run"),
        pytest.param(
            [node("a", "old"), node("b", "old", "holds", "not eligible")], "a", ["b"], id="a master that is demoted"
        ),
        pytest.param([node("a", "stopped"), node("b", "stopped")], None, [], id="no node runs keepalived"),
        pytest.param([node("a", "old"), node("b", "old")], "a", ["b"], id="no node holds the virtual IP"),
    ],
)
def test_only_the_keeper_runs_keepalived_while_settings_differ(
    nodes: list[VrrpNode], keeper: str | None, stopped: list[str]
) -> None:
    found = find_keeper(nodes)
    assert (found.name if found else None) == keeper
    assert find_stopped(nodes, found) == stopped


def test_a_stopped_unit_is_started_before_the_settings_are_recorded() -> None:
    unit = Unit("keepalived")
    assert items(with_unit(plan(KEEPALIVED, VRRP), (KEEPALIVED, unit, VRRP), "keepalived")) == [KEEPALIVED, unit, VRRP]
    assert items(with_unit(plan(unit, VRRP), (unit, VRRP), "keepalived")) == [unit, VRRP]
    assert items(with_unit(plan(SERVICE), (SERVICE,), "keepalived")) == [SERVICE]
