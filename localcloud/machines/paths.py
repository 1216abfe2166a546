"""Where one cloud keeps its things; alone in its file, for the command needs it long before it needs a machine."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Paths:
    """Where one cloud keeps its things."""

    cloud: str
    state_root: Path = Path("/var/lib/localcloud")
    run_root: Path = Path("/run/localcloud")

    @property
    def state(self) -> Path:
        return self.state_root / self.cloud

    @property
    def run(self) -> Path:
        return self.run_root / self.cloud

    @property
    def machines(self) -> Path:
        return self.state / "machines"

    @property
    def disks(self) -> Path:
        return self.state / "disks"

    @property
    def control_socket(self) -> Path:
        return self.run / "control.sock"

    def identity(self) -> str:
        """Made with the cloud's first records, and gone with them: another id is another cloud of the same name."""
        path = self.state / "id"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(f".{os.getpid()}")
            partial.write_text(f"{uuid.uuid4()}\n")
            partial.rename(path)
        return path.read_text().strip()

    @property
    def cgroup(self) -> str:
        return f"localcloud/{self.cloud}"
