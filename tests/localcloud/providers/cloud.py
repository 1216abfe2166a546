"""A `localcloud api` on loopback, for programs that Pulumi runs against it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from localcloud.providers.tencentcloud.api import Api
from localcloud.providers.tencentcloud.endpoint import Endpoint

_ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Cloud:
    """The running API, its log and its faults."""

    address: str
    control: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "TENCENTCLOUD_DOMAIN": self.address,
            "TENCENTCLOUD_PROTOCOL": "HTTP",
            "TENCENTCLOUD_SECRET_ID": "tester",
            "TENCENTCLOUD_SECRET_KEY": "secret-of-tester",
            "TENCENTCLOUD_REGION": "ap-guangzhou",
            # The wait after CreateVpc; 1 s by default.
            "TENCENTCLOUD_WAIT_READ_TIMEOUT": "0",
        }

    @property
    def api(self) -> Api:
        return Api(Endpoint("http", self.address, "tester", "secret-of-tester", "ap-guangzhou"))

    def requests(self) -> list[str]:
        """Return all requests so far, such as `vpc:CreateVpc`."""
        return [f"{one['service']}:{one['action']}" for one in self._ask("GET", "/log", params={"last": 5000})]

    def fault(self, target: str, **how: Any) -> None:
        """Make the next request of `target` fail: code=..., drop=True, latency_ms=..., times=..."""
        plain = {"code": "", "message": "made to fail", "latency_ms": 0.0, "drop": False, "half": False}
        self._ask("POST", "/faults", json={"target": target, **plain, "times": 1, "probability": 1.0, **how})

    def clear_faults(self) -> None:
        self._ask("DELETE", "/faults")

    def counts(self) -> dict[str, int]:
        """Return the number of resources of each kind in NETWORK."""
        api = self.api
        page = {"Offset": 0, "Limit": 100}
        text_page = {"Offset": "0", "Limit": "100"}
        found = {
            "vpc": api.vpc("DescribeVpcs", text_page)["VpcSet"],
            "subnet": api.vpc("DescribeSubnets", text_page)["SubnetSet"],
            "group": api.vpc("DescribeSecurityGroups", {})["SecurityGroupSet"],
            "key": api.cvm("DescribeKeyPairs", page)["KeyPairSet"],
            "placement": api.cvm("DescribeDisasterRecoverGroups", page)["DisasterRecoverGroupSet"],
            "instance": api.cvm("DescribeInstances", page)["InstanceSet"],
            "havip": api.vpc("DescribeHaVips", page)["HaVipSet"],
            "eip": api.vpc("DescribeAddresses", page)["AddressSet"],
            "disk": [one for one in api.call("cbs", "DescribeDisks", page)["DiskSet"] if one["DiskName"] == "net-dev"],
            "snapshot policy": api.call("cbs", "DescribeAutoSnapshotPolicies", page)["AutoSnapshotPolicySet"],
        }
        return {kind: len(resources) for kind, resources in found.items() if resources}

    def more_counts(self) -> dict[str, int]:
        """Return the number of resources of each kind in MORE."""
        api = self.api
        page = {"Module": "monitor", "PageNumber": 1, "PageSize": 100}
        tables = api.vpc("DescribeRouteTables", {"Offset": "0", "Limit": "100"})["RouteTableSet"]
        named = [one for one in tables if not one["Main"]]
        found = {
            "table": named,
            "route": [route for one in named for route in one["RouteSet"] if route["GatewayType"] == "NAT"],
            "nat": api.vpc("DescribeNatGateways", {"Offset": 0, "Limit": 100})["NatGatewaySet"],
            "notice": api.call("monitor", "DescribeAlarmNotices", {**page, "Order": "ASC"})["Notices"],
            "policy": api.call("monitor", "DescribeAlarmPolicies", page)["Policies"],
            "record": [
                one
                for one in api.call("dnspod", "DescribeRecordList", {"Domain": "example.com", "ErrorOnEmpty": "no"})[
                    "RecordList"
                ]
                if one["Name"] == "api"
            ],
        }
        return {kind: len(resources) for kind, resources in found.items() if resources}

    def _ask(self, method: str, path: str, **arguments: Any) -> Any:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(self.control)), timeout=30) as client:
            return client.request(method, f"http://localcloud{path}", **arguments).json()


@contextmanager
def running_cloud(directory: Path) -> Generator[Cloud]:
    state = directory / "api.sqlite"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "localcloud.main", "api", "--http", "127.0.0.1:0", "--state", str(state)),
            *("--credentials", "tester:secret-of-tester", "--requests-per-second", "0"),
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
    )
    assert process.stdout is not None
    try:
        ready = process.stdout.readline().split()
        assert ready[:1] == ["ready"], ready
        yield Cloud(next(word for word in ready if word.startswith("127.")), Path(f"{state}.sock"))
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


NETWORK_PROGRAM = """
import base64, json, pulumi, pulumi_tls as tls
import tencentcloud_iac_pulumi as tc
from pulumi import ResourceOptions

