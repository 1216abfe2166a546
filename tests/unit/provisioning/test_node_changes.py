from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from provisioning_fakes import FakeConnection, FakeGroup

from provisioning.agent.put_back_timer import DRAIN_CONF
from provisioning.errors import (
    CandidateError,
    HostKeyError,
    LockedError,
    NodeError,
    ProvisioningError,
    RejectedError,
    SwitchoverError,
    UnreachableError,
)
from provisioning.health.node_checks import check_node
from provisioning.health.results import CheckResult, Level
from provisioning.inventory import RemoteNode
from provisioning.kinds.file import File
from provisioning.traffic.node_changes import (
    Group,
    demote,
    drain_node,
    put_back_node,
    resume_node,
    retire,
    retired,
    take_out_node,
)
from provisioning.traffic.planned_switchover import switch_over

VIP, VIP2 = "10.0.4.99", "10.0.4.98"
UPSTREAMS = """upstream iam-apiserver {
    zone iam-apiserver 256k;
    server 10.0.4.20:8080 max_fails=1 fail_timeout=10s; # iam-a
    server 10.0.4.21:8080 max_fails=1 fail_timeout=10s; # iam-b
    keepalive 32;
}
upstream one-instance {
    server 10.0.4.20:7000 max_fails=1 fail_timeout=10s; # iam-a
}
"""


class Lab:
    """Two eligible nodes with nginx, keepalived and one service. Keepalived moves what a node releases to the other."""

    def __init__(self, root: Path, *, virtual_ips: tuple[str, ...] = (VIP,), names: tuple[str, ...] = ()) -> None:
        self.group = FakeGroup(root, names or ("iam-a", "iam-b"))
        self.group.inventory = replace(self.group.inventory, virtual_ips=virtual_ips)
        self.reported: list[str] = []
        self.confirmed: list[tuple[str, str]] = []
        self.effects: list[str] = []
        self.renewed: Callable[[], object] = lambda: None  # another operator renews its lock
        self.group.before_effect = lambda node, effect: self.effects.append(f"{node}: {effect}")
        for node in self.group.inventory.nodes:
            self._set_up(node)
        self.group.held_by("iam-a")

    def _set_up(self, node: RemoteNode) -> None:
        system = self.group.systems[node.name]
        system.units = dict.fromkeys(("mariadb", "iam-apiserver", "nginx", "keepalived"), "active")
        if node.name != "iam-a":
            del system.units["mariadb"]
        system.enabled = set(system.units)
        for path in ("etc/nginx/conf.d", "run/tandem"):
            (system.root / path).mkdir(parents=True)
        (system.root / "etc/tandem/switchover.json").write_text(
            json.dumps(
                {
                    "drain": -10,
                    "fault": -254,
                    "drain_s": 2,
                    "tracked": True,
                    "preferred": [],
                    "together": False,
                    "routers": {f"VI_{n}": [ip] for n, ip in enumerate(self.group.inventory.virtual_ips, 1)},
                }
            )
        )
        gates = [
            {"name": "iam-apiserver", "url": f"http://{node.private_address}:8080/healthz", "status": 200},
            {"name": "nginx", "url": f"http://{node.private_address}/healthz", "status": 200},
        ]
        (system.root / "etc/tandem/node.json").write_text(json.dumps({"units": list(system.units), "gates": gates}))
        (system.root / "etc/nginx/conf.d/upstreams.conf").write_text(UPSTREAMS)
        (system.root / "run/tandem/nginx").write_text("0\n")
        system.on_command = lambda argv: self.elect(node.name) if argv[0] == "ip" else None

    def elect(self, node: str) -> None:
        """Simulate keepalived: a node in FAULT loses the virtual IP to a healthy peer at once."""
        for number, address in enumerate(self.group.inventory.virtual_ips, start=1):
            peers = [name for name, system in self.group.systems.items() if name != node
                     and self.value(name, number) == "0" and system.units.get("keepalived") == "active"]  # fmt: skip
            if self.value(node, number) == "-254" and peers and address in self.group.systems[node].addresses:
                self.group.held_by(peers[0], address)

    def value(self, node: str, router: int = 1) -> str:
        """What keepalived reads for a virtual router: the fault of the health daemon, or the drain."""
        drain = self.group.systems[node].root / f"run/tandem/drain-VI_{router}"
        health = self.read(node, "run/tandem/nginx").strip()
        return health if health != "0" or not drain.exists() else drain.read_text().strip()

    def read(self, node: str, path: str) -> str:
        return (self.group.systems[node].root / path).read_text()

    def upstreams(self, node: str) -> str:
        return self.read(node, "etc/nginx/conf.d/upstreams.conf")

    def drained(self, node: str) -> bool:
        return any(self.value(node, n) != "0" for n, _ in enumerate(self.group.inventory.virtual_ips, start=1))

    def confirm(self, address: str, node: RemoteNode) -> str:
        self.confirmed.append((address, node.name))
        return "confirmed"

    def sleep(self, seconds: float) -> None:
        self.group.tick(seconds)
        self.renewed()

    @property
    def changes(self) -> Group:
        return Group(
            self.group.inventory,
            self.confirm,
            self.reported.append,
            self.group.connect,
            sleep=self.sleep,
            now=lambda: self.group.clock,
        )

    def is_as_before(self) -> bool:
        return (
            not any(self.drained(name) for name in self.group.systems)
            and {self.upstreams(name) for name in self.group.systems} == {UPSTREAMS}
            and not any(system.timers for system in self.group.systems.values())
            and {self.value(name) for name in self.group.systems} == {"0"}
        )


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_a_node_leaves_every_upstream_before_its_virtual_ip_moves(lab: Lab) -> None:
    (moved,) = take_out_node(lab.changes, "iam-a")
    assert (moved.address, moved.to, moved.cut_connections) == (VIP, "iam-b", 0)
    for node in ("iam-a", "iam-b"):
        assert "server 10.0.4.20:8080 down max_fails=1" in lab.upstreams(node)
    edited = [effect for effect in lab.effects if "edit" in effect]
    assert sorted(edited) == [f"{node}: edit /etc/nginx/conf.d/upstreams.conf" for node in ("iam-a", "iam-b")]
    assert lab.effects.index("iam-a: drain") > max(lab.effects.index(effect) for effect in edited)
    assert lab.confirmed == [(VIP, "iam-b")]
    assert lab.drained("iam-a"), "the node is about to stop and must stay drained"


