"""Accounts on a database outside the group: created, rotated and dropped with an administrator, on a real MariaDB."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from iam_real_servers import A, RealNode, group

from provisioning.agent import applied
from provisioning.agent.kinds import remote_account
from provisioning.agent.mariadb import query_on
from provisioning.agent.node import Node, StepError
from provisioning.facts import Facts
from provisioning.kinds.remote_account import RemoteAccount
from provisioning.plan import make_plan, remove_operation

SERVER = f"{A.private_address}:3306"
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    with group(tmp_path_factory.mktemp("group")) as (first, _):
        first.sql("CREATE USER dba@'%' IDENTIFIED BY 'dba-pass'; GRANT CREATE USER ON *.* TO dba@'%';")
        first.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON iam.* TO dba@'%' WITH GRANT OPTION;")
        yield first


@pytest.fixture(scope="module")
def first(database: RealNode) -> RemoteAccount:
    """The account of generation 1, for the address from which this host connects."""
    database.sql("CREATE USER probe@'%' IDENTIFIED BY 'p'; GRANT SELECT ON iam.* TO probe@'%';")
    host = query_on(Node(), SERVER, "probe", "p", "SELECT USER();", "iam").out.strip().rpartition("@")[2]
    return RemoteAccount(SERVER, "svc", host, PRINTABLE, "iam", RIGHTS, "dba", "dba-pass")


def difference(item: RemoteAccount) -> str | None:
    return item.compare(remote_account.facts(Node(), [item.question()]))


def test_old_and_new_account_log_in_until_the_old_one_is_dropped_last(
    database: RealNode, first: RemoteAccount, tmp_path: Path
) -> None:
    second = replace(first, user="svc_g2", password="second-'\\pass")
    node = Node(root=str(tmp_path))
    for item in (first, second):
        assert "Access denied" in (difference(item) or "")
        assert item.refusal(remote_account.facts(node, [item.question()])) is None
        assert remote_account.commit(node, item.operation()) == [f"set account '{item.user}'@'{item.host}' on {SERVER}"]
        assert difference(item) is None
    assert difference(first) is None, "both are valid"
    entry = {"kind": "remote_account", **first.removal()}
    plan = make_plan("iam-a", (second,), replace(Facts(), applied=(entry,)))
    assert plan.removals == (entry,)
    operation = remove_operation(plan, (second,))
    assert "dba-pass" not in str([operation["entries"], operation["record"]])
    entries, record, secrets = operation["entries"], operation["record"], operation["secrets"]
    dropped = [f"dropped account 'svc'@'{first.host}' on {SERVER}"]
    assert applied.remove(node, entries=entries, record=record, secrets=secrets) == dropped
    assert "dba-pass" not in "".join(path.read_text() for path in node.state.iterdir())
    assert difference(second) is None
    assert "Access denied" in (difference(first) or "")
    # Exactly the privileges of the services.
    shown = query_on(node, SERVER, second.user, second.password, "SHOW GRANTS;", "iam").out
    assert "GRANT SELECT, INSERT, UPDATE, DELETE ON `iam`.*" in shown
    assert "probe" in database.sql("SELECT user FROM mysql.user"), "other accounts stay"


def test_an_existing_account_with_this_password_is_used(first: RemoteAccount) -> None:
    probe = replace(first, user="probe", password="p")
    assert difference(probe) is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"administrator_password": "wrong"}, "Access denied for user 'dba'"),
        ({"server": f"{A.private_address}:3999"}, "Can't connect"),
    ],
)
def test_an_administrator_that_cannot_log_in_is_a_refusal(
    first: RemoteAccount, changed: dict[str, str], reason: str
) -> None:
    item = replace(first, user="svc_g9", **changed)
    refusal = item.refusal(remote_account.facts(Node(), [item.question()]))
    assert refusal is not None
    assert refusal.startswith("dba cannot create it: ")
    assert reason in refusal


def test_an_administrator_without_the_privileges_is_an_error(database: RealNode, first: RemoteAccount) -> None:
    database.sql("CREATE USER weak@'%' IDENTIFIED BY 'weak-pass';")
    item = replace(first, user="svc_g9", administrator="weak", administrator_password="weak-pass")
    with pytest.raises(StepError, match="weak cannot create the account 'svc_g9'") as caught:
        remote_account.commit(Node(), item.operation())
    assert "CREATE USER" in caught.value.seen
    assert PRINTABLE not in caught.value.seen


def test_without_an_administrator_the_old_account_stays_and_is_reported(first: RemoteAccount) -> None:
    assert remote_account.remove(Node(), first.removal()) == [
        f"kept account 'svc'@'{first.host}' on {SERVER}, since no administrator is given"
    ]
