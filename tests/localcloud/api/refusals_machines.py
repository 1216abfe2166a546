"""What the rules of machines, disks, keys and placement refuse."""

from __future__ import annotations

import base64
from typing import Any

from localcloud.rules import client_token, disk, instance, instance_change, key_pair, placement, refusal
from localcloud.services import instance as instances
from localcloud.services import instance_change as changes
from tests.localcloud.api import refused
from tests.localcloud.api.lab import PUBLIC_KEY, ZONE
from tests.localcloud.api.place import Place
from tests.localcloud.api.refused import Request, Row, key, other_subnet, other_vpc, row, spread


def _run(place: Place, **parameters: Any) -> Request:
    wanted: dict[str, Any] = {
        "Placement": {"Zone": ZONE},
        "ImageId": "img-debian12",
        "InstanceType": "S5.MEDIUM2",
        "VirtualPrivateCloud": {"VpcId": place.vpc_id, "SubnetId": place.subnet_id},
        "SecurityGroupIds": [place.group_id],
    }
    return "cvm:RunInstances", wanted | parameters


def _run_at(place: Place, address: str, subnet_id: str = "", vpc_id: str = "") -> Request:
    network = {
        "VpcId": vpc_id or place.vpc_id,
        "SubnetId": subnet_id or place.subnet_id,
        "PrivateIpAddresses": [address],
    }
    return _run(place, VirtualPrivateCloud=network)


def _taken(place: Place) -> Request:
    place.machine(address="10.0.4.20")
    return _run_at(place, "10.0.4.20")


def _full(place: Place) -> Request:
    wide = other_subnet(place, cidr="10.0.16.0/20")
    network = {"VpcId": place.vpc_id, "SubnetId": wide}
    target, parameters = _run(place, InstanceCount=instance.QUOTA, VirtualPrivateCloud=network)
    place.call(target, **parameters)
    return _run(place)


def _no_address_left(place: Place) -> Request:
    network = {"VpcId": place.vpc_id, "SubnetId": other_subnet(place, cidr="10.0.9.0/28")}
    target, parameters = _run(place, VirtualPrivateCloud=network)
    place.call(target, **parameters, InstanceCount=13)
    return target, parameters


def _stopped(place: Place, **parameters: Any) -> str:
    instance_id = place.machine(**parameters)
    place.call("cvm:StopInstances", InstanceIds=[instance_id])
    place.call.settle()
    return instance_id


def _full_keys(place: Place) -> Request:
    # The cloud making 100 RSA keys takes its time; imported ones differ in their last bytes.
    raw = base64.b64decode(PUBLIC_KEY.split()[1])
    for number in range(key_pair.QUOTA):
        text = base64.b64encode(raw[:-1] + bytes([number])).decode()
        place.call("cvm:ImportKeyPair", KeyName=f"key_{number}", ProjectId=0, PublicKey=f"ssh-ed25519 {text}")
    return "cvm:ImportKeyPair", {"KeyName": "another", "ProjectId": 0, "PublicKey": PUBLIC_KEY.replace("IHUq", "IHUx")}


def _same_key_again(place: Place) -> Request:
    place.call("cvm:ImportKeyPair", KeyName="one", ProjectId=0, PublicKey=PUBLIC_KEY)
    return "cvm:ImportKeyPair", {"KeyName": "two", "ProjectId": 0, "PublicKey": PUBLIC_KEY}


def _key_in_use(place: Place) -> Request:
    key_id = key(place)
    place.machine(LoginSettings={"KeyIds": [key_id]})
    return "cvm:DeleteKeyPairs", {"KeyIds": [key_id]}


def _name_taken(place: Place) -> Request:
    key(place, "mine")
    return "cvm:CreateKeyPair", {"KeyName": "mine", "ProjectId": 0}


def _protected(place: Place) -> Request:
    return "cvm:TerminateInstances", {"InstanceIds": [place.machine(DisableApiTermination=True)]}


def _full_placement(place: Place) -> Request:
    group_id = spread(place)
    target, parameters = _run(place, InstanceCount=50, DisasterRecoverGroupIds=[group_id])
    place.call(target, **parameters)
    return _run(place, DisasterRecoverGroupIds=[group_id])


