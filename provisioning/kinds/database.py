"""MariaDB databases."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.agent.kinds.database import RESTORE_DEADLINE_S
from provisioning.kinds.base import Item, Turn

# The agent records the state of the schema in the comment of the database (provisioning/agent/kinds/database.py).
_LOADED = re.compile(r"schema ([0-9a-f]{12}) loaded by tandem")
_MIGRATING = re.compile(r"schema ([0-9a-f]{12}) migrating by tandem")
_LOADING = "schema loading by tandem"
_NOT_RECORDED = "other content"


@dataclass(frozen=True, slots=True)
class Database(Item):
    """A MariaDB database and its schema.

    `schema` is a file on the node, for example in the release. It is loaded into an empty database only. If the load is
    interrupted, it is repeated before any account of the services can use the database. A database whose schema has
    another version is migrated by `migrate-VERSION.sql` beside the schema; without that file the rollout is refused.
    """

    name: str
    schema: str = ""
    version: str = ""  # of the schema: settings.releases.Schema
    migrations: tuple[str, ...] = ()  # the versions from which the release can migrate

    @property
    def label(self) -> str:
        return f"database {self.name}"

    def question(self) -> str:
        return self.name

    def compare(self, answer: Mapping[str, Any]) -> str | None:
        """While MariaDB is not running there are no facts: the database is planned, and its operation is idempotent."""
        if self.name not in answer:
            return "missing"
        state = answer[self.name]
        if not self.schema or state == f"schema {self.version} loaded by tandem":
            return None
        if state in ("", _LOADING):
            return "schema is incomplete"
        if state == _NOT_RECORDED:
            return "version of the schema is not recorded"
        recorded = _recorded(state)
        return f"schema {recorded} must be migrated to {self.version}" if recorded else None

    def refusal(self, answer: Mapping[str, Any]) -> str | None:
        state = answer.get(self.name, "")
        recorded = _recorded(state)
        if not self.schema or recorded in {"", *self.migrations} or (recorded == self.version and _LOADED.match(state)):
            return None
        if recorded == self.version:
            return (
                f"a migration from schema {recorded} was interrupted; deploy the release that it belongs to, or "
                "restore the backup made before it (tandem restore)"
            )
        return (
            f"the release has schema {self.version}, and the database has schema {recorded}. "
            f"The release must contain sql/migrate-{recorded}.sql, which changes the existing tables to the new schema "
            "and can be run twice; it may be empty if the tables are the same (samples/iam/README.md)"
        )

    def turn(self) -> Turn:
        return Turn.BEFORE_OTHERS

    def commit_s(self) -> float:
        return RESTORE_DEADLINE_S

    def operation(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "schema": self.schema,
            "version": self.version,
            "migrations": list(self.migrations),
        }


def _recorded(state: str) -> str:
    """The version of the schema that was loaded, or from which it is being migrated; "" if none is recorded."""
    found = _LOADED.fullmatch(state) or _MIGRATING.fullmatch(state)
    return found[1] if found else ""
