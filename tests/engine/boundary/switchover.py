"""Stand-in for provisioning.switchover. The API has no instances behind its records.

Files in the project directory control its results and record the requested operations.
"""

from __future__ import annotations

import time
from pathlib import Path

from provisioning.errors import SwitchoverError
from provisioning.inventory import Inventory


def switch_over(inventory: Inventory, name: str) -> None:
    _keep("switch over", inventory, name)


def retire(inventory: Inventory, name: str) -> None:
    _keep("retire", inventory, name)


def _keep(what: str, inventory: Inventory, name: str) -> None:
    assert inventory.get(name)
    with Path("asked").open("a", encoding="utf-8") as asked:
        asked.write(f"{time.time():.1f} {what} {name}\n")
    times = Path("asked").read_text(encoding="utf-8").count(f" {what} ")
    refused = Path("refuse").read_text(encoding="utf-8") if Path("refuse").exists() else ""
    if Path("no-peer").exists() or refused == f"{what} {times}":
        raise SwitchoverError(f"{name}: no other node serves", seen="connection refused")
