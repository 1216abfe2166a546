"""Stand-in for provisioning.traffic.node_changes. The API has no instances behind its records.

Files in the project directory control its results and record the requested operations.
"""

from __future__ import annotations

import time
from pathlib import Path

from provisioning.errors import SwitchoverError
from provisioning.traffic.node_changes import Group


def take_out_node(group: Group, name: str) -> None:
    _keep("take out", group, name)


def retire(group: Group, name: str) -> None:
    _keep("retire", group, name)


def demote(group: Group, name: str) -> None:
    _keep("demote", group, name)


def put_back_node(group: Group, name: str, *, changed: bool) -> None:
    assert changed, "the hooks put back nodes whose instance was changed"
    _keep("put back", group, name)


def resume_node(group: Group, name: str) -> None:
    _keep("resume", group, name)


def _keep(what: str, group: Group, name: str) -> None:
    assert group.inventory.get(name)
    with Path("asked").open("a", encoding="utf-8") as asked:
        asked.write(f"{time.time():.1f} {what} {name}\n")
    times = Path("asked").read_text(encoding="utf-8").count(f" {what} ")
    refused = Path("refuse").read_text(encoding="utf-8") if Path("refuse").exists() else ""
    if Path("no-peer").exists() or refused == f"{what} {times}":
        raise SwitchoverError(f"{name}: no other node serves", seen="connection refused")
