"""Requests that violate the rules of instances."""

from __future__ import annotations

import base64
from typing import Any

from localcloud.rules import (
    client_token,
    disk_types,
    instance,
    instance_attributes,
    instance_change,
    instance_state,
    key_pair,
    placement,
    refusal,
    run_instances,
)
from localcloud.services import instance_change as changes
from localcloud.services import run_instances as handlers
from localcloud.services import tagging
from tests.localcloud.api.lab import ZONE
from tests.localcloud.api.place import Place
from tests.localcloud.api.refused import Request, Row, other_subnet, other_vpc, row, spread


def run(place: Place, **parameters: Any) -> Request:
    request: dict[str, Any] = {
        "Placement": {"Zone": ZONE},
        "ImageId": "img-debian12",
        "InstanceType": "S5.MEDIUM2",
        "VirtualPrivateCloud": {"VpcId": place.vpc_id, "SubnetId": place.subnet_id},
        "SecurityGroupIds": [place.group_id],
    }
    return "cvm:RunInstances", request | parameters


def _run_at(place: Place, address: str, subnet_id: str = "", vpc_id: str = "") -> Request:
    network = {
        "VpcId": vpc_id or place.vpc_id,
        "SubnetId": subnet_id or place.subnet_id,
        "PrivateIpAddresses": [address],
    }
    return run(place, VirtualPrivateCloud=network)


def _dry(request: Request) -> Request:
    return request[0], request[1] | {"DryRun": True}


def _run_in_small_subnet(place: Place, count: int) -> Request:
    network = {"VpcId": place.vpc_id, "SubnetId": other_subnet(place, cidr="10.0.9.0/28")}
    return run(place, VirtualPrivateCloud=network, InstanceCount=count)


def _two_instances_to_one_address(place: Place) -> Request:
    network = {"VpcId": place.vpc_id, "SubnetId": place.subnet_id, "PrivateIpAddresses": ["10.0.4.99"]}
    ids = [place.machine(), place.machine()]
    return "cvm:ModifyInstancesVpcAttribute", {"InstanceIds": ids, "VirtualPrivateCloud": network}


def _address_in_use(place: Place) -> Request:
    place.machine(address="10.0.4.20")
    return _run_at(place, "10.0.4.20")


def _full(place: Place) -> Request:
    wide = other_subnet(place, cidr="10.0.16.0/20")
    network = {"VpcId": place.vpc_id, "SubnetId": wide}
    target, parameters = run(place, InstanceCount=instance.QUOTA, VirtualPrivateCloud=network)
    place.call(target, **parameters)
    return run(place)


def _no_address_left(place: Place) -> Request:
    target, parameters = _run_in_small_subnet(place, 13)
    place.call(target, **parameters)
    return target, parameters | {"InstanceCount": 1}


def _stopped(place: Place, **parameters: Any) -> str:
    instance_id = place.machine(**parameters)
    place.call("cvm:StopInstances", InstanceIds=[instance_id])
    place.call.settle()
    return instance_id


def _protected(place: Place) -> Request:
    return "cvm:TerminateInstances", {"InstanceIds": [place.machine(DisableApiTermination=True)]}


DATA_DISK: dict[str, Any] = {"DiskType": "CLOUD_PREMIUM", "DiskSize": 50}


def _modify(place: Place, **parameters: Any) -> Request:
    return "cvm:ModifyInstancesAttribute", {"InstanceIds": [place.machine()], **parameters}


def _resize(kind: str, *instance_ids: str) -> Request:
    return "cvm:ResetInstancesType", {"InstanceIds": list(instance_ids), "InstanceType": kind, "ForceStop": True}


def _resize_disks(place: Place, **parameters: Any) -> Request:
    return "cvm:ResizeInstanceDisks", {"InstanceId": place.machine(), "ForceStop": True, **parameters}


def _other_bandwidth_charge_type(place: Place) -> Request:
    instance_id = place.machine(InternetAccessible={"InternetMaxBandwidthOut": 5, "PublicIpAssigned": True})
    internet = {"InternetMaxBandwidthOut": 5, "InternetChargeType": "BANDWIDTH_POSTPAID_BY_HOUR"}
    return "cvm:ResetInstancesInternetMaxBandwidth", {"InstanceIds": [instance_id], "InternetAccessible": internet}


def _tagged(place: Place, *tags: tuple[str, str]) -> Request:
    given = [{"Key": key, "Value": value} for key, value in tags]
    return run(place, TagSpecification=[{"ResourceType": "instance", "Tags": given}])


def _stopped_without_charge(place: Place) -> Request:
    instance_id = place.machine()
    place.call("cvm:StopInstances", InstanceIds=[instance_id], StoppedMode="STOP_CHARGING")
    place.call.settle()
    return _resize("S5.LARGE8", instance_id)


def _reused_token(place: Place) -> Request:
    target, parameters = run(place, ClientToken="once")
    place.call(target, **parameters)
    return target, parameters | {"InstanceType": "S5.LARGE8"}


