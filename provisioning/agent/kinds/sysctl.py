"""Kernel settings."""

from __future__ import annotations

from typing import Any

from ..node import Node


def _boot_file(key: str) -> str:
    return f"/etc/sysctl.d/60-tandem-{key}.conf"


def facts(node: Node, questions: list[str]) -> dict[str, dict[str, str]]:
    """The current value, and the text of the file that is read at boot."""
    return {
        key: {
            "now": " ".join(node.read("/proc/sys/" + key.replace(".", "/")).split()),
            "boot": node.read(_boot_file(key)),
        }
        for key in questions
    }


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    key, value = item["key"], item["value"]
    target = node.at(_boot_file(key))
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(target.name + ".new")
    new.write_text(f"{key} = {value}\n")
    node.before("sysctl " + key)
    new.replace(target)
    node.run_checked(f"sysctl {key}", ["sysctl", "-q", "-w", f"{key}={value}"])
    return [f"set {key} = {value}"]