def test_a_single_remaining_server_is_used_after_a_failed_attempt(lab: Lab) -> None:
    """With `max_fails=1` one failed request would be followed by 10 s of 502 for all clients."""
    take_out_node(lab.changes, "iam-a")
    assert "server 10.0.4.21:8080 max_fails=0 fail_timeout=10s;" in lab.upstreams("iam-b")


def test_the_only_server_of_an_upstream_is_not_marked_as_down(lab: Lab) -> None:
    take_out_node(lab.changes, "iam-a")
    assert "server 10.0.4.20:7000 max_fails=1 fail_timeout=10s; # iam-a" in lab.upstreams("iam-b")


def test_requests_in_progress_finish_before_the_node_is_drained(lab: Lab) -> None:
    system = lab.group.systems["iam-a"]
    system.connections = ["10.0.4.20:8080", "[::ffff:10.0.4.20]:8080"]
    asked = 0

    def finish(argv: list[str]) -> None:
        nonlocal asked
        asked += argv[0] == "ss"
        if asked == 5 and system.connections:
            assert "iam-a: drain" not in lab.effects
            system.connections = []
        lab.elect("iam-a")

    system.on_command = finish
    take_out_node(lab.changes, "iam-a")
    assert asked >= 5
    assert not any("still in progress" in line for line in lab.reported)


