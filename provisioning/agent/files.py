"""What every way of writing a file needs."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
from pathlib import Path
from typing import Any

from .machine import Machine, StepError


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def owner_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def own(place: Path, wanted: dict[str, Any]) -> None:
    try:
        uid, gid = pwd.getpwnam(wanted["owner"]).pw_uid, grp.getgrnam(wanted["group"]).gr_gid
    except KeyError as missing:
        raise StepError("owner", f"{wanted['path']}: {missing.args[0]} on this machine") from None
    os.chown(place, uid, gid)
    place.chmod(wanted["mode"])  # after chown, which clears the set-id bits


def sync_directory(machine: Machine, path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        machine.sync(handle)
    finally:
        os.close(handle)


def sysctl_path(key: str) -> str:
    return f"/etc/sysctl.d/60-tandem-{key}.conf"
