"""TCP ports that a service listens on."""

from __future__ import annotations

from typing import Any

from ..node import Node
from ..results import fail, ok

_ANY = ("0.0.0.0", "*", "[::]")  # noqa: S104 - how ss shows a socket that is bound to all addresses


def check(node: Node, item: dict[str, Any]) -> list[dict[str, Any]]:
    address, port, unit = item["address"], item["port"], item["unit"]
    lines = node.run(["ss", "-Hltn"]).out.splitlines()
    listening = {words[3] for line in lines if (words := line.split())}  # state, queues, local address
    if listening.intersection(f"{each}:{port}" for each in (address, *_ANY)):
        return [ok("ports", str(port))]
    return [fail(f"port {port}", f"{unit} does not listen on {address}:{port}", f"journalctl -u {unit}")]
