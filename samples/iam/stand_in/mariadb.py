"""The store in MariaDB (or MySQL)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from .config import Config
from .mariadb_pool import Pool
from .records import Metadata, Policy, Secret, User, instance_id, load_shadow
from .stores import Page

_USER_COLUMNS = "name, status, nickname, password, email, phone, isAdmin, extendShadow, loginedAt"
_SECRET_COLUMNS = "name, username, secretID, secretKey, expires, description, extendShadow"  # noqa: S105 - columns
_POLICY_COLUMNS = "name, username, policyShadow, extendShadow"


class MariaDbStore:
    """See `stores.Store`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @classmethod
    def connect(cls, config: Config) -> MariaDbStore:
        """Raises StoreError if the database does not answer or has no table `user`."""
        host, _, port = config.text("mysql.host").rpartition(":")
        pool = Pool(
            host=host,
            port=int(port),
            user=config.text("mysql.username"),
            password=config.text("mysql.password"),
            database=config.text("mysql.database"),
            size=config.number("mysql.max-open-connections"),
        )
        store = cls(pool)
        store.list_users(Page(limit=0))
        return store

    def close(self) -> None:
        """Close idle connections."""
        self._pool.close()

    # -- users -------------------------------------------------------------------------------------------------------

    def find_user(self, name: str) -> User | None:
        rows = self._rows("SELECT * FROM user WHERE name = %s AND status = 1", name)
        return _user(rows[0]) if rows else None

    def list_users(self, page: Page) -> tuple[int, list[User]]:
        total, rows = self._page("user", "status = 1", (), page)
        return total, [_user(row) for row in rows]

    def create_user(self, user: User) -> None:
        self._create("user", _USER_COLUMNS, _user_values(user), user.metadata)

    def save_user(self, user: User) -> None:
        self._save("user", _USER_COLUMNS, _user_values(user), user.metadata)

    def delete_users(self, names: Sequence[str]) -> None:
        # Delete the policies first: the trigger on `user` also deletes them, but not in the order of policy_audit.
        self._delete("policy", "username IN %s", names)
        self._delete("user", "name IN %s", names)

    # -- secrets -----------------------------------------------------------------------------------------------------

    def find_secret(self, username: str, name: str) -> Secret | None:
        rows = self._rows("SELECT * FROM secret WHERE username = %s AND name = %s ORDER BY id LIMIT 1", username, name)
        return _secret(rows[0]) if rows else None

    def list_secrets(self, username: str | None, page: Page) -> tuple[int, list[Secret]]:
        total, rows = self._page("secret", *_owned_by(username), page)
        return total, [_secret(row) for row in rows]

    def create_secret(self, secret: Secret) -> None:
        self._create("secret", _SECRET_COLUMNS, _secret_values(secret), secret.metadata)

    def save_secret(self, secret: Secret) -> None:
        self._save("secret", _SECRET_COLUMNS, _secret_values(secret), secret.metadata)

    def delete_secrets(self, username: str, names: Sequence[str]) -> None:
        self._delete("secret", "name IN %s AND username = %s", names, username)

    # -- policies ----------------------------------------------------------------------------------------------------

    def find_policy(self, username: str, name: str) -> Policy | None:
        rows = self._rows("SELECT * FROM policy WHERE username = %s AND name = %s ORDER BY id LIMIT 1", username, name)
        return _policy(rows[0]) if rows else None

    def list_policies(self, username: str | None, page: Page) -> tuple[int, list[Policy]]:
        total, rows = self._page("policy", *_owned_by(username), page)
        return total, [_policy(row) for row in rows]

    def create_policy(self, policy: Policy) -> None:
        self._create("policy", _POLICY_COLUMNS, _policy_values(policy), policy.metadata)

    def save_policy(self, policy: Policy) -> None:
        self._save("policy", _POLICY_COLUMNS, _policy_values(policy), policy.metadata)

    def delete_policies(self, username: str, names: Sequence[str]) -> None:
        self._delete("policy", "name IN %s AND username = %s", names, username)

    # -- statements: table and column names are constants of this file; values are always parameters --

    def _create(self, table: str, columns: str, values: tuple[Any, ...], metadata: Metadata) -> None:
        now = datetime.now(UTC)
        marks = ", ".join(["%s"] * len(values))
        with self._pool.transaction() as cursor:
            cursor.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", values)  # noqa: S608 - names are constants; values are parameters
            metadata.id = int(cursor.lastrowid)
            metadata.instance_id = instance_id(table, metadata.id)
            cursor.execute(f"UPDATE {table} SET instanceID = %s WHERE id = %s", (metadata.instance_id, metadata.id))  # noqa: S608 - names are constants; values are parameters
        metadata.created_at = metadata.updated_at = now

    def _save(self, table: str, columns: str, values: tuple[Any, ...], metadata: Metadata) -> None:
        assignments = ", ".join(f"{column} = %s" for column in columns.split(", "))
        with self._pool.transaction() as cursor:
            cursor.execute(
                f"UPDATE {table} SET {assignments}, updatedAt = UTC_TIMESTAMP() WHERE id = %s",  # noqa: S608 - names are constants; values are parameters
                (*values, metadata.id),
            )
        metadata.updated_at = datetime.now(UTC)

    def _delete(self, table: str, where: str, names: Sequence[str], *values: Any) -> None:
        if names:
            with self._pool.transaction() as cursor:
                cursor.execute(f"DELETE FROM {table} WHERE {where}", (tuple(names), *values))  # noqa: S608 - names are constants; values are parameters

    def _page(self, table: str, where: str, values: Sequence[Any], page: Page) -> tuple[int, list[dict[str, Any]]]:
        condition = f"{where} AND name LIKE %s"
        pattern = f"%{page.name_contains}%"
        limit = page.limit if page.limit >= 0 else 2**63 - 1
        with self._pool.transaction() as cursor:
            cursor.execute(f"SELECT COUNT(*) AS total FROM {table} WHERE {condition}", (*values, pattern))  # noqa: S608 - names are constants; values are parameters
            total = int((cursor.fetchone() or {"total": 0})["total"])
            if limit == 0:
                return total, []
            cursor.execute(
                f"SELECT * FROM {table} WHERE {condition} ORDER BY id DESC LIMIT %s OFFSET %s",  # noqa: S608 - names are constants; values are parameters
                (*values, pattern, limit, max(page.offset, 0)),
            )
            return total, list(cursor.fetchall())

    def _rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        with self._pool.transaction() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())


