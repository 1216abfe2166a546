"""Files that a new machine finds on its disk: what its hypervisor and its DHCP server would have told it."""

from __future__ import annotations

from pathlib import Path

from localcloud.network import names

# Both are below the machine's root. The runner brings the first up to date before every boot.
DISKS_FILE = "etc/localcloud/disks"
DISKS_SCRIPT = "etc/localcloud/make-disks"

MEMORY_SCRIPT = "etc/localcloud/show-memory"

# nspawn mounts nothing below /proc, so the machine does it itself, early.
_MEMINFO_UNIT = """\
[Unit]
Description=The memory that this machine's type has
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=sh /etc/localcloud/show-memory
"""

# nspawn makes its file systems in memory as large as they would be on the host: filling one would take more than the
# machine may have, and the kernel would kill all that runs on it. A machine of that size has these.
_SHOW_MEMORY = """\
mount --bind /etc/localcloud/meminfo /proc/meminfo
read -r _ total _ </etc/localcloud/meminfo
for each in /dev/shm:50 /tmp:50 /run:20; do
  place=${each%:*}
  mountpoint -q "$place" && mount -o "remount,size=$((total * ${each#*:} / 100))k" "$place"
done
"""

# There is no udev in here that would make nodes; and /dev is a new one at every boot.
_DISKS_UNIT = """\
[Unit]
Description=The data disks that are attached to this machine
DefaultDependencies=no
After=systemd-remount-fs.service
Before=local-fs.target sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=sh /etc/localcloud/make-disks
# In a container systemd leaves devices in fstab alone; a machine of the cloud mounts them.
ExecStart=-mount --all
"""

_MAKE_DISKS = """\
# Reads "ID NAME MAJOR MINOR" lines; makes /dev/NAME and its link by id.
mkdir -p /dev/disk/by-id
while read -r id name major minor; do
  link=/dev/disk/by-id/virtio-$id
  [ -e "$link" ] && continue
  rm -f "/dev/$name"
  mknod -m 660 "/dev/$name" b "$major" "$minor" && ln -sf "../../$name" "$link"
done </etc/localcloud/disks
"""


def write_seed(directory: Path, hostname: str) -> None:
    """Below `directory`, as it goes onto the machine's disk before its first boot."""
    servers = "".join(f"nameserver {address}\n" for address in names.NAME_SERVERS)
    units = directory / "etc/systemd/system"
    wants = units / "sysinit.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (directory / "etc/localcloud").mkdir(exist_ok=True)
    files = {
        "etc/resolv.conf": servers,
        "etc/hostname": f"{hostname}\n",
        "etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {hostname}\n::1 localhost ip6-localhost ip6-loopback\n",
        DISKS_SCRIPT: _MAKE_DISKS,
        MEMORY_SCRIPT: _SHOW_MEMORY,
    }
    for name, text in files.items():
        (directory / name).write_text(text)
    for name, text in (("meminfo.service", _MEMINFO_UNIT), ("data-disks.service", _DISKS_UNIT)):
        (units / name).write_text(text)
        link = wants / name
        link.unlink(missing_ok=True)
        link.symlink_to(f"../{name}")


def meminfo(memory_mib: int) -> str:
    """There is no lxcfs here: without this, `free` inside would show the host's memory."""
    total = memory_mib * 1024
    rows = {
        "MemTotal": total,
        "MemFree": total * 3 // 4,
        "MemAvailable": total * 7 // 8,
        "Buffers": 0,
        "Cached": total // 8,
        "SwapTotal": 0,
        "SwapFree": 0,
        "Shmem": 0,
        "Slab": 0,
        "SReclaimable": 0,
        "SUnreclaim": 0,
    }
    return "".join(f"{name + ':':<16}{value:>8} kB\n" for name, value in rows.items())
