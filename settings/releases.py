"""A release of the IAM services: a .tar.gz with bin/, sql/iam.sql and VERSION."""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass
from pathlib import Path

_REQUIRED = ("bin/iam-apiserver", "bin/iam-authz-server", "bin/iam-pump", "sql/iam.sql")


class ReleaseError(Exception):
    """The setting `iam.release` does not name a valid release."""

    def __init__(self, message: str, seen: str) -> None:
        self.message = message
        super().__init__(f"{message}\n  {seen}\n  look at: tandem:iam.release in the stack's file")


@dataclass(frozen=True, slots=True)
class Release:
    source: str  # path of the archive on the operator's computer, absolute or relative to the project directory
    sha256: str
    stand_in: bool = False  # the Python stand-in, which requires Debian's Python packages on the nodes

    @property
    def path(self) -> str:
        """The directory on a node. Its name identifies the content, so several releases can be installed."""
        return f"/opt/iam/{self.sha256[:12]}"


def read_release(path: Path) -> Release:
    """Check the content of an archive and return the release. Raises: ReleaseError."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            names = {name.removeprefix("./") for name in archive.getnames()}
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, tarfile.TarError) as error:
        raise ReleaseError(f"the IAM release {path} cannot be read as a .tar.gz", str(error)) from error
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        raise ReleaseError(
            f"the IAM release {path} must contain {' and '.join(missing)}",
            f"it contains: {', '.join(sorted(names)[:20])}",
        )
    return Release(str(path), sha256)
