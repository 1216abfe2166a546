"""The runner of a machine: a shell that mounts its disk, starts systemd-nspawn, and restarts it at a reboot.

It does not depend on the daemon: machines keep running after the daemon is killed, also through a reboot from inside.
Its mounts are in a private mount namespace, so they disappear when it ends for any reason. It stays in memory as one
`sh`.
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

# Exit code of nspawn if the machine requested a reboot (systemd: EXIT_REBOOT).
_REBOOT = 133

_SCRIPT = r"""
directory=$1 namespace=$2 lower=$3 device=$4 address=$5 gateway=$6
shift 6
# The lock prevents two runners of one machine, which would be two systems on one disk. The last process that has it
# open releases it.
exec 9>"$directory/lock"
# When memory runs out, the kernel must kill a process inside the machine, not this shell or nspawn.
echo -1000 >/proc/$$/oom_score_adj
flock --nonblock 9 || { echo "another runner manages this machine"; exit 95; }
# First enter the cloud's group, where `tear_down` finds this process. Enter the machine's group only after the
# mounts, because it cannot open loop devices.
for group in $LOCALCLOUD_CGROUPS; do echo $$ >"${group%/*}/cgroup.procs" || exit 90; done
# Copies of other machines' namespace mounts would keep those namespaces alive after their removal.
for other in /run/netns/lc-*; do [ "$other" = "$namespace" ] || umount -l "$other" 2>/dev/null; done
# nspawn keeps locks and sockets here and does not always remove them.
mkdir -p /run/systemd/nspawn && mount -t tmpfs -o mode=755 tmpfs /run/systemd/nspawn || exit 91
mount -o loop,noatime,noinit_itable "$directory/disk.img" "$directory/disk" || exit 92
mkdir -p "$directory/disk/upper" "$directory/disk/work"
# overlayfs creates a directory at each mount; without free space it silently mounts read-only. So some space is
# reserved and freed for this moment: a machine with a full disk boots as it would in the cloud.
reserve="$directory/disk/reserve"
rm -f "$reserve"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$directory/disk/upper,workdir=$directory/disk/work" \
  "$directory/root" || exit 93
if [ -d "$directory/seed" ]; then cp -a "$directory/seed/." "$directory/root/" && rm -r "$directory/seed"; fi
touch "$directory/root" || { echo "its system disk has no space left to boot from"; exit 96; }
for size in 1M 256K 64K; do fallocate -l "$size" "$reserve" 2>/dev/null && break; rm -f "$reserve"; done
for group in $LOCALCLOUD_CGROUPS; do echo $$ >"$group/cgroup.procs" || exit 94; done
while :; do
  # A symbolic link created by the machine would lead to the host's files.
  for parent in "$directory/root/etc" "$directory/root/etc/localcloud"; do
    [ -L "$parent" ] && rm -f "$parent"
    mkdir -p "$parent"
  done
  for file in meminfo disks; do
    target="$directory/root/etc/localcloud/$file"
    # Only if it differs: on a full disk a rewritten file may end up empty.
    [ -f "$target" ] && [ ! -L "$target" ] && cmp -s "$directory/$file" "$target" && continue
    rm -rf "$target"
    cp "$directory/$file" "$target"
  done
  "$@" </dev/null 9>&-
  code=$?
  [ "$code" = REBOOT ] || break
  # The namespace outlives the machine, and would still answer for addresses that the machine had added.
  nsenter --net="$namespace" sh -c "nft flush ruleset; ip addr flush dev $device; ip link set $device down; \
    ip link set $device up; \
    ip addr add $address dev $device; ip route add default via $gateway"
done
echo "$code" >"$directory/exit"
""".replace("REBOOT", str(_REBOOT))


@dataclass(frozen=True, slots=True)
class Launch:
    spec: MachineSpec
    directory: Path
    namespace: Path
    lower: list[Path]
    cgroup: Cgroup
    machine_name: str
    address: str  # with prefix: "10.0.4.20/24"
    gateway: str


def start(launch: Launch) -> int:
    """Start the runner detached from this process; return its process id."""
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
        # Without it, /sys/class/net inside is the host's, and /proc/sys/net is read-only.
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
    # `Watch` reaps the process by its id.
    runner.returncode = 0
    return runner.pid


def is_present(directory: Path) -> bool:
    """Whether the machine has a runner, even if the machine itself is not running yet or any more."""
    with contextlib.suppress(FileNotFoundError), (directory / "lock").open("rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def find_runner(cgroup: Cgroup, machine_name: str) -> int | None:
    """Return the runner of a running machine, regardless of the process that started it."""
    found = (pid for pid in cgroup.pids() if processes.has_argument(pid, f"localcloud-{machine_name}"))
    return next(found, None)


def find_init(cgroup: Cgroup) -> int | None:
    """Return the host's process id of the machine's PID 1: the process that is number 1 in a child PID namespace."""
    for pid in cgroup.pids():
        inside = processes.pids_of(pid)[1:]
        if inside and inside[-1] == "1" and processes.is_alive(pid) and _has_own_root(pid):
            return pid
    return None


def is_init(pid: int, cgroup: Cgroup) -> bool:
    """Whether it is still the same process: process ids are reused."""
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False
    return f"/{cgroup.path}" in groups and processes.is_alive(pid)


def _has_own_root(pid: int) -> bool:
    """Before nspawn's child leaves the host's file system, it is already number 1: a full disk would be the host's."""
    try:
        return not Path(f"/proc/{pid}/root").samefile("/")
    except OSError:
        return False


def reap(pid: int) -> None:
    """Reap an ended runner, if it was a child of this process."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
