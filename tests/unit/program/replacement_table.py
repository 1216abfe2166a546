"""Inputs set by the program whose change makes the provider replace the resource, by type (provider 0.2.3)."""

from __future__ import annotations

REPLACED_BY: dict[str, set[str]] = {
    "Vpc/instance": {"cidrBlock"},
    "Subnet/instance": {"availabilityZone", "cidrBlock", "vpcId"},
    "Security/group": set(),
    "Security/groupRuleSet": {"securityGroupId"},
    "Key/pair": {"publicKey"},
    "Placement/group": {"type"},
    # The zone is ignored and allocatePublicIp is constant, so no setting replaces a node.
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
    # Both are ignored, because a new disk would be empty.
    "Cbs/storage": {"availabilityZone", "storageType"},
    "Cbs/storageAttachment": {"instanceId", "storageId"},
    "Cbs/snapshotPolicy": set(),
    "Cbs/snapshotPolicyAttachment": {"snapshotPolicyId", "storageId"},
    "Dnspod/record": {"domain"},
    "Monitor/alarmNotice": set(),
    "Monitor/alarmPolicy": {"monitorType", "namespace"},
    "Monitor/policyBindingObject": {"dimensions", "policyId"},
}

# Resources that no setting may replace, because they hold data.
NEVER_BY_A_SETTING = {"Instance/instance": {"allocatePublicIp"}, "Cbs/storage": set[str]()}
