"""A network outside the stack with a node for the databases, for stacks with `data.location: external`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.end_to_end.lab import ROOT, Lab, wait_until
from tests.end_to_end.settings import encrypt, write_settings

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
printf 'bind 0.0.0.0\\nrequirepass %s\\nsave ""\\n' '{PASSWORD}' > /etc/redis/redis.conf
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

    def settings(
        self,
        file: Path,
        *,
        location: str = "external",
        keepalived: dict[str, Any] | None = None,
        nginx: dict[str, Any] | None = None,
        secrets: tuple[str, ...] = ("mariadbPassword", "redisPassword"),
        generation: int = 1,
        **data: Any,
    ) -> Path:
        """Write settings of the local stack in this network, with these databases.

        All `secrets` have the same value. `generation` is that of the MariaDB password.
        """
        given = {name: {"secure": self.encrypted} for name in secrets}
        addresses = {"mariadbAddress": f"{DATABASES}:3306", "redisAddress": f"{DATABASES}:6379"}
        written = write_settings(
            file,
            network={"existing": {"vpcId": self.vpc_id, "subnetId": self.subnet_id}},
            data={"location": location, **addresses, **data},
            credentials={"given": given, "generation": {"mariadbPassword": generation}},
            keepalived=keepalived or {},
            nginx=nginx or {},
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


def make_site(lab: Lab, folder: Path) -> Site:
    """Create the network and the database node. `folder` is for temporary files."""
    encrypted, salt = encrypt(lab, PASSWORD, folder)
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
