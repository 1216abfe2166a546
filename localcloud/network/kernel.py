"""System calls for namespaces and mounts, which Python 3.11 does not have. They raise OSError."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_NEW_MOUNTS = 0x00020000  # CLONE_NEWNS
_BIND = 0x1000
_RECURSIVE = 0x4000
_PRIVATE = 1 << 18
_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


def new_network() -> None:
    """Move the calling thread to a new network namespace."""
    _check(_libc.unshare(NEW_NETWORK), "unshare")


def enter_network(namespace: int) -> None:
    """Move the calling thread to the network namespace that is open with that descriptor."""
    _check(_libc.setns(namespace, NEW_NETWORK), "setns")


def private_mounts() -> None:
    """Move the calling thread to a new mount namespace, whose mounts and unmounts no other process sees."""
    _check(_libc.unshare(_NEW_MOUNTS), "unshare")
    _check(_libc.mount(None, b"/", None, _RECURSIVE | _PRIVATE, None), "private mounts")


def bind(source: Path, target: Path) -> None:
    _check(_libc.mount(os.fsencode(source), os.fsencode(target), None, _BIND, None), f"mounting {target}")


def unmount(path: Path) -> bool:
    """Remove the topmost mount on the path. Returns whether there was one."""
    return _libc.umount2(os.fsencode(path), _DETACH) == 0


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
