"""SSH keys that may log in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.kinds.base import Item, Turn


@dataclass(frozen=True, slots=True)
class AuthorizedKey(Item):
    """A public key with which a user may log in, besides others.

    When it has left the manifest, it is removed for all users: the cloud gives it to the user of the image too.
    """

    name: str  # "deployment key"
    user: str
    key: str  # "ssh-rsa AAAA...", with or without a comment; may be a placeholder

    @property
    def label(self) -> str:
        return f"{self.name} of {self.user}"

    def question(self) -> dict[str, str]:
        return {"user": self.user, "key": self.key}

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        return answer.get(f"{self.user} {_without_comment(self.key)}", "not authorized") or None

    def turn(self) -> Turn:
        return Turn.BEFORE_OTHERS

    def removal(self) -> dict[str, Any]:
        return {"user": self.user, "key": _without_comment(self.key)}

    def operation(self) -> dict[str, Any]:
        return {"user": self.user, "key": self.key}


def _without_comment(key: str) -> str:
    return " ".join(key.split()[:2])
