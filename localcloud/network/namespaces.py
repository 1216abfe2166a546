"""Network namespaces of one cloud: made, found, entered, removed. All are called `lc-<cloud>-<what>`."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from localcloud.errors import NetworkError

_NETNS_DIRECTORY = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_CLONE_NEWNS = 0x00020000
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 1 << 18
_MNT_DETACH = 2
_NS_GET_NSTYPE = 0xB703  # ioctl_ns(2)

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
            _unlink(path)  # a plain file: what a reboot of the host leaves of it
        _NETNS_DIRECTORY.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o444)

        def make() -> None:
            _check(_libc.unshare(_CLONE_NEWNET), "unshare")
            source = f"/proc/self/task/{threading.get_native_id()}/ns/net"
            _check(_libc.mount(source.encode(), os.fsencode(path), None, _MS_BIND, None), "mount")

        try:
            _in_a_thread(make)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise NetworkError(f"network namespace {path.name} could not be made: {error}") from error
        return True

    def is_made(self, what: str) -> bool:
        """Whether its path leads to a network namespace, and not to a plain file or to nothing."""
        # The kernel's table of mounts would also name one that another mount hides.
        try:
            with self.path(what).open("rb") as opened:
                return fcntl.ioctl(opened, _NS_GET_NSTYPE) == _CLONE_NEWNET
        except OSError:
            return False

    def remove(self, what: str) -> None:
        path = self.path(what)
        _unmount(path)
        _unlink(path)

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


def _unmount(path: Path) -> None:
    """Take away every mount that the path leads to, one above the other."""
    while _libc.umount2(os.fsencode(path), _MNT_DETACH) == 0:
        pass


def _unlink(path: Path) -> None:
    """Delete the file of a namespace, and with it every mount on it, also one that no path leads to.

    The first `ip netns add` on a host mounts /run/netns on itself. What was mounted on the files before is then hidden
    below that mount, and the kernel deletes no file that is a mount point in the caller's mount namespace (EBUSY). In
    other mount namespaces it takes the mounts away. So this happens in a mount namespace without them.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        _in_a_thread(lambda: _uncover_and_unlink(path))


def _uncover_and_unlink(path: Path) -> None:
    """In a mount namespace of its own, unmount the directory as often as it is mounted, and delete the file."""
    _check(_libc.unshare(_CLONE_NEWNS), "unshare")
    _check(_libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None), "private mounts")
    while True:
        _unmount(path)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            if error.errno != errno.EBUSY or _libc.umount2(os.fsencode(path.parent), _MNT_DETACH) != 0:
                raise
        else:
            return


def _in_a_thread(do: Callable[[], None]) -> None:
    """`unshare` changes the calling thread alone: do it in one that ends right after. Raises its OSError."""
    failure: list[OSError] = []

    def run() -> None:
        try:
            do()
        except OSError as error:
            failure.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
