"""The SSH server, which distributions run as a service or by a socket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Item


@dataclass(frozen=True, slots=True)
class SshServer(Item):
    """sshd is enabled and runs, as ssh.service or by ssh.socket (Ubuntu 24.04). A socket that works is kept.

    On Debian, starting the service would stop the socket: the units conflict, and after a reboot neither may run.
    """

    service: str = "ssh"

    @property
    def label(self) -> str:
        return "SSH server"

    def question(self) -> str:
        return self.service

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        return (
            None if answer.get(self.service) else f"neither {self.service}.service nor its socket is enabled and runs"
        )

    def operation(self) -> dict[str, Any]:
        return {"service": self.service}

    def follows(self) -> Sequence[str]:
        return (self.service,)
