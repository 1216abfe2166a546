"""File systems on data disks: what a disk holds, and a file system for a blank one."""

from __future__ import annotations

from typing import Any

from ..node import Node, StepError


def facts(node: Node, questions: list[str]) -> dict[str, str]:
    return {device: _held(node, device) for device in questions}


def _held(node: Node, device: str) -> str:
    """What a disk holds, from its first blocks and never from a cache: "" = nothing, or no such disk."""
    if not node.at(device).exists():
        return ""
    told = node.run(["blkid", "-p", "-o", "export", device])
    found = dict(line.split("=", 1) for line in told.out.splitlines() if "=" in line)
    if told.code not in (0, 2):  # 2 = nothing found; 8 = several things: an ambivalent disk is not blank
        return "something that blkid cannot tell"
    return found.get("TYPE") or found.get("PTTYPE") or ("something" if found.keys() - {"DEVNAME"} else "")


def prepare(node: Node, things: list[dict[str, Any]]) -> None:
    for thing in things:
        make_file_system(node, thing["device"])


def make_file_system(node: Node, device: str) -> None:
    deadline = node.now() + 60
    while not node.at(device).exists():  # attached a moment ago
        if node.now() > deadline:
            raise StepError("disk", f"{device} is not there after 60 s", node.run(["lsblk"]).out)
        node.sleep(0.2)
    held = _held(node, device)
    if held == "ext4":
        return
    if held:
        raise StepError("disk", f"{device} holds {held}; only a blank disk is given a file system")
    node.before("mkfs " + device)
    node.must(f"disk {device}", ["mkfs.ext4", "-q", "-L", "tandem-data", device])