def test_requests_that_do_not_finish_are_reported(lab: Lab) -> None:
    lab.group.systems["iam-a"].connections = ["10.0.4.20:8080"]
    began = lab.group.clock
    take_out_node(lab.changes, "iam-a")
    assert lab.group.clock - began >= 30
    assert "iam-a: 1 requests were still in progress after 30 s" in lab.reported


def test_cut_client_connections_are_reported(lab: Lab) -> None:
    lab.group.systems["iam-a"].connections = [f"{VIP}:443", f"{VIP}:443", "10.0.4.20:22"]
    (moved,) = take_out_node(lab.changes, "iam-a")
    assert moved.cut_connections == 2
    assert f"iam-a: {VIP} moved to iam-b: 2 open client connections were cut off; confirmed" in lab.reported


def test_new_connections_wait_for_the_peer_while_the_virtual_ip_moves(lab: Lab) -> None:
    system = lab.group.systems["iam-a"]
    system.connections = [f"{VIP}:443"]
    order: list[str] = []

    def watch(argv: list[str]) -> None:
        if argv[0] == "nft":
            order.append("hold" if argv[1] == "-f" else "end")
        if argv[0] == "ss" and order == ["hold"] and VIP in system.addresses:
            system.connections = []  # the request in progress has finished
        if argv[0] == "ip":
            order.extend(["released"] if lab.value("iam-a") == "-254" and "released" not in order else [])
            lab.elect("iam-a")

    system.on_command = watch
    (moved,) = take_out_node(lab.changes, "iam-a")
    assert order == ["hold", "released", "end"]
    assert moved.cut_connections == 0


def test_in_dual_master_mode_each_virtual_ip_of_the_node_moves(tmp_path: Path) -> None:
    """The peer always holds its own virtual IP, which must not count as the move of the other one."""
    lab = Lab(tmp_path, virtual_ips=(VIP, VIP2))
    lab.group.held_by("iam-b", VIP2)
    moves = take_out_node(lab.changes, "iam-a")
    assert [(move.address, move.to) for move in moves] == [(VIP, "iam-b")]
    assert lab.group.systems["iam-b"].addresses == {VIP, VIP2}
    assert lab.confirmed == [(VIP, "iam-b")]


def test_a_node_with_both_virtual_ips_moves_both(tmp_path: Path) -> None:
    lab = Lab(tmp_path, virtual_ips=(VIP, VIP2))
    lab.group.held_by("iam-a", VIP2)
    lab.group.systems["iam-a"].connections = [f"{VIP2}:443"]
    moves = take_out_node(lab.changes, "iam-a")
    assert {move.address: move.cut_connections for move in moves} == {VIP: 0, VIP2: 1}


def test_a_node_that_takes_its_virtual_ip_back_asks_the_clients_of_the_peer_to_leave_first(tmp_path: Path) -> None:
    lab = Lab(tmp_path, virtual_ips=(VIP, VIP2))
    lab.group.held_by("iam-b", VIP2)
    root = lab.group.systems["iam-a"].root
    settings = json.loads((root / "etc/tandem/switchover.json").read_text())
    (root / "etc/tandem/switchover.json").write_text(json.dumps({**settings, "preferred": [VIP]}))
    take_out_node(lab.changes, "iam-a")
    lab.group.systems["iam-b"].connections = [f"{VIP}:443", f"{VIP2}:443"]
    asked_before: list[bool] = []

    def preempt(argv: list[str]) -> None:
        if argv[0] == "ip" and lab.value("iam-a") == "0":
            asked_before.append((lab.group.systems["iam-b"].root / "run/tandem/nginx-drain.conf").exists())
            lab.group.held_by("iam-a")

    lab.group.systems["iam-a"].on_command = preempt
    put_back_node(lab.changes, "iam-a")
    assert asked_before[-1], "nginx on iam-b still closes connections when iam-a becomes master again"
    assert f"iam-b: {VIP} moved to iam-a: 1 open client connections were cut off; confirmed" in lab.reported
    assert lab.confirmed[-1] == (VIP, "iam-a")
    assert lab.is_as_before()
    assert not (lab.group.systems["iam-b"].root / "run/tandem/nginx-drain.conf").exists()


