"""`data: external` with `network.existing`: the stack manages neither the databases nor the network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import NAME
from tests.end_to_end.external_site import DATABASES, PASSWORD, Site, make_site
from tests.end_to_end.lab import CommandError, new_cloud

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with new_cloud(f"{NAME}x") as lab:
        yield make_site(lab, tmp_path_factory.mktemp("encrypted"))


def test_a_wrong_address_is_reported_before_any_change(site: Site, tmp_path: Path) -> None:
    settings = site.settings(tmp_path / "wrong.yaml", mariadbAddress=f"{DATABASES}:3399")
    with pytest.raises(CommandError) as caught:
        site.lab.up("--config-file", str(settings))
    message = str(caught.value)
    assert f"iam cannot use it on {DATABASES}:3399: " in message
    assert "nothing was changed" in message
    assert "tandem:data.mariadbAddress" in message
    assert PASSWORD not in message


def test_the_group_serves_from_external_databases(site: Site, tmp_path: Path) -> None:
    site.lab.up("--config-file", str(site.settings(tmp_path / "right.yaml")))
    assert "ok" in site.lab.operator("tandem", "health", "--stack", "local").stdout
    for node in ("iam-a", "iam-b"):
        assert site.lab.on(node, "systemctl is-active mariadb redis-server", check=False).split() == ["inactive"] * 2
    # The connections of the services, as listed by the database server.
    seen = site.lab.on(
        "databases", "mariadb -N -e \"SELECT host FROM information_schema.processlist WHERE user='iam'\""
    )
    assert {line.split(":")[0] for line in seen.split()} == {"10.0.4.20", "10.0.4.21"}


@pytest.mark.long
def test_with_an_administrator_the_accounts_of_the_nodes_are_created_rotated_and_dropped(
    site: Site, tmp_path: Path
) -> None:
    rights = "GRANT CREATE USER ON *.* TO dba@'10.0.4.%'; GRANT ALL ON iam.* TO dba@'10.0.4.%' WITH GRANT OPTION"
    site.lab.on("databases", f"mariadb -e \"CREATE USER dba@'10.0.4.%' IDENTIFIED BY '{PASSWORD}'; {rights}\"")
    accounts = "mariadb -N -e \"SELECT user, host FROM mysql.user WHERE user LIKE 'iam%' ORDER BY user, host\""
    for generation in (2, 3):
        settings = site.settings(
            tmp_path / f"{generation}.yaml", secrets=("mariadbAdministratorPassword", "redisPassword"),
            generation=generation, administrator="dba",
        )  # fmt: skip
        site.lab.up("--config-file", str(settings))
        # The first account belongs to the operator of the database.
        assert site.lab.on("databases", accounts).splitlines() == [
            "iam\t10.0.4.%", f"iam_g{generation}\t10.0.4.20", f"iam_g{generation}\t10.0.4.21",
        ]  # fmt: skip
        assert site.lab.operator("tandem", "health", "--stack", "local").returncode == 0
    site.lab.up("--config-file", str(site.settings(tmp_path / "right.yaml")))


def test_moving_the_databases_to_external_servers_keeps_their_data_disk(site: Site, tmp_path: Path) -> None:
    """docs/operations.md, Move the databases off the first node."""
    on_primary = site.settings_on_first_node(tmp_path / "on-primary.yaml")
    site.lab.up("--config-file", str(on_primary))
    site.lab.on("iam-a", "mariadb iam -e 'CREATE TABLE kept (number INT); INSERT INTO kept VALUES (42)'")

    hasty = site.settings(tmp_path / "hasty.yaml")
    with pytest.raises(CommandError) as caught:
        site.lab.up("--config-file", str(hasty))
    assert "exited with 1\n" in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert f"{hasty} has 1 change that a deployed group cannot make; nothing was changed" in str(caught.value)
    assert "the data disk with the databases of iam-a would be deleted" in str(caught.value)
    assert site.lab.on("iam-a", "mariadb -N iam -e 'SELECT number FROM kept'").strip() == "42"

    site.lab.up("--config-file", str(site.settings(tmp_path / "moved.yaml", location="moved")))
    assert "ok" in site.lab.operator("tandem", "health", "--stack", "local").stdout
    units = "mariadb redis-server var-lib-mysql.mount srv-tandem.mount"
    assert site.lab.on("iam-a", f"systemctl is-active {units}", check=False).split() == ["inactive"] * 4
    assert [disk["Attached"] for disk in site.data_disks()] == [False]

    site.lab.up("--config-file", str(on_primary))
    assert site.lab.on("iam-a", "mariadb -N iam -e 'SELECT number FROM kept'").strip() == "42"
    assert "ok" in site.lab.operator("tandem", "health", "--stack", "local").stdout
