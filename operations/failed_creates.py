"""The record of failed creates whose objects have not been searched yet (failures.py)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from operations.errors import OperationError
from operations.failures import Uncertain
from operations.files import write_file


@dataclass(frozen=True, slots=True)
class FailedCreates:
    """The record in a file. Contains no secrets."""

    file: Path

    def read(self) -> list[Uncertain]:
        """Raises OperationError if the file is damaged: an object could be created a second time."""
        if not self.file.exists():
            return []
        try:
            return json.loads(self.file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise OperationError(
                f"{self.file} cannot be read: {error}\n"
                "  it lists creates that failed in an earlier run although their objects may exist\n"
                "  search for them in the console, delete those that are not in the stack, then delete the file"
            ) from None

    def add(self, uncertain: Iterable[Uncertain]) -> None:
        """Raises OperationError as `read`."""
        by_urn = {each["urn"]: each for each in (*self.read(), *uncertain)}
        write_file(self.file, json.dumps(list(by_urn.values())))

    def clear(self) -> None:
        self.file.unlink(missing_ok=True)
