"""How the object is found that a killed create may have made, for each resource type of the program.

Names are unique: the program puts project and stack in each of them (components/labels.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Inputs = Mapping[str, Any]
_MOST = 100
_TEXT_PAGE = {"Offset": "0", "Limit": str(_MOST)}  # some actions of vpc take these numbers as text only
_MONITOR_PAGE = {"Module": "monitor", "PageNumber": 1, "PageSize": _MOST}
_GOING = {"SHUTDOWN", "TERMINATING"}  # InstanceState of an instance that is being deleted


class Ask(Protocol):
    def __call__(self, service: str, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one Describe action. Raises OperationError."""
        ...


@dataclass(frozen=True, slots=True)
class Named:
    """An object with a name that the program gives: found by the name, and by the stack's tags where it has any."""

    service: str
    action: str
    objects: str  # the answer's list
    id: str
    name: str
    key: str = "name"  # the input that holds the name
    filter: str | None = None  # the name of the filter for names; None: a parameter of the action, `name`
    page: Mapping[str, Any] = field(default_factory=lambda: {"Offset": 0, "Limit": _MOST})

    def find(self, inputs: Inputs, ask: Ask) -> list[str]:
        """The ids of all that have the name."""
        name = inputs[self.key]
        wanted = {"Filters": [{"Name": self.filter, "Values": [name]}]} if self.filter else {self.name: name}
        found = ask(self.service, self.action, {**wanted, **self.page}).get(self.objects) or []
        return [one[self.id] for one in found if one[self.name] == name and self._is_ours(one, inputs)]

    def _is_ours(self, one: Mapping[str, Any], inputs: Inputs) -> bool:
        if one.get("InstanceState") in _GOING:
            return False
        tags = {tag["Key"]: tag["Value"] for tag in one.get("TagSet") or one.get("Tags") or []}
        # An object has no tags yet when its create was killed before they were set.
        return all(tags.get(key, value) == value for key, value in (inputs.get("tags") or {}).items())


@dataclass(frozen=True, slots=True)
class Composed:
    """An object whose id consists of its inputs: the refresh that imports it finds out whether it exists."""

    template: str

    def find(self, inputs: Inputs, ask: Ask) -> list[str]:
        """The id."""
        del ask
        return [self.template.format_map(inputs)]


@dataclass(frozen=True, slots=True)
class Sought:
    """An object that takes a question of its own."""

    find: Callable[[Inputs, Ask], list[str]]


def _route(inputs: Inputs, ask: Ask) -> list[str]:
    tables = ask("vpc", "DescribeRouteTables", {"RouteTableIds": [inputs["routeTableId"]]}).get("RouteTableSet") or []
    routes: Sequence[Mapping[str, Any]] = tables[0].get("RouteSet") or [] if tables else []
    wanted = (inputs["destinationCidrBlock"], inputs["nextHub"])
    return [
        f"{one['RouteId']}.{inputs['routeTableId']}"
        for one in routes
        if (one["DestinationCidrBlock"], one["GatewayId"]) == wanted
    ]


def _record(inputs: Inputs, ask: Ask) -> list[str]:
    parameters = {"Domain": inputs["domain"], "Subdomain": inputs["subDomain"]}
    found = ask("dnspod", "DescribeRecordList", parameters).get("RecordList") or []
    wanted = (inputs["subDomain"], inputs["recordType"], inputs["value"])
    return [
        f"{inputs['domain']}#{one['RecordId']}" for one in found if (one["Name"], one["Type"], one["Value"]) == wanted
    ]


def _association(inputs: Inputs, ask: Ask) -> list[str]:
    del ask
    if inputs.get("instanceId"):
        return [f"{inputs['eipId']}::{inputs['instanceId']}"]
    return [f"{inputs['eipId']}::{inputs['networkInterfaceId']}::{inputs['privateIp']}"]


TYPES: dict[str, Named | Composed | Sought] = {
    "tencentcloud:Vpc/instance:Instance": Named(
        "vpc", "DescribeVpcs", "VpcSet", "VpcId", "VpcName", filter="vpc-name", page=_TEXT_PAGE
    ),
    "tencentcloud:Subnet/instance:Instance": Named(
        "vpc", "DescribeSubnets", "SubnetSet", "SubnetId", "SubnetName", filter="subnet-name", page=_TEXT_PAGE
    ),
    "tencentcloud:Security/group:Group": Named(
        "vpc", "DescribeSecurityGroups", "SecurityGroupSet", "SecurityGroupId", "SecurityGroupName",
        filter="security-group-name", page=_TEXT_PAGE,
    ),
    "tencentcloud:Security/groupRuleSet:GroupRuleSet": Composed("{securityGroupId}"),
    "tencentcloud:Key/pair:Pair": Named(
        "cvm", "DescribeKeyPairs", "KeyPairSet", "KeyId", "KeyName", key="keyName", filter="key-name"
    ),
    "tencentcloud:Placement/group:Group": Named(
        "cvm", "DescribeDisasterRecoverGroups", "DisasterRecoverGroupSet", "DisasterRecoverGroupId", "Name"
    ),
    "tencentcloud:Instance/instance:Instance": Named(
        "cvm", "DescribeInstances", "InstanceSet", "InstanceId", "InstanceName", key="instanceName",
        filter="instance-name",
    ),
    "tencentcloud:Ha/vip:Vip": Named("vpc", "DescribeHaVips", "HaVipSet", "HaVipId", "HaVipName", filter="havip-name"),
    "tencentcloud:Ha/vipInstanceAttachment:VipInstanceAttachment": Composed("{haVipId}#{instanceId}"),
    "tencentcloud:Ha/vipEipAttachment:VipEipAttachment": Composed("{havipId}#{addressIp}"),
    "tencentcloud:Eip/instance:Instance": Named(
        "vpc", "DescribeAddresses", "AddressSet", "AddressId", "AddressName", filter="address-name"
    ),
    "tencentcloud:Eip/association:Association": Sought(_association),
    "tencentcloud:Route/table:Table": Named(
        "vpc", "DescribeRouteTables", "RouteTableSet", "RouteTableId", "RouteTableName",
        filter="route-table-name", page=_TEXT_PAGE,
    ),
    "tencentcloud:Route/tableEntry:TableEntry": Sought(_route),
    "tencentcloud:Route/tableAssociation:TableAssociation": Composed("{subnetId}"),
    "tencentcloud:Nat/gateway:Gateway": Named(
        "vpc", "DescribeNatGateways", "NatGatewaySet", "NatGatewayId", "NatGatewayName", filter="nat-gateway-name"
    ),
    "tencentcloud:Cbs/storage:Storage": Named(
        "cbs", "DescribeDisks", "DiskSet", "DiskId", "DiskName", key="storageName", filter="disk-name"
    ),
    "tencentcloud:Cbs/storageAttachment:StorageAttachment": Composed("{storageId}"),
    "tencentcloud:Monitor/alarmNotice:AlarmNotice": Named(
        "monitor", "DescribeAlarmNotices", "Notices", "Id", "Name", page={**_MONITOR_PAGE, "Order": "ASC"}
    ),
    "tencentcloud:Monitor/alarmPolicy:AlarmPolicy": Named(
        "monitor", "DescribeAlarmPolicies", "Policies", "PolicyId", "PolicyName", key="policyName", page=_MONITOR_PAGE
    ),
    "tencentcloud:Monitor/policyBindingObject:PolicyBindingObject": Composed("{policyId}"),
    "tencentcloud:Dnspod/record:Record": Sought(_record),
}  # fmt: skip
