"""`data: external` with `network.existing`: the stack manages neither the databases nor the network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import NAME
from tests.end_to_end.lab import ROOT, CommandError, Lab, new_cloud, wait_until
from tests.end_to_end.settings import encrypt, write_settings

pytestmark = pytest.mark.root

DATABASES = "10.0.4.50"
PASSWORD = "p/ss@w0rd%"
_SETUP = f"""
set -e
cat > /etc/mysql/mariadb.conf.d/60-open.cnf <<EOF
[mysqld]
bind-address = 0.0.0.0
EOF
systemctl restart mariadb
mariadb -e "CREATE DATABASE iam; CREATE USER iam@'10.0.4.%' IDENTIFIED BY '{PASSWORD}';
            GRANT ALL ON iam.* TO iam@'10.0.4.%'"
printf 'bind 0.0.0.0\\nrequirepass %s\\n' '{PASSWORD}' > /etc/redis/redis.conf
systemctl restart redis-server
"""


@dataclass(frozen=True)
class Site:
    """A network outside the stack, and its node with the databases."""

    lab: Lab
    vpc_id: str
    subnet_id: str
    encrypted: str  # password of the databases
    salt: str  # encryption salt of the stack file that contains the password

    def settings_on_first_node(self, file: Path) -> Path:
        """Write settings of the local stack in this network, with the databases on the first node."""
        return write_settings(file, network={"existing": {"vpcId": self.vpc_id, "subnetId": self.subnet_id}})

    def settings(self, file: Path, *, location: str = "external", **data: Any) -> Path:
        """Write settings of the local stack in this network, with these databases."""
        given = {name: {"secure": self.encrypted} for name in ("mariadbPassword", "redisPassword")}
        addresses = {"mariadbAddress": f"{DATABASES}:3306", "redisAddress": f"{DATABASES}:6379"}
        written = write_settings(
            file,
            network={"existing": {"vpcId": self.vpc_id, "subnetId": self.subnet_id}},
            data={"location": location, **addresses, **data},
            credentials={"given": given},
        )
        written.write_text(f"encryptionsalt: '{self.salt}'\n{written.read_text()}")
        return written

    def data_disks(self) -> list[dict[str, Any]]:
        return [disk for disk in _call(self.lab, "cbs", "DescribeDisks")["DiskSet"] if disk["DiskUsage"] == "DATA_DISK"]


def _call(lab: Lab, service: str, action: str, **parameters: Any) -> dict[str, Any]:
    words = [
        word
        for name, value in parameters.items()
        for word in (f"--{name}", value if isinstance(value, str) else json.dumps(value))
    ]
    return json.loads(lab.operator("tccli", service, action, *words).stdout)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with new_cloud(f"{NAME}x") as lab:
        yield _make_site(lab, *encrypt(lab, PASSWORD, tmp_path_factory.mktemp("encrypted")))


def _make_site(lab: Lab, encrypted: str, salt: str) -> Site:
    call = partial(_call, lab)
    vpc_id = call("vpc", "CreateVpc", VpcName="theirs", CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = call(
        "vpc", "CreateSubnet", VpcId=vpc_id, SubnetName="theirs", CidrBlock="10.0.4.0/24", Zone="ap-guangzhou-6"
    )
    subnet_id = subnet["Subnet"]["SubnetId"]
    group = call("vpc", "CreateSecurityGroup", GroupName="databases", GroupDescription="databases")
    group_id = group["SecurityGroup"]["SecurityGroupId"]
    rule = {"Protocol": "TCP", "Port": "3306,6379", "CidrBlock": "10.0.4.0/24", "Action": "ACCEPT"}
    call("vpc", "ModifySecurityGroupPolicies", SecurityGroupId=group_id, SecurityGroupPolicySet={"Ingress": [rule]})
    call(
        "cvm", "RunInstances", Placement={"Zone": "ap-guangzhou-6"}, ImageId="img-services",
        InstanceType="S5.MEDIUM2", InstanceName="databases", HostName="databases", SecurityGroupIds=[group_id],
        VirtualPrivateCloud={"VpcId": vpc_id, "SubnetId": subnet_id, "PrivateIpAddresses": [DATABASES]},
    )  # fmt: skip
    # Logging in requires a running instance.
    wait_until(
        lambda: lab.on("databases", "systemctl is-system-running", check=False).strip(),
        {"running", "degraded"}.__contains__,
        deadline_s=60,
        what="boot of the database node",
    )
    lab.on("databases", _SETUP)
    schema = (ROOT / "samples" / "iam" / "sql" / "iam.sql").read_text()
    lab.on("databases", f"mariadb iam <<'SCHEMA'\n{schema}\nSCHEMA")
    return Site(lab, vpc_id, subnet_id, encrypted, salt)


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
