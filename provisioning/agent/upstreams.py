"""Takes servers out of nginx's upstreams temporarily."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from .node import Node
from .systemd import systemctl

UPSTREAMS = "/etc/nginx/conf.d/upstreams.conf"


def leave(node: Node, *, endpoints: list[str], wait_s: float) -> None:
    """Mark these `address:port` as down in this node's nginx, then wait `wait_s` seconds for requests in progress."""

    def mark(text: str) -> str:
        for endpoint in endpoints:
            text = re.sub(rf"^(\s*server {re.escape(endpoint)})\b(?! down)", r"\1 down", text, flags=re.MULTILINE)
        return text

    if _edit(node, UPSTREAMS, mark):
        node.sleep(wait_s)


def join(node: Node) -> None:
    """Undo `leave`."""
    _restore(node, UPSTREAMS)


def text_before_leave(node: Node, path: str) -> str | None:
    """The text that a file had before `leave` edited it; None if it is not edited now."""
    kept = node.read_json("upstreams." + path.rpartition("/")[2], {}) if path == UPSTREAMS else {}
    return kept["original"] if kept and node.at(path).read_text() == kept["edited"] else None


def _edit(node: Node, path: str, change: Callable[[str], str]) -> bool:
    """Edit a file of nginx temporarily.

    If this run is killed, the file differs from its manifest, so the next run restores it.
    """
    target, record = node.at(path), "upstreams." + path.rpartition("/")[2]
    if not target.exists():
        return False
    now, kept = target.read_text(), node.read_json(record, {})
    original = kept["original"] if kept.get("edited") == now else now
    edited = change(now)
    if edited == now:
        return False
    node.write_json(record, {"original": original, "edited": edited})
    node.before("edit " + path)
    _replace_text(target, edited)
    systemctl(node, "reload", "nginx")
    return True


def _restore(node: Node, path: str) -> None:
    target, record = node.at(path), "upstreams." + path.rpartition("/")[2]
    kept = node.read_json(record, {})
    if not kept:
        return
    # Keep a text that a rollout has written in the meantime.
    if target.exists() and target.read_text() == kept["edited"]:
        node.before("restore " + path)
        _replace_text(target, kept["original"])
        systemctl(node, "reload", "nginx")
    node.state_path(record).unlink()


def _replace_text(target: Path, text: str) -> None:
    new, status = target.with_name(f".{target.name}.tandem"), target.stat()
    new.write_text(text)
    os.chown(new, status.st_uid, status.st_gid)
    new.chmod(status.st_mode & 0o7777)
    new.replace(target)
