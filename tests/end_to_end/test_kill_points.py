"""A rollout that is interrupted at any point: the group serves, and no lock delays the next run, which converges."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from tests.end_to_end.lab import BIN, ROOT, Lab, wait_until

pytestmark = pytest.mark.root

NODES = ("iam-a", "iam-b")
_NONE = "-1"
_UNITS = ("nginx", "keepalived", "iam-apiserver", "iam-authz-server", "iam-pump")
# Prints what an interrupted rollout would leave: pending reloads, drains, servers out of the upstreams.
_LEFT = (
    "grep -s . /var/lib/tandem/pending.json | grep -v '\\[\\]'; ls /run/tandem/nginx-drain.conf 2>/dev/null; "
    "grep -l ' down' /etc/nginx/conf.d/upstreams.conf; grep -L '^0' /dev/null /run/tandem/drain-* | grep run; true"
)
_FILES = {"/etc/nginx/nginx.conf": "4096", "/etc/iam/iam-authz-server.yaml": "level: info"}


def change(lab: Lab) -> None:
    """Make nginx and a service differ on both nodes: a reload and a restart."""
    for node in NODES:
        lab.on(node, "sed -i s/4096/77/ /etc/nginx/nginx.conf")
        lab.on(node, "sed -i 's/level: info/level: debug/' /etc/iam/iam-authz-server.yaml")


def command(point: str | int, how: str) -> list[str]:
    return [str(BIN / "localcloud"), "exec", "--", sys.executable, "-m", "tests.end_to_end.interrupted_rollout",
            str(point), how]  # fmt: skip


def roll_out(lab: Lab, point: str | int = _NONE, how: str = "kill") -> tuple[int, str]:
    """Returns the exit code and the last line."""
    result = lab.run(*command(point, how), check=False)
    return result.returncode, (result.stdout.splitlines() or [""])[-1]


def serves(lab: Lab) -> bool:
    public_ip = lab.outputs()["public_ip"]
    url = "https://iam.api.example.com/healthz"
    asked = lab.client("curl", "--silent", "--insecure", "--max-time", "5", "--connect-to", f"::{public_ip}", url)
    return asked.stdout == '{"status":"ok"}'


def wait_until_served(lab: Lab, what: str) -> None:
    """A switchover may be in progress. Its requests are counted in other tests."""
    wait_until(lambda: serves(lab), bool, deadline_s=10, what=what)


def converge(lab: Lab) -> None:
    """The next run completes the rollout, and leaves nothing of the interrupted one."""
    began = time.monotonic()
    code, line = roll_out(lab)
    assert code == 0, line
    assert line.isdigit(), line
    assert time.monotonic() - began < 100, "no lock delays it"
    for node in NODES:
        for path, text in _FILES.items():
            assert text in lab.on(node, f"cat {path}"), (node, path)
        assert not lab.on(node, _LEFT)
        assert lab.on(node, f"systemctl is-active {' '.join(_UNITS)}").split() == ["active"] * len(_UNITS)


@pytest.fixture(scope="module")
def points(group: object, lab: Lab) -> int:
    """The number of points of this rollout."""
    del group
    change(lab)
    code, line = roll_out(lab)
    assert code == 0
    return int(line)


@pytest.mark.parametrize("part", range(5))
def test_an_operator_that_is_killed(deployed: Lab, points: int, part: int) -> None:
    interrupt(deployed, points * part // 5 + part, "kill")


def interrupt(lab: Lab, point: int, how: str) -> None:
    change(lab)
    roll_out(lab, point, how)
    wait_until_served(lab, f"the group after {how} at point {point}")
    converge(lab)


@pytest.mark.long
@pytest.mark.parametrize("part", range(4))
def test_an_operator_that_is_killed_before_or_after_every_call(deployed: Lab, points: int, part: int) -> None:
    for point in range(part, points, 4):
        interrupt(deployed, point, "kill")


@pytest.mark.long
@pytest.mark.parametrize("part", range(2))
def test_a_connection_that_is_cut_before_or_after_every_call(deployed: Lab, points: int, part: int) -> None:
    for point in range(part, points, 2):
        interrupt(deployed, point, "cut")


@pytest.mark.long
@pytest.mark.parametrize("tenth", range(10))
def test_a_node_that_loses_power(deployed: Lab, points: int, tenth: int) -> None:
    change(deployed)
    with subprocess.Popen(
        command(points * tenth // 10, "wait"), cwd=ROOT, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, env={**os.environ, "LOCALCLOUD_NAME": deployed.name},
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stdout
        node = process.stdout.readline().strip().rpartition(" ")[2]
        deployed.localcloud("fault", node, "power-off")
        process.stdin.close()
        process.wait(300)
    wait_until_served(deployed, "the other node")
    deployed.localcloud("fault", node, "power-on")
    wait_until(
        lambda: deployed.on(node, "systemctl is-system-running", check=False).strip(),
        {"running", "degraded"}.__contains__,
        deadline_s=60,
        what=f"boot of {node}",
    )
    converge(deployed)


@pytest.mark.long
def test_a_full_disk(deployed: Lab) -> None:
    change(deployed)
    deployed.localcloud("fault", "iam-b", "fill-disk")
    try:
        _, line = roll_out(deployed)
        assert "iam-b" in line
        assert "No space left on device" in line
        wait_until_served(deployed, "the group with a full disk")
    finally:
        deployed.localcloud("fault", "iam-b", "heal")
    converge(deployed)
