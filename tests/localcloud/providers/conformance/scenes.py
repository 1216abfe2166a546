"""Small stacks in which each resource type is created, updated, changed outside, replaced and deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.providers.tencentcloud.api import Api

Resources = Mapping[str, Mapping[str, Any]]  # of the state, by name


def nothing_outside(api: Api, resources: Resources) -> None:
    """Make no change outside the stack; for types that exist only in the state."""
    del api, resources


def nothing_before(api: Api) -> None:
    """Create nothing before the stack; for scenes without prerequisites."""
    del api


@dataclass(frozen=True)
class Scene:
    """A test program that reads `config`. Each stage uses the configuration of that name."""

    name: str
    program: str
    update: Mapping[str, str]
    replace: Mapping[str, str]
    outside: Callable[[Api, Resources], None] = nothing_outside
    prepare: Callable[[Api], None] = nothing_before
    # Tested types by resource name; other types of the program are tested in other scenes.
    types: Mapping[str, str] = field(default_factory=dict[str, str])


_HEAD = """
import base64, json, pulumi
import tencentcloud_iac_pulumi as tc
from pulumi import ResourceOptions
config = pulumi.Config()
def given(name, default): return config.get(name) or default
zone = "ap-guangzhou-6"
"""


def _change_groups(api: Api, resources: Resources) -> None:
    ids = {name: one["id"] for name, one in resources.items()}
    api.vpc("ModifyVpcAttribute", {"VpcId": ids["vpc"], "VpcName": "outside", "EnableMulticast": "false"})
    api.vpc("ModifySubnetAttribute", {"SubnetId": ids["subnet"], "SubnetName": "outside", "EnableBroadcast": "false"})
    api.vpc("ModifyHaVipAttribute", {"HaVipId": ids["vip"], "HaVipName": "outside"})
    api.vpc("ModifySecurityGroupAttribute", {"SecurityGroupId": ids["group"], "GroupDescription": "outside"})
    api.vpc("DeleteSecurityGroupPolicies", {
        "SecurityGroupId": ids["group"], "SecurityGroupPolicySet": {"Ingress": [{"PolicyIndex": 1}]}
    })  # fmt: skip
    api.cvm("ModifyKeyPairAttribute", {"KeyId": ids["pair"], "KeyName": "outside"})
    api.cvm("ModifyDisasterRecoverGroupAttribute", {"DisasterRecoverGroupId": ids["placement"], "Name": "outside"})
    api.vpc("ModifyAddressAttribute", {"AddressId": ids["eip"], "AddressName": "outside"})
    api.call("cbs", "ModifyDiskAttributes", {"DiskIds": [ids["disk"]], "DiskName": "outside"})
    policy = {"AutoSnapshotPolicyId": ids["policy"]}
    api.call("cbs", "ModifyAutoSnapshotPolicyAttribute", {**policy, "AutoSnapshotPolicyName": "outside"})
    api.call("cbs", "UnbindAutoSnapshotPolicy", {**policy, "DiskIds": [ids["disk"]]})


_GROUPS = Scene(
    "groups",
    _HEAD
    + """
import pulumi_tls as tls
tags = {"label": given("label", "one"), "kept": "yes"}
vpc = tc.vpc.Instance("vpc", name=given("name", "groups"), cidr_block=given("cidr", "10.0.0.0/16"),
                      is_multicast=False, tags=tags)
subnet = tc.subnet.Instance("subnet", name=given("name", "groups"), vpc_id=vpc.id, cidr_block="10.0.4.0/24",
                            availability_zone=zone, is_multicast=False, tags=tags)
vip = tc.ha.Vip("vip", name=given("name", "groups"), vpc_id=vpc.id, subnet_id=subnet.id, vip="10.0.4.99",
                check_associate=True)
group = tc.security.Group("group", name=given("name", "groups"), description=given("label", "one"),
                          project_id=int(given("project", "0")), tags=tags)
