"""Packages, users, directories, disks: nothing here disturbs what serves."""

from __future__ import annotations

from typing import Any

from .change_lock import mine
from .disks import make_file_system
from .files import own
from .machine import Machine, StepError


def prepare(
    machine: Machine,
    *,
    packages: list[str],
    disks: list[str],
    users: list[dict[str, str]],
    directories: list[dict[str, Any]],
) -> None:
    with mine(machine):
        if packages:
            machine.before("install " + " ".join(packages))
            _install(machine, packages)
        for device in disks:
            make_file_system(machine, device)
        for user in users:
            machine.before("user " + user["name"])
            machine.must(
                f"user {user['name']}",
                ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", user["home"],
                 "--shell", "/usr/sbin/nologin", user["name"]],
            )  # fmt: skip
        for directory in directories:
            machine.before("directory " + directory["path"])
            place = machine.at(directory["path"])
            place.mkdir(parents=True, exist_ok=True)
            own(place, directory)


def _install(machine: Machine, packages: list[str]) -> None:
    # Services must not start with the distribution's configuration: policy-rc.d is how Debian is told (101 = no).
    policy = machine.at("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.parent.mkdir(parents=True, exist_ok=True)
        policy.write_text("#!/bin/sh\n# by tandem, for the time of one installation\nexit 101\n")
        policy.chmod(0o755)
    try:
        apt = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3",
               "-o", "Dpkg::Options::=--force-confold"]  # fmt: skip
        env = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}
        # An installation that was killed half-way leaves packages unpacked; this is how they are finished.
        machine.run(["dpkg", "--configure", "-a"], timeout_s=600, env=env)
        install = [*apt, "--no-install-recommends", "install", *packages]
        first = machine.run(install, timeout_s=900, env=env)
        if first.code:
            updated = machine.run([*apt, "update"], timeout_s=300, env=env)
            second = machine.run(install, timeout_s=900, env=env)
            if second.code:
                words = "\n".join([*updated.err.splitlines()[-6:], *second.err.splitlines()[-12:]])
                raise StepError("packages", f"apt-get cannot install {' '.join(packages)}", words)
    finally:
        if ours:
            policy.unlink()