def _owned_by(username: str | None) -> tuple[str, tuple[str, ...]]:
    return ("username = %s", (username,)) if username is not None else ("1 = 1", ())


def _metadata(row: dict[str, Any]) -> Metadata:
    return Metadata(
        name=row["name"],
        id=row["id"],
        instance_id=row["instanceID"] or "",
        extend=load_shadow(row["extendShadow"]),
        created_at=row["createdAt"].replace(tzinfo=UTC),
        updated_at=row["updatedAt"].replace(tzinfo=UTC),
    )


def _user(row: dict[str, Any]) -> User:
    return User(
        metadata=_metadata(row),
        nickname=row["nickname"],
        password=row["password"],
        email=row["email"],
        phone=row["phone"] or "",
        is_admin=row["isAdmin"],
        status=row["status"],
        logined_at=row["loginedAt"].replace(tzinfo=UTC) if row["loginedAt"] else None,
    )


def _user_values(user: User) -> tuple[Any, ...]:
    return (
        user.metadata.name,
        user.status,
        user.nickname,
        user.password,
        user.email,
        user.phone,
        user.is_admin,
        user.metadata.extend_shadow,
        user.logined_at.astimezone(UTC).replace(tzinfo=None) if user.logined_at else None,
    )


def _secret(row: dict[str, Any]) -> Secret:
    return Secret(
        metadata=_metadata(row),
        username=row["username"],
        secret_id=row["secretID"],
        secret_key=row["secretKey"],
        expires=row["expires"],
        description=row["description"],
    )


def _secret_values(secret: Secret) -> tuple[Any, ...]:
    return (
        secret.metadata.name,
        secret.username,
        secret.secret_id,
        secret.secret_key,
        secret.expires,
        secret.description,
        secret.metadata.extend_shadow,
    )


def _policy(row: dict[str, Any]) -> Policy:
    return Policy(metadata=_metadata(row), username=row["username"], policy=load_shadow(row["policyShadow"]))


def _policy_values(policy: Policy) -> tuple[Any, ...]:
    return policy.metadata.name, policy.username, policy.policy_shadow, policy.metadata.extend_shadow
