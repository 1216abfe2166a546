"""MariaDB on the first node: configuration, schema, and accounts for the nodes of the group."""

from __future__ import annotations

from provisioning import placeholders
from provisioning.deployment import Deployment, Node
from provisioning.kinds.account import Account
from provisioning.kinds.base import Item, restart
from provisioning.kinds.check import Check
from provisioning.kinds.database import Database
from provisioning.kinds.file import File
from provisioning.kinds.grant import Grant
from provisioning.kinds.iam_account import USER, nickname_of
from provisioning.kinds.query import Query
from provisioning.kinds.remote_account import RemoteAccount
from provisioning.kinds.tables import Tables
from provisioning.kinds.unit import Unit
from provisioning.rendering import render
from provisioning.services.data import MARIADB_PORT, POOL_SIZE
from provisioning.services.packages import packages

# The definer of the schema's triggers (marmotedu/iam 16c723d). MariaDB does not listen on loopback, so this account
# cannot log in.
_DEFINER_HOST = "127.0.0.1"
# Of `admin` in configs/iam.sql of marmotedu/iam 16c723d; its password is public.
_PUBLISHED_HASH = "$2a$10$WnQD2DCfWVhlGmkQ8pdLkesIGPf9KJB7N1mhSOqulbgN7ZMo44Mv2"
_DATA_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE")
# For monitoring, and for `mariadb` as root, while all pools are full.
_SPARE_CONNECTIONS = 30
_TEMPLATE = "provisioning/templates/mariadb/server.cnf.j2"
# Reads all option files, prints the resulting options and exits: with code 0 even if it skips an included file.
_SCRIPT = """
PATH=$PATH:/usr/libexec  # of the RHEL family
seen=$(mariadbd --verbose --help 2>&1 > /dev/null) && ! printf '%s\\n' "$seen" | grep -q '^error:' && exit 0
printf '%s\\n' "$seen"
exit 1
"""


def desired(deployment: Deployment, node: Node) -> list[Item]:
    """The items of the data node; the login to an external database on every node."""
    release = deployment.release
    if release is None:
        return []  # nothing uses it without the IAM services
    if deployment.data.mariadb_address is not None:
        return _external(deployment, node, deployment.data.mariadb_address)
    if node != deployment.data_node:
        return []
    settings, unit = deployment.data, restart("mariadb")
    options = deployment.distribution.family.mariadb_file
    limits = {
        "max_connections": POOL_SIZE * len(deployment.nodes) + _SPARE_CONNECTIONS,
        "buffer_pool_mib": settings.buffer_pool_mib,
    }
    return [
        *packages(deployment, "mariadb-server"),
        Check("mariadb", ("sh", "-c", _SCRIPT), (_configuration(options),), look_at=_TEMPLATE),
        File(
            options.format("60-tandem"),
            render(
                "mariadb/server.cnf.j2",
                address=node.private_address,
                port=MARIADB_PORT,
            ),
            after=(unit,),
        ),
        # Read at a start; `_limits` sets the same values in the running server.
        File(options.format("61-tandem-limits"), render("mariadb/limits.cnf.j2", **limits)),
        File("/etc/systemd/system/mariadb.service.d/tandem.conf", render("mariadb/unit.conf.j2"), after=(unit,)),
        Unit("mariadb", others_need=True),
        *_root(deployment),
        *_definer(deployment),
        Database(
            settings.database,
            schema=f"{release.path}/sql/iam.sql",
            version=release.schema.version,
            migrations=release.schema.migrations,
        ),
        Tables(settings.database, f"{release.path}/sql/iam.sql"),
        _administrator(settings.database),
        Query("the account for health checks", settings.database, *_health_password(deployment)),
        *_accounts(deployment),
        *_limits(**limits),
    ]


def _configuration(options: str) -> str:
    """The directory that the check replaces by a copy with the candidates."""
    return "/etc/mysql" if options.startswith("/etc/mysql/") else "/etc/my.cnf.d"


def _root(deployment: Deployment) -> list[Item]:
    """On the RHEL family, every local account may log in as root without a password after the installation."""
    if deployment.distribution.family.packages == "apt":
        return []
    insecure = "User = 'root' AND Host = 'localhost' AND COALESCE(JSON_VALUE(Priv, '$.plugin'), '') <> 'unix_socket'"
    return [
        Query(
            "root logs in through the socket only",
            "mysql",
            "ALTER USER 'root'@'localhost' IDENTIFIED VIA unix_socket",
            unless=f"SELECT 1 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM global_priv WHERE {insecure})",  # noqa: S608 - constants
        )
    ]


