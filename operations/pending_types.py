"""How to find the object of an interrupted create, for each resource type of the program.

Names are unique because they contain the project and the stack (components/labels.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from provisioning.cloud_calls import CallApi

Inputs = Mapping[str, Any]
_PAGE_SIZE = 100
_TEXT_PAGE = {"Offset": "0", "Limit": str(_PAGE_SIZE)}  # some actions of vpc require these numbers as strings
_MONITOR_PAGE = {"Module": "monitor", "PageNumber": 1, "PageSize": _PAGE_SIZE}
_DELETING = {"SHUTDOWN", "TERMINATING"}  # InstanceState of an instance that is being deleted


# Resources that exist only in the state, or (dynamic ones) can safely be created again.
_SAFE_TO_RECREATE = ("pulumi-python:", "random:", "tls:", "pulumi:")


def is_safe_to_recreate(resource_type: str) -> bool:
    """Whether a resource can be created again without leaving an object in the cloud."""
    return resource_type.startswith(_SAFE_TO_RECREATE)


@dataclass(frozen=True, slots=True)
class ByName:
    """Finds an object by its name, and by the stack's tags if it has any."""

    service: str
    action: str
    objects: str  # the list in the response
    id: str
    name: str
    key: str = "name"  # the input that holds the name
    filter: str | None = None  # name of the filter; None: the action has the parameter `name`
    page: Mapping[str, Any] = field(default_factory=lambda: {"Offset": 0, "Limit": _PAGE_SIZE})

    def find(self, inputs: Inputs, call: CallApi) -> list[str]:
        """The ids of all objects with the name."""
        name = inputs[self.key]
        condition = {"Filters": [{"Name": self.filter, "Values": [name]}]} if self.filter else {self.name: name}
        objects = call(self.service, self.action, {**condition, **self.page}).get(self.objects) or []
        return [each[self.id] for each in objects if each[self.name] == name and self._matches(each, inputs)]

    def _matches(self, found: Mapping[str, Any], inputs: Inputs) -> bool:
        if found.get("InstanceState") in _DELETING:
            return False
        tags = {tag["Key"]: tag["Value"] for tag in found.get("TagSet") or found.get("Tags") or []}
        # The tags are missing if the create was killed before they were set.
        return all(tags.get(key, value) == value for key, value in (inputs.get("tags") or {}).items())


@dataclass(frozen=True, slots=True)
class ByInputs:
    """Derives the id from the inputs. The refresh that follows the import finds out whether the object exists."""

    template: str

    def find(self, inputs: Inputs, call: CallApi) -> list[str]:
        """The id."""
        del call
        return [self.template.format_map(inputs)]


@dataclass(frozen=True, slots=True)
class ByFunction:
    """Finds an object with a function for its type."""

    find: Callable[[Inputs, CallApi], list[str]]


def _route(inputs: Inputs, call: CallApi) -> list[str]:
    # By filter, because the API rejects an unknown ID in RouteTableIds.
    filters = [{"Name": "route-table-id", "Values": [inputs["routeTableId"]]}]
    tables = call("vpc", "DescribeRouteTables", {"Filters": filters}).get("RouteTableSet") or []
    routes: Sequence[Mapping[str, Any]] = tables[0].get("RouteSet") or [] if tables else []
    key = (inputs["destinationCidrBlock"], inputs["nextHub"])
    return [
        f"{route['RouteId']}.{inputs['routeTableId']}"
        for route in routes
        if (route["DestinationCidrBlock"], route["GatewayId"]) == key
    ]


def _record(inputs: Inputs, call: CallApi) -> list[str]:
    parameters = {"Domain": inputs["domain"], "Subdomain": inputs["subDomain"]}
    records = call("dnspod", "DescribeRecordList", parameters).get("RecordList") or []
    key = (inputs["subDomain"], inputs["recordType"], inputs["value"])
    return [
        f"{inputs['domain']}#{record['RecordId']}"
        for record in records
        if (record["Name"], record["Type"], record["Value"]) == key
    ]


