"""Shows commands and their output as a picture of a terminal (SVG)."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

WIDTH = 118


@dataclass(frozen=True, slots=True)
class Step:
    """A command as the user types it, and what it printed."""

    command: str
    output: str


def as_text(step: Step) -> str:
    """The same as plain text."""
    lines = [f"$ {step.command}", *Text.from_ansi(step.output).plain.splitlines()]
    return "".join(f"{line.rstrip()[:WIDTH]}\n" for line in lines)


def shortened(output: str, first: int, last: int) -> str:
    """The first and the last lines, with a mark for what is left out."""
    lines = output.rstrip().splitlines()
    if len(lines) <= first + last + 1:
        return "\n".join(lines)
    return "\n".join([*lines[:first], "...", *lines[len(lines) - last :]])


def draw(title: str, steps: Sequence[Step]) -> str:
    """The picture. The same steps give the same bytes."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for step in steps:
        console.print(Text.assemble(("$ ", "bold green"), (step.command, "bold")), soft_wrap=False)
        console.print(Text.from_ansi(step.output), no_wrap=True, overflow="ellipsis", crop=True)
    picture = console.export_svg(title=title, theme=DIMMED_MONOKAI, unique_id=f"recording-{title.replace(' ', '-')}")
    # Rich names a font on the web; a picture in a page may not load it, and needs none.
    picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    return re.sub(r"\s*<!-- Generated with Rich.*?-->", "", picture).replace("Fira Code", "ui-monospace")