rules = tc.security.GroupRuleSet("rules", security_group_id=group.id, ingresses=[
    {"action": "ACCEPT", "cidr_block": "0.0.0.0/0", "protocol": "TCP", "port": given("port", "443"),
     "description": "in"},
    {"action": "ACCEPT", "source_security_id": group.id, "protocol": "ALL", "port": "ALL"}],
    egresses=[{"action": "ACCEPT", "cidr_block": "0.0.0.0/0", "protocol": "ALL", "port": "ALL"}])
keys = [tls.PrivateKey(f"key-{n}", algorithm="RSA", rsa_bits=2048) for n in (0, 1)]
pair = tc.key.Pair("pair", key_name=given("name", "groups"), tags=tags,
                   public_key=keys[int(given("key", "0"))].public_key_openssh.apply(str.strip),
                   opts=ResourceOptions(delete_before_replace=True))
placement = tc.placement.Group("placement", name=given("name", "groups"), type=given("placement", "HOST"), tags=tags)
eip = tc.eip.Instance("eip", name=given("name", "groups"), internet_charge_type="TRAFFIC_POSTPAID_BY_HOUR",
                      internet_max_bandwidth_out=int(given("bandwidth", "10")), tags=tags,
                      internet_service_provider=given("isp", "BGP"))
disk = tc.cbs.Storage("disk", storage_name=given("name", "groups"), storage_type=given("disk", "CLOUD_BSSD"),
                      storage_size=int(given("size", "20")), availability_zone=zone, tags=tags)
policy = tc.cbs.SnapshotPolicy("policy", snapshot_policy_name=given("name", "groups"), repeat_hours=[2, 14],
                               repeat_weekdays=[0, int(given("day", "1"))], retention_days=int(given("days", "7")))
tc.cbs.SnapshotPolicyAttachment("policy-attachment", storage_id=disk.id, snapshot_policy_id=policy.id)
""",
    update={
        "name": "renamed",
        "label": "two",
        "port": "80,443",
        "bandwidth": "20",
        "size": "30",
        "day": "2",
        "days": "14",
    },
    replace={
        "cidr": "10.0.0.0/20",
        "project": "1",
        "key": "1",
        "placement": "SW",
        "isp": "CMCC",
        "disk": "CLOUD_HSSD",
    },
    outside=_change_groups,
    types={
        "vpc": "tencentcloud:Vpc/instance:Instance",
        "subnet": "tencentcloud:Subnet/instance:Instance",
        "vip": "tencentcloud:Ha/vip:Vip",
        "group": "tencentcloud:Security/group:Group",
        "rules": "tencentcloud:Security/groupRuleSet:GroupRuleSet",
        "pair": "tencentcloud:Key/pair:Pair",
        "placement": "tencentcloud:Placement/group:Group",
        "eip": "tencentcloud:Eip/instance:Instance",
        "disk": "tencentcloud:Cbs/storage:Storage",
        "policy": "tencentcloud:Cbs/snapshotPolicy:SnapshotPolicy",
        "policy-attachment": "tencentcloud:Cbs/snapshotPolicyAttachment:SnapshotPolicyAttachment",
    },
)


def _change_instances(api: Api, resources: Resources) -> None:
    ids = {name: one["id"] for name, one in resources.items()}
    api.cvm("ModifyInstancesAttribute", {"InstanceIds": [ids["instance"]], "InstanceName": "outside"})
    api.vpc("HaVipDisassociateAddressIp", {"HaVipId": ids["vip"]})
    association = {"HaVipId": ids["vip"], "InstanceId": ids["instance"]}
    api.vpc("DisassociateHaVipInstance", {"HaVipAssociationSet": [association]})
    api.call("cbs", "DetachDisks", {"DiskIds": [ids["disk"]], "InstanceId": ids["instance"]})
    api.vpc("DisassociateAddress", {"AddressId": ids["second"]})
    api.call("monitor", "UnBindingAllPolicyObject", {"Module": "monitor", "GroupId": 0, "PolicyId": ids["policy"]})


_INSTANCES = Scene(
    "instances",
    _HEAD
    + """
