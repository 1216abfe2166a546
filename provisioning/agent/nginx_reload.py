"""Reloads nginx and checks that it uses the new configuration.

`systemctl reload nginx` only sends a signal. If the master process cannot apply the configuration (a zone of shared
memory with another size or key, too many open files), it logs the reason and keeps its old workers, although
`nginx -t` has accepted the same files.
"""

from __future__ import annotations

from collections.abc import Callable

from .node import Node, StepError

ERROR_LOG = "/var/log/nginx/error.log"
_DEADLINE_S = 10


def reload_nginx(node: Node, reload: Callable[[], None]) -> None:
    """Reload, then wait for a worker process that did not exist before.

    Raises StepError, with the lines that nginx has logged, if there is none within 10 s.
    """
    main = _main_process(node)
    before, logged = _workers(node, main), _log_size(node)
    reload()
    if not before:  # not running yet, or a kernel without /proc/<pid>/task/<tid>/children
        return
    deadline = node.now() + _DEADLINE_S
    while _main_process(node) == main and not _workers(node, main) - before:
        failures = _failures(node, logged)
        if failures or node.now() > deadline:
            raise StepError(
                "reload nginx", "nginx kept its old configuration after a reload", "\n".join(failures) or _tail(node)
            )
        node.sleep(0.02)


def _main_process(node: Node) -> str:
    shown = node.run(["systemctl", "show", "--property", "MainPID", "--value", "nginx"]).out.strip()
    return shown if shown.isdigit() and shown != "0" else ""


def _workers(node: Node, main: str) -> set[str]:
    return set(node.read(f"/proc/{main}/task/{main}/children").split()) if main else set()


def _log_size(node: Node) -> int:
    log = node.at(ERROR_LOG)
    return log.stat().st_size if log.exists() else 0


def _failures(node: Node, after: int) -> list[str]:
    """The errors of this level that nginx has logged since then. Only the master process logs them."""
    log = node.at(ERROR_LOG)
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(after)
        lines = file.read(64 * 1024).decode(errors="replace").splitlines()
    return [line for line in lines if "[emerg]" in line][-6:]


def _tail(node: Node) -> str:
    return node.run(["journalctl", "--no-pager", "-o", "cat", "-n", "12", "-u", "nginx"]).out
