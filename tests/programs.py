"""The programs that tests start on this host, and the Debian packages of those that `scripts/test` installs.

tests/conftest.py fails a test that starts a program which is not listed here, so a test cannot rely on a program that
happens to be installed. Only `make test-fresh` detects missing programs that a script or another program starts.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from localcloud.host_tools import TOOLS

# The `-core` packages and redis-tools contain no service; scripts/host-tools stops the services of the other packages.
INSTALLED = {
    "apt-cache": "apt",
    "apt-get": "apt",
    "bridge": "iproute2",
    "curl": "curl",
    "git": "git",
    "keepalived": "keepalived",
    "logrotate": "logrotate",
    "mariadb": "mariadb-client-core",
    "mariadb-install-db": "mariadb-server-core",
    "mariadbd": "mariadb-server-core",
    "nginx": "nginx",
    "openssl": "openssl",
    "rclone": "rclone",
    "redis-cli": "redis-tools",
    "redis-server": "redis-server",
    "ss": "iproute2",
    "ssh": "openssh-client",
}

# Only for tests/lvs, by scripts/test-lvs: 200 MB.
FOR_LVS = {"busybox": "busybox-static", "keepalived": "keepalived", "qemu-system-x86_64": "qemu-system-x86"}

# Packages without a program: a module of nginx.
MODULES = ("libnginx-mod-stream",)

# Programs of packages that every Debian system has: `Essential: yes` or `Priority: required`.
ESSENTIAL = frozenset(
    [
        "apt-get",
        "bash",
        "blkid",
        "blockdev",
        "cp",
        "dpkg-deb",
        "dpkg-deb",
        "dpkg-query",
        "e2fsck",
        "env",
        "grep",
        "gzip",
        "lsblk",
        "mkswap",
        "mount",
        "pwd",
        "resize2fs",
        "setpriv",
        "sh",
        "sleep",
        "sync",
        "true",
        "umount",
        "uname",
    ]
)

# On the PATH, or built by scripts/bootstrap.
BUILT = frozenset({"pulumi"})

_SYSTEM = frozenset(Path(place) for place in ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin"))

# `localcloud exec -- CMD` and `localcloud client -- CMD` run CMD on this host.
_RUNS_HERE = frozenset({"exec", "client"})


class StartedPrograms:
    """An audit hook (PEP 578) that collects the undeclared programs that this process starts."""

    def __init__(self) -> None:
        self._undeclared: set[str] = set()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen":
            executable, words, *_ = arguments
            self._undeclared |= find_undeclared([os.fsdecode(executable), *(os.fsdecode(word) for word in words[1:])])

    def take_undeclared(self) -> set[str]:
        """Return the undeclared programs that were started since the last call."""
        taken, self._undeclared = self._undeclared, set()
        return taken


def find_undeclared(words: Sequence[str]) -> set[str]:
    """Return the programs of a command line that are not declared in this module."""
    named = {words[0]}
    if "--" in words[:-1] and _RUNS_HERE & set(words[: words.index("--")]):
        named.add(words[words.index("--") + 1])
    return {program for program in named if not _is_declared(program)}


def _is_declared(program: str) -> bool:
    """Also true for programs of the checkout, its .venv or the test, and for programs that this host does not have."""
    path = Path(program)
    if path.name in {*INSTALLED, *FOR_LVS, *ESSENTIAL, *BUILT, *TOOLS}:
        return True
    if path.is_absolute():
        return path.parent not in _SYSTEM
    return (Path(sys.executable).parent / program).exists() or shutil.which(program) is None


if __name__ == "__main__":
    print(*sorted({*FOR_LVS.values()} if sys.argv[1:] == ["lvs"] else {*INSTALLED.values(), *MODULES}))
