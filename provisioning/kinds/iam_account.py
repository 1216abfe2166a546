"""The IAM account that health checks log in with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from provisioning.kinds.base import Item, Phase

USER = "tandem-health"
_NICKNAME = "health checks of Tandem"


@dataclass(frozen=True, slots=True)
class IamAccount(Item):
    """A login and an authorization decision on this node, with an account that belongs to the deployment.

    The administrator's account is not used: its owner may change the password, and its last login would be ours.
    """

    phase: ClassVar[Phase] = Phase.GATE

    apiserver: str  # URL of this node's iam-apiserver
    authz: str  # URL of this node's iam-authz-server
    password: str  # may be a placeholder
    nickname: str = _NICKNAME
    user: str = USER
    deadline_s: int = 60

    @property
    def label(self) -> str:
        return f"IAM account {self.user}"

    def operation(self) -> dict[str, Any]:
        return {
            "unit": "iam-apiserver", "user": self.user, "password": self.password, "nickname": self.nickname,
            "apiserver": self.apiserver, "authz": self.authz, "deadline_s": self.deadline_s,
        }  # fmt: skip


def nickname_of(generation: str) -> str:
    """The nickname of the account, which shows the generation of its password. At most 30 characters."""
    return _NICKNAME if generation == "1" else f"{_NICKNAME} {generation}"
