"""RunInstances: parse a request for new instances."""

from __future__ import annotations

import re
from dataclasses import replace

from localcloud.rules import disk, disk_types, instance, instance_attributes, key_pair, placement
from localcloud.rules.instance import Instance
from localcloud.rules.refusal import InvalidParameterValue, assumed, documented, rule
from localcloud.rules.run_instances import PublicAddressWithoutBandwidth, RunRequest, check, run_instance
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call, action
from localcloud.services.parameters import Parameters

_ADDRESSES_PER_REQUEST = 20
# Maximum bandwidth in Mbit/s of an instance billed by the hour (limits of CVM, 213/15379).
BANDWIDTH_MBPS = 100
_INTERNET_CHARGE_TYPES = ("TRAFFIC_POSTPAID_BY_HOUR", "BANDWIDTH_POSTPAID_BY_HOUR")
_NUMBER = re.compile(r"\{R:(\d+)(?:,F:(\d))?\}")
InstanceNeedsVpc = rule(
    "InvalidParameterValue.VpcIdNotExist",
    "An instance must be created in a VPC; localcloud has no default VPC and no classic network.",
    assumed("RunInstances (213/15730) would use the default VPC; localcloud has none"),
)
InstanceNeedsGroup = rule(
    "MissingParameter",
    "An instance must be created with a security group; localcloud has no default group.",
    assumed("RunInstances (213/15730) would create a default group; localcloud does not"),
)
AddressCountDiffers = rule(
    "InvalidParameterCombination",
    "The number of private addresses must equal the number of instances.",
    documented("RunInstances: as many PrivateIpAddresses as InstanceCount, at most 20", page="213/15730"),
)
PasswordNotEmulated = rule(
    "InvalidParameter.PasswordNotSupported",
    "Instances must be accessed with key pairs; passwords are not emulated.",
    assumed("limit of localcloud: its images support only key pairs (code: 213/30435)"),
)

_RUN_RULES = (
    InstanceNeedsVpc,
    InstanceNeedsGroup,
    AddressCountDiffers,
    PasswordNotEmulated,
    instance.InstanceQuota,
    instance.ZoneMismatch,
    instance.ImageNotFound,
    instance.ImageIdMalformed,
    instance.InstanceTypeUnknown,
    instance.SubnetNotExist,
    instance.SubnetNotInVpc,
    instance.SubnetInOtherZone,
    instance.AddressNotInSubnet,
    instance.AddressInUse,
    instance_attributes.UserDataTooLong,
    instance_attributes.UserDataNotBase64,
    instance_attributes.HostNameIllegal,
    instance_attributes.NameTooLong,
    instance.NoAddressLeft,
    instance_attributes.RoleNameMalformed,
    PublicAddressWithoutBandwidth,
    key_pair.KeyPairUnknown,
    key_pair.KeyPairIdMalformed,
    placement.PlacementGroupUnknown,
    placement.PlacementGroupFull,
    instance.GroupNotFound,
    instance.TooManyGroups,
    disk_types.DiskUnavailable,
    disk_types.DiskSizeOutOfRange,
    disk_types.DiskSizeOutOfStep,
    disk_types.SsdTooSmall,
    disk_types.DiskNameTooLong,
    disk_types.ThroughputNotSupported,
    *tagging.MACHINE_RULES,
)


@action("cvm", "RunInstances", *_RUN_RULES)
def run_instances(call: Call, given: Parameters) -> Answer:
    """Create instances. They are in state PENDING until they have booted."""
    count = given.integer_in("InstanceCount", 1, 500, default=1)
    given.integer_in("MinCount", 1, count, default=1)
    requests = [_run_request(call, number, count) for number in range(count)]
    if given.flag("DryRun"):
        for request in requests:
            check(call.tx, request, arriving=count)
        return {"InstanceIdSet": []}
    return {"InstanceIdSet": [run_instance(call.tx, request, call.request_id).id for request in requests]}