TYPES: dict[str, ByName | ByInputs | ByFunction] = {
    "tencentcloud:Vpc/instance:Instance": ByName(
        "vpc", "DescribeVpcs", "VpcSet", "VpcId", "VpcName", filter="vpc-name", page=_TEXT_PAGE
    ),
    "tencentcloud:Subnet/instance:Instance": ByName(
        "vpc", "DescribeSubnets", "SubnetSet", "SubnetId", "SubnetName", filter="subnet-name", page=_TEXT_PAGE
    ),
    "tencentcloud:Security/group:Group": ByName(
        "vpc", "DescribeSecurityGroups", "SecurityGroupSet", "SecurityGroupId", "SecurityGroupName",
        filter="security-group-name", page=_TEXT_PAGE,
    ),
    "tencentcloud:Security/groupRuleSet:GroupRuleSet": ByInputs("{securityGroupId}"),
    "tencentcloud:Key/pair:Pair": ByName(
        "cvm", "DescribeKeyPairs", "KeyPairSet", "KeyId", "KeyName", key="keyName", filter="key-name"
    ),
    "tencentcloud:Placement/group:Group": ByName(
        "cvm", "DescribeDisasterRecoverGroups", "DisasterRecoverGroupSet", "DisasterRecoverGroupId", "Name"
    ),
    "tencentcloud:Instance/instance:Instance": ByName(
        "cvm", "DescribeInstances", "InstanceSet", "InstanceId", "InstanceName", key="instanceName",
        filter="instance-name",
    ),
    "tencentcloud:Ha/vip:Vip": ByName("vpc", "DescribeHaVips", "HaVipSet", "HaVipId", "HaVipName", filter="havip-name"),
    "tencentcloud:Ha/vipInstanceAttachment:VipInstanceAttachment": ByInputs("{haVipId}#{instanceId}"),
    "tencentcloud:Ha/vipEipAttachment:VipEipAttachment": ByInputs("{havipId}#{addressIp}"),
    "tencentcloud:Eip/instance:Instance": ByName(
        "vpc", "DescribeAddresses", "AddressSet", "AddressId", "AddressName", filter="address-name"
    ),
    "tencentcloud:Eip/association:Association": ByInputs("{eipId}::{instanceId}"),
    "tencentcloud:Route/table:Table": ByName(
        "vpc", "DescribeRouteTables", "RouteTableSet", "RouteTableId", "RouteTableName",
        filter="route-table-name", page=_TEXT_PAGE,
    ),
    "tencentcloud:Route/tableEntry:TableEntry": ByFunction(_route),
    "tencentcloud:Route/tableAssociation:TableAssociation": ByInputs("{subnetId}"),
    "tencentcloud:Nat/gateway:Gateway": ByName(
        "vpc", "DescribeNatGateways", "NatGatewaySet", "NatGatewayId", "NatGatewayName", filter="nat-gateway-name"
    ),
    "tencentcloud:Cbs/storage:Storage": ByName(
        "cbs", "DescribeDisks", "DiskSet", "DiskId", "DiskName", key="storageName", filter="disk-name"
    ),
    "tencentcloud:Cbs/storageAttachment:StorageAttachment": ByInputs("{storageId}"),
    "tencentcloud:Cbs/snapshotPolicy:SnapshotPolicy": ByName(
        "cbs", "DescribeAutoSnapshotPolicies", "AutoSnapshotPolicySet", "AutoSnapshotPolicyId",
        "AutoSnapshotPolicyName", key="snapshotPolicyName", filter="auto-snapshot-policy-name",
    ),
    "tencentcloud:Cbs/snapshotPolicyAttachment:SnapshotPolicyAttachment": ByInputs("{storageId}#{snapshotPolicyId}"),
    "tencentcloud:Monitor/alarmNotice:AlarmNotice": ByName(
        "monitor", "DescribeAlarmNotices", "Notices", "Id", "Name", page={**_MONITOR_PAGE, "Order": "ASC"}
    ),
    "tencentcloud:Monitor/alarmPolicy:AlarmPolicy": ByName(
        "monitor", "DescribeAlarmPolicies", "Policies", "PolicyId", "PolicyName", key="policyName", page=_MONITOR_PAGE
    ),
    "tencentcloud:Monitor/policyBindingObject:PolicyBindingObject": ByInputs("{policyId}"),
    "tencentcloud:Dnspod/record:Record": ByFunction(_record),
}  # fmt: skip
