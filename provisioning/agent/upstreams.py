"""Takes servers out of nginx's upstreams for a while, and puts them back."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from .node import Node
from .systemd import systemctl

UPSTREAMS = "/etc/nginx/conf.d/upstreams.conf"


def leave(node: Node, *, endpoints: list[str], wait_s: float) -> None:
    """Let this node's nginx send nothing more to these `address:port`; what is under way has wait_s."""

    def mark(text: str) -> str:
        for endpoint in endpoints:
            text = re.sub(rf"^(\s*server {re.escape(endpoint)})\b(?! down)", r"\1 down", text, flags=re.MULTILINE)
        return text

    if _edit(node, UPSTREAMS, mark):
        node.sleep(wait_s)


def join(node: Node) -> None:
    _restore(node, UPSTREAMS)


def _edit(node: Node, path: str, change: Callable[[str], str]) -> bool:
    """Change a file of nginx for a while. Then it differs from its manifest: killed here, the next run heals it."""
    place, record = node.at(path), "upstreams." + path.rpartition("/")[2]
    if not place.exists():
        return False
    now, kept = place.read_text(), node.read_json(record, {})
    original = kept["original"] if kept.get("edited") == now else now
    edited = change(now)
    if edited == now:
        return False
    node.write_json(record, {"original": original, "edited": edited})
    node.before("edit " + path)
    _replace_text(place, edited)
    systemctl(node, "reload", "nginx")
    return True


def _restore(node: Node, path: str) -> None:
    place, record = node.at(path), "upstreams." + path.rpartition("/")[2]
    kept = node.read_json(record, {})
    if not kept:
        return
    # A rollout may have written another text meanwhile: then that one stays.
    if place.exists() and place.read_text() == kept["edited"]:
        node.before("restore " + path)
        _replace_text(place, kept["original"])
        systemctl(node, "reload", "nginx")
    node.state_path(record).unlink()


def _replace_text(place: Path, text: str) -> None:
    new, status = place.with_name(f".{place.name}.tandem"), place.stat()
    new.write_text(text)
    os.chown(new, status.st_uid, status.st_gid)
    new.chmod(status.st_mode & 0o7777)
    new.replace(place)