vpc = tc.vpc.Instance("vpc", name="instances", cidr_block="10.0.0.0/16", is_multicast=False)
subnet = tc.subnet.Instance("subnet", name="instances", vpc_id=vpc.id, cidr_block="10.0.4.0/24",
                            availability_zone=zone, is_multicast=False)
vip = tc.ha.Vip("vip", name="instances", vpc_id=vpc.id, subnet_id=subnet.id, vip="10.0.4.99", check_associate=True)
groups = [tc.security.Group(f"group-{n}", name=f"instances-{n}") for n in (0, 1)]
eip = tc.eip.Instance("eip", name="instances")
second = tc.eip.Instance("second", name="instances-second")
disk = tc.cbs.Storage("disk", storage_name="instances", storage_type="CLOUD_BSSD", storage_size=20,
                      availability_zone=zone)
policy = tc.monitor.AlarmPolicy("policy", policy_name="instances", monitor_type="MT_QCE", namespace="cvm_device",
    conditions={"is_union_rule": 1, "rules": [{"metric_name": "CpuUsage", "period": 60, "operator": "gt",
                "value": "90", "continue_period": 5, "notice_frequency": 3600}]})
instance = tc.instance.Instance(
    "instance", instance_name=given("name", "instances"), hostname="node", availability_zone=zone,
    image_id="img-services", instance_type=given("type", "S5.MEDIUM2"), vpc_id=vpc.id, subnet_id=subnet.id,
    private_ip="10.0.4.20", orderly_security_groups=[groups[int(given("group", "0"))].id],
    system_disk_type="CLOUD_BSSD", system_disk_size=20, disable_api_termination=False,
    data_disks=[{"data_disk_type": "CLOUD_BSSD", "data_disk_size": 20}] if given("disks", "") else None,
    user_data_raw=pulumi.Output.secret("#cloud-config\\n"), tags={"label": given("label", "one")},
    opts=ResourceOptions(delete_before_replace=True))
attached = ResourceOptions(delete_before_replace=True)
attachment = tc.ha.VipInstanceAttachment("attachment", ha_vip_id=vip.id, instance_id=instance.id,
                                         instance_type="CVM", opts=attached)
binding = tc.ha.VipEipAttachment("binding", havip_id=vip.id, address_ip=eip.public_ip,
    opts=ResourceOptions(depends_on=[attachment], delete_before_replace=True))
tc.cbs.StorageAttachment("disk-attachment", storage_id=disk.id, instance_id=instance.id, opts=attached)
tc.eip.Association("association", eip_id=second.id, instance_id=instance.id, opts=attached)
tc.monitor.PolicyBindingObject("policy-binding", policy_id=policy.id, opts=attached,
    dimensions=[{"dimensions_json": instance.id.apply(lambda one: json.dumps({"unInstanceId": one}))}])
""",
    update={"name": "renamed", "label": "two", "type": "S5.MEDIUM4", "group": "1"},
    replace={"disks": "yes"},
    outside=_change_instances,
    types={
        "instance": "tencentcloud:Instance/instance:Instance",
        "attachment": "tencentcloud:Ha/vipInstanceAttachment:VipInstanceAttachment",
        "binding": "tencentcloud:Ha/vipEipAttachment:VipEipAttachment",
        "disk-attachment": "tencentcloud:Cbs/storageAttachment:StorageAttachment",
        "association": "tencentcloud:Eip/association:Association",
        "policy-binding": "tencentcloud:Monitor/policyBindingObject:PolicyBindingObject",
    },
)


def _change_routes(api: Api, resources: Resources) -> None:
    ids = {name: one["id"] for name, one in resources.items()}
    api.vpc("ModifyRouteTableAttribute", {"RouteTableId": ids["table"], "RouteTableName": "outside"})
    route = int(ids["entry"].split(".")[0])
    api.vpc("DisableRoutes", {"RouteTableId": ids["table"], "RouteIds": [route]})
    api.vpc("ReplaceRouteTableAssociation", {
        "SubnetId": ids["subnet"], "RouteTableId": resources["vpc"]["outputs"]["defaultRouteTableId"]
    })  # fmt: skip
    api.vpc("ModifyNatGatewayAttribute", {"NatGatewayId": ids["nat"], "NatGatewayName": "outside"})


_ROUTES = Scene(
    "routes",
    _HEAD
    + """
