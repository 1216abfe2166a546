"""Paths of the files of one cloud; a separate module, because the command needs it without the rest of the package."""

from __future__ import annotations

import os
import re
import uuid
from dataclasses import dataclass
from pathlib import Path

from localcloud.errors import LocalcloudError

# No dash, or cloud `a` would treat the namespaces of cloud `a-b` as its own.
_CLOUD_NAME = re.compile(r"[a-z0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class Paths:
    """Directories and files of one cloud. Raises LocalcloudError for an invalid name."""

    cloud: str
    state_root: Path = Path("/var/lib/localcloud")
    run_root: Path = Path("/run/localcloud")

    def __post_init__(self) -> None:
        if not _CLOUD_NAME.fullmatch(self.cloud):
            raise LocalcloudError(f"the cloud's name must be 1 to 20 characters of a-z and 0-9 (got {self.cloud!r})")

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
    def daemon_log(self) -> Path:
        return self.state / "daemon.log"

    def identity(self) -> str:
        """Created with the cloud's first records and deleted with them: a different id means another cloud of the same
        name.
        """
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
