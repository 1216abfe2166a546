"""The distribution of the node."""

from __future__ import annotations

import shlex

from ..node import Node


def facts(node: Node, questions: list[str]) -> dict[str, str]:
    """ID, VERSION_ID and PRETTY_NAME of os-release(5); "" for those that are missing."""
    del questions
    words = shlex.split(node.read("/etc/os-release") or node.read("/usr/lib/os-release"), comments=True)
    found = dict(word.split("=", 1) for word in words if "=" in word)
    return {key: found.get(name, "") for key, name in _NAMES.items()}


_NAMES = {"id": "ID", "version": "VERSION_ID", "title": "PRETTY_NAME"}