def test_a_node_that_has_booted_for_its_change_gets_its_virtual_ip_back_too(tmp_path: Path) -> None:
    """The boot ends the drain, and keepalived alone would wait for `preempt_delay`."""
    lab = Lab(tmp_path, virtual_ips=(VIP, VIP2))
    lab.group.held_by("iam-b", VIP2)
    root, peer = (lab.group.systems[name].root for name in ("iam-a", "iam-b"))
    settings = json.loads((root / "etc/tandem/switchover.json").read_text())
    (root / "etc/tandem/switchover.json").write_text(json.dumps({**settings, "preferred": [VIP]}))
    take_out_node(lab.changes, "iam-a")
    for file in (root / "run/tandem").glob("drain-*"):
        file.write_text("0\n")

    def preempt(argv: list[str]) -> None:
        if argv[0] == "ip" and (peer / "run/tandem/nginx-drain.conf").exists():
            lab.group.held_by("iam-a")

    lab.group.systems["iam-a"].on_command = preempt
    assert put_back_node(lab.changes, "iam-a") == (), "nothing has ended its drain but an operator"
    assert [move.address for move in put_back_node(lab.changes, "iam-a", changed=True)] == [VIP]
    assert lab.confirmed[-1] == (VIP, "iam-a")


@pytest.mark.parametrize(
    ("silent", "lost"),
    [(":8080/", "iam-apiserver"), ("10.0.4.21/healthz", "nginx"), ("127.0.0.1/healthz", VIP)],
)
def test_the_only_node_that_serves_is_not_taken_out(lab: Lab, silent: str, lost: str) -> None:
    lab.group.silent.add(("iam-b", silent))
    with pytest.raises(SwitchoverError) as caught:
        take_out_node(lab.changes, "iam-a")
    message = f"iam-a cannot be taken out of service: no other node serves {lost}; it was not changed"
    assert message in str(caught.value)
    assert "iam-b: " in str(caught.value)
    assert sorted(lab.effects) == ["iam-a: lock", "iam-b: lock"]
    assert lab.is_as_before()


def test_another_operator_that_holds_the_change_lock_stops_a_change(lab: Lab) -> None:
    lock = {"do": "lock", "owner": {"user": "jo", "host": "laptop", "pid": 7}, "ttl_s": 30}
    other = lab.group.connect(lab.group.inventory.get("iam-b"))
    other.call([lock], token="other")
    lab.renewed = lambda: other.call([{"do": "renew"}], token="other")
    for change in (take_out_node, retire, demote):
        with pytest.raises(LockedError, match="another rollout holds the change lock"):
            change(lab.changes, "iam-a")
    assert lab.is_as_before()


def test_the_refusal_says_what_is_wrong_with_the_peer(lab: Lab) -> None:
    lab.group.silent.add(("iam-b", ":8080/"))
    with pytest.raises(SwitchoverError, match=r"iam-b: iam-apiserver: http://10\.0\.4\.21:8080/healthz: ConnectionRef"):
        retire(lab.changes, "iam-a")
    lab.group.silent.clear()
    lab.group.unreachable.add("iam-b")
    with pytest.raises(SwitchoverError, match="iam-b: cannot be queried: iam-b: no connection"):
        take_out_node(lab.changes, "iam-a")
    assert lab.is_as_before()


def test_a_node_that_does_not_serve_itself_can_be_taken_out(lab: Lab) -> None:
    lab.group.gates_pass = False
    lab.group.held_by("none")
    assert take_out_node(lab.changes, "iam-a") == ()


def test_a_backup_needs_no_switchover_and_is_not_drained(lab: Lab) -> None:
    assert take_out_node(lab.changes, "iam-b") == ()
    assert not lab.drained("iam-b")
    assert "server 10.0.4.21:8080 down" in lab.upstreams("iam-a")


