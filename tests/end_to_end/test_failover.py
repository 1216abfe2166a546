"""Faults of a deployed group with the profile `fast`, and what clients meet."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.group import NODES, VIRTUAL_IP, Group
from tests.end_to_end.lab import BIN, Lab, wait_until
from tests.load.result import Result, load

pytestmark = [pytest.mark.root, pytest.mark.long]

GETS = ("healthz", "healthz-kept", "secrets")
FAULT = "-254"


def roles(lab: Lab) -> tuple[str, str]:
    """The names of the master and of the backup."""
    (master,) = wait_until(
        lambda: lab.masters(VIRTUAL_IP, list(NODES)), lambda found: len(found) == 1, deadline_s=20, what="one master"
    )
    return master, next(name for name in NODES if name != master)


@pytest.fixture
def cloud(group: Group) -> Iterator[Lab]:
    yield group.lab
    for name in NODES:
        group.lab.localcloud("fault", name, "heal")


def wait_until_healthy(lab: Lab) -> None:
    health = ("tandem", "health", "--stack", "local")
    wait_until(
        lambda: lab.operator(*health, check=False).returncode,
        lambda code: code == 0,
        deadline_s=90,
        what="tandem health",
    )


def meets(
    lab: Lab, folder: Path, fault: Callable[[], object], *, seconds: float, users: bool = True
) -> tuple[Result, float]:
    """Inflict a fault while clients send requests. Returns what they met, and the time of the fault."""
    outputs = lab.outputs()

    def client(*command: str) -> Sequence[str]:
        return ["env", f"LOCALCLOUD_NAME={lab.name}", str(BIN / "localcloud"), "client", "--", *command]

    password = outputs["admin_password"] if users else ""
    with load(client, outputs, folder, scale=0.5, admin_password=password) as result:
        time.sleep(2)
        began = time.time()
        fault()
        time.sleep(seconds)
    print(json.dumps(result.summary(), indent=1))
    return result, began


def events(lab: Lab, node: str) -> dict[str, Any]:
    return json.loads(lab.on(node, "cat /run/tandem/state.json"))


def test_a_powered_off_backup_costs_no_get(cloud: Lab, tmp_path: Path) -> None:
    master, backup = roles(cloud)
    began = 0.0

    def power_off() -> None:
        nonlocal began
        cloud.localcloud("fault", backup, "power-off")
        began = time.time()

    try:
        # iam-a has the databases, without which there are no logins.
        result, _ = meets(cloud, tmp_path, power_off, seconds=6, users=backup != "iam-a")
        assert result.lost(*GETS) == []
        late = [each for each in result.slow(*GETS) if each.began > began + 0.2]
        print(f"slow: {len(result.slow(*GETS))}, of them begun 0.2 s after the fault: {len(late)}")
        out = cloud.on(master, "nft list set inet tandem_servers out")
        assert f"{'10.0.4.20' if backup == 'iam-a' else '10.0.4.21'} . 8080" in out
        assert (
            events(cloud, master)["health"][f"node {'10.0.4.20' if backup == 'iam-a' else '10.0.4.21'}"]["state"]
            == "failed"
        )
    finally:
        cloud.localcloud("fault", backup, "power-on")
    wait_until(
        lambda: cloud.on(master, "nft list set inet tandem_servers out"),
        lambda text: "elements" not in text,
        deadline_s=60,
        what="the servers of the returned node are used again",
    )
    wait_until_healthy(cloud)


@pytest.mark.parametrize(
    ("fault", "undo"),
    [
        pytest.param("systemctl kill -s KILL nginx", "true", id="nginx killed"),
        pytest.param("systemctl kill -s STOP nginx", "systemctl kill -s CONT nginx", id="nginx hung"),
        pytest.param("systemctl kill -s KILL keepalived", "true", id="keepalived killed"),
    ],
)
def test_a_fault_on_the_master_moves_the_virtual_ip(cloud: Lab, tmp_path: Path, fault: str, undo: str) -> None:
    master, backup = roles(cloud)
    try:
        result, _ = meets(cloud, tmp_path, lambda: cloud.on(master, fault), seconds=4, users=False)
        assert roles(cloud)[0] == backup
        assert result.blackout_s("healthz") < 2
    finally:
        cloud.on(master, undo)
    wait_until_healthy(cloud)


def test_a_paused_daemon_is_restarted_and_the_virtual_ip_stays(cloud: Lab) -> None:
    master, _ = roles(cloud)
    before = cloud.on(master, "systemctl show -P MainPID tandem-health")
    cloud.on(master, "systemctl kill -s STOP tandem-health")
    wait_until(
        lambda: cloud.on(master, "systemctl show -P MainPID tandem-health"),
        lambda pid: pid not in (before, "0\n"),
        deadline_s=5,
        what="a new daemon",
    )
    assert roles(cloud)[0] == master
    cloud.on(master, "systemctl kill -s STOP nginx")
    try:
        wait_until(lambda: roles(cloud)[0], lambda found: found != master, deadline_s=5, what="the peer is master")
    finally:
        cloud.on(master, "systemctl kill -s CONT nginx")
    wait_until_healthy(cloud)


def test_keepalived_comes_back_after_many_kills(cloud: Lab) -> None:
    """Systemd's default start limit is 5 in 10 s."""
    _, backup = roles(cloud)
    for _ in range(7):
        cloud.on(backup, "systemctl kill -s KILL keepalived; sleep 0.8")
    wait_until(
        lambda: cloud.on(backup, "systemctl is-active keepalived", check=False).strip(),
        lambda state: state == "active",
        deadline_s=5,
        what="keepalived",
    )
    wait_until_healthy(cloud)


def test_without_the_database_logins_get_503_and_decisions_continue(cloud: Lab, tmp_path: Path) -> None:
    def stop_and_start() -> None:
        cloud.on("iam-a", "systemctl stop mariadb; sleep 3; systemctl start mariadb")

    result, _ = meets(cloud, tmp_path, stop_and_start, seconds=3)
    away = [each for each in result.records if each.status == 503]
    print("statuses:", sorted({(each.stream, each.status) for each in result.records}))
    assert {each.stream for each in away} <= {"login", "secrets"}
    assert [each for each in result.records if each.status in (401, 500)] == []
    assert result.lost("authorization", "healthz") == []
    assert max((each.took for each in away), default=0) < 1
    wait_until_healthy(cloud)
