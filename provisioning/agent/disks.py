"""Data disks: what they hold, and a file system for a blank one."""

from __future__ import annotations

from .machine import Machine, StepError


def disk_fact(machine: Machine, device: str) -> str:
    """What a disk holds, told by its first blocks and never by a cache: "" = nothing, or no such disk."""
    if not machine.at(device).exists():
        return ""
    told = machine.run(["blkid", "-p", "-o", "export", device])
    found = dict(line.split("=", 1) for line in told.out.splitlines() if "=" in line)
    if told.code not in (0, 2):  # 2 = nothing found; 8 = several things: an ambivalent disk is not blank
        return "something that blkid cannot tell"
    return found.get("TYPE") or found.get("PTTYPE") or ("something" if found.keys() - {"DEVNAME"} else "")


def make_file_system(machine: Machine, device: str) -> None:
    deadline = machine.now() + 60
    while not machine.at(device).exists():  # attached a moment ago
        if machine.now() > deadline:
            raise StepError("disk", f"{device} is not there after 60 s", machine.run(["lsblk"]).out)
        machine.sleep(0.2)
    held = disk_fact(machine, device)
    if held == "ext4":
        return
    if held:
        raise StepError("disk", f"{device} holds {held}; only a blank disk is given a file system")
    machine.before("mkfs " + device)
    machine.must(f"disk {device}", ["mkfs.ext4", "-q", "-L", "tandem-data", device])
