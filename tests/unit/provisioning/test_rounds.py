"""Rollouts on simulated nodes whose services need an account on the first node, which exists before they use it."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from provisioning_fakes import ME, MY_GROUP, FakeGroup, FakeSystem, PowerCutError

from provisioning.agent.node import Result
from provisioning.errors import CandidateError, GateError, NodeError
from provisioning.kinds.account import Account
from provisioning.kinds.base import Item, reload, restart
from provisioning.kinds.file import File
from provisioning.kinds.gate import Gate
from provisioning.kinds.unit import Unit
from provisioning.manifest import Manifest
from provisioning.rollout.drift import drift
from provisioning.rollout.rollback import roll_back
from provisioning.rollout.rollout import RolloutResult, roll_out
from settings.rollout import Unreachable

NODES = ("iam-a", "iam-b", "iam-c")
ADDRESSES = {name: f"10.0.4.{20 + number}" for number, name in enumerate(NODES)}
CONF = "/etc/iam/iam.conf"
DATABASE = "/etc/mysql/tandem.cnf"
RULES = "/etc/tandem/rules.nft"


class Accounts:
    """MariaDB on the first node."""

    def __init__(self, system: FakeSystem) -> None:
        self.hashes: dict[str, str] = {}
        self.system = system
        system.mariadb = self.answer

    def answer(self, statements: str) -> Result:
        if self.system.units.get("mariadb") != "active":
            return Result(1, "", "Can't connect to local server")
        for user, host, hashed in re.findall(r"USER '(.+?)'@'(.+?)' IDENTIFIED VIA \w+ USING '(.+?)'", statements):
            self.hashes[f"{user}@{host}"] = hashed
        for user, host in re.findall(r"DROP USER IF EXISTS '(.+?)'@'(.+?)'", statements):
            self.hashes.pop(f"{user}@{host}", None)
        listing = "authentication_string" in statements
        return Result(0, "".join(f"{name}\t{hashed}\n" for name, hashed in self.hashes.items() if listing), "")


def manifests(
    names: tuple[str, ...], user: str = "iam", database: str = "1", *, old: bool = True
) -> dict[str, Manifest]:
    def items(name: str) -> tuple[Item, ...]:
        rules = "".join(f"accept {ADDRESSES[other]}\n" for other in names)
        conf = File(DATABASE, f"{database}\n", ME, MY_GROUP, after=(restart("mariadb"),))
        accounts = (Account(user, ADDRESSES[other], user) for other in names)
        databases = (conf, Unit("mariadb", others_need=True), *accounts)
        return (
            File(RULES, rules, ME, MY_GROUP, after=(reload("firewall"),)),
            Unit("firewall"),
            *(databases if name == "iam-a" else ()),
            File(CONF, f"{user}\n", ME, MY_GROUP, after=(restart("iam"),)),
            Unit("iam"),
            *((Unit("keepalived"),) if name != "iam-c" else ()),
            *((Unit("old", enabled=old, running=old),) if name == "iam-a" else ()),
            Gate("iam", f"http://{ADDRESSES[name]}/healthz"),
        )

    return {name: Manifest(name, items(name)) for name in names}


class Group(FakeGroup):
    """Three nodes, of which the third may be new. A service without an account or behind a filter does not answer."""

    def __init__(self, root: Path, master: str, names: tuple[str, ...]) -> None:
        super().__init__(root, NODES)
        self.accounts = Accounts(self.systems["iam-a"])
        self.everyone = self.inventory.nodes
        self.log: list[str] = []
        self.deployed = False
        self.asked: Callable[[str], object] = lambda _node: None  # the node whose health gate is asked
        self.refuses: Callable[[str], bool] = lambda _node: False
        self.deploy(names)  # all nodes in parallel, in any order
        self.deployed = True
        self.held_by(master)
        self.before_effect = self.effect

    def deploy(
        self,
        names: tuple[str, ...],
        user: str = "iam",
        database: str = "1",
        *,
        old: bool = True,
        unreachable: Unreachable = "stop",
    ) -> RolloutResult:
        nodes = tuple(node for node in self.everyone if node.name in names)
        inventory = type(self.inventory)("test", nodes, self.inventory.virtual_ips, "key")
        return roll_out(
            inventory,
            manifests(names, user, database, old=old),
            {},
            self.reported.append,
            unreachable=unreachable,
            connect=self.connect,
        )

    def probe(self, node: str, url: str) -> str:
        if not self.deployed:
            return super().probe(node, url)
        address = url.split("/")[2]
        name = next((name for name in NODES if ADDRESSES[name] == address), "")
        self.asked(name)
        if self.refuses(name):
            return "502"
        return "200" if not name or self.serves(name) else "ConnectionRefusedError"

    def serves(self, name: str) -> bool:
        """Whether the service runs, and the first node accepts its address and its account."""
        first, system = self.systems["iam-a"], self.systems[name]
        if system.units.get("iam") != "active":
            return False
        accepted = f"accept {ADDRESSES[name]}\n" in first.loaded.get("firewall", {}).get(RULES, "")
        return accepted and f"{system.loaded['iam'][CONF].strip()}@{ADDRESSES[name]}" in self.accounts.hashes

    def effect(self, node: str, effect: str) -> None:
        assert all(self.serves(name) for name in NODES[:2]), f"a node does not serve before {node} {effect}: {self.log}"
        self.log.append(f"{node} {effect}")
        if effect == "drain":
            self.held_by("iam-b" if node == "iam-a" else "iam-a")


@pytest.mark.parametrize("master", NODES[:2])
def test_a_new_node_finds_its_account_whichever_node_is_master(tmp_path: Path, master: str) -> None:
    group = Group(tmp_path, master, NODES[:2])
    group.deploy(NODES)
    assert all(group.serves(name) for name in NODES)
    first = [line for line in group.log if not line.split()[1].startswith(("lock", "stage"))]
    assert first[:3] == [f"iam-a write {RULES}", "iam-a reload firewall", "iam-a account 'iam'@'10.0.4.22'"]
    assert not [line for line in first if "restart" in line], "nothing that serves is restarted"
    assert group.deploy(NODES).changed == {}


@pytest.mark.parametrize("master", NODES[:2])
def test_a_rotated_account_is_valid_before_the_first_node_uses_it(tmp_path: Path, master: str) -> None:
    group = Group(tmp_path, master, NODES)
    group.deploy(NODES, user="iam_g2")
    created = group.log.index("iam-a account 'iam_g2'@'10.0.4.22'")
    assert created < min(number for number, line in enumerate(group.log) if line.endswith(f"write {CONF}"))
    assert all(group.systems[name].loaded["iam"][CONF] == "iam_g2\n" for name in NODES)


def test_a_skipped_node_keeps_what_it_needs_until_it_is_completed(tmp_path: Path) -> None:
    """It may come back before the next run: with its old account, and the databases that it still uses."""
    group = Group(tmp_path, "iam-b", NODES)
    group.unreachable = {"iam-c"}
    assert group.deploy(NODES, user="iam_g2", old=False, unreachable="skip").incomplete == ("iam-c",)
    assert group.serves("iam-c"), "it logs in with the old account"
    assert group.systems["iam-a"].units["old"] == "active"
    assert "items that left the manifests are removed when iam-c is completed" in group.reported
    group.unreachable = set()
    group.deploy(NODES, user="iam_g2", old=False, unreachable="skip")
    assert set(group.accounts.hashes) == {f"iam_g2@{address}" for address in ADDRESSES.values()}
    assert group.systems["iam-a"].units["old"] == "inactive"
    assert group.deploy(NODES, user="iam_g2", old=False).changed == {}


def database_of(group: Group) -> str:
    return (group.systems["iam-a"].root / DATABASE.lstrip("/")).read_text().strip()


def test_a_database_that_does_not_start_with_its_new_configuration_is_rolled_back(tmp_path: Path) -> None:
    group = Group(tmp_path, "iam-b", NODES)
    system = group.systems["iam-a"]
    system.fails = lambda _verb, unit: unit == "mariadb" and database_of(group) == "bad"
    with pytest.raises(NodeError, match="iam-a was rolled back to its previous version; the rollout stopped there"):
        group.deploy(NODES, user="iam_g2", database="bad")
    assert (system.units["mariadb"], database_of(group)) == ("active", "1")
    assert "iam_g2@10.0.4.20" not in group.accounts.hashes
    group.deploy(NODES)
    assert drift(group.inventory, manifests(NODES), {}, connect=group.connect) == {}


def test_a_node_of_which_only_the_databases_change_must_pass_its_health_gates(tmp_path: Path) -> None:
    group = Group(tmp_path, "iam-b", NODES)
    asked: list[str] = []
    group.asked = asked.append
    group.refuses = lambda name: name == "iam-a" and database_of(group) == "bad"
    with pytest.raises(GateError, match="iam-a was rolled back to its previous version; the rollout stopped there"):
        group.deploy(NODES, database="bad")
    assert database_of(group) == "1"
    asked.clear()
    assert set(group.deploy(NODES, database="2").changed) == {"iam-a"}
    assert [name for name in asked if name] == ["iam-a"], "one gate, of the changed node"


def test_an_account_that_cannot_be_restored_does_not_roll_back_the_revision_that_runs(tmp_path: Path) -> None:
    group = Group(tmp_path, "iam-b", NODES)
    del group.accounts.hashes["iam@10.0.4.22"]
    answer = group.accounts.answer
    group.systems["iam-a"].mariadb = lambda text: Result(1, "", "read only") if "CREATE" in text else answer(text)
    group.effect = lambda node, effect: group.log.append(f"{node} {effect}")
    with pytest.raises(NodeError) as caught:
        group.deploy(NODES)
    assert "; iam-a had this revision before, so there is nothing to restore; the rollout" in caught.value.message


@pytest.mark.parametrize("user", ["iam", "iam_g2"])
def test_a_unit_that_cannot_be_stopped_after_all_nodes_is_rolled_back(tmp_path: Path, user: str) -> None:
    """To the version that the node has accepted by then: its other parts stay."""
    group = Group(tmp_path, "iam-b", NODES)
    group.systems["iam-a"].fails = lambda verb, unit: (verb, unit) == ("stop", "old")
    with pytest.raises(NodeError, match="iam-a was rolled back to its previous version; the rollout stopped there"):
        group.deploy(NODES, user=user, old=False)
    assert group.systems["iam-a"].units["old"] == "active"
    assert group.systems["iam-a"].loaded["iam"][CONF] == f"{user}\n"


def test_a_rollback_starts_units_that_an_interrupted_last_part_has_stopped(tmp_path: Path) -> None:
    """The node has accepted the version by then, so it has two journals."""
    group = Group(tmp_path, "iam-b", NODES)

    def cut(node: str, effect: str) -> None:
        if (node, effect) == ("iam-a", "accept") and group.systems["iam-a"].units["old"] == "inactive":
            raise PowerCutError

    group.before_effect = cut
    with pytest.raises(PowerCutError):
        group.deploy(NODES, database="2", old=False)
    group.before_effect = lambda _node, _effect: None
    group.tick(200)
    roll_back(group.inventory, {}, group.reported.append, group.connect)
    assert (database_of(group), group.systems["iam-a"].units["old"]) == ("1", "active")
    assert drift(group.inventory, manifests(NODES), {}, connect=group.connect) == {}


def test_a_part_that_is_rejected_after_others_were_committed_does_not_claim_that_nothing_was_changed(
    tmp_path: Path,
) -> None:
    group = Group(tmp_path, "iam-a", NODES[:2])
    staged: list[str] = []

    def refuse_again(node: str, when: str, names: list[str]) -> None:
        if when == "before" and "stage" in names and node == "iam-b":
            staged.append(node)
            if len(staged) == 2:
                raise CandidateError("iam-b: nginx rejected the new configuration")

    group.link = refuse_again
    with pytest.raises(CandidateError) as caught:
        group.deploy(NODES)
    assert caught.value.commit_began
    assert "was changed" not in str(caught.value)


@pytest.mark.exhaustive
@pytest.mark.parametrize("change", ["a new node", "a rotated account"])
def test_all_nodes_serve_at_each_point_of_an_interrupted_run(tmp_path: Path, change: str) -> None:
    before, user = (NODES[:2], "iam") if change == "a new node" else (NODES, "iam_g2")
    for number in range(200):
        group = Group(tmp_path / str(number), "iam-a", before)
        interrupted = group.cut_power(number, partial(group.deploy, NODES, user))
        group.deploy(NODES, user)
        assert all(group.serves(name) for name in NODES)
        assert drift(group.inventory, manifests(NODES, user), {}, connect=group.connect) == {}
        if not interrupted:
            return
    raise AssertionError("the last runs must not have been interrupted")
