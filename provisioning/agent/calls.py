"""The operations by their names, and one request's answer."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from typing import Any

from . import change_lock, commit, facts, prepare, receive, serving, stage, upstreams
from .machine import STATE, Machine, StepError

OPERATIONS: dict[str, Callable[..., Any]] = {
    "facts": facts.facts,
    "lock": change_lock.lock,
    "renew": change_lock.renew,
    "unlock": change_lock.unlock,
    "receive": receive.receive,
    "prepare": prepare.prepare,
    "stage": stage.stage,
    "commit": commit.commit,
    "gate": serving.gate,
    "serves": serving.serves,
    "idle": serving.idle,
    "held": serving.wait_until_held,
    "drain": serving.drain,
    "end_drain": serving.end_drain,
    "retire": serving.retire,
    "leave": upstreams.leave,
    "join": upstreams.join,
}


def answer(machine: Machine, request: dict[str, Any]) -> dict[str, Any]:
    """Do the operations of one request in order, up to the first that fails."""
    machine.token = request.get("token", "")
    step = ""
    results: list[Any] = []
    try:
        for operation in request["operations"]:
            step = operation["do"]
            arguments = {key: value for key, value in operation.items() if key != "do"}
            results.append(OPERATIONS[step](machine, **arguments))
    except StepError as failed:
        error = {"step": failed.step, "message": failed.message, "seen": failed.seen, "detail": failed.detail}
        return {"results": results, "error": error}
    except OSError as failed:
        return {"results": results, "error": _system_error(machine, step, failed)}
    return {"results": results}


def _system_error(machine: Machine, step: str, failed: OSError) -> dict[str, Any]:
    words = f"{failed.strerror or failed}" + (f": {failed.filename}" if failed.filename else "")
    if isinstance(failed, shutil.Error) and isinstance(failed.args[0], list):
        words = failed.args[0][0][2]  # of a copied tree: a list of everything that failed, mostly for one reason
    full = failed.errno in (errno.ENOSPC, errno.EDQUOT) or f"[Errno {errno.ENOSPC}]" in words
    return {"step": step, "message": words, "seen": _disk_words(machine) if full else "", "detail": None}


def _disk_words(machine: Machine) -> str:
    usage = shutil.disk_usage(machine.state)
    return f"{STATE}: {usage.free // 1024} KiB free of {usage.total // 1024} KiB"
