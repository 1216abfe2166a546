"""MariaDB, through its local socket as root."""

from __future__ import annotations

import re
from typing import Any

from .machine import Machine, StepError


def _sql(machine: Machine, statements: str, database: str = "") -> str:
    argv = ["mariadb", "--batch", "--skip-column-names", "--raw", *([database] if database else [])]
    return machine.must("mariadb", argv, statements)


def mariadb_facts(
    machine: Machine, databases: list[str], accounts: list[list[str]], queries: list[list[str]]
) -> dict[str, Any]:
    """Databases with their schema's marker, accounts with their password's hash, grants as MariaDB words them."""
    facts: dict[str, Any] = {"databases": {}, "accounts": {}, "grants": {}, "met": []}
    if not (databases or accounts or queries):
        return facts
    told = machine.run(
        ["mariadb", "--batch", "--skip-column-names", "--raw"],
        text="SELECT s.schema_name, IF(s.schema_comment = '' AND EXISTS (SELECT 1 FROM information_schema.tables t"
        " WHERE t.table_schema = s.schema_name), 'filled by somebody else', s.schema_comment)"
        " FROM information_schema.schemata s;"
        "SELECT '--accounts', '';"
        "SELECT CONCAT(user, '@', host), authentication_string FROM mysql.user;",
    )
    if told.code:  # not installed or not running: then nothing of it is there yet
        return facts
    into = facts["databases"]
    for row in told.out.splitlines():
        name, _, value = row.partition("\t")
        if name == "--accounts":
            into = facts["accounts"]
        else:
            into[name] = value
    for user, host in accounts:
        if f"{user}@{host}" in facts["accounts"]:
            facts["grants"][f"{user}@{host}"] = _grants(machine, user, host)
    for name, database, unless in queries:
        if database in facts["databases"]:
            told = machine.run(["mariadb", "--batch", "--skip-column-names", "--raw", database], text=unless + ";\n")
            if told.code == 0 and told.out.strip():
                facts["met"].append(name)
    return facts


def _grants(machine: Machine, user: str, host: str) -> dict[str, list[str]]:
    told = machine.run(["mariadb", "--batch", "--skip-column-names"], text=f"SHOW GRANTS FOR {account(user, host)};")
    found = re.findall(r"^GRANT (.+?) ON `([^`]+)`\.\* TO", told.out, re.MULTILINE)
    return {database: sorted(right.strip() for right in rights.split(",")) for rights, database in found}


def database(machine: Machine, action: dict[str, Any]) -> list[str]:
    name, schema = action["name"], action["schema"]
    machine.before("database " + name)
    _sql(machine, f"CREATE DATABASE IF NOT EXISTS `{name}` DEFAULT CHARACTER SET utf8mb4;")
    if not schema:
        return [f"created database {name}"]
    # The mark travels with the data, onto another machine too. A load that was cut off is repeated; a database
    # that somebody else filled is left alone, since a schema may begin by dropping its tables.
    _sql(machine, f"ALTER DATABASE `{name}` COMMENT 'schema loading by tandem';")
    machine.before(f"load database {name}")
    _sql(machine, machine.at(schema).read_text(), name)
    machine.before(f"mark database {name}")
    _sql(machine, f"ALTER DATABASE `{name}` COMMENT 'schema loaded by tandem';")
    return [f"loaded {schema} into database {name}"]


def set_account(machine: Machine, action: dict[str, Any]) -> list[str]:
    who = account(action["user"], action["host"])
    machine.before(f"account {who}")
    hashed = f"IDENTIFIED VIA mysql_native_password USING '{action['password_hash']}'"
    _sql(machine, f"CREATE USER IF NOT EXISTS {who} {hashed}; ALTER USER {who} {hashed};")
    return [f"set account {who}"]


def grant(machine: Machine, action: dict[str, Any]) -> list[str]:
    who, database = account(action["user"], action["host"]), action["database"]
    wanted = sorted(action["privileges"])
    machine.before(f"grant {who}")
    _sql(machine, f"GRANT {', '.join(wanted)} ON `{database}`.* TO {who};")
    # What is too much goes after what was missing came: the services never stand without their rights.
    has = _grants(machine, action["user"], action["host"]).get(database, [])
    surplus = [right for right in has if right not in wanted]
    if surplus:
        _sql(machine, f"REVOKE {', '.join(surplus)} ON `{database}`.* FROM {who};")
    return [f"granted {', '.join(wanted)} on {database} to {who}"]


def query(machine: Machine, action: dict[str, Any]) -> list[str]:
    machine.before("query " + action["name"])
    _sql(machine, action["statement"] + ";\n", action["database"])
    return ["set " + action["name"]]


def account(user: str, host: str) -> str:
    for part in (user, host):
        if re.search(r"['\\`\s]", part):
            raise StepError("mariadb", f"{part!r} is no name for an account")
    return f"'{user}'@'{host}'"
