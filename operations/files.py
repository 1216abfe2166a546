"""Writes files that another run reads."""

from __future__ import annotations

import os
from pathlib import Path


def write_file(path: Path, text: str, *, mode: int = 0o666) -> None:
    """Replace a file in one step: a writer that is killed leaves the old content. Raises OSError.

    A link stays a link, and a device such as /dev/stdout is written to.
    """
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    # Another command may write the same file at the same time.
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
        file.write(text)
    beside.replace(target)
