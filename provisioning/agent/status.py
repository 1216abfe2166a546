"""What this node does now, for `tandem status`; and its log lines, for `tandem logs`. Changes nothing."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from typing import Any

from . import access_log
from .drained import drained_routers
from .kinds import rpm
from .node import NOT_FOUND, Node
from .previous import version_facts
from .serving import addresses_held, read_node_file
from .systemd import unit_facts

ERROR_LOG = "/var/log/nginx/error.log"
# nginx reports the request of the health checks that must be refused (health/public_checks.py) as an error.
OWN_CHECK = f"client intended to send too large body: {1 << 50} bytes"
_WINDOW_S = 10
_TAIL_BYTES = 512 * 1024
_PACKAGES = ("nginx", "keepalived", "mariadb-server", "redis-server", "redis")  # the last one on the RHEL family
# Each command of Tandem opens a session, which writes some 20 lines. The unit ssh has its login.
_SESSION = re.compile(r"session-\S+\.scope$|user@\d+$|user-runtime-dir@\d+$|user-\d+\.slice$|run-user-|systemd-logind$")
_READ = 5  # lines of the journal for each one that is shown
# keepalived writes "(VI_1) Entering MASTER STATE"; journalctl -o short-unix begins each line with the seconds.
_TRANSITION = re.compile(r"^(\d+\.\d+) .*\((\S+)\) Entering (MASTER|BACKUP|FAULT) STATE", re.MULTILINE)
_ERROR = re.compile(r"^(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) (.*)$", re.MULTILINE)


def status(node: Node, *, virtual_ips: list[str], links: list[str]) -> dict[str, Any]:
    """The state of this node. `links` are symbolic links whose targets name the current releases."""
    units: list[str] = read_node_file(node)["units"]
    held, since = addresses_held(node, virtual_ips), _master_since(node)
    return {
        "now": node.wall_clock(),
        "held": {address: since.get(address, 0.0) for address in held},
        "vrrp": node.at("/etc/tandem/switchover.json").exists(),
        "draining": bool(drained_routers(node)),
        "units": {name: fact["started"] for name, fact in unit_facts(node, units).items()},
        "packages": _packages(node),
        "releases": {link: node.at(link).resolve().name for link in links},
        "versions": version_facts(node),
        "traffic": traffic(node),
    }


def traffic(node: Node) -> dict[str, float]:
    """Requests and errors (5xx) in nginx's access log within the last seconds, and the length of that time."""
    now, (text, whole) = node.wall_clock(), _tail(node, access_log.PATH)
    found = access_log.requests(text)
    recent = [(at, code) for at, code in found if at > now - _WINDOW_S]
    # A busy log has more lines in this time than were read.
    complete = not found or found[0][0] <= now - _WINDOW_S or whole
    seconds = _WINDOW_S if complete else max(1.0, now - found[0][0])
    return {"requests": len(recent), "errors": sum(code >= "500" for _, code in recent), "seconds": seconds}


def _tail(node: Node, path: str) -> tuple[str, bool]:
    """The end of a log, and whether that is all of it; empty if logrotate has just renamed it."""
    try:
        with node.at(path).open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - _TAIL_BYTES))
            return log.read().decode("utf-8", "replace"), size <= _TAIL_BYTES
    except FileNotFoundError:
        return "", True


def logs(node: Node, *, units: list[str], since: str, lines: int, position: dict[str, Any] | None) -> dict[str, Any]:
    """Log lines of units, the oldest first: of the journal, and of nginx's error log.

    Without `position`, the newest `lines` since a time of journalctl; otherwise all that were written after the
    position that an earlier call has returned. An empty list of units means all but those of login sessions.
    """
    entries, cursor = _journal(node, units, since, lines, position)
    size = node.at(ERROR_LOG).stat().st_size if node.at(ERROR_LOG).exists() else 0
    begin = max(0, size - _TAIL_BYTES) if position is None else min(position["size"], size)
    if not units or "nginx" in units:
        entries += _errors(node, begin, size)
    entries.sort(key=lambda entry: entry["at"])
    first = entries[-lines:] if position is None else entries
    return {"entries": first, "position": {"cursor": cursor, "size": size}}


def _journal(
    node: Node, units: list[str], since: str, lines: int, position: dict[str, Any] | None
) -> tuple[list[dict[str, Any]], str]:
    fields = "--output-fields=MESSAGE,_SYSTEMD_UNIT,UNIT,SYSLOG_IDENTIFIER"
    chosen = [f"--unit={unit}" for unit in units]
    cursor = position["cursor"] if position else ""
    # With --since, journalctl counts --lines from the oldest line, unless it reads backwards (systemd 252).
    begin = [f"--after-cursor={cursor}"] if cursor else [f"--since={since}", f"--lines={lines * _READ}", "--reverse"]
    result = node.run_checked("logs", ["journalctl", "--no-pager", "--quiet", "--output=json", fields, *chosen, *begin])
    entries: list[dict[str, Any]] = []
    for line in result.splitlines() if cursor else reversed(result.splitlines()):
        data = json.loads(line)
        cursor = data["__CURSOR"]
        unit = _unit(data)
        if units or not _SESSION.match(unit):
            entries.append({"at": int(data["__REALTIME_TIMESTAMP"]) / 1e6, "unit": unit, "text": _text(data)})
    return entries, cursor


def _unit(data: dict[str, Any]) -> str:
    # UNIT: the unit that systemd writes about.
    name = str(data.get("UNIT") or data.get("_SYSTEMD_UNIT") or data.get("SYSLOG_IDENTIFIER") or "")
    return name.removesuffix(".service")


def _text(data: dict[str, Any]) -> str:
    message = data.get("MESSAGE")
    if isinstance(message, list):  # bytes that are not UTF-8
        return bytes(message).decode("utf-8", "replace")
    return message if isinstance(message, str) else "(a message without text)"


def _errors(node: Node, begin: int, end: int) -> list[dict[str, Any]]:
    if begin >= end:
        return []
    with node.at(ERROR_LOG).open("rb") as log:
        log.seek(begin)
        text = log.read(end - begin).decode("utf-8", "replace")
    return [
        {"at": dt.datetime.strptime(at, "%Y/%m/%d %H:%M:%S").timestamp(), "unit": "nginx", "text": rest}  # noqa: DTZ007 - nginx writes the node's local time
        for at, rest in _ERROR.findall(text)
        if OWN_CHECK not in rest
    ]


def _master_since(node: Node) -> dict[str, float]:
    """Since when this node is master of each virtual IP, as far as the journal reaches."""
    routers: dict[str, list[str]] = json.loads(node.read("/etc/tandem/switchover.json") or "{}").get("routers", {})
    command = ["journalctl", "--no-pager", "--quiet", "--output=short-unix", "--unit=keepalived", "--lines=1000"]
    last = {router: (state, float(at)) for at, router, state in _TRANSITION.findall(node.run(command).out)}
    return {
        address: at for router, (state, at) in last.items() for address in routers.get(router, ()) if state == "MASTER"
    }


def _packages(node: Node) -> dict[str, str]:
    shown = node.run(
        ["dpkg-query", "--show", "--showformat", "${Package}\\t${db:Status-Status}\\t${Version}\\n", *_PACKAGES]
    )
    if shown.code == NOT_FOUND:
        return rpm.facts(node, list(_PACKAGES))
    rows = [line.split("\t") for line in shown.out.splitlines()]
    return {row[0]: row[2] for row in rows if row[1:2] == ["installed"]}
