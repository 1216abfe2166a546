"""Every resource type of tencentcloud_iac_pulumi that this engine knows."""

from __future__ import annotations

from typing import Final

from localcloud.engine.tencent.access import KEY_PAIR, PLACEMENT_GROUP
from localcloud.engine.tencent.alarms import ALARM_NOTICE, ALARM_POLICY, POLICY_BINDING
from localcloud.engine.tencent.cbs import STORAGE, STORAGE_ATTACHMENT
from localcloud.engine.tencent.dns import RECORD
from localcloud.engine.tencent.eip import EIP, EIP_ASSOCIATION
from localcloud.engine.tencent.havip import VIP, VIP_EIP_ATTACHMENT, VIP_INSTANCE_ATTACHMENT
from localcloud.engine.tencent.instance import INSTANCE
from localcloud.engine.tencent.kind import Kind
from localcloud.engine.tencent.nat import NAT_GATEWAY
from localcloud.engine.tencent.route import ROUTE_ASSOCIATION, ROUTE_ENTRY, ROUTE_TABLE
from localcloud.engine.tencent.security import GROUP, RULE_SET
from localcloud.engine.tencent.vpc import SUBNET, VPC

KINDS: Final[dict[str, Kind]] = {
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
    "tencentcloud:Monitor/alarmNotice:AlarmNotice": ALARM_NOTICE,
    "tencentcloud:Monitor/alarmPolicy:AlarmPolicy": ALARM_POLICY,
    "tencentcloud:Monitor/policyBindingObject:PolicyBindingObject": POLICY_BINDING,
    "tencentcloud:Dnspod/record:Record": RECORD,
}
