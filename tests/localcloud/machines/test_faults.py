"""Every fault: its effect on the machine, and that `heal` reverts it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from network.lab import PLACES, Lab, wait_until

from localcloud.errors import MachineError
from localcloud.machines.machine_faults import MachineFaults

pytestmark = pytest.mark.root

ANN, BOB = PLACES["ann"], PLACES["bob"]


def _reached(lab: Lab) -> bool:
    return lab.connect("bob", ANN.address, 80).startswith("hello")


def _disk_is_free(lab: Lab) -> bool:
    script = "dd if=/dev/zero of=/root/probe bs=1M count=5; code=$?; rm /root/probe; exit $code"
    return lab.run("ann", "sh", "-c", script).returncode == 0


def _full_speed(lab: Lab) -> bool:
    began = time.monotonic()
    lab.run("ann", "dd", "if=/dev/zero", "of=/root/probe", "bs=1M", "count=6", "oflag=direct", timeout_s=60)
    return time.monotonic() - began < 2


def _server_runs(lab: Lab) -> bool:
    return lab.run("ann", "systemctl", "is-active", "--quiet", "ssh").returncode == 0


def _continues(lab: Lab) -> bool:
    return not lab.cgroup("ann").frozen()


def _idle(lab: Lab) -> bool:
    return lab.run("ann", "pgrep", "-f", "localcloud-stress").returncode == 1


def _ssh_answers(lab: Lab) -> bool:
    return lab.connect("bob", ANN.address, 22).startswith("SSH-2.0")


def _on(lab: Lab) -> bool:
    return ANN.instance_id in lab.infrastructure.running()


@pytest.mark.parametrize(
    ("fault", "arguments", "fine"),
    [
        pytest.param("link-down", [], _reached, id="link-down"),
        pytest.param("isolate-from", ["bob"], _reached, id="isolate-from"),
        pytest.param("pause", [], _continues, id="pause"),
        pytest.param("power-off", [], _on, id="power-off"),
        pytest.param("kill", ["sshd", "STOP"], _ssh_answers, id="kill STOP"),
        pytest.param("kill", ["sshd", "KILL"], _server_runs, id="kill KILL"),
        pytest.param("fill-disk", [], _disk_is_free, id="fill-disk"),
        pytest.param("cpu-stress", ["2"], _idle, id="cpu-stress"),
        pytest.param("slow-disk", ["1"], _full_speed, id="slow-disk"),
    ],
)
def test_a_fault_has_its_effect_and_heal_reverts_it(
    lab: Lab, fault: str, arguments: list[str], fine: Callable[[Lab], bool]
) -> None:
    faults = MachineFaults(lab.infrastructure)
    wait_until(lambda: fine(lab), "no fault is active at first", 20)
    began = time.time()
    report = faults.inject("ann", fault, arguments)
    assert began - 0.01 <= report.at <= time.time()
    assert 0 < report.took_ms < 2000
    assert not fine(lab)
    healed = faults.inject("ann", "heal", [])
    assert healed.did != "no fault was active"
    wait_until(lambda: fine(lab), f"{fault} is reverted", 20)
    assert faults.inject("ann", "heal", []).did == "no fault was active"


@pytest.mark.parametrize(
    ("fault", "undo", "fine"),
    [
        pytest.param("link-down", "link-up", _reached, id="link-up"),
        pytest.param("pause", "resume", _continues, id="resume"),
        pytest.param("power-off", "power-on", _on, id="power-on"),
    ],
)
def test_a_fault_with_an_inverse_is_reverted_by_it(
    lab: Lab, fault: str, undo: str, fine: Callable[[Lab], bool]
) -> None:
    faults = MachineFaults(lab.infrastructure)
    faults.inject("ann", fault, [])
    assert not fine(lab)
    faults.inject("ann", undo, [])
    wait_until(lambda: fine(lab), f"{undo} has reverted {fault}", 20)
    assert faults.inject("ann", "heal", []).did == "no fault was active"


def test_a_kill_affects_the_machines_processes_and_not_the_hosts(lab: Lab) -> None:
    runner = lab.infrastructure.get("ann").find_runner()
    assert runner is not None
    faults = MachineFaults(lab.infrastructure)
    with pytest.raises(MachineError, match="no process 'systemd-nspawn' on ann"):
        faults.inject("ann", "kill", ["systemd-nspawn", "KILL"])
    # The runner is a shell too.
    lab.must("ann", "systemd-run", "--quiet", "sh", "-c", "sleep 600; true")
    assert str(runner) not in faults.inject("ann", "kill", ["sh", "KILL"]).did
    assert lab.infrastructure.get("ann").find_runner() == runner
    faults.inject("ann", "heal", [])


def test_a_machine_that_ends_during_healing_is_on_afterwards(lab: Lab) -> None:
    faults = MachineFaults(lab.infrastructure)
    for _ in range(3):
        faults.inject("ann", "cpu-stress", ["2"])
        faults.inject("ann", "kill", ["systemd", "KILL"])
        faults.inject("ann", "heal", [])
        wait_until(lambda: _on(lab), "the machine is on", 10)
        lab.wait_for_boot("ann")


def test_an_instance_isolated_from_one_peer_reaches_the_others(lab: Lab) -> None:
    faults = MachineFaults(lab.infrastructure)
    faults.inject("ann", "isolate-from", ["bob"])
    assert not _reached(lab)
    assert lab.connect("operator", ANN.address, 80).startswith("hello")
    assert lab.connect("operator", BOB.address, 80).startswith("hello")
    faults.inject("bob", "heal", [])
    assert _reached(lab)


def test_a_paused_machine_continues_after_resume(lab: Lab) -> None:
    faults = MachineFaults(lab.infrastructure)
    faults.inject("ann", "pause", [])
    # The kernel completes the handshake, but no process answers.
    assert lab.connect("bob", ANN.address, 80) == "timeout"
    faults.inject("ann", "resume", [])
    wait_until(lambda: _reached(lab), "it answers again", 5)


def test_a_powered_off_machine_answers_no_packet_and_no_arp_for_the_virtual_ip(lab: Lab) -> None:
    lab.announce("ann")
    lab.stopped.clear()  # of an earlier test
    MachineFaults(lab.infrastructure).inject("ann", "power-off", [])
    lab.run("bob", "ip", "neighbour", "flush", "all")
    assert lab.run("bob", "arping", "-c1", "-w1", "-I", "eth0", "10.0.4.99").returncode == 1
    assert lab.run("bob", "arping", "-c1", "-w1", "-I", "eth0", ANN.address).returncode == 1
    assert lab.stopped == [], "the records were informed of a fault"


def test_a_paused_machine_can_be_powered_off(lab: Lab) -> None:
    faults = MachineFaults(lab.infrastructure)
    faults.inject("ann", "pause", [])
    assert faults.inject("ann", "power-off", []).took_ms < 2000


def test_a_machine_with_a_completely_full_disk_boots_after_a_power_off(lab: Lab, tmp_path: Path) -> None:
    faults = MachineFaults(lab.infrastructure)
    faults.inject("ann", "fill-disk", [])
    faults.inject("ann", "power-off", [])
    # A machine on a full disk may use the file system's last blocks; here overlayfs finds them used.
    script = (
        'mount -o loop "$1" "$2" && rm -r "$2/work/work" && dd if=/dev/zero of="$2/upper/more" bs=4k 2>/dev/null; true'
    )
    disk = lab.infrastructure.get("ann").directory / "disk.img"
    subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", str(disk), str(tmp_path)], check=True)
    faults.inject("ann", "power-on", [])
    wait_until(lambda: _server_runs(lab), "ssh runs", 30)
    assert lab.must("ann", "findmnt", "-no", "OPTIONS", "/").startswith("rw,")
    lab.must("ann", "rm", "/more")
    assert "disk space freed" in faults.inject("ann", "heal", []).did
    assert _disk_is_free(lab)


def test_busy_loops_respect_the_cpu_limit_of_the_machine(lab: Lab) -> None:
    faults = MachineFaults(lab.infrastructure)
    faults.inject("ann", "cpu-stress", ["2"])
    try:
        pids = lab.run("ann", "pgrep", "-f", "localcloud-stress").stdout.split()
        assert len(pids) == 2
        groups = lab.run("ann", "cat", f"/proc/{pids[0]}/cgroup").stdout
        assert f"/localcloud/{lab.cloud}/{ANN.instance_id}" in groups
    finally:
        faults.inject("ann", "heal", [])


@pytest.mark.parametrize(
    ("node", "fault", "arguments", "said"),
    [
        pytest.param("nosuch", "pause", [], "known: ann (ins-00000001), bob (ins-00000002)", id="unknown instance"),
        pytest.param("ann", "explode", [], "known: link-down, link-up", id="unknown fault"),
        pytest.param("ann", "kill", ["nginx", "KILL"], "no process 'nginx' on ann; running:", id="unknown process"),
        pytest.param("ann", "kill", ["sshd", "LOUD"], "unknown signal 'LOUD'", id="unknown signal"),
        pytest.param(
            "ann", "kill", ["sshd"], "usage: localcloud fault NODE kill PROCESS SIGNAL", id="missing argument"
        ),
        pytest.param("ann", "isolate-from", ["ann"], "cannot be isolated from itself", id="isolated from itself"),
    ],
)
def test_an_impossible_fault_is_refused_with_the_valid_values(
    lab: Lab, node: str, fault: str, arguments: list[str], said: str
) -> None:
    with pytest.raises(MachineError) as refused:
        MachineFaults(lab.infrastructure).inject(node, fault, arguments)
    assert said in str(refused.value)
