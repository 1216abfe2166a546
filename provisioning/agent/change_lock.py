"""The node's part of the change lock: a lease that one operator holds at a time, and one changing call at a time.

The operator renews the lease in the background. A lease that was not renewed for `ttl_s` seconds has expired and can be
taken. Its age is measured by this node's monotonic clock, so a clock that is set on either side changes nothing. The
monotonic clock restarts with the node: after a reboot the age is counted from the next attempt to lock.

The token of the lease fences: every changing call must carry it, so an owner that lost the lease can change nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Generator
from typing import Any

from .node import Node, StepError

WORK_WAIT_S = 120.0
_LEASE = "lock.json"
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_CHANGES = "/run/tandem/changes"  # on a tmpfs: needs no disk space and no sync


def lock(node: Node, *, owner: dict[str, Any], ttl_s: float) -> str:
    """Take the lease, or renew it if this owner holds it. Returns `changes_started`.

    Waits for a changing call that an earlier owner left running. Raises StepError if another owner holds the lease.
    """
    with _exclusive(node, "lock", 10):
        _refuse_if_held(node)
    with _exclusive(node, "work", WORK_WAIT_S), _exclusive(node, "lock", 10):
        _refuse_if_held(node)
        node.before("lock")
        now = node.now()
        lease = {"token": node.token, "owner": owner, "ttl_s": ttl_s, "taken_at": now, "renewed_at": now, "renewals": 0}
        _write(node, lease)
        return changes_started(node)


def renew(node: Node) -> None:
    """Renew the lease. Also called while a long operation runs, such as a package installation."""
    with _exclusive(node, "lock", 10):
        lease = _read(node)
        if not lease or lease["token"] != node.token:
            raise StepError("lock", "this rollout does not hold the change lock of this node", detail=_shown(node))
        # Without a sync: a lease that a power failure takes away is one that its owner has to take again.
        renewed = {**lease, "renewed_at": node.now(), "renewals": lease["renewals"] + 1}
        _write(node, renewed, durable=False)


def unlock(node: Node) -> bool:
    """Release the lease. Returns whether the token was that of the lease; otherwise nothing changes."""
    with _exclusive(node, "lock", 10):
        lease = _read(node)
        if not lease or lease["token"] != node.token:
            return False
        node.state_path(_LEASE).unlink()
        return True


def locked(node: Node) -> dict[str, Any] | None:
    """The lease with its owner and its age, also if it has expired; None if there is none."""
    return _shown(node)


@contextlib.contextmanager
def changing(node: Node) -> Generator[None, None, None]:
    """Hold the node for one changing call. Requires the lease and waits for earlier calls.

    A call whose SSH connection was cut runs to its end; the next owner waits for it.
    """
    with between_calls(node):
        renew(node)
        number = int(node.read(_CHANGES) or 0) + 1
        node.at(_CHANGES).parent.mkdir(parents=True, exist_ok=True)
        node.at(_CHANGES).write_text(str(number))
        yield


@contextlib.contextmanager
def between_calls(node: Node) -> Generator[None, None, None]:
    """Wait for the running call, and keep others waiting. For what the node does without an operator."""
    with _exclusive(node, "work", WORK_WAIT_S):
        yield


def changes_started(node: Node) -> str:
    """Identifies the last changing call of this node: equal values mean that none was started in between."""
    return f"{node.read(_BOOT_ID)}:{node.read(_CHANGES)}"


def is_changing(node: Node) -> bool:
    """Whether a changing call runs now."""
    try:
        with node.state_path("work.flock").open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


# ---- the lease on disk -----------------------------------------------------------------------------------------------


def _read(node: Node) -> dict[str, Any] | None:
    return node.read_json(_LEASE, None)


def _write(node: Node, lease: dict[str, Any], *, durable: bool = True) -> None:
    node.write_json(_LEASE, {**lease, "boot_id": node.read(_BOOT_ID)}, durable=durable)


def _refuse_if_held(node: Node) -> None:
    """Raise StepError if another owner holds a lease that has not expired."""
    lease = _read(node)
    if not lease or lease["token"] == node.token:
        return
    if lease["boot_id"] != node.read(_BOOT_ID):  # its owner may still run: the lease expires `ttl_s` from now
        _write(node, {**lease, "taken_at": node.now(), "renewed_at": node.now()})
    shown = _shown(node)
    if shown and shown["age_s"] < shown["ttl_s"]:
        raise StepError("lock", "another rollout holds the change lock of this node", detail=shown)


def _shown(node: Node) -> dict[str, Any] | None:
    """The lease with its ages in seconds, which are None if they are unknown."""
    lease = _read(node)
    if not lease:
        return None
    known = lease["boot_id"] == node.read(_BOOT_ID)
    return {
        **lease,
        "age_s": node.now() - lease["renewed_at"] if known else None,
        "held_s": node.now() - lease["taken_at"] if known else None,
    }


@contextlib.contextmanager
def _exclusive(node: Node, name: str, wait_s: float) -> Generator[None, None, None]:
    node.make_state()
    deadline = node.now() + wait_s
    with node.state_path(name + ".flock").open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if node.now() > deadline:
                    raise StepError("lock", f"an earlier call still runs on this node after {wait_s:.0f} s") from None
                node.sleep(0.1)
        yield
