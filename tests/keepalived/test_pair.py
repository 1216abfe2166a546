"""A pair with the real keepalived and rendered configurations: who holds which virtual IP, and when it moves."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning.traffic.out_of_service import EVERYTHING, put_back, take_out
from tests.keepalived.configurations import PASSWORD, VIP, VIP2, VIP3, deployment
from tests.keepalived.pair import Machine, Pair, announcements, lines_of, new_pair, running, wait_until

pytestmark = pytest.mark.root
DUAL: dict[str, Any] = {"mode": "dual-master", "drainS": 0}


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with new_pair(tmp_path) as made:
        yield made


def test_a_node_that_recovers_stays_backup(pair: Pair) -> None:
    pair.start(deployment({"addressLabels": True}, (VIP3,)))
    pair.wait_for({VIP: "iam-a", VIP3: "iam-a"})
    pair.a.report(-254)
    pair.wait_for({VIP: "iam-b", VIP3: "iam-b"})
    pair.a.report(0)
    time.sleep(3)
    assert pair.masters() == {VIP: "iam-b", VIP3: "iam-b"}
    shown = pair.b.run(["ip", "-4", "address", "show", "dev", "eth0"]).out
    assert "eth0:1" in shown
    assert "eth0:2" in shown


def test_a_node_without_a_report_does_not_become_master(pair: Pair) -> None:
    """After a boot: until the health daemon has seen nginx, or that no peer answers."""
    pair.write(deployment({}))
    pair.a.start()
    time.sleep(4)
    assert pair.masters() == {}
    pair.a.report(0)
    pair.wait_for({VIP: "iam-a"})


@pytest.mark.parametrize(
    ("settings", "least_s", "most_s"),
    [
        pytest.param({"mode": "preempt"}, 0, 3, id="preempt"),
        pytest.param({"mode": "delayed-preempt", "preemptDelayS": 5}, 4.5, 9, id="delayed-preempt"),
    ],
)
def test_the_first_node_becomes_master_again(
    pair: Pair, settings: dict[str, Any], least_s: float, most_s: float
) -> None:
    pair.start(deployment(settings))
    pair.wait_for({VIP: "iam-a"})
    pair.a.report(-254)
    pair.wait_for({VIP: "iam-b"})
    pair.a.report(0)
    assert least_s <= pair.wait_for({VIP: "iam-a"}) <= most_s


def test_a_switchover_in_dual_master_mode_moves_one_virtual_ip_and_returns_it_immediately(pair: Pair) -> None:
    """Its preempt_delay is 300 s, as in the lecture."""
    pair.start(deployment(DUAL, (VIP3,)))
    pair.wait_for({VIP: "iam-a", VIP2: "iam-a", VIP3: "iam-a"})
    around = pair.surroundings("iam-a", (VIP, VIP2, VIP3))
    (move,) = pair.balance(around)  # as a rollout does at its end
    assert (move.address, move.to) == (VIP2, "iam-b")
    moves = take_out(around, EVERYTHING)
    assert {move.address: move.to for move in moves} == {VIP: "iam-b", VIP3: "iam-b"}
    assert pair.masters() == {VIP: "iam-b", VIP2: "iam-b", VIP3: "iam-b"}
    time.sleep(2)
    assert pair.masters() == {VIP: "iam-b", VIP2: "iam-b", VIP3: "iam-b"}, "a drained node stays backup"
    moves = put_back(around)
    assert {move.address: move.to for move in moves} == {VIP: "iam-a", VIP3: "iam-a"}
    time.sleep(2)
    assert pair.masters() == {VIP: "iam-a", VIP2: "iam-b", VIP3: "iam-a"}
    entered = [line for line in lines_of(pair.b.root / "log") if "(VI_2) Entering" in line]
    assert len(entered) == 2, "VI_2 has become master once, and has kept its virtual IP"


def test_with_equal_priorities_the_virtual_ip_stays_where_a_switchover_has_moved_it(pair: Pair) -> None:
    pair.start(deployment({"drainS": 0}))
    pair.wait_for({VIP: "iam-a"})
    around = pair.surroundings("iam-a", (VIP,))
    assert [move.to for move in take_out(around, EVERYTHING)] == ["iam-b"]
    entered = [line.rpartition("Entering ")[2] for line in lines_of(pair.a.root / "log") if "Entering" in line]
    assert entered[-2:] == ["FAULT STATE", "BACKUP STATE"], "the drained node may take over again"
    assert put_back(around) == ()
    time.sleep(3)
    assert pair.masters() == {VIP: "iam-b"}


@pytest.mark.parametrize("mode", ["preempt", "delayed-preempt"])
def test_a_drained_node_gets_its_virtual_ip_back_when_it_is_put_back(pair: Pair, mode: str) -> None:
    pair.start(deployment({"mode": mode, "drainS": 0}))
    pair.wait_for({VIP: "iam-a"})
    around = pair.surroundings("iam-a", (VIP,))
    assert [move.to for move in take_out(around, EVERYTHING)] == ["iam-b"]
    assert [move.to for move in put_back(around)] == ["iam-a"]
    time.sleep(2)
    assert pair.masters() == {VIP: "iam-a"}
    assert put_back(around) == ()


def test_a_drained_node_takes_over_if_its_peer_fails(pair: Pair) -> None:
    pair.start(deployment(DUAL))
    around = pair.surroundings("iam-a", (VIP, VIP2))
    pair.balance(around)
    take_out(around, EVERYTHING)
    pair.b.stop()
    pair.wait_for({VIP: "iam-a", VIP2: "iam-a"})


def test_in_dual_master_mode_the_peer_holds_both_until_the_delay_is_over(pair: Pair) -> None:
    pair.start(deployment({**DUAL, "preemptDelayS": 5}))
    pair.wait_for({VIP: "iam-a", VIP2: "iam-b"})
    pair.b.report(-254)
    pair.wait_for({VIP: "iam-a", VIP2: "iam-a"})
    pair.b.report(0)
    assert pair.wait_for({VIP: "iam-a", VIP2: "iam-b"}) > 4.5


def test_the_virtual_ips_of_a_sync_group_move_together(pair: Pair) -> None:
    pair.start(deployment({"syncGroup": True, "drainS": 0}, (VIP3,)))
    pair.wait_for({VIP: "iam-a", VIP3: "iam-a"})
    around = pair.surroundings("iam-a", (VIP, VIP3))
    assert {move.to for move in take_out(around, EVERYTHING)} == {"iam-b"}
    put_back(around)
    time.sleep(2)
    assert pair.masters() == {VIP: "iam-b", VIP3: "iam-b"}


@pytest.mark.parametrize("authentication", ["PASS", "AH"])
def test_only_nodes_with_the_same_password_hear_each_other(pair: Pair, authentication: str) -> None:
    pair.start(deployment({"vrrpVersion": 2, "authentication": authentication}))
    pair.wait_for({VIP: "iam-a"})
    time.sleep(4)
    assert pair.masters() == {VIP: "iam-a"}
    configuration = pair.b.root / "etc/keepalived/keepalived.conf"
    configuration.write_text(configuration.read_text().replace(PASSWORD, "another1"))
    pair.b.stop()
    pair.b.start()
    pair.wait_for({VIP: "iam-a iam-b"})


def test_a_failed_check_moves_the_virtual_ip_and_its_recovery_does_not(pair: Pair, tmp_path: Path) -> None:
    mark = tmp_path / "failed"
    script = tmp_path / "check"
    script.write_text(f"#!/bin/sh\ncase $0 in *iam-a*) test ! -e {mark} ;; esac\n")
    settings = {"track": {"scripts": [{"name": "mine", "command": str(script), "intervalS": 1, "fall": 1, "rise": 1,
                                       "weight": -20}]}}  # fmt: skip
    pair.write(deployment(settings))
    for machine in (pair.a, pair.b):
        configuration = machine.root / "etc/keepalived/keepalived.conf"
        own = machine.root / "check"
        own.write_text(script.read_text())
        own.chmod(0o755)
        configuration.write_text(configuration.read_text().replace(str(script), str(own)))
    pair.start_in_order()
    pair.wait_for({VIP: "iam-a"})
    mark.touch()
    pair.wait_for({VIP: "iam-b"})
    mark.unlink()
    time.sleep(3)
    assert pair.masters() == {VIP: "iam-b"}


def test_a_tracked_interface_and_a_tracked_file_move_the_virtual_ip(pair: Pair, tmp_path: Path) -> None:
    load = tmp_path / "load"
    load.write_text("0\n")
    track = {"interfaces": [{"interface": "eth1", "weight": -20}],
             "files": [{"name": "load", "path": str(load), "weight": -1}]}  # fmt: skip
    pair.write(deployment({"track": track}))
    own = pair.b.root / "load"  # each node has its own file
    own.write_text("0\n")
    configuration = pair.b.root / "etc/keepalived/keepalived.conf"
    configuration.write_text(configuration.read_text().replace(str(load), str(own)))
    pair.start_in_order()
    pair.wait_for({VIP: "iam-a"})
    subprocess.run(["ip", "-n", pair.a.namespace, "link", "set", "eth1", "down"], check=True)
    pair.wait_for({VIP: "iam-b"})
    own.write_text("40\n")
    pair.wait_for({VIP: "iam-a"})


def test_a_new_master_announces_the_address_again_if_the_first_announcement_is_lost(pair: Pair, tmp_path: Path) -> None:
    """Both announcements have 10 packets, the second one follows after a second."""
    pair.start(deployment({"profile": "fast"}))
    pair.wait_for({VIP: "iam-a"})
    time.sleep(2)
    with announcements(VIP, tmp_path) as seen:
        pair.a.report(-254)
        pair.wait_for({VIP: "iam-b"})
        wait_until(lambda: len(seen()) >= 20, 5, lambda: f"{len(seen())} packets")
    times = seen()
    assert times[9] - times[0] < 0.5
    assert 0.5 < times[10] - times[0] < 3


def test_the_master_announces_the_address_after_a_split_that_ended_on_one_node_first(
    pair: Pair, tmp_path: Path
) -> None:
    """iam-a hears iam-b first and becomes backup, so iam-b never hears that iam-a was master, too."""
    pair.start(deployment({"profile": "fast"}))
    pair.wait_for({VIP: "iam-a"})
    for machine in (pair.a, pair.b):
        _nft(machine, _DROP_VRRP)
    pair.wait_for({VIP: "iam-a iam-b"}, 5)
    time.sleep(3)  # until the announcements of the new master have ended
    _nft(pair.a, "delete table inet foreign")
    pair.wait_for({VIP: "iam-b"}, 2)
    _nft(pair.b, "delete table inet foreign")
    with announcements(VIP, tmp_path) as seen:
        wait_until(lambda: bool(seen()), 7, lambda: "iam-b holds the virtual IP and does not announce it")
    assert pair.masters() == {VIP: "iam-b"}


def test_a_command_of_the_user_is_told_each_state(pair: Pair, tmp_path: Path) -> None:
    pair.write(deployment({"notifyCommand": "/usr/local/bin/mine"}))
    told = tmp_path / "told"
    command = tmp_path / "mine"
    command.write_text(f'#!/bin/sh\necho "$@" >> {told}\n')
    command.chmod(0o755)
    configuration = pair.a.root / "etc/keepalived/keepalived.conf"
    configuration.write_text(configuration.read_text().replace("/usr/local/bin/mine", str(command)))
    pair.a.report(0)
    pair.a.start()
    wait_until(lambda: any("MASTER 250" in line for line in lines_of(told)), 10, lambda: str(list(lines_of(told))))
    assert "INSTANCE VI_1 MASTER 250" in list(lines_of(told))


def test_keepalived_sends_a_mail_about_a_new_master(pair: Pair, tmp_path: Path) -> None:
    mail = {"receivers": ["ops@example.com", "root@localhost"], "sender": "keepalived@localhost", "port": 2525}
    pair.write(deployment({"mail": mail}))
    received = tmp_path / "mails"
    with running(pair.a, _SMTP, received):
        pair.a.report(0)
        pair.a.start()
        wait_until(
            lambda: any("Entering MASTER state" in line for line in lines_of(received)),
            15,
            received.read_text,
        )
    text = received.read_text()
    assert "MAIL FROM:<keepalived@localhost>" in text
    assert "RCPT TO:<ops@example.com>" in text
    assert "RCPT TO:<root@localhost>" in text
    assert "Subject: [iam-a] VRRP Instance VI_1 - Entering MASTER state" in text


def _nft(machine: Machine, command: str) -> None:
    subprocess.run(["ip", "netns", "exec", machine.namespace, "nft", command], check=True)


_DROP_VRRP = "table inet foreign { chain input { type filter hook input priority -10; ip protocol 112 drop; }; }"

# Accepts every mail, and writes what it receives to standard output.
_SMTP = """
import socketserver, sys
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 test\\r\\n")
        data = False
        for line in self.rfile:
            print(line.decode().rstrip(), flush=True)
            if data and line != b".\\r\\n":
                continue
            data = line.upper().startswith(b"DATA")
            self.wfile.write(b"354 go\\r\\n" if data else b"250 ok\\r\\n")
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
print("ready", flush=True)
Server(("127.0.0.1", 2525), Handler).serve_forever()
"""