def _placement_in_use(place: Place) -> Request:
    group_id = spread(place)
    place.machine(DisasterRecoverGroupIds=[group_id])
    return "cvm:DeleteDisasterRecoverGroups", {"DisasterRecoverGroupIds": [group_id]}


def _placed_twice(place: Place) -> Request:
    group_id = spread(place)
    instance_id = place.machine(DisasterRecoverGroupIds=[group_id])
    return "cvm:ModifyInstancesDisasterRecoverGroup", {
        "InstanceIds": [instance_id],
        "DisasterRecoverGroupId": group_id,
    }


def _full_placements(place: Place) -> Request:
    for _ in range(placement.QUOTA):
        spread(place)
    return "cvm:CreateDisasterRecoverGroup", {"Name": "one more", "Type": "HOST"}


def _attach(disk_id: str, instance_id: str) -> Request:
    return "cbs:AttachDisks", {"DiskIds": [disk_id], "InstanceId": instance_id}


def _attached_twice(place: Place) -> Request:
    disk_id, instance_id = refused.disk(place), place.machine()
    target, parameters = _attach(disk_id, instance_id)
    place.call(target, **parameters)
    place.call.settle()
    return target, parameters


def _system_disk(place: Place) -> str:
    return place.show(place.machine())["SystemDisk"]["DiskId"]


def _token_twice(place: Place) -> Request:
    target, parameters = _run(place, ClientToken="once")
    place.call(target, **parameters)
    return target, parameters | {"InstanceType": "S5.LARGE8"}


