"""One of each resource that localcloud emulates, in the variant that VARIANT names: first, changed, replaced."""

from __future__ import annotations

import json
import os

import pulumi
from tencentcloud_iac_pulumi import cbs, dnspod, eip, eni, ha, instance, key, monitor, nat, placement, route, security
from tencentcloud_iac_pulumi import subnet as subnets
from tencentcloud_iac_pulumi import vpc as vpcs

VARIANT = os.environ["VARIANT"]
CHANGED = VARIANT != "first"
REPLACED = VARIANT == "replaced"
ZONE = "ap-guangzhou-6"
PUBLIC_KEY = os.environ["PUBLIC_KEY"]

tags = {"app": "iam", "env": "changed" if CHANGED else "first"}
name = "after" if CHANGED else "before"

network = vpcs.Instance("vpc", name=name, cidr_block="10.0.0.0/16", tags=tags)
table = route.Table("table", vpc_id=network.id, name=name, tags=tags)
subnet = subnets.Instance(
    "subnet", vpc_id=network.id, name=name, cidr_block="10.0.4.0/24", availability_zone=ZONE, tags=tags
)
association = route.TableAssociation("association", route_table_id=table.id, subnet_id=subnet.id)

group = security.Group("group", name=name, description=name, tags=tags)
rules = security.GroupRuleSet(
    "rules",
    security_group_id=group.id,
    ingresses=[
        {"action": "ACCEPT", "protocol": "TCP", "port": "22,443" if CHANGED else "22", "cidr_block": "0.0.0.0/0"},
        {"action": "ACCEPT", "protocol": "ALL", "port": "ALL", "source_security_id": group.id},
        {"action": "DROP", "protocol": "ALL", "port": "ALL", "cidr_block": "0.0.0.0/0"},
    ],
    egresses=[{"action": "ACCEPT", "protocol": "ALL", "port": "ALL", "cidr_block": "0.0.0.0/0"}],
)
pair = key.Pair("key", key_name=name, public_key=PUBLIC_KEY, tags=tags)
spread = placement.Group("spread", name=name, type="HOST")

machines = [
    instance.Instance(
        f"machine-{number}",
        instance_name=f"{name}-{number}",
        availability_zone=ZONE,
        image_id="img-debian12",
        instance_type="S5.LARGE8" if CHANGED and number == 0 else "S5.MEDIUM2",
        vpc_id=network.id,
        subnet_id=subnet.id,
        private_ip=f"10.0.4.{20 + number}",
        key_ids=[pair.id],
        orderly_security_groups=[group.id],
        placement_group_id=spread.id,
        system_disk_type="CLOUD_PREMIUM",
        system_disk_size=50,
        tags=tags | {"node": str(number)},
    )
    for number in (0, 1)
]
virtual = ha.Vip(
    "vip",
    name=name,
    vpc_id=network.id,
    subnet_id=subnet.id,
    vip="10.0.4.98" if REPLACED else "10.0.4.99",
    check_associate=True,
)
for number, machine in enumerate(machines):
    ha.VipInstanceAttachment(
        f"attachment-{number}",
        ha_vip_id=virtual.id,
        instance_id=machine.id,
        instance_type="CVM",
        opts=pulumi.ResourceOptions(delete_before_replace=True),
    )
public = eip.Instance(
    "eip",
    name=name,
    internet_charge_type="TRAFFIC_POSTPAID_BY_HOUR",
    internet_max_bandwidth_out=20 if CHANGED else 10,
    tags=tags,
)
bound = ha.VipEipAttachment(
    "binding",
    havip_id=virtual.id,
    address_ip=public.public_ip,
    opts=pulumi.ResourceOptions(delete_before_replace=True),
)
outgoing = eip.Instance("outgoing", name="outgoing", internet_max_bandwidth_out=10, tags=tags)
gateway = nat.Gateway(
    "gateway", vpc_id=network.id, name=name, max_concurrent=1000000, bandwidth=200 if CHANGED else 100,
    assigned_eip_sets=[outgoing.public_ip], tags=tags,
)  # fmt: skip
route.TableEntry(
    "default",
    route_table_id=table.id,
    destination_cidr_block="0.0.0.0/0",
    next_type="NAT",
    next_hub=gateway.id,
    description="out",
    disabled=CHANGED,
)
nat.GatewaySnat(
    "snat",
    nat_gateway_id=gateway.id,
    resource_type="SUBNET",
    subnet_id=subnet.id,
    subnet_cidr_block=subnet.cidr_block,
    description=name,
    public_ip_addrs=[outgoing.public_ip],
)
card = eni.Instance(
    "card", name=name, vpc_id=network.id, subnet_id=subnet.id, security_groups=[group.id], ipv4_count=2, tags=tags
)
storage = cbs.Storage(
    "storage",
    storage_name=name,
    storage_type="CLOUD_PREMIUM",
    storage_size=60 if CHANGED else 50,
    availability_zone=ZONE,
    tags=tags,
)
cbs.StorageAttachment("attached", storage_id=storage.id, instance_id=machines[1].id)
notice = monitor.AlarmNotice(
    "notice",
    name=name,
    notice_type="ALL",
    notice_language="en-US",
    user_notices=[
        {"receiver_type": "USER", "start_time": 0, "end_time": 86399, "notice_ways": ["EMAIL"], "user_ids": [10001]}
    ],
)
policy = monitor.AlarmPolicy(
    "policy",
    policy_name=name,
    monitor_type="MT_QCE",
    namespace="cvm_device",
    enable=1,
    conditions={
        "is_union_rule": 0,
        "rules": [
            {
                "metric_name": "CpuUsage",
                "period": 60,
                "operator": "gt",
                "value": "95" if CHANGED else "90",
                "continue_period": 5,
                "notice_frequency": 3600,
                "is_power_notice": 0,
            }
        ],
    },
    notice_ids=[notice.id],
)
monitor.PolicyBindingObject(
    "watched",
    policy_id=policy.id,
    dimensions=[{"dimensions_json": machines[0].id.apply(lambda at: json.dumps({"unInstanceId": at}))}],
)
dnspod.Record(
    "record",
    domain="example.com",
    sub_domain="iam",
    record_type="A",
    record_line="默认",
    value=public.public_ip,
    ttl=900 if CHANGED else 600,
)
