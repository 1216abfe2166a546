"""Archives that are delivered side by side, and a symbolic link to the current one: releases and static content."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.kinds.archive import Archive
from provisioning.kinds.base import UnitAction
from provisioning.kinds.directory import Directory
from provisioning.kinds.link import Link
from provisioning.kinds.old_archives import OldArchives


@dataclass(frozen=True, slots=True)
class Delivery:
    """An archive at `path` below `directory`. Only the link changes what is in use, in one step, also in a rollback."""

    directory: str  # "/opt/iam"
    source: str
    sha256: str
    path: str
    keep: int  # previous archives
    after: tuple[UnitAction, ...] = ()

    @property
    def current(self) -> str:
        return f"{self.directory}/current"

    def received(self) -> list[Directory | Archive]:
        """What does not affect running services."""
        return [Directory(self.directory), Archive(self.source, self.sha256, self.path, after=self.after)]

    def link(self) -> Link:
        """Comes before the units that use the archive."""
        return Link(self.current, self.path, after=self.after)

    def old(self) -> OldArchives:
        """Comes after the units, so that a rollback finds the previous archive."""
        return OldArchives(self.path, self.keep)
