"""How an error is shown."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text


def print_error(error: object, console: Console | None = None) -> None:
    """Print an error, on stderr by default. Its text may contain brackets, which Rich would interpret as markup."""
    console = console or Console(stderr=True)
    console.print(Text.assemble(("error:", "red"), f" {error}"), highlight=False, soft_wrap=True)
