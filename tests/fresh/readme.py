"""The commands of the README for first-time users."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"

# The Debian packages that the README requires before its first command: to clone the repository and run `make`.
PREREQUISITES = ("ca-certificates", "git", "make")


def find_commands(text: str) -> list[str]:
    """Return the lines of the first code block under "Try it". Raises: ValueError when there is none."""
    block = re.search(r"^## Try it$.*?^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    if block is None:
        raise ValueError('README.md has no code block under "## Try it"')
    return [line for line in block[1].splitlines() if line.strip()]
