"""Parameters that turn on features of Tencent Cloud that localcloud does not emulate. Ignoring them would be laxer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from localcloud.api.request_rules import ParameterNotEmulated

_LIMITED_BANDWIDTH = (
    "PublicIpAddressesBandwidthOut StockPublicIpAddressesBandwidthOut PublicIpFromSameZone ExclusiveType"
)
_INTERNET = "BandwidthPackageId IPv4AddressType IPv6AddressType AntiDDoSPackageId InternetServiceProvider=BGP"
_NETWORK = "VirtualPrivateCloud.AsVpcGateway VirtualPrivateCloud.Ipv6AddressCount"
_CONDITION = "ConditionTemplateId Filter GroupBy LogAlarmReqInfo EbSubject"
_NOTICES = "HierarchicalNotices NoticeContentTmplBindInfos"
_SCHEDULE = "IsPermanent Policy.DayOfMonth Policy.IntervalDays"


def _inside(name: str, members: str) -> str:
    return " ".join(f"{name}.{member}" for member in members.split())


# The parameters of each action, `A.B` for member B of A. Only empty values, zero, false, and the value after `=` pass.
TABLE: Mapping[str, str] = {
    "AttachDisks": "AttachMode",
    "CreateDisks": "SnapshotId KmsKeyId Shareable DiskChargePrepaid AutoMountConfiguration DiskBackupQuota "
    "BurstPerformance EncryptType",
    "ModifyDiskAttributes": "Portable DiskType BurstPerformanceOperation",
    "CreateAutoSnapshotPolicy": f"DryRun {_SCHEDULE}",
    "ModifyAutoSnapshotPolicyAttribute": _SCHEDULE,
    "UnbindAutoSnapshotPolicy": "InstanceIds",
    "CreateDisasterRecoverGroup": "Strategy=SPREAD PartitionCount",
    "ModifyInstancesAttribute": "EnableJumboFrame",
    "ModifyInstancesDisasterRecoverGroup": "PartitionNumber",
    "ModifyInstancesVpcAttribute": _NETWORK,
    "ResetInstance": "SystemDisk LoginSettings.KeepImageLogin",
    "ResetInstancesInternetMaxBandwidth": f"StartTime EndTime {_inside('InternetAccessible', _INTERNET)}",
    "RunInstances": "ActionTimer ChcIds CpuTopology DedicatedClusterId EnableJumboFrame HpcClusterId "
    "InstanceChargePrepaid InstanceMarketOptions LaunchTemplate Metadata NetworkInterfaces PartitionNumber "
    f"{_inside('DataDisks', 'DiskId SnapshotId KmsKeyId CdcId BurstPerformance')} "
    f"{_inside('SystemDisk', 'DiskId CdcId Encrypt KmsKeyId')} {_NETWORK} {_inside('InternetAccessible', _INTERNET)} "
    f"{_inside('Placement', 'HostIds DedicatedResourcePackTenancy DedicatedResourcePackIds')} "
    "LoginSettings.KeepImageLogin",
    "AllocateAddresses": "AnycastZone AntiDDoSPackageId ApplicableForCLB DedicatedClusterId Egress IPChargeType "
    "VipCluster",
    "AssociateAddress": "EipDirectConnection InstanceRegion",
    "AssociateNatGatewayAddress": f"Zone IpAddressEnableMode {_LIMITED_BANDWIDTH.removesuffix(' ExclusiveType')}",
    "CreateHaVip": "NetworkInterfaceId",
    "CreateNatGateway": f"DeletionProtectionEnabled {_LIMITED_BANDWIDTH}",
    "CreateRoutes": "Routes.DestinationIpv6CidrBlock Routes.CdcId",
    "CreateSubnet": "StackType Ipv6CidrBlock CdcId",
    "CreateVpc": "StackType Ipv6CidrBlock AddressType",
    "CreateRecord": "DomainId GroupId DnssecConflictMode",
    "ModifyRecord": "DomainId DnssecConflictMode",
    "BindingPolicyObject": "InstanceGroupId EbSubject EbEventFlag",
    "CreateAlarmPolicy": f"{_CONDITION} IsBindAll TriggerTasks {_NOTICES}",
    "DescribeAlarmNotices": "OwnerUid ReceiverType UserIds GroupIds Tags OnCallFormIDs",
    "DescribeAlarmPolicies": "Dimensions ReceiverUids ReceiverGroups PolicyType ProjectIds RuleTypes Enable "
    "NotBindingNoticeRule InstanceGroupId NeedCorrespondence TriggerTasks OneClickPolicyType NotBindAll "
    "NotInstanceGroup Tags PromInsId ReceiverOnCallFormIDs NoticeContentTmplIDs IsPredefined",
    "DescribeBindingPolicyObjectList": "Dimensions",
    "ModifyAlarmPolicyCondition": _CONDITION,
    "ModifyAlarmPolicyNotice": _NOTICES,
    "DisassociateAddress": "ReallocateNormalPublicIp",
    "ModifyAddressAttribute": "EipDirectConnection EipVisibleOnEni",
    "ModifyAddressesBandwidth": "StartTime EndTime",
    "ModifyNatGatewayAttribute": "ModifySecurityGroup SecurityGroupIds DeletionProtectionEnabled",
    "ModifyVpcAttribute": "EnableCdcPublish",
    "ResetNatGatewayConnection": "ExclusiveType",
}


def check(action: str, parameters: Mapping[str, Any]) -> None:
    """Raises: ParameterNotEmulated."""
    for entry in TABLE.get(action, "").split():
        path, _, default = entry.partition("=")
        for value in _values(parameters, path.split(".")):
            if _is_on(value, {"false", default.lower()}):
                raise ParameterNotEmulated(name=path, value=value)


def _is_on(value: Any, off: set[str]) -> bool:
    if isinstance(value, Mapping):
        return any(_is_on(member, off) for member in cast("Mapping[str, Any]", value).values())
    return bool(value) and str(value).lower() not in off


def _values(given: Any, path: Sequence[str]) -> Iterator[Any]:
    if path and isinstance(given, list):
        for entry in cast("list[Any]", given):
            yield from _values(entry, path)
    elif not path:
        yield given
    elif path[0] in given:
        yield from _values(given[path[0]], path[1:])