def _definer(deployment: Deployment) -> list[Item]:
    password = placeholders.placeholder(placeholders.MARIADB_IAM_PASSWORD)
    return [
        Account("iam", _DEFINER_HOST, password),
        Grant("iam", _DEFINER_HOST, deployment.data.database, (*_DATA_PRIVILEGES, "TRIGGER")),
    ]


def _accounts(deployment: Deployment) -> list[Item]:
    """The accounts of the nodes. They follow the schema: until it is loaded, no service can write to the database."""
    user, database = deployment.data.username, deployment.data.database
    password = placeholders.placeholder(placeholders.MARIADB_IAM_PASSWORD)
    items: list[Item] = []
    for node in deployment.nodes:
        items += [
            Account(user, node.private_address, password),
            Grant(user, node.private_address, database, _DATA_PRIVILEGES),
        ]
    return items


def _health_password(deployment: Deployment) -> tuple[str, str]:
    """The statement that sets a new password of the account for health checks, and its condition.

    The first health check creates the account with the present password. Its nickname shows the generation of the
    password that it has.
    """
    hashed = placeholders.placeholder(placeholders.IAM_HEALTH_PASSWORD_HASH)
    nickname = nickname_of(deployment.health_generation)
    other = f"`name` = '{USER}' AND `nickname` <> '{nickname}'"
    return (
        f"UPDATE `user` SET `password` = '{hashed}', `nickname` = '{nickname}' WHERE {other}",  # noqa: S608 - constants, a number and a placeholder
        f"SELECT 1 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM `user` WHERE {other})",  # noqa: S608 - see above
    )


def _external(deployment: Deployment, node: Node, server: str) -> list[Item]:
    """Log in to the operator's database, and replace the published default password of `admin`, but no other one."""
    hashed = placeholders.placeholder(placeholders.IAM_ADMIN_PASSWORD_HASH)
    data, password = deployment.data, placeholders.placeholder(placeholders.MARIADB_IAM_PASSWORD)
    login = {"server": server, "user": data.username, "password": password}
    accounts: list[Item] = []
    if data.administrator is not None:
        administrator_password = placeholders.placeholder(placeholders.MARIADB_ADMINISTRATOR_PASSWORD)
        # Before its first rollout the account does not exist.
        login = {"server": server, "user": data.administrator, "password": administrator_password}
        accounts = [
            RemoteAccount(
                server, data.username, node.private_address, password, data.database, _DATA_PRIVILEGES,
                data.administrator, administrator_password,
            )
        ]  # fmt: skip
    published = f"`name` = 'admin' AND `password` = '{_PUBLISHED_HASH}'"
    return [
        *packages(deployment, "mariadb-client-core"),
        *accounts,
        Query(
            "no published password of admin",
            deployment.data.database,
            f"UPDATE `user` SET `password` = '{hashed}' WHERE {published}",  # noqa: S608 - constants and a placeholder
            unless=f"SELECT 1 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM `user` WHERE {published})",  # noqa: S608 - constants
            **login,
        ),
        Query("the account for health checks", deployment.data.database, *_health_password(deployment), **login),
    ]


def _limits(*, max_connections: int, buffer_pool_mib: int) -> list[Item]:
    """Set the limits in the running server: a restart would cut off the services of all nodes."""
    pool = buffer_pool_mib * 1024 * 1024
    return [
        Query(
            "max_connections",
            "mysql",
            f"SET GLOBAL max_connections = {max_connections}",
            unless=f"SELECT 1 FROM DUAL WHERE @@GLOBAL.max_connections = {max_connections}",  # noqa: S608 - an integer
        ),
        Query(
            "innodb_buffer_pool_size",
            "mysql",
            f"SET GLOBAL innodb_buffer_pool_size = {pool}",
            # The server rounds up to a multiple of its chunk size.
            unless=f"SELECT 1 FROM DUAL WHERE @@GLOBAL.innodb_buffer_pool_size BETWEEN {pool} AND "  # noqa: S608 - an integer
            f"{pool} + @@GLOBAL.innodb_buffer_pool_chunk_size",
        ),
    ]


def _administrator(database: str) -> Query:
    """Set the password of the account `admin`, once and again when the secret changes.

    extendShadow records the hash that was set last. The default password of the upstream schema is therefore
    replaced, and a password that the administrator has changed is kept.
    """
    hashed = placeholders.placeholder(placeholders.IAM_ADMIN_PASSWORD_HASH)
    return Query(
        "the administrator's account",
        database,
        render("mariadb/administrator.sql.j2", password_hash=hashed).strip(),
        unless=render("mariadb/administrator_is_set.sql.j2", password_hash=hashed).strip(),
    )
