"""The node's part of the change lock: one rollout at a time, and one call at a time."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Generator
from typing import Any

from .node import Node, StepError


def lock(node: Node, *, owner: dict[str, Any], ttl_s: float, take_from: str = "") -> None:
    """Lock the node for one rollout. A lock expires if it is not renewed within `ttl_s` seconds.

    `take_from` is the token of a lock whose owner is known to have ended; that lock is replaced.
    """
    with _one_at_a_time(node, "lock", wait_s=10):
        held = _held(node)
        if held and held["token"] not in (node.token, take_from):
            age = node.now() - held["renewed_at"]
            # A negative age means that the clock was set back; the lock would otherwise never expire.
            if 0 <= age < held["ttl_s"]:
                raise StepError(
                    "lock", "another rollout holds the change lock of this node", detail={**held, "age_s": age}
                )
        node.before("lock")
        now = node.now()
        lock = {"token": node.token, "owner": owner, "ttl_s": ttl_s, "taken_at": now, "renewed_at": now}
        node.write_json("lock.json", lock)


def unlock(node: Node) -> None:
    with _one_at_a_time(node, "lock", wait_s=10):
        held = _held(node)
        if held and held["token"] == node.token:
            node.state_path("lock.json").unlink()


def renew(node: Node) -> None:
    """Extend the lock. Also called during long operations such as a package installation."""
    with _one_at_a_time(node, "lock", wait_s=10):
        held = _held(node)
        if not held or held["token"] != node.token:
            raise StepError("lock", "this rollout does not hold the change lock of this node", detail=held)
        node.write_json("lock.json", {**held, "renewed_at": node.now()})


@contextlib.contextmanager
def mine(node: Node) -> Generator[None, None, None]:
    """Hold the node for one changing call. Requires the lock and waits for earlier calls.

    A call whose SSH connection was cut runs to its end; the next rollout waits here for it.
    """
    with _one_at_a_time(node, "work", wait_s=120):
        renew(node)
        yield


@contextlib.contextmanager
def _one_at_a_time(node: Node, name: str, wait_s: float) -> Generator[None, None, None]:
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


def _held(node: Node) -> dict[str, Any] | None:
    return node.read_json("lock.json", None)
