"""`tandem report`: one self-contained HTML page about a stack: topology, state, last changes, last drill."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from operations.drill.report import read_report
from operations.errors import OperationError
from operations.health import group_by_target
from operations.status import (
    NODE_COLUMNS,
    GroupStatus,
    cells_of,
    describe_backups,
    describe_rollout,
    describe_virtual_ip,
)
from operations.topology import draw, from_group
from provisioning.health.checks import Group

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, autoescape=True, trim_blocks=True,
    lstrip_blocks=True,
)  # fmt: skip


def make_page(
    group: Group,
    status: GroupStatus,
    history: Sequence[Mapping[str, Any]],
    drill: Mapping[str, Any] | None,
    now: datetime | None = None,
) -> str:
    """Return the page. `history` is that of `pulumi stack history --json`; it contains no secret."""
    now = now or datetime.now(UTC)
    held = {node.name: node.held for node in status.nodes}
    return _TEMPLATES.get_template("report.html.j2").render(
        stack=status.stack,
        made=f"{now:%Y-%m-%d %H:%M} UTC",
        topology=draw(from_group(group, status.stack, held)),
        state=_state(status, now.timestamp()),
        health=group_by_target(status.health) if status.health else {},
        changes=[_change(each) for each in history],
        drill=drill,
    )


def _state(status: GroupStatus, now: float) -> dict[str, Any]:
    """What `tandem status` shows, without the health checks, which have a table of their own."""
    return {
        "rollout": describe_rollout(status),
        "virtual_ips": [describe_virtual_ip(status, address, now) for address in status.virtual_ips],
        "columns": NODE_COLUMNS,
        "nodes": [(bool(node.error), cells_of(node)) for node in status.nodes],
        "errors": [node.error for node in status.nodes if node.error],
        "backups": describe_backups(status.backups, now) if status.backups is not None else "",
    }


def _change(update: Mapping[str, Any]) -> dict[str, str]:
    counts: Mapping[str, int] = update.get("resourceChanges") or {}
    changed = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()) if word != "same")
    environment: Mapping[str, str] = update.get("environment") or {}
    return {
        "at": str(update.get("endTime") or update.get("startTime") or ""),
        "kind": str(update.get("kind", "")),
        "result": str(update.get("result", "")),
        "changes": changed or "no changes",
        "by": environment.get("git.author") or environment.get("pulumi.env.PULUMI_USER") or "",
        "commit": environment.get("git.head", "")[:12],
    }


def find_last_drill(directory: Path, stack: str) -> dict[str, Any] | None:
    """The newest result that `tandem drill` of this version has written, or None."""
    results = re.compile(rf"{re.escape(stack)}-\d{{8}}T\d{{6}}Z\.json")  # without those of a stack `prod-eu`
    files = directory.iterdir() if directory.exists() else ()
    for file in sorted((file for file in files if results.fullmatch(file.name)), reverse=True):
        try:
            return read_report(file)
        except OperationError:  # incomplete, or of another version
            continue
    return None
