"""Instances: creation and lists."""

from __future__ import annotations

import re
from dataclasses import replace

from localcloud.rules import address, disk, disk_types, instance, instance_attributes, interface, key_pair, placement
from localcloud.rules.instance import Instance
from localcloud.rules.records import iso_time
from localcloud.rules.refusal import InvalidParameterValue, assumed, documented, rule
from localcloud.rules.run_instances import PublicAddressWithoutBandwidth, RunRequest, run_instance
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import UnknownInstanceFilter, chosen, page
from localcloud.services.parameters import Parameters

_ADDRESSES_PER_REQUEST = 20
# Maximum bandwidth in Mbit/s of an instance billed by the hour (limits of CVM, 213/15379).
BANDWIDTH_MBPS = 100
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
    *tagging.MACHINE_RULES,
)


@action("cvm", "RunInstances", *_RUN_RULES)
def run_instances(call: Call, given: Parameters) -> Answer:
    """Create instances. They are in state PENDING until they have booted."""
    count = given.integer_in("InstanceCount", 1, 500, default=1)
    requests = [_run_request(call, number, count) for number in range(count)]
    if given.flag("DryRun"):
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
        internet_charge_type=internet.find_text("InternetChargeType") or "TRAFFIC_POSTPAID_BY_HOUR",
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


def _public_addresses(call: Call, found: Instance) -> list[str]:
    bound = [str(one.ip) for one in address.of_target(call.tx, found.id) if one.status == "BIND"]
    return bound if found.public_address is None else [str(found.public_address), *bound]


def show(call: Call, found: Instance) -> Answer:
    """Return an instance in the response format."""
    eni = interface.get(call.tx, found.interface_id)
    disks = disk.of_instance(call.tx, found.id)
    kind = found.type
    return {
        "Placement": {"Zone": found.zone, "ProjectId": found.project_id},
        "InstanceId": found.id,
        "InstanceType": found.instance_type,
        "CPU": kind.cpu,
        "Memory": kind.memory_gib,
        "RestrictState": "NORMAL",
        "InstanceName": found.name,
        "InstanceChargeType": found.charge_type,
        "SystemDisk": next(_system_disk(one) for one in disks if one.usage == "SYSTEM_DISK"),
        "DataDisks": [_data_disk(one) for one in disks if one.usage == "DATA_DISK"],
        "PrivateIpAddresses": [str(eni.address)],
        "PublicIpAddresses": _public_addresses(call, found),
        "InternetAccessible": {
            "InternetChargeType": found.internet_charge_type,
            "InternetMaxBandwidthOut": found.bandwidth_mbps,
            "PublicIpAssigned": found.public_address is not None,
        },
        "VirtualPrivateCloud": {"VpcId": found.vpc_id, "SubnetId": found.subnet_id, "AsVpcGateway": False},
        "ImageId": found.image_id,
        "RenewFlag": "NOTIFY_AND_MANUAL_RENEW",
        "CreatedTime": iso_time(found.created),
        "ExpiredTime": None,
        "OsName": instance.image(call.tx, found.image_id).os_name,
        "SecurityGroupIds": list(eni.group_ids),
        "LoginSettings": {"KeyIds": list(found.key_ids)},
        "InstanceState": found.state,
        "StopChargingMode": _stop_mode(found),
        "Uuid": found.uuid,
        "LatestOperation": found.operation,
        "LatestOperationState": found.operation_state,
        "LatestOperationRequestId": found.operation_id,
        "LatestOperationErrorMsg": found.operation_error,
        "DisasterRecoverGroupId": found.placement_group_id,
        "CamRoleName": found.cam_role_name,
        "DisableApiTermination": found.protected,
        "DefaultLoginUser": "debian",
        "DefaultLoginPort": 22,
        "IsolatedSource": "NOTISOLATED",
        "Tags": tagging.shown(call, found.id),
    }


def _stop_mode(found: Instance) -> str:
    if found.state != "STOPPED":
        return "NOT_APPLICABLE"
    return "STOP_CHARGING" if found.stop_charging else "KEEP_CHARGING"


def _system_disk(one: disk.Disk) -> Answer:
    return {"DiskType": one.type, "DiskId": one.id, "DiskSize": one.size_gib, "DiskName": one.name}


def _data_disk(one: disk.Disk) -> Answer:
    return {
        "DiskType": one.type,
        "DiskId": one.id,
        "DiskSize": one.size_gib,
        "DiskName": one.name,
        "DeleteWithInstance": one.delete_with_instance,
        "Encrypt": one.encrypted,
        "ThroughputPerformance": one.throughput,
    }


def found_instances(call: Call) -> list[Instance]:
    """Return the instances that InstanceIds or Filters select."""
    tx = call.tx
    for instance_id in call.parameters.texts("InstanceIds"):
        if not re.fullmatch(r"ins-[0-9a-z]{8}", instance_id):
            raise instance.InstanceIdMalformed(got=instance_id)

    def eni(one: Instance) -> interface.Interface:
        return interface.get(tx, one.interface_id)

    return chosen(
        call,
        tx.all(Instance),
        {
            "zone": lambda one: [one.zone],
            "project-id": lambda one: [str(one.project_id)],
            "instance-id": lambda one: [one.id],
            "instance-name": lambda one: [one.name],
            "instance-charge-type": lambda one: [one.charge_type],
            "instance-state": lambda one: [one.state],
            "instance-type": lambda one: [one.instance_type],
            "image-id": lambda one: [one.image_id],
            "uuid": lambda one: [one.uuid],
            "vpc-id": lambda one: [one.vpc_id],
            "subnet-id": lambda one: [one.subnet_id],
            "disaster-recover-group-id": lambda one: [one.placement_group_id],
            "security-group-id": lambda one: eni(one).group_ids,
            "private-ip-address": lambda one: [str(eni(one).address)],
            "public-ip-address": lambda one: _public_addresses(call, one),
            "login-settings.key-ids": lambda one: one.key_ids,
        },
        ids="InstanceIds",
        refusal=UnknownInstanceFilter,
    )


@action("cvm", "DescribeInstances", instance.InstanceIdMalformed, UnknownInstanceFilter)
def describe_instances(call: Call, _given: Parameters) -> Answer:
    """List instances."""
    found = found_instances(call)
    return {"TotalCount": len(found), "InstanceSet": [show(call, one) for one in page(call, found)]}


@action("cvm", "DescribeInstancesAttributes", instance.InstanceNotFound, instance.InstanceIdMalformed)
def describe_instances_attributes(call: Call, given: Parameters) -> Answer:
    """Return the user data of instances."""
    given.required_texts("Attributes")
    rows = [
        {"InstanceId": one.id, "Attributes": {"UserData": one.user_data}}
        for one in (instance.get(call.tx, instance_id) for instance_id in given.required_texts("InstanceIds"))
    ]
    return {"InstanceSet": rows}
