"""The daemon is killed at a random moment of every operation on a machine; the next daemon completes the operation."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from .command import NOTHING, LocalCloud

pytestmark = pytest.mark.root

_CALLER = Path(__file__).with_name("caller.py")
_VERSIONS = {"cvm": "2017-03-12", "cbs": "2017-03-12"}
_LONGEST_S = 1.5  # a start takes about that long, a stop less


class _Operator:
    """One client for the whole test, which also kills the daemon."""

    def __init__(self, cloud: LocalCloud, chance: random.Random) -> None:
        self.cloud = cloud
        self._chance = chance
        words = cloud.words("exec", "--name", cloud.name, "--", sys.executable, str(_CALLER))
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
        self._client = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def close(self) -> None:
        self._client.communicate(timeout=10)

    def call(self, action: str, **parameters: Any) -> dict[str, Any]:
        service, name = action.split(":")
        assert self._client.stdin is not None
        assert self._client.stdout is not None
        self._client.stdin.write(json.dumps([service, _VERSIONS[service], name, parameters]) + "\n")
        self._client.stdin.flush()
        answer = json.loads(self._client.stdout.readline())
        assert "Error" not in answer, f"{action}: {answer['Error']}"
        return answer

    def call_and_kill(self, action: str, **parameters: Any) -> dict[str, Any]:
        """Send a request; at a random time after the response, kill the daemon; start the next one."""
        answer = self.call(action, **parameters)
        # Early more often: most of the work is done in the first tenths of a second.
        delay_s = self._chance.random() ** 2 * _LONGEST_S
        time.sleep(delay_s)
        for pid, line in self.cloud.processes().items():
            if "localcloud.daemon" in line:
                os.kill(pid, signal.SIGKILL)
        print(f"{action}: killed after {delay_s * 1000:.0f} ms")
        self.cloud.up()
        return answer

    def machine(self, instance_id: str) -> dict[str, Any]:
        """The instance, when no operation is pending."""
        return self.settled(
            lambda: self.call("cvm:DescribeInstances", InstanceIds=[instance_id])["InstanceSet"][0],
            lambda shown: shown["LatestOperationState"] != "OPERATING",
        )

    def disk(self, disk_id: str) -> dict[str, Any]:
        return self.settled(
            lambda: self.call("cbs:DescribeDisks", DiskIds=[disk_id])["DiskSet"][0],
            lambda shown: shown["DiskState"] in {"ATTACHED", "UNATTACHED"},
        )

    @staticmethod
    def settled(ask: Callable[[], dict[str, Any]], done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + 40
        while not done(shown := ask()):
            assert time.monotonic() < deadline, json.dumps(shown)  # pytest shortens a dictionary
            time.sleep(0.05)
        return shown

    def expect(self, instance_id: str, state: str, *, processors: int = 2) -> None:
        """Check that the records and the machine are in the expected state."""
        shown = self.machine(instance_id)
        assert (shown["InstanceState"], shown["LatestOperationState"]) == (state, "SUCCESS"), shown
        (machine,) = self.cloud.status()["machines"]
        assert machine["running"] == (state == "RUNNING")
        runners = [line for line in self.cloud.processes().values() if line.startswith("systemd-nspawn")]
        assert len(runners) == (state == "RUNNING"), runners
        if state == "RUNNING":
            assert self.cloud.on("node-0", "nproc") == f"{processors}\n"
            # Until a machine has booted it ignores requests to stop, like a real one.
            self.cloud.must("ssh", "node-0", "--", "sh", "-c", "until systemctl is-active -q ssh; do sleep 0.1; done")


@pytest.fixture
def cloud() -> Generator[LocalCloud]:
    made = LocalCloud(f"k{os.getpid()}")
    yield made
    made.down()
    assert made.left() == NOTHING


def _live(cloud: LocalCloud, seed: int) -> None:
    """The life cycle of a machine, with a killed daemon at every step."""
    print(f"seed {seed}")
    cloud.up()
    cloud.pair(count=1)
    operator = _Operator(cloud, random.Random(seed))
    try:
        (old,) = operator.call("cvm:DescribeInstances")["InstanceSet"]
        operator.call_and_kill("cvm:TerminateInstances", InstanceIds=[old["InstanceId"]])
        operator.settled(lambda: operator.call("cvm:DescribeInstances"), lambda shown: shown["TotalCount"] == 0)
        ids = operator.call_and_kill(
            "cvm:RunInstances",
            Placement={"Zone": old["Placement"]["Zone"]},
            ImageId=old["ImageId"],
            InstanceType=old["InstanceType"],
            InstanceName="node-0",
            HostName="node-0",
            SystemDisk={"DiskType": "CLOUD_PREMIUM", "DiskSize": 20},
            VirtualPrivateCloud={key: old["VirtualPrivateCloud"][key] for key in ("VpcId", "SubnetId")},
            SecurityGroupIds=old["SecurityGroupIds"],
        )["InstanceIdSet"]
        operator.expect(ids[0], "RUNNING")
        cloud.on("node-0", "sh", "-c", "echo kept >/root/kept; sync")
        operator.call_and_kill("cvm:StopInstances", InstanceIds=ids)
        operator.expect(ids[0], "STOPPED")
        operator.call_and_kill("cvm:StartInstances", InstanceIds=ids)
        operator.expect(ids[0], "RUNNING")

        operator.call_and_kill("cvm:ResetInstancesType", InstanceIds=ids, InstanceType="S5.SMALL2", ForceStop=True)
        operator.expect(ids[0], "RUNNING", processors=1)
        assert cloud.on("node-0", "cat", "/root/kept") == "kept\n"
        operator.call_and_kill(
            "cvm:ResizeInstanceDisks", InstanceId=ids[0], SystemDisk={"DiskSize": 30}, ForceStop=True
        )
        operator.expect(ids[0], "RUNNING", processors=1)
        assert cloud.on("node-0", "df", "-BG", "--output=size", "/").split()[-1] in {"29G", "30G"}
        _plug_a_disk(operator, ids[0], old["Placement"]["Zone"])
        operator.call_and_kill("cvm:ResetInstance", InstanceId=ids[0])
        operator.expect(ids[0], "RUNNING", processors=1)
        assert cloud.run("ssh", "node-0", "--", "test", "-e", "/root/kept").returncode == 1
    finally:
        operator.close()
    cloud.down()
    assert cloud.left() == NOTHING


def _plug_a_disk(operator: _Operator, instance_id: str, zone: str) -> None:
    (disk_id,) = operator.call(
        "cbs:CreateDisks", DiskType="CLOUD_PREMIUM", DiskSize=10, DiskChargeType="POSTPAID_BY_HOUR",
        Placement={"Zone": zone},
    )["DiskIdSet"]  # fmt: skip
    node = f"/dev/disk/by-id/virtio-{disk_id}"
    assert operator.disk(disk_id)["DiskState"] == "UNATTACHED"
    operator.call_and_kill("cbs:AttachDisks", DiskIds=[disk_id], InstanceId=instance_id)
    assert operator.disk(disk_id)["DiskState"] == "ATTACHED"
    operator.cloud.on("node-0", "sh", "-c", f"mkfs.ext4 -q {node} && mount {node} /mnt && echo kept >/mnt/kept")
    operator.call_and_kill("cbs:DetachDisks", DiskIds=[disk_id], InstanceId=instance_id)
    assert operator.disk(disk_id)["DiskState"] == "UNATTACHED"
    assert operator.cloud.run("ssh", "node-0", "--", "test", "-e", node).returncode == 1
    operator.call("cbs:AttachDisks", DiskIds=[disk_id], InstanceId=instance_id)
    assert operator.disk(disk_id)["DiskState"] == "ATTACHED"
    assert operator.cloud.on("node-0", "sh", "-c", f"mount {node} /mnt && cat /mnt/kept") == "kept\n"
    operator.call_and_kill("cbs:DetachDisks", DiskIds=[disk_id], InstanceId=instance_id)
    assert operator.disk(disk_id)["DiskState"] == "UNATTACHED"
    operator.call("cbs:TerminateDisks", DiskIds=[disk_id])


def test_one_life_cycle_with_a_daemon_killed_at_every_step(cloud: LocalCloud) -> None:
    _live(cloud, random.SystemRandom().randrange(10**6))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
def test_five_life_cycles_with_a_daemon_killed_at_every_step(cloud: LocalCloud, seed: int) -> None:
    _live(cloud, seed)
