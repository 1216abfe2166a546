"""Files on the disk of a new machine: configuration that the hypervisor and the DHCP server would provide."""

from __future__ import annotations

from pathlib import Path

from localcloud.network import names

# Both are relative to the machine's root. The runner updates the first before every boot.
DISKS_FILE = "etc/localcloud/disks"
DISKS_SCRIPT = "etc/localcloud/make-disks"

MEMORY_SCRIPT = "etc/localcloud/show-memory"

# nspawn cannot mount below /proc, so a unit inside the machine does it early in the boot.
_MEMINFO_UNIT = """\
[Unit]
Description=The memory of this instance type
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=sh /etc/localcloud/show-memory
"""

# nspawn sizes the tmpfs mounts by the host's memory: filling one would exceed the machine's limit, and the kernel would
# kill its processes. These are the sizes on a real machine with this memory.
_SHOW_MEMORY = """\
mount --bind /etc/localcloud/meminfo /proc/meminfo
read -r _ total _ </etc/localcloud/meminfo
for mount in /dev/shm:50 /tmp:50 /run:20; do
  directory=${mount%:*}
  mountpoint -q "$directory" && mount -o "remount,size=$((total * ${mount#*:} / 100))k" "$directory"
done
"""

# No udev runs inside to create device nodes, and /dev is new at every boot.
_DISKS_UNIT = """\
[Unit]
Description=Device nodes of the attached data disks
DefaultDependencies=no
After=systemd-remount-fs.service
Before=local-fs.target sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=sh /etc/localcloud/make-disks
# In a container systemd ignores the devices in fstab; a real CVM mounts them.
ExecStart=-mount --all
"""

_MAKE_DISKS = """\
# Reads "ID NAME MAJOR MINOR" lines; creates /dev/NAME and its link by id. A boot and an attachment may run it at once.
exec 9<"$0" && flock 9
mkdir -p /dev/disk/by-id
while read -r id name major minor; do
  link=/dev/disk/by-id/virtio-$id
  [ -e "$link" ] && continue
  rm -f "/dev/$name"
  mknod -m 660 "/dev/$name" b "$major" "$minor" && ln -sf "../../$name" "$link"
done </etc/localcloud/disks
"""


def write_seed(directory: Path, hostname: str) -> None:
    """Write the files below `directory`; they are copied to the machine's disk before its first boot."""
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
    """Return the contents of /proc/meminfo: without them (and without lxcfs) `free` would show the host's memory."""
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
