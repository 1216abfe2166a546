"""Network namespaces of one cloud: made, found, entered, removed. All are called `lc-<cloud>-<what>`."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import threading
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from localcloud.errors import NetworkError

_NETNS_DIRECTORY = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_MS_BIND = 0x1000
_MNT_DETACH = 2
_NSFS_MAGIC_TYPE = "nsfs"

# No dash: else cloud `a` would take the namespaces of cloud `a-b` for its own.
CLOUD_NAME = re.compile(r"^[a-z0-9]{1,20}$")

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The network namespaces of the cloud `cloud`."""

    cloud: str

    def full(self, what: str) -> str:
        return f"lc-{self.cloud}-{what}"

    def path(self, what: str) -> Path:
        return _NETNS_DIRECTORY / self.full(what)

    def present(self) -> frozenset[str]:
        """What there is, without the prefix."""
        prefix = self.full("")
        if not _NETNS_DIRECTORY.is_dir():
            return frozenset()
        return frozenset(
            path.name.removeprefix(prefix) for path in _NETNS_DIRECTORY.iterdir() if path.name.startswith(prefix)
        )

    def ensure(self, what: str) -> bool:
        """Make it if it is not there; True when it was made now."""
        path = self.path(what)
        if path.exists():
            if self.is_made(what):
                return False
            path.unlink()  # a plain file: what a reboot of the host leaves of it
        _NETNS_DIRECTORY.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o444)
        failure: list[OSError] = []

        def make() -> None:
            try:
                _check(_libc.unshare(_CLONE_NEWNET), "unshare")
                source = f"/proc/self/task/{threading.get_native_id()}/ns/net"
                _check(_libc.mount(source.encode(), os.fsencode(path), None, _MS_BIND, None), "mount")
            except OSError as error:
                failure.append(error)

        # unshare changes the calling thread alone, so a thread that ends right after is all it takes.
        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if failure:
            path.unlink(missing_ok=True)
            raise NetworkError(f"network namespace {path.name} could not be made: {failure[0]}") from failure[0]
        return True

    def is_made(self, what: str) -> bool:
        return _is_namespace(self.path(what))

    def remove(self, what: str) -> None:
        path = self.path(what)
        while _libc.umount2(os.fsencode(path), _MNT_DETACH) == 0:
            pass
        path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def inside(self, what: str) -> Generator[None]:
        """Run the block with this thread in the namespace: sockets and processes made there belong to it."""
        with Path(f"/proc/self/task/{threading.get_native_id()}/ns/net").open("rb") as home:
            try:
                target = self.path(what).open("rb")
            except FileNotFoundError:
                raise NetworkError(
                    f"network namespace {self.full(what)} is not there; is the cloud up? (`localcloud status`)"
                ) from None
            with target:
                _check(_libc.setns(target.fileno(), _CLONE_NEWNET), "setns")
            try:
                yield
            finally:
                _check(_libc.setns(home.fileno(), _CLONE_NEWNET), "setns")


def _is_namespace(path: Path) -> bool:
    wanted = str(path)
    with Path("/proc/self/mountinfo").open(encoding="utf-8") as mounts:
        return any(line.split()[4] == wanted and f" - {_NSFS_MAGIC_TYPE} " in line for line in mounts)


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