ROWS = [
    row(instance.InstanceNotFound, "cvm:StopInstances", InstanceIds=["ins-00000000"]),
    row(instance.InstanceIdMalformed, "cvm:DescribeInstances", InstanceIds=["ins-1122"]),
    Row(instance.InstanceQuota, _full),
    Row(instance.ZoneMismatch, lambda p: _run(p, Placement={"Zone": "ap-shanghai-2"})),
    Row(instance.ImageNotFound, lambda p: _run(p, ImageId="img-00000000")),
    Row(instance.ImageIdMalformed, lambda p: _run(p, ImageId="debian")),
    Row(instance.InstanceTypeUnknown, lambda p: _run(p, InstanceType="S5.HUGE")),
    Row(instance.SubnetNotExist, lambda p: _run_at(p, "10.0.4.9", "subnet-00000000")),
    Row(instance.SubnetNotInVpc, lambda p: _run_at(p, "10.0.4.9", vpc_id=other_vpc(p)[0])),
    Row(instance.SubnetInOtherZone, lambda p: _run_at(p, "10.0.5.9", other_subnet(p, "ap-guangzhou-3"))),
    Row(instance.AddressNotInSubnet, lambda p: _run_at(p, "10.0.5.20")),
    Row(instance.AddressNotInSubnet, lambda p: _run_at(p, "10.0.4.1")),
    Row(instance.AddressInUse, _taken),
    Row(instance.UserDataTooLong, lambda p: _run(p, UserData=base64.b64encode(bytes(16385)).decode())),
    Row(instance.UserDataNotBase64, lambda p: _run(p, UserData="#!/bin/sh")),
    Row(instance.HostNameIllegal, lambda p: _run(p, HostName="-web")),
    Row(instance.GroupNotFound, lambda p: _run(p, SecurityGroupIds=["sg-00000000"])),
    Row(instance.TooManyGroups, lambda p: _run(p, SecurityGroupIds=[p.group_id] * 6)),
    Row(instance.NoAddressLeft, _no_address_left),
    Row(disk.DiskUnavailable, lambda p: _run(p, SystemDisk={"DiskType": "FLOPPY"})),
    Row(instance.NameTooLong, lambda p: _run(p, InstanceName="x" * 129)),
    Row(instance.InstanceProtected, _protected),
    Row(instances.InstanceNeedsVpc, lambda p: _run(p, VirtualPrivateCloud={})),
    Row(instances.InstanceNeedsGroup, lambda p: _run(p, SecurityGroupIds=[])),
    Row(
        instances.AmountsDiffer,
        lambda p: (_run_at(p, "10.0.4.9")[0], _run_at(p, "10.0.4.9")[1] | {"InstanceCount": 2}),
    ),
    Row(instances.PasswordNotEmulated, lambda p: _run(p, LoginSettings={"Password": "Secret-123"})),
    Row(changes.NothingToModify, lambda p: ("cvm:ModifyInstancesAttribute", {"InstanceIds": [p.machine()]})),
    Row(instance_change.InstanceIsRunning, lambda p: ("cvm:StartInstances", {"InstanceIds": [p.machine()]})),
    Row(
        instance_change.InstanceIsRunning,
        lambda p: ("cvm:ResetInstancesType", {"InstanceIds": [p.machine()], "InstanceType": "S5.LARGE8"}),
    ),
    Row(instance_change.InstanceIsStopped, lambda p: ("cvm:RebootInstances", {"InstanceIds": [_stopped(p)]})),
    Row(instance_change.AlreadyInPlacementGroup, _placed_twice),
    Row(
        instance_change.KeyNotOnInstance,
        lambda p: (
            "cvm:DisassociateInstancesKeyPairs",
            {"InstanceIds": [p.machine()], "KeyIds": [key(p)], "ForceStop": True},
        ),
    ),
    Row(
        instance_change.SystemDiskShrinks,
        lambda p: (
            "cvm:ResizeInstanceDisks",
            {"InstanceId": p.machine(), "SystemDisk": {"DiskSize": 20}, "ForceStop": True},
        ),
    ),
    Row(client_token.ClientTokenTooLong, lambda p: _run(p, ClientToken="x" * 65)),
    Row(refusal.ClientTokenReused, _token_twice),
    row(refusal.TooManyValues, "cvm:StopInstances", InstanceIds=["ins-00000000"] * 101),
    row(key_pair.KeyPairNotFound, "cvm:DeleteKeyPairs", KeyIds=["skey-00000000"]),
    row(key_pair.KeyPairIdMalformed, "cvm:DeleteKeyPairs", KeyIds=["skey-1122"]),
    row(key_pair.KeyPairNameEmpty, "cvm:CreateKeyPair", KeyName="", ProjectId=0),
    row(key_pair.KeyPairNameTooLong, "cvm:CreateKeyPair", KeyName="x" * 26, ProjectId=0),
    row(key_pair.KeyPairNameIllegal, "cvm:CreateKeyPair", KeyName="my-key", ProjectId=0),
    Row(key_pair.KeyPairNameTaken, _name_taken),
    Row(key_pair.KeyPairQuota, _full_keys),
    row(key_pair.PublicKeyMalformed, "cvm:ImportKeyPair", KeyName="k", ProjectId=0, PublicKey="ssh-rsa AAAA..."),
    Row(key_pair.PublicKeyTaken, _same_key_again),
    Row(key_pair.KeyPairInUse, _key_in_use),
    row(
        placement.PlacementGroupNotFound,
        "cvm:DeleteDisasterRecoverGroups",
        DisasterRecoverGroupIds=["ps-00000000"],
    ),
    Row(placement.PlacementGroupQuota, _full_placements),
    Row(placement.PlacementGroupNotEmpty, _placement_in_use),
    Row(placement.PlacementGroupFull, _full_placement),
    row(disk.DiskNotFound, "cbs:TerminateDisks", DiskIds=["disk-00000000"]),
    row(
        disk.DiskSizeOutOfRange,
        "cbs:CreateDisks",
        Placement={"Zone": ZONE},
        DiskType="CLOUD_SSD",
        DiskSize=10,
    ),
    row(disk.DiskTypeUnknown, "cbs:CreateDisks", Placement={"Zone": ZONE}, DiskType="FLOPPY", DiskSize=10),
    Row(disk.DiskShrinks, lambda p: ("cbs:ResizeDisk", {"DiskId": refused.disk(p), "DiskSize": 40})),
    Row(disk.DiskAttached, _attached_twice),
    Row(disk.DiskNotAttached, lambda p: ("cbs:DetachDisks", {"DiskIds": [refused.disk(p)]})),
    Row(disk.DiskNotPortable, lambda p: ("cbs:DetachDisks", {"DiskIds": [_system_disk(p)]})),
    Row(
        disk.DiskZoneMismatch,
        lambda p: _attach(refused.disk(p, Placement={"Zone": "ap-guangzhou-3"}), p.machine()),
    ),
]
