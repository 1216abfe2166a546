"""Takes the servers of one node out of nginx's upstreams temporarily."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any
from urllib.parse import urlsplit

from . import put_back_timer
from .node import CONNECTED, Node
from .serving import nginx_runs, read_node_file
from .systemd import systemctl

UPSTREAMS = "/etc/nginx/conf.d/upstreams.conf"
STREAM_UPSTREAMS = "/etc/nginx/stream.d/upstreams.conf"
RECORD = "upstreams.upstreams.conf"  # in the agent's state: by path the original text and the edited one

_RESPONDS = frozenset(str(status) for status in range(200, 500))
_BLOCK = re.compile(r"^upstream\s+\S+\s*\{.*?^\}", re.MULTILINE | re.DOTALL)
_SERVER = re.compile(r"^(\s*server )([\w.-]+):(\d+)\b([^;\n]*);", re.MULTILINE)


def leave(node: Node, *, address: str, ports: list[int] | None = None) -> list[int]:
    """Mark the servers of one node as down in this node's nginx, and no others. Returns the ports that are marked.

    `ports` limits the operation to these services. The only server of an upstream is not marked. If this run is killed,
    the node ends the mark itself (put_back_timer.py). The files also differ from their manifest, so a rollout restores
    them.
    """
    kept, current = node.read_json(RECORD, {}), _texts(node)
    before = {path: _original(kept, path, text) for path, text in current.items()}
    edited = {path: mark_down(text, address, ports) for path, text in before.items()}
    if edited != current:
        put_back_timer.start(node)
        node.write_json(RECORD, {path: {"original": before[path], "edited": edited[path]} for path in edited})
        for path, text in edited.items():
            _write(node, path, text, "edit")
        if nginx_runs(node):
            systemctl(node, "reload", "nginx")
    return sorted({port for text in edited.values() for at, port in _marked(text) if at == address})


def join(node: Node, *, address: str = "") -> None:
    """Undo `leave`. With an address, only if its servers are marked: another node may be out of service meanwhile."""
    kept = node.read_json(RECORD, {})
    if address and (marked := marked_now(node)) and address not in {server for server, _ in marked}:
        return
    if kept:
        current, restored = _texts(node), False
        for path, texts in kept.items():
            # Keep a text that a rollout has written in the meantime.
            if current.get(path) == texts["edited"]:
                restored |= _write(node, path, texts["original"], "restore")
        if restored and nginx_runs(node):
            systemctl(node, "reload", "nginx")
        node.state_path(RECORD).unlink()
    put_back_timer.stop_if_done(node)


def text_before_leave(node: Node, path: str) -> str | None:
    """The text that a file had before `leave` edited it; None if it is not edited now."""
    texts = node.read_json(RECORD, {}).get(path)
    return texts["original"] if texts and node.at(path).read_text() == texts["edited"] else None


def marked_now(node: Node) -> list[tuple[str, int]]:
    """The servers that `leave` has marked as down."""
    kept = node.read_json(RECORD, {}).values()
    return [server for texts in kept for server in _marked(texts["edited"]) - _marked(texts["original"])]


def originals(node: Node) -> dict[str, str]:
    """By path, the checksum that an edited file had before `leave`."""
    found = {path: text_before_leave(node, path) for path in node.read_json(RECORD, {}) if node.at(path).exists()}
    return {path: hashlib.sha256(text.encode()).hexdigest() for path, text in found.items() if text is not None}


def join_if_served(node: Node) -> None:
    """Undo `leave` if the servers that are marked as down respond; a removed node stays out."""
    if all(_responds(node, address, port) for address, port in marked_now(node)):
        join(node)


def _responds(node: Node, address: str, port: int) -> bool:
    """Ask as this node's health gate asks its own instance. One that other nodes run must accept connections."""
    own = [urlsplit(gate["url"]) for gate in read_node_file(node)["gates"]]
    url = next((each for each in own if each.port == port), urlsplit(f"tcp://:{port}"))
    seen = node.probe(url._replace(netloc=f"{address}:{port}").geturl())
    # The status of the health check differs between services; only an error of the server counts.
    return seen == CONNECTED or seen in _RESPONDS


def mark_down(text: str, address: str, ports: list[int] | None) -> str:
    """Return the upstreams with the servers of one node marked as down. Pure.

    A single remaining server gets `max_fails=0`: otherwise nginx would answer every request with 502 for the whole
    `fail_timeout` after one failed attempt, because it ignores `max_fails` only in upstreams with one server.
    """

    def block(upstream: re.Match[str]) -> str:
        usable = [each for each in _SERVER.findall(upstream[0]) if "down" not in each[3].split()]
        leaving = [each for each in usable if each[1] == address and (ports is None or int(each[2]) in ports)]
        staying = {each[1:3] for each in usable if each not in leaving}
        if not leaving or not staying:
            return upstream[0]

        def server(line: re.Match[str]) -> str:
            if line.groups() in leaving:
                return f"{line[1]}{line[2]}:{line[3]} down{line[4]};"
            options = re.sub(r"\bmax_fails=\d+", "max_fails=0", line[4]) if len(staying) == 1 else line[4]
            return f"{line[1]}{line[2]}:{line[3]}{options};"

        return _SERVER.sub(server, upstream[0])

    return _BLOCK.sub(block, text)


def _texts(node: Node) -> dict[str, str]:
    paths = [path for path in (UPSTREAMS, STREAM_UPSTREAMS) if node.at(path).exists()]
    return {path: node.at(path).read_text() for path in paths}


def _original(kept: dict[str, Any], path: str, text: str) -> str:
    return kept[path]["original"] if kept.get(path, {}).get("edited") == text else text


def _marked(text: str) -> set[tuple[str, int]]:
    """The servers that receive no requests."""
    return {(address, int(port)) for _, address, port, options in _SERVER.findall(text) if "down" in options.split()}


def _write(node: Node, path: str, text: str, why: str) -> bool:
    """Replace a file. Returns whether its text changed."""
    target = node.at(path)
    if target.read_text() == text:
        return False
    node.before(f"{why} {path}")
    new, status = target.with_name(f".{target.name}.tandem"), target.stat()
    new.write_text(text)
    os.chown(new, status.st_uid, status.st_gid)
    new.chmod(status.st_mode & 0o7777)
    new.replace(target)
    return True
