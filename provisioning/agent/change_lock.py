"""One rollout at a time for one machine, and one call at a time."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Generator
from typing import Any

from .machine import Machine, StepError


def lock(machine: Machine, *, owner: dict[str, Any], ttl_s: float, take_from: str = "") -> None:
    """Take the machine for one rollout. A lock that was not renewed for its ttl_s has a dead owner."""
    with _one_at_a_time(machine, "lock", wait_s=10):
        held = _held(machine)
        if held and held["token"] not in (machine.token, take_from):
            age = machine.now() - held["renewed_at"]
            # A clock that was set back must not make a lock immortal.
            if 0 <= age < held["ttl_s"]:
                raise StepError("lock", "another rollout has this machine", detail={**held, "age_s": age})
        machine.before("lock")
        now = machine.now()
        lock = {"token": machine.token, "owner": owner, "ttl_s": ttl_s, "taken_at": now, "renewed_at": now}
        machine.write_json("lock.json", lock)


def unlock(machine: Machine) -> None:
    with _one_at_a_time(machine, "lock", wait_s=10):
        held = _held(machine)
        if held and held["token"] == machine.token:
            machine.state_path("lock.json").unlink()


def renew(machine: Machine) -> None:
    """The owner lives. Also called beside an operation that takes its time, such as an installation."""
    with _one_at_a_time(machine, "lock", wait_s=10):
        held = _held(machine)
        if not held or held["token"] != machine.token:
            raise StepError("lock", "this rollout no longer has the machine", detail=held)
        machine.write_json("lock.json", {**held, "renewed_at": machine.now()})


@contextlib.contextmanager
def mine(machine: Machine) -> Generator[None, None, None]:
    """For everything that changes the machine: only with the lock, and one such call at a time.

    A call whose SSH connection was cut works on to its end; the next rollout waits for it here.
    """
    with _one_at_a_time(machine, "work", wait_s=120):
        renew(machine)
        yield


@contextlib.contextmanager
def _one_at_a_time(machine: Machine, name: str, wait_s: float) -> Generator[None, None, None]:
    machine.make_state()
    deadline = machine.now() + wait_s
    with machine.state_path(name + ".flock").open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if machine.now() > deadline:
                    raise StepError(
                        "lock", f"an earlier call still works on this machine after {wait_s:.0f} s"
                    ) from None
                machine.sleep(0.1)
        yield


def _held(machine: Machine) -> dict[str, Any] | None:
    return machine.read_json("lock.json", None)
