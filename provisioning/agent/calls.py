"""The operations by name, and the handling of one request."""

from __future__ import annotations

import errno
import shutil
import traceback
from collections.abc import Callable
from typing import Any

from . import (
    applied,
    backups,
    change_lock,
    commit,
    drain,
    drill,
    facts,
    health,
    held_data,
    kept_out,
    previous,
    put_back,
    put_back_timer,
    rollback,
    serving,
    stage,
    status,
    upstreams,
)
from .kinds import archive, audit_queue
from .node import STATE, Node, StepError

# Operations that change nothing on the node or only the lock; `receive`, whose path identifies its content; and
# `put_back`, which the node itself starts.
READING: dict[str, Callable[..., Any]] = {
    "facts": facts.facts,
    "lock": change_lock.lock,
    "locked": change_lock.locked,
    "renew": change_lock.renew,
    "unlock": change_lock.unlock,
    "received": archive.received,
    "receive": archive.receive,
    "backups": backups.backups,
    "back_up": backups.back_up,
    "data_state": backups.data_state,
    "gate": health.gate,
    "health": health.health,
    "spread": health.spread,
    "reset_restarts": health.reset_restarts,
    "audit": audit_queue.audit,
    "journal": drill.journal,
    "serves": serving.serves,
    "held": serving.wait_until_held,
    "services": serving.services,
    "finish_requests": drain.finish_requests,
    "kept_out": kept_out.kept_out,
    "preferred": drain.preferred,
    "preferred_while_drained": drain.preferred_while_drained,
    "put_back": put_back.put_back,
    "status": status.status,
    "logs": status.logs,
}
# These run one at a time, and only with the token of the change lock.
CHANGING: dict[str, Callable[..., Any]] = {
    "prepare": commit.prepare,
    "stage": stage.stage,
    "commit": commit.commit,
    "accept": previous.accept,
    "roll_back": rollback.roll_back,
    "revert": rollback.revert,
    "finish_rollback": rollback.finish_rollback,
    "reject": previous.reject,
    "pardon": previous.pardon,
    "remove": applied.remove,
    "remember": held_data.remember,
    "restore": backups.restore,
    "drain": drain.drain,
    "end_drain": drain.end_drain,
    "keep_drained": drain.keep_drained,
    "release": drain.release,
    "ask_clients_to_leave": drain.ask_clients_to_leave,
    "stop_asking": drain.stop_asking,
    "run_script": drill.run_script,
    "retire": drain.retire,
    "resume": drain.resume,
    "leave": upstreams.leave,
    "join": upstreams.join,
    "stay_out": put_back_timer.stay_out,
}


def answer(node: Node, request: dict[str, Any]) -> dict[str, Any]:
    """Run the operations of one request in order. Stops at the first failure."""
    node.token = request.get("token", "")
    step = ""
    results: list[Any] = []
    try:
        for operation in request["operations"]:
            step = operation["do"]
            results.append(_run(node, step, {key: value for key, value in operation.items() if key != "do"}))
    except StepError as failed:
        error = {"step": failed.step, "message": failed.message, "seen": failed.seen, "detail": failed.detail}
        return {"results": results, "error": error}
    except OSError as failed:
        return {"results": results, "error": _system_error(node, step, failed)}
    except Exception as failed:  # noqa: BLE001 - an agent that ends without a response would hide the reason
        message = f"{type(failed).__name__}: {failed} (this is a bug of Tandem)"
        return {
            "results": results,
            "error": {"step": step, "message": message, "seen": traceback.format_exc(limit=-4), "detail": None},
        }
    return {"results": results}


def _run(node: Node, step: str, arguments: dict[str, Any]) -> Any:
    if step in READING:
        return READING[step](node, **arguments)
    change = CHANGING[step]
    with change_lock.changing(node):
        return change(node, **arguments)


def _system_error(node: Node, step: str, failed: OSError) -> dict[str, Any]:
    message = f"{failed.strerror or failed}" + (f": {failed.filename}" if failed.filename else "")
    if isinstance(failed, shutil.Error) and isinstance(failed.args[0], list):
        message = failed.args[0][0][2]  # copytree reports all failed files, usually with the same reason
    full = failed.errno in (errno.ENOSPC, errno.EDQUOT) or f"[Errno {errno.ENOSPC}]" in message
    return {"step": step, "message": message, "seen": _disk_usage(node) if full else "", "detail": None}


def _disk_usage(node: Node) -> str:
    usage = shutil.disk_usage(node.state)
    return f"{STATE}: {usage.free // 1024} KiB free of {usage.total // 1024} KiB"
