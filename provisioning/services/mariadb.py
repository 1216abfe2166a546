"""MariaDB on the first node: its configuration, the schema, and accounts for the group's nodes alone."""

from __future__ import annotations

from provisioning import placeholders
from provisioning.deployment import Deployment, Node
from provisioning.kinds.account import Account
from provisioning.kinds.base import Thing, restart
from provisioning.kinds.database import Database
from provisioning.kinds.file import File
from provisioning.kinds.grant import Grant
from provisioning.kinds.package import Package
from provisioning.kinds.query import Query
from provisioning.kinds.unit import Unit
from provisioning.rendering import render
from provisioning.services.data import MARIADB_PORT, POOL_SIZE

# The schema's triggers act as this account, whoever deletes a row (iam.md 2). MariaDB does not listen on loopback,
# so nobody logs in with it.
_DEFINER_HOST = "127.0.0.1"
_DATA_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
# For monitoring, `mariadb` as root and the notices of a full pool.
_SPARE_CONNECTIONS = 30


def desired(deployment: Deployment, node: Node) -> list[Thing]:
    """Nothing where the data is elsewhere."""
    if node != deployment.data_node:
        return []
    settings, unit = deployment.data, restart("mariadb")
    return [
        Package("mariadb-server"),
        File(
            "/etc/mysql/mariadb.conf.d/60-tandem.cnf",
            render(
                "mariadb/server.cnf.j2",
                address=node.private_address,
                port=MARIADB_PORT,
                max_connections=POOL_SIZE * len(deployment.nodes) + _SPARE_CONNECTIONS,
                buffer_pool_mib=settings.buffer_pool_mib,
            ),
            after=(unit,),
        ),
        File("/etc/systemd/system/mariadb.service.d/tandem.conf", render("mariadb/unit.conf.j2"), after=(unit,)),
        Unit("mariadb"),
        *_accounts(deployment),
        Database(settings.database, schema=f"{deployment.release.path}/sql/iam.sql"),
        _administrator(settings.database),
        _nobody_else(deployment),
    ]


def _accounts(deployment: Deployment) -> list[Thing]:
    user, database = deployment.data.username, deployment.data.database
    password = placeholders.placeholder(placeholders.MARIADB_IAM_PASSWORD)
    things: list[Thing] = [
        Account("iam", _DEFINER_HOST, password),
        Grant("iam", _DEFINER_HOST, database, (*_DATA_RIGHTS, "TRIGGER")),
    ]
    for node in deployment.nodes:
        things += [
            Account(user, node.private_address, password),
            Grant(user, node.private_address, database, _DATA_RIGHTS),
        ]
    return things


def _nobody_else(deployment: Deployment) -> Query:
    """The accounts of nodes that have left the group go: their addresses may be somebody else's by now."""
    values = {
        "users": ", ".join(f"'{user}'" for user in sorted({"iam", deployment.data.username})),
        "hosts": ", ".join(
            f"'{host}'" for host in (_DEFINER_HOST, *(node.private_address for node in deployment.nodes))
        ),
    }
    return Query(
        "no accounts for other addresses",
        deployment.data.database,
        render("mariadb/drop_other_accounts.sql.j2", **values).strip(),
        unless=render("mariadb/no_other_accounts.sql.j2", **values).strip(),
    )


def _administrator(database: str) -> Query:
    """The account `admin` with our password: once, and again when the secret changes.

    The mark of the hash that we set last is kept in extendShadow. So a password changed by its owner stays, and the
    published default that upstream's schema brings goes.
    """
    hashed = placeholders.placeholder(placeholders.IAM_ADMIN_PASSWORD_HASH)
    return Query(
        "the administrator's account",
        database,
        render("mariadb/administrator.sql.j2", password_hash=hashed).strip(),
        unless=render("mariadb/administrator_is_set.sql.j2", password_hash=hashed).strip(),
    )
