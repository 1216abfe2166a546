"""SELinux on distributions of the RHEL family."""

from __future__ import annotations

from typing import Any

from ..node import Node


def facts(node: Node, questions: list[list[str]]) -> dict[str, Any]:
    """Whether SELinux is in use, and the domains that it does not confine."""
    del questions
    mode = node.run(["getenforce"])
    if mode.code or mode.out.strip() == "Disabled":
        return {"enabled": False, "permissive": []}
    return {"enabled": True, "permissive": node.run(["semanage", "permissive", "--list", "--noheading"]).out.split()}


def prepare(node: Node, items: list[dict[str, Any]]) -> None:
    known: list[str] = facts(node, [])["permissive"]
    for domain in (domain for item in items for domain in item["permissive"] if domain not in known):
        node.before(f"semanage permissive {domain}")
        node.run_checked("SELinux", ["semanage", "permissive", "--add", domain], timeout_s=120)
