"""Names in /etc/hosts: a block between two marks."""

from __future__ import annotations

from typing import Any

from ..files import sync_directory
from ..node import Node

_PATH = "/etc/hosts"
_BEGIN, _END = "# Tandem: names of the group", "# Tandem: end"


def facts(node: Node, questions: list[str]) -> dict[str, list[str]]:
    """The lines of the block."""
    _, block, _ = _divide(_text(node))
    return dict.fromkeys(questions, block)


def prepare(node: Node, items: list[dict[str, Any]]) -> None:
    for item in items:
        before, _, after = _divide(_text(node))
        target = node.at(_PATH)
        new = target.with_name(f".{target.name}.tandem")
        new.write_text("\n".join([*before, _BEGIN, *item["lines"], _END, *after]) + "\n")
        new.chmod(0o644)
        node.before("write " + _PATH)
        new.replace(target)
        sync_directory(node, target.parent)


def _text(node: Node) -> list[str]:
    target = node.at(_PATH)
    return target.read_text(errors="replace").splitlines() if target.exists() else []


def _divide(lines: list[str]) -> tuple[list[str], list[str], list[str]]:
    """The lines before the block, in it, and after it."""
    if _BEGIN not in lines or _END not in lines[lines.index(_BEGIN) :]:
        return lines, [], []
    begin = lines.index(_BEGIN)
    end = lines.index(_END, begin)
    return lines[:begin], lines[begin + 1 : end], lines[end + 1 :]
