"""Takes servers out of nginx's upstreams for a while, and puts them back."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from .machine import Machine
from .units import systemctl

UPSTREAMS = "/etc/nginx/conf.d/upstreams.conf"


def leave(machine: Machine, *, endpoints: list[str], wait_s: float) -> None:
    """Let this machine's nginx send nothing more to these `address:port`; what is under way has wait_s."""

    def mark(text: str) -> str:
        for endpoint in endpoints:
            text = re.sub(rf"^(\s*server {re.escape(endpoint)})\b(?! down)", r"\1 down", text, flags=re.MULTILINE)
        return text

    if _edit(machine, UPSTREAMS, mark):
        machine.sleep(wait_s)


def join(machine: Machine) -> None:
    _restore(machine, UPSTREAMS)


def _edit(machine: Machine, path: str, change: Callable[[str], str]) -> bool:
    """Change a file of nginx for a while. Then it differs from its manifest: killed here, the next run heals it."""
    place, record = machine.at(path), "upstreams." + path.rpartition("/")[2]
    if not place.exists():
        return False
    now, kept = place.read_text(), machine.read_json(record, {})
    original = kept["original"] if kept.get("edited") == now else now
    edited = change(now)
    if edited == now:
        return False
    machine.write_json(record, {"original": original, "edited": edited})
    machine.before("edit " + path)
    _replace_text(place, edited)
    systemctl(machine, "reload", "nginx")
    return True


def _restore(machine: Machine, path: str) -> None:
    place, record = machine.at(path), "upstreams." + path.rpartition("/")[2]
    kept = machine.read_json(record, {})
    if not kept:
        return
    # A rollout may have written another text meanwhile: then that one stays.
    if place.exists() and place.read_text() == kept["edited"]:
        machine.before("restore " + path)
        _replace_text(place, kept["original"])
        systemctl(machine, "reload", "nginx")
    machine.state_path(record).unlink()


def _replace_text(place: Path, text: str) -> None:
    new, status = place.with_name(f".{place.name}.tandem"), place.stat()
    new.write_text(text)
    os.chown(new, status.st_uid, status.st_gid)
    new.chmod(status.st_mode & 0o7777)
    new.replace(place)