ROWS = [
    row(instance.InstanceNotFound, "cvm:StopInstances", InstanceIds=["ins-00000000"]),
    row(instance.InstanceIdMalformed, "cvm:DescribeInstances", InstanceIds=["ins-1122"]),
    Row(instance.InstanceQuota, _full),
    Row(instance.ZoneMismatch, lambda p: run(p, Placement={"Zone": "ap-shanghai-2"})),
    Row(instance.ImageNotFound, lambda p: run(p, ImageId="img-00000000")),
    Row(instance.ImageIdMalformed, lambda p: run(p, ImageId="debian")),
    Row(instance.InstanceTypeUnknown, lambda p: run(p, InstanceType="S5.HUGE")),
    Row(instance.SubnetNotExist, lambda p: _run_at(p, "10.0.4.9", "subnet-00000000")),
    Row(instance.SubnetNotExist, lambda p: _dry(_run_at(p, "10.0.4.9", "subnet-00000000"))),
    Row(instance.InstanceQuota, lambda p: _dry(run(p, InstanceCount=instance.QUOTA + 1))),
    Row(placement.PlacementGroupFull, lambda p: _dry(run(p, InstanceCount=51, DisasterRecoverGroupIds=[spread(p)]))),
    Row(instance.NoAddressLeft, lambda p: _dry(_run_in_small_subnet(p, 14))),
    Row(refusal.InvalidParameterValue, _two_instances_to_one_address),
    Row(instance.SubnetNotInVpc, lambda p: _run_at(p, "10.0.4.9", vpc_id=other_vpc(p)[0])),
    Row(instance.SubnetInOtherZone, lambda p: _run_at(p, "10.0.5.9", other_subnet(p, "ap-guangzhou-3"))),
    Row(instance.AddressNotInSubnet, lambda p: _run_at(p, "10.0.5.20")),
    Row(instance.AddressNotInSubnet, lambda p: _run_at(p, "10.0.4.1")),
    Row(instance.AddressInUse, _address_in_use),
    Row(instance_attributes.UserDataTooLong, lambda p: run(p, UserData=base64.b64encode(bytes(16385)).decode())),
    Row(instance_attributes.UserDataNotBase64, lambda p: run(p, UserData="#!/bin/sh")),
    Row(instance_attributes.HostNameIllegal, lambda p: run(p, HostName="-web")),
    Row(instance.GroupNotFound, lambda p: run(p, SecurityGroupIds=["sg-00000000"])),
    Row(instance.TooManyGroups, lambda p: run(p, SecurityGroupIds=[p.group_id] * 6)),
    Row(instance.NoAddressLeft, _no_address_left),
    Row(disk_types.DiskUnavailable, lambda p: run(p, SystemDisk={"DiskType": "FLOPPY"})),
    Row(instance_attributes.NameTooLong, lambda p: run(p, InstanceName="x" * 129)),
    Row(instance_attributes.NameTooLong, lambda p: _modify(p, InstanceName="x" * 61)),
    Row(instance_attributes.RoleNameMalformed, lambda p: run(p, CamRoleName="a role")),
    Row(
        run_instances.PublicAddressWithoutBandwidth,
        lambda p: run(p, InternetAccessible={"PublicIpAssigned": True, "InternetMaxBandwidthOut": 0}),
    ),
    Row(refusal.ParameterOutOfRange, lambda p: run(p, InternetAccessible={"InternetMaxBandwidthOut": 101})),
    *(
        Row(
            refusal.InvalidParameterValue,
            lambda p, kind=kind: run(p, InternetAccessible={"InternetMaxBandwidthOut": 5, "InternetChargeType": kind}),
        )
        for kind in ("FREE", "BANDWIDTH_PREPAID", "BANDWIDTH_PACKAGE")
    ),
    Row(refusal.ParameterOutOfRange, lambda p: run(p, MinCount=2)),
    Row(refusal.InvalidParameterValue, _other_bandwidth_charge_type),
    Row(
        refusal.InvalidParameterValue,
        lambda p: ("cvm:DescribeInstancesAttributes", {"InstanceIds": [p.machine()], "Attributes": ["Password"]}),
    ),
    Row(instance.TooManyGroups, lambda p: _modify(p, SecurityGroups=[])),
    Row(
        disk_types.ThroughputNotSupported,
        lambda p: run(p, DataDisks=[DATA_DISK | {"ThroughputPerformance": 100}]),
    ),
    Row(refusal.TooManyValues, lambda p: run(p, DisasterRecoverGroupIds=[spread(p), spread(p)])),
    Row(refusal.TooManyValues, lambda p: run(p, DataDisks=[DATA_DISK] * 21)),
    Row(disk_types.DiskUnavailable, lambda p: run(p, DataDisks=[{"DiskSize": 50}])),
    Row(disk_types.DiskSizeOutOfStep, lambda p: run(p, DataDisks=[DATA_DISK | {"DiskSize": 55}])),
    Row(disk_types.DiskSizeOutOfRange, lambda p: run(p, SystemDisk={"DiskSize": 1025})),
    Row(disk_types.SsdTooSmall, lambda p: run(p, DataDisks=[DATA_DISK | {"DiskType": "CLOUD_SSD", "DiskSize": 90}])),
    Row(disk_types.DiskNameTooLong, lambda p: run(p, DataDisks=[DATA_DISK | {"DiskName": "名" * 129}])),
    Row(key_pair.KeyPairUnknown, lambda p: run(p, LoginSettings={"KeyIds": ["skey-00000000"]})),
    Row(placement.PlacementGroupUnknown, lambda p: run(p, DisasterRecoverGroupIds=["ps-00000000"])),
    Row(tagging.CvmTagKeyIllegal, lambda p: _tagged(p, ("a*b", "x"))),
    Row(tagging.CvmTagValueIllegal, lambda p: _tagged(p, ("a", "x "))),
    Row(tagging.CvmTagKeyReserved, lambda p: _tagged(p, ("project", "x"))),
    Row(tagging.CvmTagDuplicate, lambda p: _tagged(p, ("a", "x"), ("a", "y"))),
    Row(
        refusal.InvalidParameterValue,
        lambda p: run(p, TagSpecification=[{"ResourceType": "disk", "Tags": [{"Key": "a", "Value": "b"}]}]),
    ),
    Row(instance.InstanceProtected, _protected),
    Row(handlers.InstanceNeedsVpc, lambda p: run(p, VirtualPrivateCloud={})),
    Row(handlers.InstanceNeedsGroup, lambda p: run(p, SecurityGroupIds=[])),
    Row(
        handlers.AddressCountDiffers,
        lambda p: (_run_at(p, "10.0.4.9")[0], _run_at(p, "10.0.4.9")[1] | {"InstanceCount": 2}),
    ),
    Row(handlers.PasswordNotEmulated, lambda p: run(p, LoginSettings={"Password": "Secret-123"})),
    Row(changes.NothingToModify, lambda p: _modify(p, AutoReboot=True)),
    Row(changes.SeveralToModify, lambda p: _modify(p, InstanceName="a", HostName="ab")),
    Row(
        changes.TwoStopTypes,
        lambda p: ("cvm:StopInstances", {"InstanceIds": [p.machine()], "StopType": "SOFT", "ForceStop": False}),
    ),
    Row(
        refusal.InvalidParameterValue,
        lambda p: ("cvm:StopInstances", {"InstanceIds": [p.machine()], "StoppedMode": "FREE"}),
    ),
    Row(changes.OneDiskParameter, _resize_disks),
    Row(
        changes.OneDiskParameter, lambda p: _resize_disks(p, SystemDisk={"DiskSize": 60}, DataDisks=[{"DiskSize": 60}])
    ),
    Row(instance_change.DataDiskElastic, lambda p: _resize_disks(p, DataDisks=[{"DiskSize": 60}])),
    Row(
        instance_change.SystemDiskTypeNotChangeable,
        lambda p: _resize_disks(p, SystemDisk={"DiskSize": 60, "DiskType": "CLOUD_SSD"}),
    ),
    Row(instance_change.TypeNotOffered, lambda p: _resize("S5.HUGE", p.machine())),
    Row(refusal.TooManyValues, lambda p: _resize("S5.LARGE8", p.machine(), p.machine())),
    Row(
        instance_change.SystemDiskTypeFixed,
        lambda p: _resize("S5.LARGE8", p.machine(SystemDisk={"DiskType": "CLOUD_HSSD"})),
    ),
    Row(
        instance_change.SystemDiskTypeFixed,
        lambda p: ("cvm:ResetInstance", {"InstanceId": p.machine(SystemDisk={"DiskType": "CLOUD_TSSD"})}),
    ),
    Row(instance_state.StoppedWithoutCharge, _stopped_without_charge),
    Row(instance_state.InstanceIsRunning, lambda p: ("cvm:StartInstances", {"InstanceIds": [p.machine()]})),
    Row(
        instance_state.InstanceIsRunning,
        lambda p: ("cvm:ResetInstancesType", {"InstanceIds": [p.machine()], "InstanceType": "S5.LARGE8"}),
    ),
    Row(instance_state.InstanceIsStopped, lambda p: ("cvm:StopInstances", {"InstanceIds": [_stopped(p)]})),
    Row(
        instance_change.SystemDiskShrinks,
        lambda p: (
            "cvm:ResizeInstanceDisks",
            {"InstanceId": p.machine(), "SystemDisk": {"DiskSize": 20}, "ForceStop": True},
        ),
    ),
    Row(instance_change.SystemDiskShrinks, lambda p: _resize_disks(p, SystemDisk={"DiskSize": 50})),
    Row(client_token.ClientTokenTooLong, lambda p: run(p, ClientToken="x" * 65)),
    Row(refusal.ClientTokenReused, _reused_token),
    row(refusal.TooManyValues, "cvm:StopInstances", InstanceIds=["ins-00000000"] * 101),
]
