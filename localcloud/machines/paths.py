"""Where one cloud keeps its things; alone in its file, for the command needs it long before it needs a machine."""

from __future__ import annotations

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

    @property
    def cgroup(self) -> str:
        return f"localcloud/{self.cloud}"
