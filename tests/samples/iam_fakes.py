"""In-memory fakes of the two stores, with the same contract as the stores in MariaDB and Redis.

`test_stores.py` runs the same tests against both.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from samples.iam.stand_in.records import Metadata, Policy, Secret, User, instance_id
from samples.iam.stand_in.stores import DuplicateNameError, MessagesError, Page, StoreError


class _Row(Protocol):
    metadata: Metadata


Row = TypeVar("Row", bound=_Row)
_NAME_WIDTH = 45  # width of the database column


class MemoryStore:
    """A store that copies rows in and out like a database. `down` makes every call fail."""

    def __init__(self) -> None:
        self.users: list[User] = []
        self.secrets: list[Secret] = []
        self.policies: list[Policy] = []
        self.policy_audit: list[Policy] = []
        self.down = False
        self._numbers = 0

    def find_user(self, name: str) -> User | None:
        return self._first([user for user in self.users if user.metadata.name == name and user.status == 1])

    def list_users(self, page: Page) -> tuple[int, list[User]]:
        return self._page([user for user in self.users if user.status == 1], page)

    def create_user(self, user: User) -> None:
        if any(other.metadata.name == user.metadata.name for other in self.users):
            raise DuplicateNameError(user.metadata.name)
        self._create("user", self.users, user)

    def save_user(self, user: User) -> None:
        self._save(self.users, user)

    def delete_users(self, names: Sequence[str]) -> None:
        self._check()
        for name in names:
            self.secrets = [secret for secret in self.secrets if secret.username != name]
            self._delete_policies(lambda policy, owner=name: policy.username == owner)
            self.users = [user for user in self.users if user.metadata.name != name]

    def find_secret(self, username: str, name: str) -> Secret | None:
        return self._first([row for row in self.secrets if (row.username, row.metadata.name) == (username, name)])

    def list_secrets(self, username: str | None, page: Page) -> tuple[int, list[Secret]]:
        return self._page([secret for secret in self.secrets if username in {None, secret.username}], page)

    def create_secret(self, secret: Secret) -> None:
        self._create("secret", self.secrets, secret)

    def save_secret(self, secret: Secret) -> None:
        self._save(self.secrets, secret)

    def delete_secrets(self, username: str, names: Sequence[str]) -> None:
        self._check()
        self.secrets = [row for row in self.secrets if row.username != username or row.metadata.name not in names]

    def find_policy(self, username: str, name: str) -> Policy | None:
        return self._first([row for row in self.policies if (row.username, row.metadata.name) == (username, name)])

    def list_policies(self, username: str | None, page: Page) -> tuple[int, list[Policy]]:
        return self._page([policy for policy in self.policies if username in {None, policy.username}], page)

    def create_policy(self, policy: Policy) -> None:
        self._create("policy", self.policies, policy)

    def save_policy(self, policy: Policy) -> None:
        self._save(self.policies, policy)

    def delete_policies(self, username: str, names: Sequence[str]) -> None:
        self._check()
        self._delete_policies(lambda row: row.username == username and row.metadata.name in names)

    def _delete_policies(self, matches: Callable[[Policy], bool]) -> None:
        self.policy_audit += [policy for policy in self.policies if matches(policy)]
        self.policies = [policy for policy in self.policies if not matches(policy)]

    def _check(self) -> None:
        if self.down:
            raise StoreError("the database is down")

    def _first(self, rows: list[Row]) -> Row | None:
        self._check()
        return copy.deepcopy(rows[0]) if rows else None

    def _page(self, rows: list[Row], page: Page) -> tuple[int, list[Row]]:
        self._check()
        found = [row for row in reversed(rows) if page.name_contains in row.metadata.name]
        end = len(found) if page.limit < 0 else page.offset + page.limit
        return len(found), copy.deepcopy(found[page.offset : end])

    def _create(self, kind: str, rows: list[Row], row: Row) -> None:
        self._check()
        if len(row.metadata.name) > _NAME_WIDTH:
            raise StoreError("Data too long for column 'name'")
        self._numbers += 1
        row.metadata.id = self._numbers
        row.metadata.instance_id = instance_id(kind, self._numbers)
        row.metadata.created_at = row.metadata.updated_at = datetime.now(UTC)
        rows.append(copy.deepcopy(row))

    def _save(self, rows: list[Row], row: Row) -> None:
        self._check()
        row.metadata.updated_at = datetime.now(UTC)
        for position, other in enumerate(rows):
            if other.metadata.id == row.metadata.id:
                rows[position] = copy.deepcopy(row)


class MemoryMessages:
    """One Redis, shared by all users of the object. `cut()` ends all subscriptions; `down` makes every call fail."""

    def __init__(self) -> None:
        self.down = False
        self.published: list[tuple[str, str]] = []
        self.lists: dict[str, list[bytes]] = {}
        self.locks: dict[str, str] = {}
        self._changed = threading.Condition()
        self._generation = 0

    def publish(self, channel: str, text: str) -> None:
        self._check()
        with self._changed:
            self.published.append((channel, text))
            self._changed.notify_all()

    def subscribe(self, channel: str, on_subscribed: Callable[[], None], on_message: Callable[[str], None]) -> None:
        self._check()
        with self._changed:
            seen, generation = len(self.published), self._generation
        on_subscribed()
        while True:
            with self._changed:
                while len(self.published) == seen and self._generation == generation:
                    self._changed.wait()
                if self._generation != generation:
                    raise MessagesError("connection lost")
                fresh, seen = self.published[seen:], len(self.published)
            for where, text in fresh:
                if where == channel:
                    on_message(text)

    def cut(self) -> None:
        with self._changed:
            self._generation += 1
            self._changed.notify_all()

    def append(self, key: str, records: Sequence[bytes]) -> None:
        self._check()
        self.lists.setdefault(key, []).extend(records)

    def read_all(self, key: str) -> list[bytes]:
        self._check()
        return list(self.lists.get(key, []))

    def drop(self, key: str, count: int) -> None:
        self._check()
        del self.lists.get(key, [])[:count]

    def acquire(self, key: str, owner: str, seconds: int) -> bool:
        del seconds  # locks do not expire within a test
        self._check()
        return self.locks.setdefault(key, owner) == owner

    def release(self, key: str, owner: str) -> None:
        self._check()
        if self.locks.get(key) == owner:
            del self.locks[key]

    def _check(self) -> None:
        if self.down:
            raise MessagesError("redis is down")
