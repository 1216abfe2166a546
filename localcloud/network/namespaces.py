"""The network namespaces of one cloud: create, find, enter, remove. All are named `lc-<cloud>-<what>`."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from localcloud.errors import NetworkError
from localcloud.network import kernel

_NETNS_DIRECTORY = Path("/run/netns")
_NS_GET_NSTYPE = 0xB703  # ioctl_ns(2)


@dataclass(frozen=True, slots=True)
class Namespaces:
    cloud: str

    def full(self, what: str) -> str:
        return f"lc-{self.cloud}-{what}"

    def path(self, what: str) -> Path:
        return _NETNS_DIRECTORY / self.full(what)

    def present(self) -> frozenset[str]:
        """Return the names of existing namespaces, without the prefix."""
        prefix = self.full("")
        if not _NETNS_DIRECTORY.is_dir():
            return frozenset()
        return frozenset(
            path.name.removeprefix(prefix) for path in _NETNS_DIRECTORY.iterdir() if path.name.startswith(prefix)
        )

    def ensure(self, what: str) -> bool:
        """Create the namespace if it does not exist; return True if it was created now."""
        path = self.path(what)
        if path.exists():
            if self.is_made(what):
                return False
            _unlink(path)  # a plain file, left by a reboot of the host
        _NETNS_DIRECTORY.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o444)

        def make() -> None:
            kernel.new_network()
            kernel.bind(Path(f"/proc/self/task/{threading.get_native_id()}/ns/net"), path)

        try:
            _in_a_thread(make)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise NetworkError(f"network namespace {path.name} could not be created: {error}") from error
        return True

    def is_made(self, what: str) -> bool:
        """Whether its path leads to a network namespace, and not to a plain file or to nothing."""
        # The kernel's mount table would also list a mount that another mount hides.
        try:
            with self.path(what).open("rb") as opened:
                return fcntl.ioctl(opened, _NS_GET_NSTYPE) == kernel.NEW_NETWORK
        except OSError:
            return False

    def remove(self, what: str) -> None:
        path = self.path(what)
        _unmount(path)
        _unlink(path)

    @contextlib.contextmanager
    def inside(self, what: str) -> Generator[None]:
        """Run the block with this thread in the namespace: sockets and processes created there belong to it."""
        with Path(f"/proc/self/task/{threading.get_native_id()}/ns/net").open("rb") as home:
            try:
                target = self.path(what).open("rb")
            except FileNotFoundError:
                raise NetworkError(
                    f"network namespace {self.full(what)} does not exist; is the cloud up? (`localcloud status`)"
                ) from None
            with target:
                kernel.enter_network(target.fileno())
            try:
                yield
            finally:
                kernel.enter_network(home.fileno())


def _unmount(path: Path) -> None:
    while kernel.unmount(path):
        pass


def _unlink(path: Path) -> None:
    """Delete the file of a namespace and all mounts on it, also a mount that no path leads to.

    The first `ip netns add` on a host mounts /run/netns on itself. Earlier mounts on the files are then hidden below
    that mount. The kernel does not delete a file that is a mount point in the caller's mount namespace (EBUSY); in
    other mount namespaces it removes the mounts. So this runs in a mount namespace without them.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        _in_a_thread(lambda: _uncover_and_unlink(path))


def _uncover_and_unlink(path: Path) -> None:
    """In a private mount namespace, unmount the directory as often as it is mounted, and delete the file."""
    kernel.private_mounts()
    while True:
        _unmount(path)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            if error.errno != errno.EBUSY or not kernel.unmount(path.parent):
                raise
        else:
            return


def _in_a_thread(do: Callable[[], None]) -> None:
    """Run in a short-lived thread, because `unshare` changes only the calling thread. Raises its OSError."""
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
