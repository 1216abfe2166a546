"""The resource types of tencentcloud_iac_pulumi that the program, its samples and tests use."""

from __future__ import annotations

from typing import Final

from localcloud.providers.tencentcloud.alarm_notice import ALARM_NOTICE
from localcloud.providers.tencentcloud.alarm_policy import ALARM_POLICY, POLICY_BINDING
from localcloud.providers.tencentcloud.backend import TencentBackend
from localcloud.providers.tencentcloud.disk import (
    SNAPSHOT_POLICY,
    SNAPSHOT_POLICY_ATTACHMENT,
    STORAGE,
    STORAGE_ATTACHMENT,
)
from localcloud.providers.tencentcloud.dns import RECORD
from localcloud.providers.tencentcloud.eip import EIP, EIP_ASSOCIATION
from localcloud.providers.tencentcloud.havip import VIP, VIP_EIP_ATTACHMENT, VIP_INSTANCE_ATTACHMENT
from localcloud.providers.tencentcloud.instance import INSTANCE
from localcloud.providers.tencentcloud.key_and_placement import KEY_PAIR, PLACEMENT_GROUP
from localcloud.providers.tencentcloud.nat import NAT_GATEWAY
from localcloud.providers.tencentcloud.resource_type import ResourceType
from localcloud.providers.tencentcloud.route import ROUTE_ASSOCIATION, ROUTE_ENTRY, ROUTE_TABLE
from localcloud.providers.tencentcloud.security import GROUP, RULE_SET
from localcloud.providers.tencentcloud.vpc import SUBNET, VPC

TYPES: Final[dict[str, ResourceType]] = {
    "tencentcloud:Vpc/instance:Instance": VPC,
    "tencentcloud:Subnet/instance:Instance": SUBNET,
    "tencentcloud:Security/group:Group": GROUP,
    "tencentcloud:Security/groupRuleSet:GroupRuleSet": RULE_SET,
    "tencentcloud:Key/pair:Pair": KEY_PAIR,
    "tencentcloud:Placement/group:Group": PLACEMENT_GROUP,
    "tencentcloud:Instance/instance:Instance": INSTANCE,
    "tencentcloud:Ha/vip:Vip": VIP,
    "tencentcloud:Ha/vipInstanceAttachment:VipInstanceAttachment": VIP_INSTANCE_ATTACHMENT,
    "tencentcloud:Ha/vipEipAttachment:VipEipAttachment": VIP_EIP_ATTACHMENT,
    "tencentcloud:Eip/instance:Instance": EIP,
    "tencentcloud:Eip/association:Association": EIP_ASSOCIATION,
    "tencentcloud:Route/table:Table": ROUTE_TABLE,
    "tencentcloud:Route/tableEntry:TableEntry": ROUTE_ENTRY,
    "tencentcloud:Route/tableAssociation:TableAssociation": ROUTE_ASSOCIATION,
    "tencentcloud:Nat/gateway:Gateway": NAT_GATEWAY,
    "tencentcloud:Cbs/storage:Storage": STORAGE,
    "tencentcloud:Cbs/storageAttachment:StorageAttachment": STORAGE_ATTACHMENT,
    "tencentcloud:Cbs/snapshotPolicy:SnapshotPolicy": SNAPSHOT_POLICY,
    "tencentcloud:Cbs/snapshotPolicyAttachment:SnapshotPolicyAttachment": SNAPSHOT_POLICY_ATTACHMENT,
    "tencentcloud:Monitor/alarmNotice:AlarmNotice": ALARM_NOTICE,
    "tencentcloud:Monitor/alarmPolicy:AlarmPolicy": ALARM_POLICY,
    "tencentcloud:Monitor/policyBindingObject:PolicyBindingObject": POLICY_BINDING,
    "tencentcloud:Dnspod/record:Record": RECORD,
}

BACKEND: Final = TencentBackend(TYPES)
