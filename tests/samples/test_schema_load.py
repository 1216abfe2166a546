"""The agent loads the schema of a release into a real MariaDB, whatever statements the file contains."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from iam_real_servers import wait_until

from provisioning.agent.kinds import account, database, grant, query
from provisioning.agent.node import Node, Result, StepError, run
from settings.releases import parse_schema

# As in configs/iam.sql of marmotedu/iam 16c723d: it selects its own database and begins with DROP TABLE.
UPSTREAM = """
CREATE DATABASE  IF NOT EXISTS `iam` /*!40100 DEFAULT CHARACTER SET utf8 */;
USE `iam`;
DROP TABLE IF EXISTS `policy_audit`;
CREATE TABLE `policy_audit` (`id` bigint(20), `name` varchar(45));
LOCK TABLES `policy_audit` WRITE;
/*!40000 ALTER TABLE `policy_audit` DISABLE KEYS */;
UNLOCK TABLES;
DROP TABLE IF EXISTS `user`;
CREATE TABLE `user` (`id` bigint(20), `name` varchar(45));
INSERT INTO `user` VALUES (1, 'admin');
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`iam`@`127.0.0.1`*/ /*!50003 TRIGGER `iam`.`user_BEFORE_DELETE`
BEFORE DELETE ON `user` FOR EACH ROW BEGIN insert into policy_audit values(old.id, old.name); END */;;
DELIMITER ;
"""


@dataclass(frozen=True)
class Server:
    """A MariaDB, and the agent on a directory with the files of a release."""

    directory: Path
    port: int

    def run(self, argv: list[str], **options: Any) -> Result:
        return run([argv[0], "--no-defaults", f"--socket={self.directory}/s", *argv[1:]], **options)

    @property
    def node(self) -> Node:
        return Node(root=str(self.directory / "root"), runner=self.run)

    def sql(self, statements: str) -> str:
        result = self.run(["mariadb", "--batch", "--skip-column-names"], text=statements)
        assert result.code == 0, result.err
        return result.out

    def load(self, name: str, schema: str, migrations: dict[str, str] | None = None) -> list[str]:
        """Commit the database of a release with this schema and these migrations."""
        folder = self.directory / "root/opt/sql"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "iam.sql").write_text(schema)
        for version, text in (migrations or {}).items():
            (folder / f"migrate-{version}.sql").write_text(text)
        item = {"name": name, "schema": "/opt/sql/iam.sql", "version": parse_schema(schema).version}
        return database.commit(self.node, {**item, "migrations": list(migrations or {})})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    data = tmp_path / "d"
    install = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=root", "--skip-test-db",
               "--auth-root-authentication-method=normal"]  # fmt: skip
    subprocess.run(install, check=True, capture_output=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(tmp_path, port)
    options = [f"--socket={tmp_path}/s", f"--pid-file={tmp_path}/pid", f"--port={port}", "--bind-address=127.0.0.1",
               "--innodb-flush-log-at-trx-commit=0"]  # fmt: skip
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            ["mariadbd", "--no-defaults", f"--datadir={data}", "--user=root", *options], stderr=log
        )
    try:
        wait_until(lambda: server.run(["mariadb"], text="SELECT 1").code == 0, "mariadbd")
        account.commit(server.node, {"user": "iam", "host": "127.0.0.1", "password_hash": "*" + "0" * 40})
        yield server
    finally:
        process.terminate()
        process.wait(30)


def test_the_schema_of_upstream_is_loaded_once_and_its_data_is_kept(server: Server) -> None:
    assert server.load("iam", UPSTREAM) == ["loaded /opt/sql/iam.sql into database iam"]
    server.sql("INSERT INTO iam.user VALUES (2, 'colin')")
    assert server.load("iam", UPSTREAM) == []
    assert server.sql("SELECT name FROM iam.user").split() == ["admin", "colin"]
    assert server.sql("SELECT user FROM mysql.user WHERE user = 'tandem_schema'") == ""


def test_a_schema_that_selects_another_database_never_touches_it(server: Server) -> None:
    server.load("iam", UPSTREAM)
    server.sql("INSERT INTO iam.user VALUES (2, 'colin'); CREATE DATABASE iamXprod; CREATE TABLE iamXprod.t (i INT);")
    with pytest.raises(StepError) as caught:
        server.load("iam_prod", UPSTREAM)
    assert "can use no other database than iam_prod" in caught.value.seen
    assert "Access denied for user 'tandem_schema'@'localhost' to database 'iam'" in caught.value.seen
    for statement in ("DROP DATABASE iam;", "DELETE FROM iam.user;", "DROP TABLE iamXprod.t;", "DROP USER iam;"):
        with pytest.raises(StepError):
            server.load("iam_prod", statement)
    assert server.sql("SELECT name FROM iam.user").split() == ["admin", "colin"]
    assert server.sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'iamXprod'").split() == [
        "t"
    ]


def test_an_interrupted_load_is_repeated(server: Server) -> None:
    with pytest.raises(StepError):
        server.load("iam", UPSTREAM + "CREATE TABLE broken;")
    assert server.load("iam", UPSTREAM) == ["loaded /opt/sql/iam.sql into database iam"]


def test_a_database_in_use_is_not_loaded_and_its_schema_is_recorded(server: Server) -> None:
    server.sql("CREATE DATABASE iam; CREATE TABLE iam.user (id INT); INSERT INTO iam.user VALUES (7);")
    version = parse_schema(UPSTREAM).version
    assert server.load("iam", UPSTREAM) == [f"recorded schema {version} of database iam"]
    assert server.sql("SELECT id FROM iam.user").split() == ["7"]


def test_a_changed_schema_is_migrated_by_a_file_of_the_release_and_otherwise_refused(server: Server) -> None:
    server.load("iam", UPSTREAM)
    before = parse_schema(UPSTREAM).version
    changed = UPSTREAM.replace("`name` varchar(45));\nINSERT", "`name` varchar(90));\nINSERT")
    with pytest.raises(StepError, match=f"has schema {before}, which the release cannot migrate"):
        server.load("iam", changed)
    after = parse_schema(changed).version
    migration = {before: "ALTER TABLE `user` MODIFY `name` varchar(90);"}
    assert server.load("iam", changed, migration) == [f"migrated database iam from schema {before} to {after}"]
    assert server.load("iam", changed, migration) == []
    assert "varchar(90)" in server.sql("SHOW CREATE TABLE iam.user")
    assert server.sql("SELECT name FROM iam.user").split() == ["admin"]


def test_an_interrupted_migration_is_repeated_and_is_not_mistaken_for_the_old_schema(server: Server) -> None:
    server.load("iam", UPSTREAM)
    before = parse_schema(UPSTREAM).version
    changed = UPSTREAM + "CREATE TABLE more (i INT);\n"
    with pytest.raises(StepError):
        server.load("iam", changed, {before: "CREATE TABLE IF NOT EXISTS more (i INT); BROKEN;"})
    with pytest.raises(StepError, match="cannot migrate"):
        server.load("iam", UPSTREAM)
    assert len(server.load("iam", changed, {before: "CREATE TABLE IF NOT EXISTS more (i INT);"})) == 1


def test_a_grant_on_a_name_with_an_underscore_covers_this_database_only(server: Server) -> None:
    account_name = {"user": "iam", "host": "127.0.0.1"}
    item = {**account_name, "database": "iam_prod", "privileges": ["SELECT"]}
    grant.commit(server.node, item)
    assert grant.facts(server.node, [account_name]) == {"iam@127.0.0.1": {"iam_prod": ["SELECT"]}}
    assert r"`iam\_prod`" in server.sql("SHOW GRANTS FOR iam@127.0.0.1").replace("\\\\", "\\")
    grant.remove(server.node, item)
    assert grant.facts(server.node, [account_name]) == {"iam@127.0.0.1": {}}


def test_the_login_to_an_external_database_is_checked_and_the_published_password_replaced_once(server: Server) -> None:
    """A password may contain every character of a URL or a DSN."""
    password, published = "a/b@c:d?e'f", "published"
    quoted = password.replace("'", "''")
    server.sql(
        f"CREATE DATABASE theirs; CREATE USER them@'127.0.0.1' IDENTIFIED BY '{quoted}';"
        " GRANT SELECT, UPDATE ON theirs.* TO them@'127.0.0.1';"
    )
    item = {
        "name": "q",
        "database": "theirs",
        "unless": f"SELECT 1 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM user WHERE password = '{published}')",  # noqa: S608 - a test
        "statement": f"UPDATE user SET password = 'ours' WHERE password = '{published}'",  # noqa: S608 - a test
        "server": f"127.0.0.1:{server.port}",
        "user": "them",
        "password": password,
    }
    assert "doesn't exist" in str(query.facts(server.node, [item])["q"])
    server.sql("CREATE TABLE theirs.user (name TEXT, password TEXT); INSERT INTO theirs.user VALUES ('a', 'published')")
    assert query.facts(server.node, [item]) == {"q": False}
    query.commit(server.node, item)
    assert query.facts(server.node, [item]) == {"q": True}
    assert server.sql("SELECT password FROM theirs.user").strip() == "ours"
    assert "Access denied" in str(query.facts(server.node, [{**item, "password": "wrong"}])["q"])
    server.sql("UPDATE theirs.user SET password = 'changed by the administrator'")
    assert query.facts(server.node, [item]) == {"q": True}
