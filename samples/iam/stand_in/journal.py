"""Log lines: time, level, message, fields as JSON, to stdout (systemd's journal) and to files."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TextIO


class Journal:
    """Writes whole lines; thread-safe. Files are opened for append, so that logrotate's copytruncate works."""

    def __init__(self, name: str, outputs: Sequence[TextIO]) -> None:
        self._name = name
        self._outputs = tuple(outputs)
        self._lock = threading.Lock()

    @classmethod
    def open(cls, name: str, output_paths: Sequence[str]) -> Journal:
        """Targets are `stdout`, `stderr` or file names. Raises OSError if a file's directory does not exist."""
        streams = {"stdout": sys.stdout, "stderr": sys.stderr}
        return cls(
            name, [streams.get(path) or Path(path).open("a", encoding="utf-8", buffering=1) for path in output_paths]
        )

    def info(self, message: str, **fields: object) -> None:
        self._write("INFO", message, fields)

    def warn(self, message: str, **fields: object) -> None:
        self._write("WARN", message, fields)

    def error(self, message: str, **fields: object) -> None:
        self._write("ERROR", message, fields)

    def _write(self, level: str, message: str, fields: dict[str, object]) -> None:
        stamp = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        suffix = f"\t{json.dumps(fields, default=str)}" if fields else ""
        line = f"{stamp}\t{level}\t{self._name}\t{message}{suffix}\n"
        with self._lock:
            for output in self._outputs:
                output.write(line)
                output.flush()
