"""Lists of instances."""

from __future__ import annotations

from localcloud.rules import address, disk, instance, interface
from localcloud.rules.instance import Instance
from localcloud.rules.records import iso_time
from localcloud.rules.refusal import InvalidParameterValue
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import Filters, UnknownInstanceFilter, listed
from localcloud.services.parameters import Parameters


def _public_addresses(call: Call, found: Instance) -> list[str]:
    bound = [str(one.ip) for one in address.of_target(call.tx, found.id) if one.status == "BIND"]
    return bound if found.public_address is None else [str(found.public_address), *bound]


def show(call: Call, found: Instance) -> Answer:
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


@action("cvm", "DescribeInstances", instance.InstanceIdMalformed, UnknownInstanceFilter)
def describe_instances(call: Call, _given: Parameters) -> Answer:
    """List instances."""

    def eni(one: Instance) -> interface.Interface:
        return interface.get(call.tx, one.interface_id)

    filters: Filters[Instance] = {
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
    }
    return listed(call, "InstanceSet", Instance, show, filters, ids="InstanceIds", refusal=UnknownInstanceFilter)


@action("cvm", "DescribeInstancesAttributes", instance.InstanceNotFound, instance.InstanceIdMalformed)
def describe_instances_attributes(call: Call, given: Parameters) -> Answer:
    """Return the user data of instances."""
    for name in given.required_texts("Attributes"):
        if name != "UserData":
            raise InvalidParameterValue(name="Attributes", value=name, expected="UserData")
    rows = [
        {"InstanceId": one.id, "Attributes": {"UserData": one.user_data}}
        for one in (instance.get(call.tx, instance_id) for instance_id in given.required_texts("InstanceIds"))
    ]
    return {"InstanceSet": rows}
