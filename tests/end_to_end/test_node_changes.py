"""Resizes, removes and refuses to change nodes of a deployed group while clients send requests."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from operations.drill.requests import Record
from operations.drill.result import Result
from tests.end_to_end.conftest import NAME
from tests.end_to_end.group import VIRTUAL_IP, drain_windows
from tests.end_to_end.lab import BIN, Lab, new_cloud, wait_until
from tests.end_to_end.settings import write_settings
from tests.load.result import load

pytestmark = [pytest.mark.root, pytest.mark.long]

SECOND = "10.0.4.98"
NAMES = ("iam-a", "iam-b", "iam-c")
UPSTREAMS = "/etc/nginx/conf.d/upstreams.conf"
LARGER, REFUSED = "S5.LARGE8", "S5.MEDIUM4"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Three nodes on a localcloud of their own."""
    with new_cloud(f"{NAME}n") as lab:
        yield lab


class Change:
    """The settings of the group, changed step by step."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.types: dict[str, str] = {}
        self.names: tuple[str, ...] = NAMES
        self.sections: dict[str, Any] = {}

    def up(self, *, check: bool = True) -> str:
        """Deploy the settings. Returns the output."""
        members = [
            {
                "name": name,
                "address": f"10.0.4.2{number}",
                **({"type": type_} if (type_ := self.types.get(name)) else {}),
            }
            for name in self.names
            for number in [NAMES.index(name)]
        ]
        file = write_settings(self.folder / "settings.yaml", nodes={"members": members}, **self.sections)
        command = ("tandem", "up", "--stack", "local", "--config-file", str(file))
        result = self.lab.operator(*command, check=check)
        if not check:
            assert result.returncode != 0, result.stdout
        return result.stdout + result.stderr

    def master(self, address: str = VIRTUAL_IP) -> str:
        return wait_until(
            lambda: self.lab.masters(address, ["iam-a", "iam-b"]),
            lambda masters: len(masters) == 1,
            deadline_s=20,
            what=f"one node holds {address}",
        )[0]

    def wait_until_healthy(self) -> None:
        """The host may be busy, so one slow response is not an error."""
        health = ("tandem", "health", "--stack", "local")
        wait_until(
            lambda: self.lab.operator(*health, check=False),
            lambda result: result.returncode == 0,
            deadline_s=60,
            what="tandem health",
        )

    def marks(self) -> list[str]:
        """What is out of service, by node."""
        drained = "grep -L '^0' /run/tandem/drain-* /dev/null | grep run; ls /run/tandem/nginx-drain.conf 2>/dev/null"
        script = f"{drained}; grep ' down ' {UPSTREAMS}; true"
        return [f"{name}: {line}" for name in ("iam-a", "iam-b") for line in self.lab.on(name, script).splitlines()]


@pytest.fixture(scope="module")
def change(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Change:
    change = Change(lab, tmp_path_factory.mktemp("settings"))
    change.up()
    return change


def failed(change: Change, result: Result, *streams: str, delay_s: float = 0) -> list[Record]:
    """The requests without a correct response, outside of the drains. Slow ones do not count: the host may be busy."""
    drains = [(began, ended + delay_s) for began, ended in drain_windows(change.lab)]
    return [each for each in result.outside(drains).lost(*streams) if each.status != 200]


def under_load(change: Change, folder: Path, action: Callable[[], str], *, users: bool = True) -> tuple[Result, str]:
    """Run an action while clients send requests. Returns what they met, and the output of the action."""
    outputs = change.lab.outputs()
    password = outputs["admin_password"] if users else ""

    def client(*command: str) -> Sequence[str]:
        return ["env", f"LOCALCLOUD_NAME={change.lab.name}", str(BIN / "localcloud"), "client", "--", *command]

    with load(client, outputs, folder, scale=0.1, admin_password=password) as result:
        time.sleep(2)
        output = action()
        time.sleep(2)
    return result, output


def test_a_refused_resize_leaves_the_group_as_before(change: Change, tmp_path: Path) -> None:
    master = change.master()
    change.lab.localcloud("fault", "api", "cvm:ResetInstancesType", "--code", "InvalidParameterValue", "--times", "0")
    change.types[master] = REFUSED
    try:
        result, output = under_load(change, tmp_path, lambda: change.up(check=False))
    finally:
        change.lab.localcloud("fault", "api", "clear")
        del change.types[master]
    assert "InvalidParameterValue" in output
    assert f"{master}: removed from the upstreams" in output
    assert change.marks() == []
    assert failed(change, result) == [], result.summary()
    change.wait_until_healthy()


def test_the_only_node_that_serves_is_not_resized(change: Change) -> None:
    for name in ("iam-a", "iam-c"):
        change.lab.on(name, "systemctl stop iam-authz-server")
    change.types["iam-b"] = LARGER
    try:
        output = change.up(check=False)
    finally:
        for name in ("iam-a", "iam-c"):
            change.lab.on(name, "systemctl start iam-authz-server")
        del change.types["iam-b"]
    assert "iam-b cannot be taken out of service: no other node serves iam-authz-server; it was not changed" in output
    # The health daemon of an eligible node may have noticed it first.
    seen = "ConnectionRefusedError|taken out of use on this node by the health daemon"
    assert re.search(rf"iam-a: iam-authz-server: http://10\.0\.4\.20:9090/healthz: ({seen})", output)
    assert change.marks() == []


def test_resized_nodes_lose_no_request_but_those_of_their_switchover(change: Change, tmp_path: Path) -> None:
    change.lab.localcloud("takeover-delay", "3")
    change.types |= {"iam-b": LARGER, "iam-c": LARGER}
    try:
        result, output = under_load(change, tmp_path, change.up)
    finally:
        change.lab.localcloud("takeover-delay", "0")
    assert failed(change, result, delay_s=4) == [], result.summary()
    assert change.marks() == []
    if "moved to" in output:
        assert re.search(r"moved to iam-[ab]: .* connection.* cut off; confirmed by the HAVIP after [2-9] s", output)


def test_a_master_that_is_no_longer_eligible_is_switched_over_and_loses_nginx_and_keepalived(
    change: Change, tmp_path: Path
) -> None:
    lab = change.lab
    lab.on("iam-a", "systemctl stop keepalived")
    wait_until(change.master, "iam-b".__eq__, deadline_s=20, what="iam-b is master")
    lab.on("iam-a", "systemctl start keepalived")
    change.names = ("iam-a", "iam-c", "iam-b")
    result, output = under_load(change, tmp_path, change.up)
    assert "iam-b: no longer eligible; switching over and stopping keepalived" in output
    assert lab.masters(VIRTUAL_IP, list(NAMES)) == ["iam-a"]
    assert lab.on("iam-b", "systemctl is-active nginx keepalived; true").split() == ["inactive"] * 2
    assert lab.on("iam-b", "systemctl is-enabled nginx keepalived; true").split() == ["disabled"] * 2
    left = "/etc/keepalived/keepalived.conf /etc/nginx/conf.d/upstreams.conf /etc/tandem/switchover.json"
    assert not lab.on("iam-b", f"ls {left} 2>/dev/null; grep tandem-backup /etc/passwd; true")
    # A login on the former backup node, and the new pair.
    change.wait_until_healthy()
    assert failed(change, result) == [], result.summary()
    lab.on("iam-a", "systemctl stop keepalived")
    wait_until(lambda: lab.masters(VIRTUAL_IP, list(NAMES)), ["iam-c"].__eq__, deadline_s=20, what="iam-c takes over")
    lab.on("iam-a", "systemctl start keepalived")
    change.names = NAMES
    change.up()
    assert lab.on("iam-b", "systemctl is-active nginx keepalived").split() == ["active"] * 2
    change.wait_until_healthy()


def test_a_removed_node_loses_no_request(change: Change, tmp_path: Path) -> None:
    change.names = NAMES[:2]
    result, output = under_load(change, tmp_path, change.up)
    assert "iam-c: removed from the upstreams (ports 8080, 9090)" in output
    assert failed(change, result) == [], result.summary()
    assert change.marks() == []
    hosts = "mariadb -N -e \"SELECT DISTINCT host FROM mysql.user WHERE user LIKE 'iam%' ORDER BY host\""
    assert change.lab.on("iam-a", hosts).split() == ["10.0.4.20", "10.0.4.21", "127.0.0.1"]


def test_the_node_with_the_databases_announces_their_outage(change: Change, tmp_path: Path) -> None:
    change.types["iam-a"] = LARGER
    _, output = under_load(change, tmp_path, change.up, users=False)
    assert "iam-a: mariadb, redis-server run on this node only and are not available meanwhile" in output
    assert change.marks() == []
    change.wait_until_healthy()


def test_in_dual_master_mode_each_virtual_ip_leaves_before_its_node_stops(change: Change, tmp_path: Path) -> None:
    change.sections = {"keepalived": {"mode": "dual-master"}, "virtualIp": {"secondAddress": SECOND}}
    change.up()
    homes = {VIRTUAL_IP: "iam-a", SECOND: "iam-b"}

    def at_home() -> dict[str, list[str]]:
        return {address: change.lab.masters(address, ["iam-a", "iam-b"]) for address in homes}

    expected = {address: [name] for address, name in homes.items()}
    wait_until(at_home, expected.__eq__, deadline_s=30, what="each node holds its virtual IP")
    # A reload of keepalived may remove the address, so each node is drained before (ADR 0024).
    change.sections["keepalived"] = {"mode": "dual-master", "garp": {"masterRefreshS": 7}}
    result, output = under_load(change, tmp_path, change.up)
    for address, name in homes.items():
        peer = "iam-b" if name == "iam-a" else "iam-a"
        assert f"{name}: {address} moved to {peer}: " in output
        assert f"{peer}: {address} moved to {name}: " in output, "it returns after the change"
    assert at_home() == expected
    assert failed(change, result) == [], result.summary()
    change.types["iam-b"] = REFUSED
    output = change.up()
    assert f"iam-b: {SECOND} moved to iam-a: " in output
    wait_until(at_home, expected.__eq__, deadline_s=60, what="each node holds its virtual IP")
    assert change.marks() == []
