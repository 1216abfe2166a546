"""Users, secrets and policies, as stored in the tables and as shown by the API."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .jsontext import dump, timestamp


@dataclass(slots=True)
class Metadata:
    name: str
    id: int = 0  # 0 = not stored yet
    instance_id: str = ""
    extend: dict[str, Any] = field(default_factory=dict[str, Any])
    created_at: datetime | None = None
    updated_at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"id": self.id, "instanceID": self.instance_id, "name": self.name}
        if self.extend:
            shown["extend"] = self.extend
        if self.created_at and self.updated_at:
            shown |= {"createdAt": timestamp(self.created_at), "updatedAt": timestamp(self.updated_at)}
        return shown

    @property
    def extend_shadow(self) -> str:
        """The column `extendShadow`."""
        return dump(self.extend)


@dataclass(slots=True)
class User:
    metadata: Metadata
    nickname: str
    password: str  # bcrypt hash once stored
    email: str
    phone: str = ""
    is_admin: int = 0
    status: int = 1  # 1 = usable
    logined_at: datetime | None = None

    def to_json(self, total_policy: int = 0) -> dict[str, Any]:
        shown = self._outline(total_policy)
        return {
            "metadata": shown.pop("metadata"),
            "status": self.status,
            "nickname": shown.pop("nickname"),
            "password": self.password,
            "email": shown.pop("email"),
            "phone": shown.pop("phone"),
            **({"isAdmin": self.is_admin} if self.is_admin else {}),
            **shown,
        }

    def to_list_json(self, total_policy: int) -> dict[str, Any]:
        """Lists omit the hash and the administrator flag, and always show status 0 (as in the real server)."""
        shown = self._outline(total_policy)
        return {"metadata": shown.pop("metadata"), "status": 0, **shown}

    def _outline(self, total_policy: int) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "metadata": self.metadata.to_json(),
            "nickname": self.nickname,
            "email": self.email,
            "phone": self.phone,
            "totalPolicy": total_policy,
        }
        if self.logined_at:
            shown["loginedAt"] = timestamp(self.logined_at)
        return shown


@dataclass(slots=True)
class Secret:
    metadata: Metadata
    username: str
    secret_id: str  # 36 characters; the `kid` of authz tokens
    secret_key: str  # 32 characters; signs them
    expires: int = 0  # unix seconds; 0 = never
    description: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "metadata": self.metadata.to_json(),
            "username": self.username,
            "secretID": self.secret_id,
            "secretKey": self.secret_key,
            "expires": self.expires,
            "description": self.description,
        }


@dataclass(slots=True)
class Policy:
    metadata: Metadata
    username: str
    policy: dict[str, Any]  # as `ladon.to_json` shows it

    def to_json(self) -> dict[str, Any]:
        return {"metadata": self.metadata.to_json(), "username": self.username, "policy": self.policy}

    @property
    def policy_shadow(self) -> str:
        """The column `policyShadow`."""
        return dump(self.policy)


def load_shadow(text: str | None) -> dict[str, Any]:
    """Parse the JSON of a shadow column; it may be empty in older rows."""
    value = json.loads(text) if text else {}
    return value if isinstance(value, dict) else {}


_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_SIZE = 36**6


def instance_id(kind: str, number: int) -> str:
    """`user-j4lz3g`: six characters that do not reveal the row number.

    Unique, because the factor is coprime to 36**6.
    """
    scrambled = (number * 1_580_030_173 + 748_301) % _SIZE
    letters = ""
    for _ in range(6):
        scrambled, digit = divmod(scrambled, 36)
        letters += _ALPHABET[digit]
    return f"{kind}-{letters}"
