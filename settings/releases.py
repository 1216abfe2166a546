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


def read_release(path: Path, expected_sha256: str | None = None) -> Release:
    """Check the content of an archive, and its checksum if one is expected. Raises: ReleaseError."""
    try:
        sha256 = file_sha256(path)
        if expected_sha256 is not None and sha256 != expected_sha256:
            raise ReleaseError(
                f"the IAM release {path} must have the checksum of tandem:iam.sha256 "
                f"(got {sha256}, requested {expected_sha256})",
                "the file is incomplete, or it is another release",
            )
        with tarfile.open(path, "r:gz") as archive:
            names = {name.removeprefix("./") for name in archive.getnames()}
    except (OSError, tarfile.TarError) as error:
        raise ReleaseError(f"the IAM release {path} cannot be read as a .tar.gz", str(error)) from error
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        raise ReleaseError(
            f"the IAM release {path} must contain {' and '.join(missing)}",
            f"it contains: {', '.join(sorted(names)[:20])}",
        )
    return Release(str(path), sha256)


def file_sha256(path: Path) -> str:
    """Return the checksum of a file. Raises: OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
