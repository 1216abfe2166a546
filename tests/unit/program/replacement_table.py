"""Which inputs of which type make the provider replace it, of those that the program sets (provider 0.2.3)."""

from __future__ import annotations

REPLACED_BY: dict[str, set[str]] = {
    "Vpc/instance": {"cidrBlock"},
    "Subnet/instance": {"availabilityZone", "cidrBlock", "vpcId"},
    "Security/group": set(),
    "Security/groupRuleSet": {"securityGroupId"},
    "Key/pair": {"publicKey"},
    "Placement/group": {"type"},
    # Zone is ignored, and no public address is ever allocated: no setting replaces a node.
    "Instance/instance": {"allocatePublicIp", "availabilityZone"},
    "Ha/vip": {"checkAssociate", "subnetId", "vip", "vpcId"},
    "Ha/vipInstanceAttachment": {"haVipId", "instanceId", "instanceType"},
    "Ha/vipEipAttachment": {"addressIp", "havipId"},
    "Eip/instance": set(),
    "Eip/association": {"eipId", "instanceId"},
    "Route/table": {"vpcId"},
    "Route/tableEntry": {"description", "destinationCidrBlock", "nextHub", "nextType", "routeTableId"},
    "Route/tableAssociation": {"subnetId"},
    "Nat/gateway": {"vpcId"},
    # Both are ignored: another disk would be empty.
    "Cbs/storage": {"availabilityZone", "storageType"},
    "Cbs/storageAttachment": {"instanceId", "storageId"},
    "Dnspod/record": {"domain"},
    "Monitor/alarmNotice": set(),
    "Monitor/alarmPolicy": {"monitorType", "namespace"},
    "Monitor/policyBindingObject": {"dimensions", "policyId"},
}

# What must never be replaced by a setting: it holds data, or people know it.
NEVER_BY_A_SETTING = {"Instance/instance": {"allocatePublicIp"}, "Cbs/storage": set[str]()}
