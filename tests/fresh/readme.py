"""The commands that README tells a newcomer to type."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"

# What README asks for before its first command: Debian packages of a machine that has a clone and can type `make`.
PREREQUISITES = ("ca-certificates", "git", "make")


def find_commands(text: str) -> list[str]:
    """The lines of the first code block under "Try it", word for word. Raises ValueError where there is none."""
    block = re.search(r"^## Try it$.*?^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    if block is None:
        raise ValueError('README.md has no code block under "## Try it"')
    return [line for line in block[1].splitlines() if line.strip()]