def _run_request(call: Call, number: int, count: int) -> RunRequest:
    given = call.parameters
    project_id = given.required_inside("Placement").integer_or("ProjectId", 0)
    network, login = given.inside("VirtualPrivateCloud"), given.inside("LoginSettings")
    addresses = network.addresses("PrivateIpAddresses")
    if addresses and (len(addresses) != count or count > _ADDRESSES_PER_REQUEST):
        raise AddressCountDiffers(got=len(addresses), count=count)
    if not network.find_text("VpcId") or not network.find_text("SubnetId"):
        raise InstanceNeedsVpc
    if not given.texts("SecurityGroupIds"):
        raise InstanceNeedsGroup
    if login.find_text("Password"):
        raise PasswordNotEmulated
    data_disks = tuple(
        # A data disk without type is a local disk, and one without size is not created (DataDisk, 213/15730).
        replace(_disk(entry, "LOCAL_BASIC", 0), project_id=project_id)
        for entry in given.each("DataDisks")
    )
    system_disk = _disk(given.inside("SystemDisk"), "CLOUD_PREMIUM", 50)
    internet = given.inside("InternetAccessible")
    return RunRequest(
        instance=_instance(given, number, count),
        address=addresses[number] if addresses else None,
        group_ids=given.texts("SecurityGroupIds"),
        system_disk=replace(system_disk, usage="SYSTEM_DISK", portable=False, delete_with_instance=True),
        data_disks=data_disks,
        public=internet.flag("PublicIpAssigned", default=_bandwidth(internet) > 0),
        tags=tagging.specified(given, "instance"),
    )


def _instance(given: Parameters, number: int, count: int) -> Instance:
    place, network = given.required_inside("Placement"), given.inside("VirtualPrivateCloud")
    internet = given.inside("InternetAccessible")
    groups = given.texts("DisasterRecoverGroupIds", limit=1)
    name, hostname = given.find_text("InstanceName") or "未命名", given.find_text("HostName") or ""
    return Instance(
        name=numbered(name, number, count),
        hostname=numbered(hostname, number, count) if hostname else "",
        zone=place.text("Zone"),
        instance_type=given.find_text("InstanceType") or "S5.SMALL2",
        image_id=given.text("ImageId"),
        vpc_id=network.text("VpcId"),
        subnet_id=network.text("SubnetId"),
        key_ids=given.inside("LoginSettings").texts("KeyIds"),
        placement_group_id=groups[0] if groups else "",
        project_id=place.integer_or("ProjectId", 0),
        charge_type=_charge_type(given),
        internet_charge_type=_internet_charge_type(internet),
        bandwidth_mbps=_bandwidth(internet),
        user_data=given.find_text("UserData") or "",
        cam_role_name=given.find_text("CamRoleName") or "",
        protected=given.flag("DisableApiTermination"),
    )


def numbered(pattern: str, number: int, count: int) -> str:
    """Return the name of one of several instances: `{R:3}` counts from 3, `{R:3,F:3}` with three digits; else 1, 2 ...
    is appended.
    """

    def counted(found: re.Match[str]) -> str:
        return str(int(found[1]) + number).zfill(int(found[2] or 0))

    if _NUMBER.search(pattern):
        return _NUMBER.sub(counted, pattern)
    return pattern if count == 1 else f"{pattern}{number + 1}"


def _charge_type(given: Parameters) -> str:
    charge_type = given.find_text("InstanceChargeType") or "POSTPAID_BY_HOUR"
    if charge_type not in {"POSTPAID_BY_HOUR", "SPOTPAID"}:
        raise InvalidParameterValue(
            name="InstanceChargeType",
            value=charge_type,
            expected="POSTPAID_BY_HOUR, the only type that localcloud supports",
        )
    return charge_type


def _internet_charge_type(internet: Parameters) -> str:
    charge_type = internet.find_text("InternetChargeType") or _INTERNET_CHARGE_TYPES[0]
    if charge_type not in _INTERNET_CHARGE_TYPES:
        # BANDWIDTH_PREPAID needs a prepaid instance, BANDWIDTH_PACKAGE a bandwidth package.
        expected = " or ".join(_INTERNET_CHARGE_TYPES)
        raise InvalidParameterValue(name="InternetChargeType", value=charge_type, expected=expected)
    return charge_type


def _bandwidth(internet: Parameters) -> int:
    return internet.integer_in("InternetMaxBandwidthOut", 0, BANDWIDTH_MBPS, default=0)


def _disk(given: Parameters, default_type: str, default_gib: int) -> disk.Disk:
    return disk.Disk(
        type=given.find_text("DiskType") or default_type,
        size_gib=given.integer_or("DiskSize", default_gib),
        name=given.find_text("DiskName") or "",
        delete_with_instance=given.flag("DeleteWithInstance", default=True),
        encrypted=given.flag("Encrypt"),
        throughput=given.integer_or("ThroughputPerformance", 0),
    )
