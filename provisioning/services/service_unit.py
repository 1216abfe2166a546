"""The systemd unit of a service that runs from a release: the IAM services, and services of the user's own."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.kinds.base import restart
from provisioning.kinds.file import File
from provisioning.rendering import render


@dataclass(frozen=True, slots=True)
class ServiceUnit:
    """A hardened unit that runs under an account without privileges and can write only where it is told."""

    name: str  # "iam-apiserver"
    purpose: str
    user: str
    working_directory: str
    command: tuple[str, ...]  # systemd expands ${NAME} in it
    after: tuple[str, ...] = ()  # units that are started before, if they are started
    wants: tuple[str, ...] = ()  # units that are started too, and before
    environment: tuple[tuple[str, str], ...] = ()
    environment_file: str = ""
    state_directory: str = ""  # below /var/lib
    writes: tuple[str, ...] = ()  # other directories in which it may write
    runs_to_its_end: bool = False  # started by a timer
    condition: str = ""  # it runs only if this command succeeds
    kill_mode: str = ""
    stop_timeout_s: int = 15
    open_files: int = 65_536
    memory_mib: int | None = None
    cpu_percent: int | None = None
    tasks: int | None = None

    def file(self) -> File:
        """The unit file. A change restarts the service; a command that runs to its end is not interrupted."""
        after = () if self.runs_to_its_end else (restart(self.name),)
        return File(f"/etc/systemd/system/{self.name}.service", render("app/service.j2", unit=self), after=after)
