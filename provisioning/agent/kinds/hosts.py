"""Names in /etc/hosts: a block between two marks."""

from __future__ import annotations

import os
from typing import Any

from ..files import replace_text
from ..node import Node

_PATH = "/etc/hosts"
_BEGIN, _END = "# Tandem: names of the group", "# Tandem: end"


def facts(node: Node, questions: list[str]) -> dict[str, list[str]]:
    """The lines of the block; none if the file is a link, which another program may rewrite."""
    block = [] if node.at(_PATH).is_symlink() else _divide(_lines(node))[1]
    return dict.fromkeys(questions, block)


def prepare(node: Node, items: list[dict[str, Any]]) -> None:
    for item in items:
        before, _, after = _divide(_lines(node))
        text = "\n".join([*before, _BEGIN, *item["lines"], _END, *after]) + "\n"
        node.before("write " + _PATH)
        # All programs read it.
        replace_text(node, node.at(_PATH), text, owner=(os.geteuid(), os.getegid()), mode=0o644)


def _lines(node: Node) -> list[str]:
    target = node.at(_PATH)
    return target.read_text(encoding="utf-8", errors="surrogateescape").splitlines() if target.exists() else []


def _divide(lines: list[str]) -> tuple[list[str], list[str], list[str]]:
    """The lines before the block, in it, and after it."""
    if _BEGIN not in lines or _END not in lines[lines.index(_BEGIN) :]:
        return lines, [], []
    begin = lines.index(_BEGIN)
    end = lines.index(_END, begin)
    return lines[:begin], lines[begin + 1 : end], lines[end + 1 :]
