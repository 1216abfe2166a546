"""The SSH server, which distributions run as a service or by a socket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Item

SERVICE = "ssh"


@dataclass(frozen=True, slots=True)
class SshServer(Item):
    """sshd is enabled and runs, as ssh.service or by ssh.socket (Ubuntu 24.04). A socket that works is kept.

    On Debian, starting the service would stop the socket: the units conflict, and after a reboot neither may run.
    """

    @property
    def label(self) -> str:
        return "SSH server"

    def question(self) -> str:
        return SERVICE

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        return None if answer.get(SERVICE) else "neither ssh.service nor ssh.socket is enabled and runs"

    def operation(self) -> dict[str, Any]:
        return {}

    def follows(self) -> Sequence[str]:
        return (SERVICE,)
