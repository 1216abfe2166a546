"""Check that a cloud of two machines (`pair.py`) is intact: every property that a fault changes is checked."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .command import LocalCloud

NODES = {"node-0": "10.0.4.20", "node-1": "10.0.4.21"}

# Checks from inside: services, routes, disk space, stopped processes and processes that use the CPU.
_INSIDE = """
for unit in ssh dbus systemd-journald systemd-logind; do
  systemctl is-active --quiet $unit || echo "$unit is $(systemctl is-active $unit)"
done
ping -c1 -W2 -q {peer} >/dev/null || echo "does not reach {peer}"
timeout 2 bash -c 'read -r -t 2 said </dev/tcp/{peer}/22 && [ "${{said#SSH-2.0}}" != "$said" ]' ||
  echo "no ssh at {peer}"
curl -sf -m 2 -o /dev/null http://169.254.0.23/latest/meta-data/instance-id || echo "no metadata"
dd if=/dev/zero of=/root/probe bs=1M count=5 2>/dev/null || echo "cannot write 5 MiB"
rm -f /root/probe
ps -eo stat=,comm= | while read -r state name; do
  case $state in T*) echo "$name is stopped";; Z*) echo "$name is a zombie";; esac
done
pgrep -f '[l]ocalcloud-stress' >/dev/null && echo "busy loops run"
true
"""


def wrong(cloud: LocalCloud) -> list[str]:
    """Describe all problems; empty if both machines are in their original state."""
    found: list[str] = []
    machines = {machine["hostname"]: machine for machine in cloud.status()["machines"]}
    for node, machine in machines.items():
        if not machine["running"]:
            found.append(f"{node} is off")
        elif machine["paused"]:
            found.append(f"{node} is paused")
        else:
            found += [f"{node}: {each}" for each in _seen_from_inside(cloud, node)]
        found += [f"{node}: {each}" for each in _seen_from_outside(cloud, node, machine["instance"])]
    if sorted(machines) != sorted(NODES):
        found.append(f"the machines are {sorted(machines)}")
    shown = cloud.call("cvm", "2017-03-12", "DescribeInstances")["InstanceSet"]
    found += [f"the API says {one['InstanceState']}" for one in shown if one["InstanceState"] != "RUNNING"]
    return found + _counts(cloud)


def _seen_from_inside(cloud: LocalCloud, node: str) -> list[str]:
    peer = next(address for name, address in NODES.items() if name != node)
    try:
        done = cloud.run("ssh", node, "--", "bash", "-c", _INSIDE.format(peer=peer), timeout_s=30)
    except subprocess.TimeoutExpired:
        return ["does not answer within 30 s"]
    return done.stdout.splitlines() if done.returncode == 0 else [f"cannot be entered: {done.stderr}"]


def _seen_from_outside(cloud: LocalCloud, node: str, instance: str) -> list[str]:
    del node
    throttles = Path("/sys/fs/cgroup").glob(f"*/localcloud/{cloud.name}/{instance}/blkio.throttle.write_bps_device")
    return [f"its disk is held to {text.strip()}" for path in throttles if (text := path.read_text()).strip()]


def _counts(cloud: LocalCloud) -> list[str]:
    """Check the number of host resources of two machines."""
    left = cloud.left()
    counted = {
        "nspawns": sum(line.split(" ", 1)[1].startswith("systemd-nspawn ") for line in left["processes"]),
        "loop devices": len(left["loops"]),
        "groups of machines": len(list(Path("/sys/fs/cgroup/freezer").glob(f"localcloud/{cloud.name}/ins-*"))),
        # Operator, internet, API, a VPC, a subnet, and one for each machine.
        "namespaces": len(left["namespaces"]),
    }
    wanted = {"nspawns": 2, "loop devices": 2, "groups of machines": 2, "namespaces": 7}
    return [f"{counted[what]} {what}, not {count}" for what, count in wanted.items() if counted[what] != count]
