"""What every command of the engine is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    stack: str
    directory: Path
    config_file: Path | None = None
    state_directory: Path | None = None  # default: .tandem/engine beside Pulumi.yaml
