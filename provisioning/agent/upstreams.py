"""Takes the servers of one node out of nginx's upstreams temporarily."""

from __future__ import annotations

import os
import re
from pathlib import Path

from . import put_back_timer
from .node import Node
from .systemd import systemctl

UPSTREAMS = "/etc/nginx/conf.d/upstreams.conf"
RECORD = "upstreams.upstreams.conf"  # in the agent's state: the original text and the edited one

_RESPONDS = frozenset(str(status) for status in range(200, 500))
_BLOCK = re.compile(r"^upstream\s+\S+\s*\{.*?^\}", re.MULTILINE | re.DOTALL)
_SERVER = re.compile(r"^(\s*server )([\d.]+):(\d+)\b([^;\n]*);", re.MULTILINE)


def leave(node: Node, *, address: str, ports: list[int] | None = None) -> list[int]:
    """Mark the servers of one node as down in this node's nginx, and no others. Returns the ports that are marked.

    `ports` limits the operation to these services. The only server of an upstream is not marked. If this run is killed,
    the node ends the mark itself (put_back_timer.py). The file also differs from its manifest, so a rollout restores
    it.
    """
    target = node.at(UPSTREAMS)
    if not target.exists():
        return []
    now, kept = target.read_text(), node.read_json(RECORD, {})
    original = kept["original"] if kept.get("edited") == now else now
    edited = mark_down(original, address, ports)
    if edited != now:
        put_back_timer.start(node)
        node.write_json(RECORD, {"original": original, "edited": edited})
        node.before("edit " + UPSTREAMS)
        _replace_text(target, edited)
        systemctl(node, "reload", "nginx")
    return sorted(
        {int(port) for _, at, port, options in _SERVER.findall(edited) if at == address and "down" in options.split()}
    )


def join(node: Node) -> None:
    """Undo `leave`."""
    target, kept = node.at(UPSTREAMS), node.read_json(RECORD, {})
    if kept:
        # Keep a text that a rollout has written in the meantime.
        if target.exists() and target.read_text() == kept["edited"]:
            node.before("restore " + UPSTREAMS)
            _replace_text(target, kept["original"])
            systemctl(node, "reload", "nginx")
        node.state_path(RECORD).unlink()
    put_back_timer.stop_if_done(node)


def text_before_leave(node: Node, path: str) -> str | None:
    """The text that a file had before `leave` edited it; None if it is not edited now."""
    kept = node.read_json(RECORD, {}) if path == UPSTREAMS else {}
    return kept["original"] if kept and node.at(path).read_text() == kept["edited"] else None


def join_if_served(node: Node) -> None:
    """Undo `leave` if the servers that are marked as down respond; a removed node stays out."""
    edited = node.read_json(RECORD, {}).get("edited", "")
    down = [(address, port) for _, address, port, options in _SERVER.findall(edited) if "down" in options.split()]
    # The path of the health check differs between services; only an error of the server counts.
    if all(node.probe(f"http://{address}:{port}/healthz") in _RESPONDS for address, port in down):
        join(node)


def mark_down(text: str, address: str, ports: list[int] | None) -> str:
    """Return the upstreams with the servers of one node marked as down. Pure.

    A single remaining server gets `max_fails=0`: otherwise nginx would answer every request with 502 for the whole
    `fail_timeout` after one failed attempt, because it ignores `max_fails` only in upstreams with one server.
    """

    def block(upstream: re.Match[str]) -> str:
        servers = _SERVER.findall(upstream[0])
        leaving = [each for each in servers if each[1] == address and (ports is None or int(each[2]) in ports)]
        if not leaving or len(leaving) == len(servers):
            return upstream[0]
        single = len(servers) - len(leaving) == 1

        def server(line: re.Match[str]) -> str:
            if line.groups() in leaving:
                return f"{line[1]}{line[2]}:{line[3]} down{line[4]};"
            options = re.sub(r"\bmax_fails=\d+", "max_fails=0", line[4]) if single else line[4]
            return f"{line[1]}{line[2]}:{line[3]}{options};"

        return _SERVER.sub(server, upstream[0])

    return _BLOCK.sub(block, text)


def _replace_text(target: Path, text: str) -> None:
    new, status = target.with_name(f".{target.name}.tandem"), target.stat()
    new.write_text(text)
    os.chown(new, status.st_uid, status.st_gid)
    new.chmod(status.st_mode & 0o7777)
    new.replace(target)
