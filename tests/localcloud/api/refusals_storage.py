"""Requests that violate the rules of key pairs, placement groups and disks."""

from __future__ import annotations

import base64
from typing import Any

from localcloud.rules import disk, disk_types, instance, instance_change, key_pair, placement, refusal, snapshot_policy
from localcloud.services import catalog, listing
from tests.localcloud.api import refused
from tests.localcloud.api.lab import PUBLIC_KEY, ZONE, public_key
from tests.localcloud.api.place import Place
from tests.localcloud.api.refusals_machines import DATA_DISK, run
from tests.localcloud.api.refused import Request, Row, key, row, spread

_SCHEDULE = {"DayOfWeek": [0], "Hour": [3]}


def _create(**parameters: Any) -> Request:
    request: dict[str, Any] = {"Placement": {"Zone": ZONE}, "DiskType": "CLOUD_PREMIUM", "DiskSize": 50}
    return "cbs:CreateDisks", request | parameters


def _full_keys(place: Place) -> Request:
    for number in range(1, key_pair.QUOTA + 1):
        place.call("cvm:ImportKeyPair", KeyName=f"key_{number}", ProjectId=0, PublicKey=public_key(number))
    return "cvm:ImportKeyPair", {"KeyName": "another", "ProjectId": 0, "PublicKey": PUBLIC_KEY}


def _import(line: str) -> Request:
    return "cvm:ImportKeyPair", {"KeyName": "k", "ProjectId": 0, "PublicKey": line}


def _key_of_type(kind: str, *fields: bytes) -> str:
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in (kind.encode(), *fields))
    return f"{kind} {base64.b64encode(blob).decode()}"


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


def _reduced_affinity(place: Place) -> Request:
    made = place.call("cvm:CreateDisasterRecoverGroup", Name="spread", Type="HOST", Affinity=3)
    return "cvm:ModifyDisasterRecoverGroupAttribute", {
        "DisasterRecoverGroupId": made["DisasterRecoverGroupId"],
        "Affinity": 2,
    }


def _full_placements(place: Place) -> Request:
    for _ in range(placement.QUOTA):
        spread(place)
    return "cvm:CreateDisasterRecoverGroup", {"Name": "one more", "Type": "HOST"}


def _twenty_disks(place: Place) -> Request:
    instance_id = place.machine(DataDisks=[DATA_DISK] * 20)
    return _attach(refused.disk(place), instance_id)


def _detach_from_other_instance(place: Place) -> Request:
    disk_id, instance_id = refused.disk(place), place.machine()
    target, parameters = _attach(disk_id, instance_id)
    place.call(target, **parameters)
    place.call.settle()
    return "cbs:DetachDisks", {"DiskIds": [disk_id], "InstanceId": place.machine()}


def _detach_from_two_instances(place: Place) -> Request:
    disk_ids = [refused.disk(place), refused.disk(place)]
    for disk_id in disk_ids:
        target, parameters = _attach(disk_id, place.machine())
        place.call(target, **parameters)
    place.call.settle()
    return "cbs:DetachDisks", {"DiskIds": disk_ids}


_PLATFORM = {"Name": "platform", "Values": ["Debian"]}


def _images(**parameters: Any) -> Request:
    return "cvm:DescribeImages", parameters


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


def _policy(place: Place) -> str:
    return place.call("cbs:CreateAutoSnapshotPolicy", Policy=[_SCHEDULE])["AutoSnapshotPolicyId"]


def _full_policies(place: Place) -> Request:
    for _ in range(snapshot_policy.QUOTA):
        _policy(place)
    return "cbs:CreateAutoSnapshotPolicy", {"Policy": [_SCHEDULE]}


def _bound_policy(place: Place) -> Request:
    policy_id = _policy(place)
    place.call("cbs:BindAutoSnapshotPolicy", AutoSnapshotPolicyId=policy_id, DiskIds=[refused.disk(place)])
    return "cbs:DeleteAutoSnapshotPolicies", {"AutoSnapshotPolicyIds": [policy_id]}


