"""The interfaces of the services to the database and to the messages between nodes.

The programs use `mariadb.MariaDbStore` and `redis_messages.RedisMessages`; tests pass in-memory implementations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .codes import IamError
from .records import Policy, Secret, User

CHANNEL = "iam.cluster.notifications"
AUDIT_LIST = "analytics-iam-system-analytics"
PUMP_LOCK = "iam-pump"
PUMP_LOCK_S = 600


class StoreError(IamError):
    """The database failed. The message contains the reason."""


class DuplicateNameError(StoreError):
    """A user with this name exists already."""


class MessagesError(IamError):
    """Redis failed. The message contains the reason."""


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list, newest first. A limit below zero means all."""

    offset: int = 0
    limit: int = 1000
    name_contains: str = ""


class Store(Protocol):
    """Users, and the secrets and policies of each. Every method raises StoreError.

    `find_*` returns None if no row matches, and the oldest of several rows with one name. `create_*` sets id, instance
    id and times. `delete_*` ignores missing rows.
    """

    def find_user(self, name: str) -> User | None: ...
    def list_users(self, page: Page) -> tuple[int, list[User]]: ...
    def create_user(self, user: User) -> None: ...
    def save_user(self, user: User) -> None: ...
    def delete_users(self, names: Sequence[str]) -> None: ...

    def find_secret(self, username: str, name: str) -> Secret | None: ...
    def list_secrets(self, username: str | None, page: Page) -> tuple[int, list[Secret]]: ...
    def create_secret(self, secret: Secret) -> None: ...
    def save_secret(self, secret: Secret) -> None: ...
    def delete_secrets(self, username: str, names: Sequence[str]) -> None: ...

    def find_policy(self, username: str, name: str) -> Policy | None: ...
    def list_policies(self, username: str | None, page: Page) -> tuple[int, list[Policy]]: ...
    def create_policy(self, policy: Policy) -> None: ...
    def save_policy(self, policy: Policy) -> None: ...
    def delete_policies(self, username: str, names: Sequence[str]) -> None: ...


class Messages(Protocol):
    """Notices, the audit list and the pump's lock. Every method raises MessagesError."""

    def publish(self, channel: str, text: str) -> None: ...

    def subscribe(self, channel: str, on_subscribed: Callable[[], None], on_message: Callable[[str], None]) -> None:
        """Block and call back for each message. Calls `on_subscribed` once, first."""
        ...

    def append(self, key: str, records: Sequence[bytes]) -> None: ...
    def read_all(self, key: str) -> list[bytes]: ...
    def drop(self, key: str, count: int) -> None:
        """Delete the first records of a list."""
        ...

    def acquire(self, key: str, owner: str, seconds: int) -> bool: ...
    def release(self, key: str, owner: str) -> None: ...
