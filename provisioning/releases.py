"""Which release of the IAM services goes onto the machines: a .tar.gz with bin/, sql/iam.sql and VERSION."""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from provisioning.errors import ProvisioningError

if TYPE_CHECKING:
    from provisioning.deployment import Deployment

_STORE = Path(".tandem/releases")
_WANTED = ("bin/iam-apiserver", "bin/iam-authz-server", "bin/iam-pump", "sql/iam.sql")


@dataclass(frozen=True, slots=True)
class Release:
    source: str  # the archive, on the operator's side; relative to the project's directory or absolute
    sha256: str
    stand_in: bool = False  # ours in Python: wants Debian's Python packages on the machines

    @property
    def path(self) -> str:
        """Where it lies on a machine: releases lie side by side, and the name tells the content."""
        return f"/opt/iam/{self.sha256[:12]}"


def find_release(path: str) -> Release:
    """The release of that path; "" = the stand-in of samples/iam, built on the spot. Raises ProvisioningError."""
    return _read_release(Path(path)) if path else _build_stand_in()


def get_release(deployment: Deployment) -> Release:
    """The deployment's release, or the one that its settings name. Raises ProvisioningError."""
    return deployment.release or find_release(deployment.iam.release)


@cache
def _build_stand_in() -> Release:
    from samples.iam.build import archive, build  # noqa: PLC0415 - only who has no release of their own needs the samples

    sha256 = hashlib.sha256(archive()).hexdigest()
    # Relative to the project: an absolute path would show as a change in another checkout's preview.
    source = _STORE / f"iam-stand-in-{sha256[:12]}.tar.gz"
    build(source)
    return Release(str(source), sha256, stand_in=True)


def _read_release(path: Path) -> Release:
    look_at = "tandem:iam.release in the stack's file"
    try:
        with tarfile.open(path, "r:gz") as archive:
            names = {name.removeprefix("./") for name in archive.getnames()}
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, tarfile.TarError) as error:
        raise ProvisioningError(
            f"the IAM release {path} cannot be read as a .tar.gz", seen=str(error), look_at=look_at
        ) from error
    missing = [name for name in _WANTED if name not in names]
    if missing:
        raise ProvisioningError(
            f"the IAM release {path} has no {' and no '.join(missing)}",
            seen=f"it has: {', '.join(sorted(names)[:20])}",
            look_at=look_at,
        )
    return Release(str(path), sha256)