def test_the_outage_of_what_runs_on_one_node_only_is_announced(lab: Lab) -> None:
    take_out_node(lab.changes, "iam-a")
    assert "iam-a: mariadb run on this node only and are not available meanwhile" in lab.reported


def test_a_node_stays_in_fault_after_it_released_a_split_virtual_ip(lab: Lab) -> None:
    """After a change of the VRRP version the nodes do not hear each other, and both hold the virtual IP."""
    lab.group.systems["iam-b"].addresses = {VIP}
    (moved,) = take_out_node(lab.changes, "iam-a")
    assert moved.to == "iam-b"
    assert lab.read("iam-a", "run/tandem/drain-VI_1") == "-254\n"


def test_the_virtual_ip_leaves_from_fault_and_the_drained_node_may_take_over_again(lab: Lab) -> None:
    """The peer waits three advertisement intervals before it takes over from a lower priority."""
    (moved,) = take_out_node(lab.changes, "iam-a")
    assert moved.to == "iam-b"
    assert lab.read("iam-a", "run/tandem/drain-VI_1") == "-10\n"


def test_a_virtual_ip_that_is_not_released_leaves_the_group_as_before(lab: Lab) -> None:
    lab.group.systems["iam-a"].on_command = lambda _argv: None
    with pytest.raises(NodeError, match="was not released within 30 s; the drain was ended"):
        take_out_node(lab.changes, "iam-a")
    assert lab.is_as_before()


def test_a_havip_that_does_not_follow_leaves_the_group_as_before(lab: Lab) -> None:
    def refuse(address: str, node: RemoteNode) -> str:
        raise SwitchoverError(f"{address} does not follow {node.name}")

    with pytest.raises(SwitchoverError, match="does not follow iam-b"):
        take_out_node(replace(lab.changes, confirm=refuse), "iam-a")
    assert lab.is_as_before()


@pytest.mark.parametrize("call", ["leave", "finish_requests", "drain"])
def test_a_step_that_fails_leaves_the_group_as_before(lab: Lab, call: str) -> None:
    failed: list[str] = []

    def fail(node: str, when: str, names: list[str]) -> None:
        if names == [call] and when == "after" and not failed:
            failed.append(node)
            raise UnreachableError("the connection broke")

    lab.group.link = fail
    with pytest.raises(UnreachableError):
        take_out_node(lab.changes, "iam-a")
    assert lab.is_as_before()


@pytest.mark.parametrize(
    ("operation", "call"), [(partial(drain_node, seconds=3600), "stay_out"), (demote, "retire"), (retire, "retire")]
)
def test_a_node_is_put_back_if_the_step_after_its_drain_fails(
    lab: Lab, operation: Callable[[Group, str], object], call: str
) -> None:
    def fail(_node: str, when: str, names: list[str]) -> None:
        if names == [call] and when == "before":
            raise UnreachableError("the connection broke")

    lab.group.link = fail
    with pytest.raises(UnreachableError):
        operation(lab.changes, "iam-a")
    assert lab.is_as_before()


def test_the_drain_of_an_unreachable_node_is_refused(lab: Lab) -> None:
    """It would serve as soon as it is reachable again."""
    lab.group.unreachable.add("iam-b")
    with pytest.raises(UnreachableError, match="iam-b cannot be drained: it cannot be reached; nothing was changed"):
        drain_node(lab.changes, "iam-b", 3600)
    assert lab.is_as_before()


def test_a_node_is_put_back_when_it_serves_after_its_change(lab: Lab) -> None:
    take_out_node(lab.changes, "iam-a")
    (lab.group.systems["iam-a"].root / "run/tandem/drain-VI_1").unlink()  # the node has booted
    lab.group.silent.add(("iam-a", ":8080/"))

    def start(node: str, when: str, _names: list[str]) -> None:
        if lab.group.clock > 1100 and (node, when) == ("iam-a", "before"):
            lab.group.silent.clear()

    lab.group.link = start
    put_back_node(lab.changes, "iam-a")
    assert lab.group.clock > 1100
    assert lab.is_as_before()


