"""The tables of what MariaDB and Redis hold: accounts, databases, statements, audit records."""

from __future__ import annotations

from collections.abc import Callable

from fake_databases import PASSWORD
from kind_bench import ABSENT, DRIFTED, LINK, OWNER, PRESENT, READ_ONLY, Bench, NotApplicable, Row, Table

from provisioning.kinds.account import Account, password_hash
from provisioning.kinds.audit_queue import AuditQueue
from provisioning.kinds.base import Item
from provisioning.kinds.database import Database
from provisioning.kinds.grant import Grant
from provisioning.kinds.query import Query
from provisioning.kinds.remote_account import RemoteAccount

Arrange = Callable[[Bench], object]
_OWNER = NotApplicable("MariaDB has no owners or modes of its rows; its privileges are the kind `grant`")
_LINK = NotApplicable("MariaDB's own files are not written by Tandem")
_READ_ONLY = "The MariaDB server is running with the --read-only option"


def _nothing(_bench: Bench) -> None:
    pass


def _locked(then: Arrange = _nothing) -> Arrange:
    def arrange(bench: Bench) -> None:
        then(bench)
        bench.system.server.read_only = True

    return arrange


def _unlocked(bench: Bench) -> None:
    bench.system.server.read_only = False


_NAME = "iam@10.0.4.22"


def _account(password: str) -> Arrange:
    return lambda bench: bench.system.server.accounts.update({_NAME: password_hash(password)})


def _has_password(bench: Bench) -> None:
    assert bench.system.server.accounts == {_NAME: password_hash("secret")}


ACCOUNT = Table(
    Account("iam", "10.0.4.22", "secret"),
    {
        ABSENT: Row(_nothing, "missing", after=_has_password),
        PRESENT: Row(_account("secret")),
        DRIFTED: Row(_account("other"), "password differs", after=_has_password),
        OWNER: _OWNER,
        LINK: _LINK,
        READ_ONLY: Row(_locked(), "missing", _READ_ONLY, repair=_unlocked, after=_has_password),
    },
)


def _has_user(bench: Bench) -> None:
    assert bench.system.server.users == {"dba", "svc"}


_REFUSED = "ERROR 1045 (28000): Access denied"
REMOTE_ACCOUNT = Table(
    RemoteAccount("10.0.9.1:3306", "svc", "10.0.4.20", "secret", "iam", ("SELECT",), "dba", "dba-pass"),
    {
        ABSENT: Row(_nothing, _REFUSED, after=_has_user),
        PRESENT: Row(lambda bench: bench.system.server.users.add("svc")),
        DRIFTED: NotApplicable("with another password the login fails, as without the account"),
        OWNER: _OWNER,
        LINK: _LINK,
        READ_ONLY: Row(_locked(), _REFUSED, _READ_ONLY, repair=_unlocked, after=_has_user),
        "an administrator who cannot log in": Row(
            lambda bench: bench.system.server.users.clear(), _REFUSED, f"dba cannot create it: {_REFUSED}",
            repair=lambda bench: bench.system.server.users.add("dba"), after=_has_user,
        ),
    },
)  # fmt: skip


def _granted(*rights: str) -> Arrange:
    return lambda bench: bench.system.server.grants.update({f"{_NAME} on iam": set(rights)})


def _has_rights(bench: Bench) -> None:
    assert bench.system.server.grants == {f"{_NAME} on iam": {"INSERT", "SELECT"}}


_RIGHTS = "must be SELECT, INSERT"
GRANT = Table(
    Grant("iam", "10.0.4.22", "iam", ("SELECT", "INSERT")),
    {
        ABSENT: Row(_nothing, f"privileges are none, {_RIGHTS}", after=_has_rights),
        PRESENT: Row(_granted("SELECT", "INSERT")),
        DRIFTED: Row(_granted("SELECT", "DROP"), f"privileges are DROP, SELECT, {_RIGHTS}", after=_has_rights),
        OWNER: _OWNER,
        LINK: _LINK,
        READ_ONLY: Row(
            _locked(), f"privileges are none, {_RIGHTS}", _READ_ONLY, repair=_unlocked, after=_has_rights
        ),
    },
)  # fmt: skip

_VERSION = "a" * 12
_LOADED = f"schema {_VERSION} loaded by tandem"


def _database(comment: str | None) -> Arrange:
    def arrange(bench: Bench) -> None:
        bench.text("/opt/app/iam.sql", "CREATE TABLE user (id INT);\n")
        bench.system.databases = {} if comment is None else {"iam": comment}

    return arrange


def _is_loaded(bench: Bench) -> None:
    assert bench.system.databases == {"iam": _LOADED}


DATABASE = Table(
    Database("iam", "/opt/app/iam.sql", _VERSION),
    {
        ABSENT: Row(_database(None), "missing", after=_is_loaded),
        PRESENT: Row(_database(_LOADED)),
        DRIFTED: Row(_database("schema loading by tandem"), "schema is incomplete", after=_is_loaded),
        OWNER: _OWNER,
        LINK: _LINK,
        READ_ONLY: Row(_locked(_database(None)), "missing", _READ_ONLY, repair=_unlocked, after=_is_loaded),
        "the schema of another release": Row(
            _database(f"schema {'b' * 12} loaded by tandem"), f"schema {'b' * 12} must be migrated to {_VERSION}",
            f"The release must contain sql/migrate-{'b' * 12}.sql",
        ),
    },
)  # fmt: skip


def _has_row(bench: Bench) -> None:
    assert len(bench.system.server.rows) == 1


QUERY = Table(
    Query("the administrator's account", "iam", "INSERT INTO user VALUES (1)", "SELECT 1 FROM user"),
    {
        ABSENT: Row(_nothing, "must be applied", after=_has_row),
        PRESENT: Row(lambda bench: bench.system.server.rows.add("INSERT")),
        DRIFTED: NotApplicable("its condition holds or it does not; a wrong row is an absent one"),
        OWNER: _OWNER,
        LINK: _LINK,
        READ_ONLY: Row(_locked(), "must be applied", _READ_ONLY, repair=_unlocked, after=_has_row),
    },
)


def _queue(bench: Bench) -> Item:
    return AuditQueue("127.0.0.1", bench.redis_port, PASSWORD, 5)


def _lock(remaining_ms: int, *, refuses: str = "") -> Arrange:
    def arrange(bench: Bench) -> None:
        bench.redis.lock_ms, bench.redis.refuses = remaining_ms, refuses

    return arrange


def _is_unlocked(bench: Bench) -> None:
    assert bench.redis.deleted == ["iam-pump"]


_STALE = "held for 60 s by a pump that was stopped"
_REDIS = NotApplicable("a key of Redis is no file")
AUDIT_QUEUE = Table(
    _queue,
    {
        ABSENT: Row(_nothing),
        PRESENT: Row(_lock(595_000)),
        DRIFTED: Row(_lock(540_000), _STALE, after=_is_unlocked),
        OWNER: _REDIS,
        LINK: _REDIS,
        READ_ONLY: Row(
            _lock(540_000, refuses="MISCONF Redis is configured to save, but cannot write to its disk"), _STALE,
            "MISCONF Redis is configured to save", repair=_lock(540_000), after=_is_unlocked,
        ),
    },
)  # fmt: skip

TABLES = {
    "account": ACCOUNT, "audit_queue": AUDIT_QUEUE, "database": DATABASE, "grant": GRANT, "query": QUERY,
    "remote_account": REMOTE_ACCOUNT,
}  # fmt: skip
