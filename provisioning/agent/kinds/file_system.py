"""File systems on data disks."""

from __future__ import annotations

from typing import Any

from .. import held_data
from ..node import Node, StepError


def facts(node: Node, questions: list[str]) -> dict[str, str]:
    """The content of each disk that is attached. A disk appears shortly after it is attached."""
    return {device: _content(node, device) for device in questions if node.at(device).exists()}


def _content(node: Node, device: str) -> str:
    """The type of content of a disk, read from the disk itself and not from a cache; "" if blank."""
    result = node.run(["blkid", "-p", "-o", "export", device])
    found = dict(line.split("=", 1) for line in result.out.splitlines() if "=" in line)
    if result.code not in (0, 2):  # 2: nothing found; 8: ambivalent, so the disk is not blank
        return "unknown content"
    return found.get("TYPE") or found.get("PTTYPE") or ("unknown content" if found.keys() - {"DEVNAME"} else "")


def prepare(node: Node, items: list[dict[str, Any]]) -> None:
    for item in items:
        make_file_system(node, item["device"])


def make_file_system(node: Node, device: str) -> None:
    deadline = node.now() + 60
    while not node.at(device).exists():  # the device appears shortly after the disk is attached
        if node.now() > deadline:
            raise StepError("disk", f"{device} does not exist after 60 s", node.run(["lsblk"]).out)
        node.sleep(0.2)
    content = _content(node, device)
    if content == "ext4":
        return
    if content:
        raise StepError("disk", f"{device} must be blank or have an ext4 file system (has {content})")
    held_data.refuse_empty(node, f"the data disk {device} is blank")
    node.before("mkfs " + device)
    node.run_checked(f"disk {device}", ["mkfs.ext4", "-q", "-L", "tandem-data", device])
