"""`tandem:keepalived.track`: what else raises or lowers the priority of a node."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from settings.base import FrozenModel

INTERFACE = r"^[a-z][a-z0-9._-]{0,14}$"
_NAME = r"^[a-z][a-z0-9_]{0,30}$"
# In double quotes in keepalived.conf; keepalived 2.2.7 requires an absolute path.
COMMAND = r'^/[^"\\\x00-\x1f]+$'

_IN_QUOTES = re.compile("'[^']*'")
_OF_A_SHELL = re.compile(r"[|&;<>`$()*]")


def _not_zero(weight: int) -> int:
    if weight == 0:
        raise ValueError(
            "cannot be 0: with weight 0 a failure puts a node into FAULT, and if the check fails on both nodes, "
            "neither of them holds the virtual IP; use -20, for example"
        )
    return weight


def _lowers(weight: int) -> int:
    if weight > 0:
        raise ValueError(
            f"must be negative (got {weight}): the number in the file has no limit, so it could raise the priority so "
            "far that neither a drain nor another check has an effect; write a larger number for a worse state"
        )
    return weight


def _not_behind_a_link(command: str) -> str:
    path = command.split(" ", maxsplit=1)[0]
    if path.split("/")[1] in {"bin", "sbin", "lib"}:
        raise ValueError(
            f"must be a path without links, such as /usr{path} (got {path}): keepalived 2.3 (Debian 13) refuses "
            "scripts behind links"
        )
    return command


def _needs_no_shell(command: str) -> str:
    """Reject shell syntax: keepalived splits a command at spaces and interprets only quotes. Raises ValueError."""
    if command.count("'") % 2:
        raise ValueError(f"must have an even number of single quotes (got {command})")
    if (found := _OF_A_SHELL.search(_IN_QUOTES.sub("", command))) is not None:
        raise ValueError(
            f"cannot contain {found[0]} outside of single quotes (got {command}): keepalived does not start a shell; "
            "use /usr/bin/dash -c 'COMMAND', or a script"
        )
    return command


Command = Annotated[str, Field(pattern=COMMAND), AfterValidator(_not_behind_a_link), AfterValidator(_needs_no_shell)]
Weight = Annotated[int, Field(ge=-100, le=100), AfterValidator(_not_zero)]
Name = Annotated[str, Field(pattern=_NAME, description="Name in keepalived's configuration and log.")]


class TrackedInterface(FrozenModel):
    """A network interface other than that of the virtual IP, which is always tracked."""

    interface: str = Field(pattern=INTERFACE, description="Network interface, for example `eth1`.")
    weight: Weight = Field(
        description="Change of the priority: negative while the interface is down, positive while it is up."
    )


class TrackedScript(FrozenModel):
    name: Name
    command: Command = Field(
        description="Command with an absolute path, run by root without a shell; exit code 0 means healthy. It must "
        "exist on both eligible nodes, and only root may be able to change it. For another account use "
        "`/usr/sbin/runuser -u ACCOUNT -- COMMAND`.",
    )
    interval_s: int = Field(default=5, ge=1, le=3600, description="Time between two runs.")
    timeout_s: int = Field(default=5, ge=1, le=3600, description="Time after which a run has failed.")
    fall: int = Field(default=2, ge=1, le=100, description="Failed runs before the check fails.")
    rise: int = Field(default=2, ge=1, le=100, description="Successful runs before the check succeeds again.")
    weight: Weight = Field(
        description="Change of the priority: negative while the check fails, positive while it succeeds."
    )


class TrackedProcess(FrozenModel):
    """A process that must run. keepalived does not see that a process hangs."""

    name: Name
    process: str = Field(
        pattern=r"^[A-Za-z0-9/][A-Za-z0-9._/+-]*$", description="Name or path of the process, for example `haproxy`."
    )
    quorum: int = Field(default=1, ge=1, le=1000, description="Number of processes that must run.")
    delay_s: int = Field(default=0, ge=0, le=3600, description="Time that a process may be missing.")
    weight: Weight = Field(
        description="Change of the priority: negative while processes are missing, positive while they run."
    )


class TrackedFile(FrozenModel):
    """A file with a number, which your own software writes."""

    name: Name
    path: str = Field(pattern=COMMAND, description="Absolute path. A missing file counts as 0.")
    weight: Annotated[Weight, AfterValidator(_lowers)] = Field(
        description="Negative factor: the priority changes by this number times the number in the file. Write 0 for a "
        "good state, and a larger number for a worse one; a negative number would raise the priority."
    )


class TrackSettings(FrozenModel):
    """Checks in addition to that of nginx. A node with a lower priority than its peer gives up the virtual IP."""

    interfaces: tuple[TrackedInterface, ...] = Field(default=(), max_length=8, description="Network interfaces.")
    scripts: tuple[TrackedScript, ...] = Field(default=(), max_length=16, description="Commands (`vrrp_script`).")
    processes: tuple[TrackedProcess, ...] = Field(
        default=(),
        max_length=16,
        description="Processes (`vrrp_track_process`). Not on localcloud, whose nodes receive no process events.",
    )
    files: tuple[TrackedFile, ...] = Field(default=(), max_length=16, description="Files with a number.")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.name for each in (*self.scripts, *self.processes, *self.files))

    @property
    def weights(self) -> dict[str, int]:
        """The weight of each check by its key. The effect of a file also depends on its number."""
        found = {f"track.interfaces[{n}].weight": each.weight for n, each in enumerate(self.interfaces)}
        found |= {f"track.scripts[{n}].weight": each.weight for n, each in enumerate(self.scripts)}
        found |= {f"track.processes[{n}].weight": each.weight for n, each in enumerate(self.processes)}
        return found

    @property
    def raised(self) -> int:
        """By how much all checks together raise the priority while they succeed. The effect of a file is not known."""
        return sum(weight for weight in self.weights.values() if weight > 0)
