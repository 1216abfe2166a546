"""What runs around a machine: a shell that mounts its disk, starts systemd-nspawn, and starts it again at a reboot.

It needs no daemon: killed -9, the daemon leaves the machines running, also through a reboot from inside. Its mounts
are in a mount namespace of its own, so they go when it goes, whatever killed it. It stays in memory as one `sh`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from localcloud.infrastructure import MachineSpec
from localcloud.machines import processes
from localcloud.machines.cgroups import Cgroup
from localcloud.machines.inside import WITHHELD

# nspawn's exit code when the machine asked for a reboot (systemd: EXIT_REBOOT).
_REBOOT = 133

_SCRIPT = r"""
directory=$1 namespace=$2 lower=$3 device=$4 address=$5 gateway=$6
shift 6
# Two runners of one machine would be two systems on one disk; the lock goes with the last process that has it open.
exec 9>"$directory/lock"
# Without memory the kernel kills something of the machine; were it this or nspawn, nobody would know how it went on.
echo -1000 >/proc/$$/oom_score_adj
flock --nonblock 9 || { echo "another runner has this machine"; exit 95; }
# Then the cloud's group (whoever tears the cloud down finds this process there), and the machine's own only after
# the mounts: that one may not open loop devices.
for group in $LOCALCLOUD_CGROUPS; do echo $$ >"${group%/*}/cgroup.procs" || exit 90; done
# Copies of other machines' namespaces in here would keep those alive after their removal.
for other in /run/netns/lc-*; do [ "$other" = "$namespace" ] || umount -l "$other" 2>/dev/null; done
# nspawn keeps locks and sockets here and does not always take them away.
mkdir -p /run/systemd/nspawn && mount -t tmpfs -o mode=755 tmpfs /run/systemd/nspawn || exit 91
mount -o loop,noatime,noinit_itable "$directory/disk.img" "$directory/disk" || exit 92
mkdir -p "$directory/disk/upper" "$directory/disk/work"
# At each mount overlayfs makes a directory; with no room for it, it mounts without a word for reading alone. So some
# room is kept from the machine and given back for this moment: one with a full disk boots as it would in the cloud.
reserve="$directory/disk/reserve"
rm -f "$reserve"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$directory/disk/upper,workdir=$directory/disk/work" \
  "$directory/root" || exit 93
if [ -d "$directory/seed" ]; then cp -a "$directory/seed/." "$directory/root/" && rm -r "$directory/seed"; fi
touch "$directory/root" || { echo "its system disk has no room left to boot from"; exit 96; }
for size in 1M 256K 64K; do fallocate -l "$size" "$reserve" 2>/dev/null && break; rm -f "$reserve"; done
for group in $LOCALCLOUD_CGROUPS; do echo $$ >"$group/cgroup.procs" || exit 94; done
while :; do
  # A link there, of the machine's making, would lead to this host's files.
  for place in "$directory/root/etc" "$directory/root/etc/localcloud"; do
    [ -L "$place" ] && rm -f "$place"
    mkdir -p "$place"
  done
  for each in meminfo disks; do
    there="$directory/root/etc/localcloud/$each"
    # Only if it must be: on a full disk a file that is written anew may end up empty.
    [ -f "$there" ] && [ ! -L "$there" ] && cmp -s "$directory/$each" "$there" && continue
    rm -rf "$there"
    cp "$directory/$each" "$there"
  done
  "$@" </dev/null 9>&-
  code=$?
  [ "$code" = REBOOT ] || break
  # The namespace outlives the machine: what it had added to its interface would still be answered for.
  nsenter --net="$namespace" sh -c "nft flush ruleset; ip addr flush dev $device; ip link set $device down; \
    ip link set $device up; \
    ip addr add $address dev $device; ip route add default via $gateway"
done
echo "$code" >"$directory/exit"
""".replace("REBOOT", str(_REBOOT))


@dataclass(frozen=True, slots=True)
class Launch:
    """All that the runner is told."""

    spec: MachineSpec
    directory: Path
    namespace: Path
    lower: list[Path]
    cgroup: Cgroup
    machine_name: str
    address: str  # with prefix: "10.0.4.20/24"
    gateway: str


def start(launch: Launch) -> int:
    """Start it, detached from this process; returns the runner's process id."""
    directory = launch.directory
    device = f"eth{launch.spec.interface.device_index}"
    nspawn = [
        "systemd-nspawn",
        "--quiet",
        "--boot",
        f"--directory={directory / 'root'}",
        f"--machine={launch.machine_name}",
        f"--hostname={launch.spec.hostname}",
        f"--uuid={launch.spec.uuid}",
        f"--network-namespace-path={launch.namespace}",
        "--register=no",
        "--keep-unit",
        "--capability=all",
        f"--drop-capability={','.join(f'CAP_{name}' for name in WITHHELD)}",
        "--link-journal=no",
        "--resolv-conf=off",
        "--timezone=off",
        "--console=read-only",
        "--oom-score-adjust=0",
    ]
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        # Without it /sys/class/net inside is the host's, and /proc/sys/net read-only.
        "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
        "LOCALCLOUD_CGROUPS": " ".join(str(path) for path in launch.cgroup.directories()),
    }
    command = [
        "unshare", "--mount", "--propagation", "private",
        "sh", "-c", _SCRIPT, f"localcloud-{launch.machine_name}",
        str(directory), str(launch.namespace), ":".join(str(path) for path in launch.lower),
        device, launch.address, launch.gateway,
        *nspawn,
    ]  # fmt: skip
    with (directory / "console.log").open("ab") as console:
        runner = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            env=environment,
            cwd="/",
            start_new_session=True,
        )
    (directory / "runner.pid").write_text(str(runner.pid))
    # Reaped by whoever watches it (`Watch`), by its id.
    runner.returncode = 0
    return runner.pid


def is_under_way(directory: Path) -> bool:
    """Whether there is a runner, though its machine may not run yet (or run no more)."""
    with contextlib.suppress(FileNotFoundError), (directory / "lock").open("rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def find_runner(cgroup: Cgroup, machine_name: str) -> int | None:
    """The runner of a machine that runs, whoever started it."""
    found = (pid for pid in cgroup.pids() if processes.has_argument(pid, f"localcloud-{machine_name}"))
    return next(found, None)


def find_init(cgroup: Cgroup) -> int | None:
    """The machine's PID 1 as the host numbers it: the one that is number 1 in a PID namespace below ours."""
    for pid in cgroup.pids():
        inside = processes.pids_of(pid)[1:]
        if inside and inside[-1] == "1" and processes.is_alive(pid) and _has_a_root_of_its_own(pid):
            return pid
    return None


def _has_a_root_of_its_own(pid: int) -> bool:
    """Nspawn's child is number 1 before it has left this host's file system: a full disk would be the host's."""
    try:
        return not Path(f"/proc/{pid}/root").samefile("/")
    except OSError:
        return False


def reap(pid: int) -> None:
    """Let go of an ended runner, if it was a child of this very process."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