tags = {"label": given("label", "one")}
vpc = tc.vpc.Instance("vpc", name="routes", cidr_block="10.0.0.0/16", is_multicast=False)
other = tc.vpc.Instance("other", name="other", cidr_block="10.1.0.0/16", is_multicast=False)
subnet = tc.subnet.Instance("subnet", name="routes", vpc_id=vpc.id, cidr_block="10.0.4.0/24",
                            availability_zone=zone, is_multicast=False)
moved = tc.subnet.Instance("moved", name="moved", vpc_id=vpc.id, cidr_block="10.0.5.0/24",
                           availability_zone=zone, is_multicast=False)
eip = tc.eip.Instance("eip", name="routes")
nat = tc.nat.Gateway("nat", name=given("name", "routes"), vpc_id=vpc.id, max_concurrent=1000000,
                     bandwidth=int(given("bandwidth", "100")), assigned_eip_sets=[eip.public_ip], tags=tags)
table = tc.route.Table("table", name=given("name", "routes"), vpc_id=vpc.id, tags=tags)
spare = tc.route.Table("spare", name="spare", vpc_id=vpc.id)
unused = tc.route.Table("unused", name="unused", vpc_id=(other if given("other", "") else vpc).id)
entry = tc.route.TableEntry("entry", route_table_id=table.id, next_type="NAT", next_hub=nat.id, description="out",
                            destination_cidr_block=given("destination", "0.0.0.0/0"))
tc.route.TableAssociation("association", route_table_id=(spare if given("spare", "") else table).id,
    subnet_id=(moved if given("moved", "") else subnet).id, opts=ResourceOptions(depends_on=[entry]))
""",
    update={"name": "renamed", "label": "two", "bandwidth": "200", "spare": "yes"},
    replace={"destination": "192.0.2.0/24", "moved": "yes", "other": "yes"},
    outside=_change_routes,
    types={
        "table": "tencentcloud:Route/table:Table",
        "unused": "tencentcloud:Route/table:Table",
        "entry": "tencentcloud:Route/tableEntry:TableEntry",
        "association": "tencentcloud:Route/tableAssociation:TableAssociation",
        "nat": "tencentcloud:Nat/gateway:Gateway",
    },
)


def _change_alarms(api: Api, resources: Resources) -> None:
    ids = {name: one["id"] for name, one in resources.items()}
    api.call("monitor", "ModifyAlarmPolicyInfo", {
        "Module": "monitor", "PolicyId": ids["policy"], "Key": "NAME", "Value": "outside"
    })  # fmt: skip
    api.call("monitor", "ModifyAlarmNotice", {
        "Module": "monitor", "NoticeId": ids["notice"], "Name": "outside", "NoticeType": "ALL",
        "NoticeLanguage": "en-US", "URLNotices": [{"URL": "https://example.com/outside"}],
    })  # fmt: skip
    domain, number = ids["record"].split("#")
    api.call("dnspod", "ModifyRecord", {
        "Domain": domain, "RecordId": int(number), "SubDomain": "api", "RecordType": "A", "RecordLine": "默认",
        "Value": "203.0.113.77", "TTL": 600,
    })  # fmt: skip


def _add_domain(api: Api) -> None:
    api.call("dnspod", "CreateDomain", {"Domain": "example.org"})


_ALARMS = Scene(
    "alarms",
    _HEAD
    + """