config = pulumi.Config()
label = config.get("label") or "one"
tags = {"label": label}
zone = "ap-guangzhou-6"
vpc = tc.vpc.Instance("vpc", name="net-dev", cidr_block=config.get("cidr") or "10.0.0.0/16", tags=tags)
subnet = tc.subnet.Instance("subnet", name="net-dev", vpc_id=vpc.id, cidr_block="10.0.4.0/24", availability_zone=zone)
group_label = config.get("group_label") or label
group = tc.security.Group("group", name="net-dev", description=group_label, tags={"label": group_label})
rules = tc.security.GroupRuleSet(
    "rules", security_group_id=group.id,
    ingresses=[{"action": "ACCEPT", "cidr_block": "0.0.0.0/0", "protocol": "TCP", "port": config.get("port") or "443"},
               {"action": "ACCEPT", "source_security_id": group.id, "protocol": "ALL", "port": "ALL"}],
    egresses=[{"action": "ACCEPT", "cidr_block": "0.0.0.0/0", "protocol": "ALL", "port": "ALL"}])
key = tls.PrivateKey("key", algorithm="RSA", rsa_bits=4096)
pair = tc.key.Pair("pair", key_name="net_dev", public_key=key.public_key_openssh.apply(str.strip), tags=tags)
placement = tc.placement.Group("placement", name="net-dev", type="HOST")
machines = [
    tc.instance.Instance(
        f"machine-{name}", instance_name=f"net-dev-{name}", availability_zone=zone, image_id="img-services",
        instance_type=config.get("type") or "S5.MEDIUM2", vpc_id=vpc.id, subnet_id=subnet.id, private_ip=address,
        key_ids=[pair.id], orderly_security_groups=[group.id], placement_group_id=placement.id,
        system_disk_type="CLOUD_BSSD", system_disk_size=20, tags=tags,
        hostname=config.get("hostname"),
        user_data=pulumi.Output.secret(base64.b64encode(b"#cloud-config\\n").decode()),
        opts=ResourceOptions(delete_before_replace=True, depends_on=[rules], replace_on_changes=["hostname"]))
    for name, address in (("a", "10.0.4.20"), ("b", "10.0.4.21"))
]
vip = tc.ha.Vip("vip", name="net-dev", vpc_id=vpc.id, subnet_id=subnet.id, vip="10.0.4.99", check_associate=True)
attachments = [
    tc.ha.VipInstanceAttachment(f"attachment-{index}", ha_vip_id=vip.id, instance_id=one.id, instance_type="CVM")
    for index, one in enumerate(machines)
]
eip = tc.eip.Instance("eip", name="net-dev", internet_charge_type="TRAFFIC_POSTPAID_BY_HOUR",
                      internet_max_bandwidth_out=10, tags=tags)
tc.ha.VipEipAttachment("binding", havip_id=vip.id, address_ip=eip.public_ip,
                       opts=ResourceOptions(depends_on=attachments))
disk = tc.cbs.Storage("disk", storage_name="net-dev", storage_type="CLOUD_BSSD", storage_size=20,
                      availability_zone=zone, tags=tags)
tc.cbs.StorageAttachment("disk-attachment", storage_id=disk.id, instance_id=machines[0].id)
second = tc.eip.Instance("second-eip", name="net-dev-second")
tc.eip.Association("association", eip_id=second.id, instance_id=machines[1].id)
pulumi.export("ids", [one.id for one in machines])
pulumi.export("public_ip", eip.public_ip)
pulumi.export("user_data", machines[0].user_data)
"""

# Optional resources: NAT gateway, alarms, DNS.
MORE_PROGRAM = """
table = tc.route.Table("table", name="net-dev", vpc_id=vpc.id, tags=tags)
nat_eip = tc.eip.Instance("nat-eip", name="net-dev-nat")
nat = tc.nat.Gateway("nat", name="net-dev", vpc_id=vpc.id, bandwidth=config.get_int("bandwidth") or 100,
                     max_concurrent=1000000, assigned_eip_sets=[nat_eip.public_ip], tags=tags)
entry = tc.route.TableEntry("entry", route_table_id=table.id, destination_cidr_block="0.0.0.0/0", next_type="NAT",
                            next_hub=nat.id, description="out")
tc.route.TableAssociation("table-association", route_table_id=table.id, subnet_id=subnet.id,
                          opts=ResourceOptions(depends_on=[entry]))
notice = tc.monitor.AlarmNotice("notice", name="net-dev", notice_type="ALL", notice_language="en-US",
                                url_notices=[{"url": "https://example.com/" + label}])
rule = {"metric_name": "CpuUsage", "period": 60, "operator": "gt", "value": config.get("cpu") or "90",
        "continue_period": 5, "notice_frequency": 3600}
policy = tc.monitor.AlarmPolicy("policy", policy_name="net-dev", monitor_type="MT_QCE", namespace="cvm_device",
                                notice_ids=[notice.id], conditions={"is_union_rule": 1, "rules": [rule]})
dimensions = [{"dimensions_json": one.id.apply(lambda id: json.dumps({"unInstanceId": id}))} for one in machines]
tc.monitor.PolicyBindingObject("policy-binding", policy_id=policy.id, dimensions=dimensions)
tc.dnspod.Record("record", domain="example.com", sub_domain="api", record_type="A", record_line="默认",
                 value=eip.public_ip, ttl=config.get_int("ttl") or 600, remark=label)
"""

# The resources of NETWORK_PROGRAM.
NETWORK = {
    "vpc": 1,
    "subnet": 1,
    "group": 1,
    "key": 1,
    "placement": 1,
    "instance": 2,
    "havip": 1,
    "eip": 2,
    "disk": 1,
}
MORE = {"table": 1, "route": 1, "nat": 1, "notice": 1, "policy": 1, "record": 1}