def _bound_twice(place: Place) -> Request:
    given: dict[str, Any] = {"AutoSnapshotPolicyId": _policy(place), "DiskIds": [refused.disk(place)]}
    place.call("cbs:BindAutoSnapshotPolicy", **given)
    return "cbs:BindAutoSnapshotPolicy", given


def _full_placement(place: Place) -> Request:
    group_id = place.call("cvm:CreateDisasterRecoverGroup", Name="spread", Type="SW")["DisasterRecoverGroupId"]
    target, parameters = run(place, InstanceCount=20, DisasterRecoverGroupIds=[group_id])
    place.call(target, **parameters)
    return run(place, DisasterRecoverGroupIds=[group_id])


ROWS = [
    Row(instance_change.AlreadyInPlacementGroup, _placed_twice),
    Row(
        instance_change.KeyNotOnInstance,
        lambda p: (
            "cvm:DisassociateInstancesKeyPairs",
            {"InstanceIds": [p.machine()], "KeyIds": [key(p)], "ForceStop": True},
        ),
    ),
    row(key_pair.KeyPairNotFound, "cvm:DeleteKeyPairs", KeyIds=["skey-00000000"]),
    row(key_pair.KeyPairIdMalformed, "cvm:DeleteKeyPairs", KeyIds=["skey-1122"]),
    row(key_pair.KeyPairNameEmpty, "cvm:CreateKeyPair", KeyName="", ProjectId=0),
    row(key_pair.KeyPairNameTooLong, "cvm:CreateKeyPair", KeyName="x" * 26, ProjectId=0),
    row(key_pair.KeyPairNameIllegal, "cvm:CreateKeyPair", KeyName="my-key", ProjectId=0),
    Row(key_pair.KeyPairNameTaken, _name_taken),
    Row(key_pair.KeyPairQuota, _full_keys),
    Row(key_pair.PublicKeyMalformed, lambda _: _import("ssh-rsa AAAA...")),
    Row(key_pair.PublicKeyMalformed, lambda _: _import(_key_of_type("ssh-ed25519", bytes(32)))),
    Row(key_pair.PublicKeyMalformed, lambda _: _import(_key_of_type("ecdsa-sha2-nistp256", b"nistp256", bytes(65)))),
    Row(key_pair.PublicKeyMalformed, lambda _: _import(_key_of_type("ssh-rsa", b"\x03"))),
    Row(key_pair.PublicKeyMalformed, lambda _: _import(PUBLIC_KEY + "\n" + public_key(1))),
    Row(key_pair.PublicKeyTaken, _same_key_again),
    Row(key_pair.KeyPairInUse, _key_in_use),
    Row(key_pair.KeyPairUnchanged, lambda p: ("cvm:ModifyKeyPairAttribute", {"KeyId": key(p)})),
    Row(
        key_pair.KeyPairDescriptionTooLong,
        lambda p: ("cvm:ModifyKeyPairAttribute", {"KeyId": key(p), "Description": "x" * 61}),
    ),
    row(
        placement.PlacementGroupNotFound,
        "cvm:DeleteDisasterRecoverGroups",
        DisasterRecoverGroupIds=["ps-00000000"],
    ),
    Row(placement.PlacementGroupQuota, _full_placements),
    row(refusal.TooManyValues, "cvm:DescribeDisasterRecoverGroups", DisasterRecoverGroupIds=["ps-00000000"] * 11),
    Row(placement.PlacementAffinityReduced, _reduced_affinity),
    Row(placement.PlacementGroupNotEmpty, _placement_in_use),
    Row(placement.PlacementGroupFull, _full_placement),
    row(disk.DiskNotFound, "cbs:TerminateDisks", DiskIds=["disk-00000000"]),
    Row(disk_types.DiskSizeOutOfRange, lambda _: _create(DiskType="CLOUD_SSD", DiskSize=10)),
    Row(disk_types.DiskTypeUnknown, lambda _: _create(DiskType="FLOPPY", DiskSize=10)),
    Row(disk_types.DiskTypeUnknown, lambda _: _create(DiskType="CLOUD_TSSD", DiskSize=50)),
    Row(disk_types.DiskSizeOutOfStep, lambda _: _create(DiskType="CLOUD_PREMIUM", DiskSize=55)),
    Row(disk_types.DiskNameTooLong, lambda _: _create(DiskName="名" * 21, DiskType="CLOUD_PREMIUM", DiskSize=50)),
    Row(refusal.ParameterOutOfRange, lambda _: _create(DiskCount=51, DiskType="CLOUD_PREMIUM", DiskSize=50)),
    Row(refusal.InvalidParameterValue, lambda _: _create(Encrypt="TRUE", DiskType="CLOUD_PREMIUM", DiskSize=50)),
    Row(
        disk_types.ThroughputNotSupported,
        lambda _: _create(ThroughputPerformance=100, DiskType="CLOUD_PREMIUM", DiskSize=50),
    ),
    Row(disk.TooManyDisks, _twenty_disks),
    Row(disk.DiskNotAttached, _detach_from_two_instances),
    Row(snapshot_policy.PolicyAlreadyBound, _bound_twice),
    Row(catalog.ImageIdsAndFilters, lambda _: _images(ImageIds=["img-debian12"], Filters=[_PLATFORM])),
    Row(instance.ImageIdMalformed, lambda _: _images(ImageIds=["debian"])),
    Row(listing.TooManyFilterValues, lambda _: _images(Filters=[_PLATFORM | {"Values": list("abcdef")}])),
    Row(disk.DiskNotAttached, _detach_from_other_instance),
    row(refusal.TooManyValues, "cbs:DetachDisks", DiskIds=["disk-00000000"] * 11),
    Row(disk_types.DiskSizeOutOfStep, lambda p: ("cbs:ResizeDisk", {"DiskId": refused.disk(p), "DiskSize": 55})),
    Row(disk.DiskNotResizable, lambda p: ("cbs:ResizeDisk", {"DiskId": _system_disk(p), "DiskSize": 90})),
    Row(disk.DiskNotRefundable, lambda p: ("cbs:TerminateDisks", {"DiskIds": [_system_disk(p)]})),
    Row(disk.DiskShrinks, lambda p: ("cbs:ResizeDisk", {"DiskId": refused.disk(p), "DiskSize": 40})),
    Row(disk.DiskAttached, _attached_twice),
    Row(disk.DiskNotAttached, lambda p: ("cbs:DetachDisks", {"DiskIds": [refused.disk(p)]})),
    Row(disk.DiskNotPortable, lambda p: ("cbs:DetachDisks", {"DiskIds": [_system_disk(p)]})),
    Row(
        disk.DiskZoneMismatch,
        lambda p: _attach(refused.disk(p, Placement={"Zone": "ap-guangzhou-3"}), p.machine()),
    ),
    row(snapshot_policy.PolicyNotFound, "cbs:DeleteAutoSnapshotPolicies", AutoSnapshotPolicyIds=["asp-00000000"]),
    row(snapshot_policy.ScheduleInvalid, "cbs:CreateAutoSnapshotPolicy", Policy=[{"DayOfWeek": [7], "Hour": [3]}]),
    row(snapshot_policy.ScheduleInvalid, "cbs:CreateAutoSnapshotPolicy", Policy=[{"DayOfWeek": [0], "Hour": [24]}]),
    row(snapshot_policy.ScheduleInvalid, "cbs:CreateAutoSnapshotPolicy", Policy=[{"Hour": [3]}]),
    row(snapshot_policy.ScheduleInvalid, "cbs:CreateAutoSnapshotPolicy", Policy=[_SCHEDULE] * 2),
    Row(snapshot_policy.TooManyPolicies, _full_policies),
    Row(snapshot_policy.PolicyInUse, _bound_policy),
]