def test_a_node_that_does_not_serve_after_its_change_stays_out_of_the_upstreams(lab: Lab) -> None:
    take_out_node(lab.changes, "iam-a")
    lab.group.silent.add(("iam-a", ":8080/"))
    with pytest.raises(SwitchoverError, match=r"iam-a does not serve within 300 s and is not put back"):
        put_back_node(lab.changes, "iam-a")
    assert "server 10.0.4.20:8080 down" in lab.upstreams("iam-b")


def test_a_retired_node_stops_its_units_in_reverse_order_and_can_be_resumed(lab: Lab) -> None:
    system = lab.group.systems["iam-a"]
    retire(lab.changes, "iam-a")
    assert [line for line in system.log if line.startswith("stop")] == [
        "stop keepalived", "stop nginx", "stop iam-apiserver", "stop mariadb",
    ]  # fmt: skip
    resume_node(lab.changes, "iam-a")
    assert set(system.units.values()) == {"active"}
    assert lab.is_as_before()


@pytest.mark.parametrize("error", [UnreachableError, LockedError, CandidateError, RejectedError, ProvisioningError])
def test_a_removed_node_is_resumed_after_any_error_before_the_commit(lab: Lab, error: type[ProvisioningError]) -> None:
    with pytest.raises(error), retired(lab.changes, ["iam-a"]):
        raise error("nothing was changed")
    assert "stop keepalived" in lab.group.systems["iam-a"].log
    assert set(lab.group.systems["iam-a"].units.values()) == {"active"}
    assert lab.is_as_before()


def test_a_removed_node_that_cannot_be_reached_is_not_waited_for_after_an_error(lab: Lab) -> None:
    lab.group.held_by("iam-b")
    lab.group.unreachable = {"iam-a"}
    for began in (False, True):
        failed = CandidateError("iam-b: nginx rejected the new configuration")
        failed.commit_began = began
        with pytest.raises(CandidateError), retired(lab.changes, ["iam-a"]):
            raise failed
    assert lab.reported == [], "it was not stopped, and cannot be started"


def test_a_node_that_an_earlier_run_has_stopped_stays_stopped_after_a_second_error(lab: Lab) -> None:
    """The peer may have dropped it in the first run, also if the second one changes nothing."""
    for began in (True, False):
        failed = CandidateError("iam-b: nginx rejected the new configuration")
        failed.commit_began = began
        with pytest.raises(CandidateError), retired(lab.changes, ["iam-a"]):
            raise failed
    assert set(lab.group.systems["iam-a"].units.values()) == {"inactive"}


@pytest.mark.parametrize("error", [UnreachableError, LockedError, CandidateError])
def test_a_removed_node_stays_stopped_after_an_error_in_the_commit(lab: Lab, error: type[ProvisioningError]) -> None:
    """Its peer may have dropped it: with two keepalived that do not hear each other, both would be master."""
    failed = error("the SSH connection broke")
    failed.commit_began = True
    with pytest.raises(error), retired(lab.changes, ["iam-a"]):
        raise failed
    assert set(lab.group.systems["iam-a"].units.values()) == {"inactive"}
    assert "iam-a stays stopped" in lab.reported[-1]


def test_a_node_with_another_host_key_is_not_merely_unreachable(lab: Lab) -> None:
    """Another host answers at the address, so nothing is known about the node."""

    def connect(node: RemoteNode) -> FakeConnection:
        if node.name == "iam-b":
            raise HostKeyError("iam-b: the host key differs")
        return lab.group.connect(node)

    for name in ("iam-a", "iam-b"):
        with pytest.raises(HostKeyError):
            take_out_node(replace(lab.changes, connect=connect), name)
    assert lab.effects == []


