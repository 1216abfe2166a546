"""What is there of what is asked for. Changes nothing."""

from __future__ import annotations

import os
from typing import Any

from .disks import disk_fact
from .files import group_name, owner_name, sha256_of, sysctl_path
from .machine import Machine
from .mariadb import mariadb_facts
from .pending import read_pending
from .serving import DRAIN_CONF, DRAIN_MARK, addresses_held
from .units import unit_facts

TEXT_LIMIT = 256 * 1024  # a larger file is compared by its checksum alone


def facts(
    machine: Machine,
    *,
    paths: dict[str, str],
    packages: list[str],
    users: list[str],
    disks: list[str],
    units: list[str],
    sysctls: list[str],
    virtual_ips: list[str],
    databases: list[str],
    accounts: list[list[str]],
    queries: list[list[str]],
    with_texts: bool,
) -> dict[str, Any]:
    """What is there of what is asked for. `paths` maps a path to the sha256 that it should have ("" = any)."""
    return {
        "paths": {path: _path_fact(machine, path, wanted if with_texts else "") for path, wanted in paths.items()},
        "packages": _package_facts(machine, packages),
        "users": [name for name in users if _user_exists(machine, name)],
        "disks": {device: disk_fact(machine, device) for device in disks},
        "units": unit_facts(machine, units),
        "sysctls": {key: _sysctl_fact(machine, key) for key in sysctls},
        "addresses": addresses_held(machine, virtual_ips),
        "mariadb": mariadb_facts(machine, databases, accounts, queries),
        "pending": read_pending(machine),
        "draining": machine.at(DRAIN_MARK).exists() or machine.at(DRAIN_CONF).exists(),
        "hostname": os.uname().nodename,
        "boot_id": machine.read("/proc/sys/kernel/random/boot_id"),
    }


def _path_fact(machine: Machine, path: str, wanted: str) -> dict[str, Any] | None:
    """`wanted`, where given, is the checksum of a file whose text is asked for when it has another."""
    place = machine.at(path)
    try:
        status = place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    fact: dict[str, Any] = {
        "owner": owner_name(status.st_uid),
        "group": group_name(status.st_gid),
        "mode": status.st_mode & 0o7777,
    }
    if place.is_symlink():
        return {"kind": "link", "target": str(place.readlink())}
    if place.is_dir():
        return {"kind": "directory", **fact}
    fact = {"kind": "file", "sha256": sha256_of(place), **fact}
    if wanted and fact["sha256"] != wanted and status.st_size <= TEXT_LIMIT:
        fact["text"] = place.read_text(errors="replace")
    return fact


def _package_facts(machine: Machine, packages: list[str]) -> dict[str, str]:
    if not packages:
        return {}
    told = machine.run(["dpkg-query", "-W", "-f", "${Package}\t${db:Status-Status}\t${Version}\n", *packages])
    rows = (line.split("\t") for line in told.out.splitlines())
    return {row[0]: row[2] for row in rows if row[1] == "installed"}


def _user_exists(machine: Machine, name: str) -> bool:
    # Read by hand: a test's machine has a passwd of its own, which the C library would not look at.
    return any(line.split(":", 1)[0] == name for line in machine.read("/etc/passwd").splitlines())


def _sysctl_fact(machine: Machine, key: str) -> dict[str, str]:
    now = machine.read("/proc/sys/" + key.replace(".", "/"))
    return {"now": " ".join(now.split()), "boot": machine.read(sysctl_path(key))}
