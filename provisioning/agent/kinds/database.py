"""MariaDB databases.

The comment of a database records the state of its schema. It moves with the data to another node.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

from .. import held_data
from ..mariadb import escape_pattern, query_as, rows, run
from ..node import Node, StepError

LOADING = "schema loading by tandem"
_OTHER = "other content"
_LOADER = "tandem_schema"  # exists only while a schema is loaded
BACKUP = "/usr/local/lib/tandem/backup"  # provisioning/programs/database_backup
BACKUP_UNIT = "tandem-backup.service"
_LOAD_DEADLINE_S = 600
RESTORE_DEADLINE_S = 6 * 3600  # for the largest database, as in `tandem restore`


def facts(node: Node, questions: list[str]) -> dict[str, str]:
    """The comment of each database; "other content" if a database with tables has none."""
    del questions
    return rows(
        node,
        "SELECT s.schema_name, IF(s.schema_comment = '' AND EXISTS (SELECT 1 FROM information_schema.tables t"
        " WHERE t.table_schema = s.schema_name), 'other content', s.schema_comment)"
        " FROM information_schema.schemata s;",
    )


def commit(node: Node, item: dict[str, Any]) -> list[str]:
    name, schema, version = item["name"], item["schema"], item["version"]
    state = facts(node, [name]).get(name)
    if state in (None, "", LOADING):
        return _create(node, item)
    if not schema:
        return []
    if state == _OTHER:
        _mark(node, name, f"schema {version} loaded by tandem")
        return [f"recorded schema {version} of database {name}"]
    recorded = re.fullmatch(r"schema ([0-9a-f]{12}) (loaded|migrating) by tandem", state or "")
    if recorded is None or recorded.groups() == (version, "loaded"):
        return []
    if recorded[1] not in item["migrations"]:
        raise StepError("database", f"{name} has schema {recorded[1]}, which the release cannot migrate to {version}")
    return _migrate(node, item, recorded[1], backup=recorded[2] == "loaded")


def _create(node: Node, item: dict[str, Any]) -> list[str]:
    # A schema may begin with DROP TABLE: a database with other content is never loaded, and the accounts of the
    # services get their privileges only after the load (provisioning/services/mariadb.py).
    name, schema, version = item["name"], item["schema"], item["version"]
    held_data.refuse_empty(node, f"database {name} does not exist")
    node.before("database " + name)
    run(node, f"CREATE DATABASE IF NOT EXISTS `{name}` DEFAULT CHARACTER SET utf8mb4;")
    if backup := held_data.chosen_backup(node):
        node.before(f"restore database {name}")
        node.run_checked("restore", [BACKUP, "restore", backup], timeout_s=RESTORE_DEADLINE_S)
        return [f"restored database {name} from backup {backup}", *commit(node, item)]
    if not schema:
        return [f"created database {name}"]
    _mark(node, name, LOADING)
    node.before(f"load database {name}")
    _load(node, name, schema)
    _mark(node, name, f"schema {version} loaded by tandem")
    return [f"loaded {schema} into database {name}"]


def _migrate(node: Node, item: dict[str, Any], recorded: str, *, backup: bool) -> list[str]:
    """Run the release's migration. It is repeated if it is interrupted, because DDL cannot be rolled back."""
    name = item["name"]
    done: list[str] = []
    if backup and node.at(BACKUP).exists():
        node.before(f"back up database {name}")
        # Its copies may fail without harm: the next nightly backup repeats them.
        node.run_checked("back up", [BACKUP, "create", "--local"], timeout_s=RESTORE_DEADLINE_S)
        done = [f"backed up database {name}"]
    _mark(node, name, f"schema {recorded} migrating by tandem")
    node.before(f"migrate database {name}")
    _load(node, name, str(PurePosixPath(item["schema"]).with_name(f"migrate-{recorded}.sql")))
    _mark(node, name, f"schema {item['version']} loaded by tandem")
    return [*done, f"migrated database {name} from schema {recorded} to {item['version']}"]


def _mark(node: Node, name: str, state: str) -> None:
    node.before(f"mark database {name}")
    run(node, f"ALTER DATABASE `{name}` COMMENT '{state}';")


def _load(node: Node, name: str, file: str) -> None:
    """Load a file with an account that can use this database only. A file may say `USE other` or DROP DATABASE."""
    with _loader(node, name) as password:
        result = query_as(
            node,
            _LOADER,
            password,
            statements=node.at(file).read_text(),
            database=name,
            timeout_s=_LOAD_DEADLINE_S,
        )
    if result.code:
        seen = f"{file} can use no other database than {name}\n{result.err or result.out}"
        raise StepError("database", f"{file} cannot be loaded into database {name}", seen)


@contextmanager
def _loader(node: Node, name: str) -> Generator[str, None, None]:
    """An account with all privileges on one database. Yields its password."""
    account, password = f"'{_LOADER}'@'localhost'", secrets.token_hex(16)
    run(
        node,
        f"DROP USER IF EXISTS {account}; CREATE USER {account} IDENTIFIED BY '{password}';"
        f" GRANT ALL PRIVILEGES ON `{escape_pattern(name)}`.* TO {account};"
        # SET USER permits triggers with the definer that the schema names.
        f" GRANT SET USER ON *.* TO {account};",
    )
    try:
        yield password
    finally:
        run(node, f"DROP USER IF EXISTS {account};")