def test_a_unit_that_does_not_start_does_not_keep_other_units_stopped(lab: Lab) -> None:
    """After a change that the cloud has refused, the node is as before, except for the unit that failed."""
    system = lab.group.systems["iam-a"]
    retire(lab.changes, "iam-a")
    system.fails = lambda verb, unit: (verb, unit) == ("start", "mariadb")
    with pytest.raises(NodeError, match="systemctl start mariadb failed"):
        resume_node(lab.changes, "iam-a")
    assert {unit for unit, state in system.units.items() if state == "active"} == {
        "iam-apiserver", "nginx", "keepalived",
    }  # fmt: skip


def test_a_node_whose_units_neither_stop_nor_start_is_reported_by_its_first_error(lab: Lab) -> None:
    system = lab.group.systems["iam-a"]
    system.fails = lambda verb, unit: (verb, unit) in {("stop", "mariadb"), ("start", "nginx")}
    with pytest.raises(NodeError, match="systemctl stop mariadb failed"):
        retire(lab.changes, "iam-a")


@pytest.mark.parametrize("state", ["inactive", "failed"])
def test_a_master_whose_nginx_does_not_run_can_be_drained(lab: Lab, state: str) -> None:
    system = lab.group.systems["iam-a"]
    system.units["nginx"] = state
    system.fails = lambda verb, unit: (verb, unit) == ("reload", "nginx")
    lab.group.silent.add(("iam-a", "10.0.4.20/"))
    take_out_node(lab.changes, "iam-a")
    assert lab.group.systems["iam-b"].addresses == {VIP}
    (system.root / DRAIN_CONF.lstrip("/")).write_text("keepalive_timeout 0;\n")
    lab.group.connect(lab.group.inventory.get("iam-a")).call([{"do": "put_back"}])
    assert not (system.root / DRAIN_CONF.lstrip("/")).exists()


def test_a_demoted_node_gives_its_virtual_ip_away_and_stops_keepalived_only(lab: Lab) -> None:
    demote(lab.changes, "iam-a")
    assert lab.group.systems["iam-b"].addresses == {VIP}
    units = lab.group.systems["iam-a"].units
    assert (units["keepalived"], units["iam-apiserver"]) == ("inactive", "active")
    assert lab.upstreams("iam-b") == UPSTREAMS


@pytest.mark.parametrize("operation", [take_out_node, retire, demote])
def test_an_unreachable_node_needs_a_peer_that_holds_its_virtual_ip(
    lab: Lab, operation: Callable[[Group, str], object]
) -> None:
    lab.group.unreachable.add("iam-a")
    lab.group.held_by("none")
    with pytest.raises(SwitchoverError, match="cannot be reached, and no other node holds"):
        operation(lab.changes, "iam-a")
    lab.group.held_by("iam-b")
    operation(lab.changes, "iam-a")


def test_a_killed_run_is_undone_by_the_nodes(lab: Lab) -> None:
    """A timer of systemd on each node runs this operation."""
    take_out_node(lab.changes, "iam-a")
    for name, system in lab.group.systems.items():
        assert system.timers == {"tandem-put-back.timer"}
        assert (system.root / "run/tandem/agent.zip").read_bytes() == b"the agent"
        lab.group.connect(lab.group.inventory.get(name)).call([{"do": "put_back"}])
    assert lab.is_as_before()


def test_the_timer_does_not_put_a_node_back_that_does_not_serve(lab: Lab) -> None:
    take_out_node(lab.changes, "iam-a")
    lab.group.silent.add(("iam-b", "10.0.4.20:8080"))  # as seen from iam-b
    lab.group.connect(lab.group.inventory.get("iam-b")).call([{"do": "put_back"}])
    assert "server 10.0.4.20:8080 down" in lab.upstreams("iam-b")
    assert lab.group.systems["iam-b"].timers


def test_a_later_change_replaces_the_marks_of_a_killed_run(lab: Lab) -> None:
    lab.group.held_by("iam-b")
    take_out_node(lab.changes, "iam-b")
    take_out_node(lab.changes, "iam-a")
    assert "server 10.0.4.21:8080 max_fails=0" in lab.upstreams("iam-a")
    assert not lab.drained("iam-b")
    put_back_node(lab.changes, "iam-a")
    assert lab.is_as_before()