notice = tc.monitor.AlarmNotice("notice", name=given("name", "alarms"), notice_type="ALL", notice_language="en-US",
                                url_notices=[{"url": "https://example.com/" + given("name", "alarms")}])
policy = tc.monitor.AlarmPolicy("policy", policy_name=given("name", "alarms"), monitor_type="MT_QCE",
    namespace=given("namespace", "cvm_device"), notice_ids=[notice.id], remark=given("name", "alarms"),
    conditions={"is_union_rule": 1, "rules": [{"metric_name": "CpuUsage", "period": 60, "operator": "gt",
                "value": given("cpu", "90"), "continue_period": 5, "notice_frequency": 3600}]})
tc.dnspod.Record("record", domain=given("domain", "example.com"), sub_domain="api", record_type="A",
                 record_line="默认", value=given("value", "203.0.113.10"), ttl=600, remark=given("name", "alarms"))
""",
    update={"name": "renamed", "cpu": "80", "value": "203.0.113.11"},
    replace={"namespace": "LB_PRIVATE", "domain": "example.org"},
    outside=_change_alarms,
    prepare=_add_domain,
    types={
        "notice": "tencentcloud:Monitor/alarmNotice:AlarmNotice",
        "policy": "tencentcloud:Monitor/alarmPolicy:AlarmPolicy",
        "record": "tencentcloud:Dnspod/record:Record",
    },
)

_RANDOM = Scene(
    "random",
    """
import pulumi, pulumi_random as random
config = pulumi.Config()
length = config.get_int("length") or 12
random.RandomPassword("password", length=length, min_upper=2, override_special="!?")
""",
    update={},
    replace={"length": "13"},
    types={
        "password": "random:index/randomPassword:RandomPassword",
    },
)

_TLS = Scene(
    "tls",
    """
import pulumi, pulumi_tls as tls
config = pulumi.Config()
name = config.get("name") or "one"
early = config.get_int("early") or 1
key = tls.PrivateKey("key", algorithm="ECDSA", ecdsa_curve=config.get("curve") or "P256")
rsa = tls.PrivateKey("rsa", algorithm="RSA", rsa_bits=2048)
ed25519 = tls.PrivateKey("ed25519", algorithm="ED25519")
authority = tls.SelfSignedCert("authority", private_key_pem=rsa.private_key_pem, is_ca_certificate=True,
    validity_period_hours=48, early_renewal_hours=early, allowed_uses=["cert_signing", "crl_signing"],
    subject={"common_name": f"CA {name}", "organization": "test"})
request = tls.CertRequest("request", private_key_pem=ed25519.private_key_pem, subject={"common_name": name},
                          dns_names=["a.example.com"], ip_addresses=["10.0.4.99"])
tls.LocallySignedCert("signed", cert_request_pem=request.cert_request_pem, ca_private_key_pem=rsa.private_key_pem,
    ca_cert_pem=authority.cert_pem, validity_period_hours=24, early_renewal_hours=early,
    allowed_uses=["digital_signature", "server_auth"])
""",
    update={"early": "2"},
    replace={"name": "two", "curve": "P384", "early": "25"},
    types={
        "key": "tls:index/privateKey:PrivateKey",
        "rsa": "tls:index/privateKey:PrivateKey",
        "ed25519": "tls:index/privateKey:PrivateKey",
        "authority": "tls:index/selfSignedCert:SelfSignedCert",
        "request": "tls:index/certRequest:CertRequest",
        "signed": "tls:index/locallySignedCert:LocallySignedCert",
    },
)

SCENES = {one.name: one for one in (_GROUPS, _INSTANCES, _ROUTES, _ALARMS, _RANDOM, _TLS)}