def test_a_node_stays_out_for_the_time_that_the_operator_asks_for_and_comes_back(lab: Lab) -> None:
    commands: list[list[str]] = []
    for name, system in lab.group.systems.items():

        def record(argv: list[str], name: str = name) -> None:
            commands.append([name, *argv])
            if argv[0] == "ip":
                lab.elect(name)

        system.on_command = record
    drain_node(lab.changes, "iam-a", 7200)
    restarted = {command[0] for command in commands if "--on-active=7200" in command}
    assert restarted == {"iam-a", "iam-b"}
    put_back_node(lab.changes, "iam-a")
    assert lab.is_as_before()


def test_a_second_drain_and_a_switchover_are_refused_while_a_node_is_drained(lab: Lab) -> None:
    drain_node(lab.changes, "iam-b", 3600)
    for refused in (lambda: drain_node(lab.changes, "iam-a", 3600), lambda: switch_over(lab.changes, None)):
        with pytest.raises(SwitchoverError, match="iam-b is out of service by `tandem drain`") as error:
            refused()
        assert error.value.look_at == "tandem undrain iam-b"
    for name in ("iam-a", "iam-b"):
        assert "server 10.0.4.21:8080 down" in lab.upstreams(name)
        assert "server 10.0.4.20:8080 max_fails" in lab.upstreams(name)
    drain_node(lab.changes, "iam-b", 3600)  # again, for longer
    put_back_node(lab.changes, "iam-b")
    assert lab.is_as_before()
    drain_node(lab.changes, "iam-a", 3600)


def test_a_rollout_that_restores_the_upstreams_ends_a_drain(lab: Lab) -> None:
    drain_node(lab.changes, "iam-b", 3600)
    for system in lab.group.systems.values():
        (system.root / "etc/nginx/conf.d/upstreams.conf").write_text(UPSTREAMS)
    drain_node(lab.changes, "iam-a", 3600)
    put_back_node(lab.changes, "iam-a")
    assert lab.is_as_before()


def test_a_node_that_is_put_back_does_not_end_the_drain_of_another(lab: Lab) -> None:
    drain_node(lab.changes, "iam-a", 3600)
    put_back_node(lab.changes, "iam-b")
    assert lab.drained("iam-a")
    for name, system in lab.group.systems.items():
        assert "server 10.0.4.20:8080 down" in lab.upstreams(name)
        assert system.timers
    put_back_node(lab.changes, "iam-a")
    assert lab.is_as_before()


def test_the_health_of_each_node_shows_a_drain_as_a_warning_and_its_marks_not_as_drift(lab: Lab) -> None:
    items = (File("/etc/nginx/conf.d/upstreams.conf", UPSTREAMS),)

    def look(name: str) -> dict[str, CheckResult]:
        state = check_node(lab.group.connect(lab.group.inventory.get(name)), items, (VIP,), "nonce")
        return {each.name: each for each in state.results}

    before = look("iam-a")["configuration"]
    drain_node(lab.changes, "iam-b", 3600)
    for name in ("iam-a", "iam-b"):
        found = look(name)
        assert found["configuration"] == replace(before, target=name)
        assert found["drain"].level is Level.WARNING
        assert found["drain"].seen.startswith("iam-b is drained by `tandem drain` until ")
        assert found["drain"].look_at == "tandem undrain iam-b"
    put_back_node(lab.changes, "iam-b")
    assert "drain" not in look("iam-a")
    take_out_node(lab.changes, "iam-b")  # not by an operator
    assert "content differs" in look("iam-a")["configuration"].seen


def test_a_drain_stops_nothing_so_it_announces_no_outage(lab: Lab) -> None:
    drain_node(lab.changes, "iam-a", 3600)
    assert not any("not available" in line for line in lab.reported)
    put_back_node(lab.changes, "iam-a")
    retire(lab.changes, "iam-a")
    assert "iam-a: mariadb run on this node only and are not available meanwhile" in lab.reported
