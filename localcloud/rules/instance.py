"""Instances (CVM): the record, its rules and its deletion. Creation is in run_instances.py."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import ClassVar, Literal

from localcloud.rules import disk, interface, key_pair, placement, public_pool, references, security_group, subnet, tag
from localcloud.rules.catalog import INSTANCE_TYPES, Image, InstanceType
from localcloud.rules.records import Record
from localcloud.rules.refusal import documented, rule
from localcloud.rules.transaction import Transaction

QUOTA = 30
GROUPS_LIMIT = 5
_RUN = "213/15730"
_PLACE = documented("RunInstances: VirtualPrivateCloud and its codes", page=_RUN)

# Tasks of the infrastructure, in order.
Step = Literal["start", "stop", "cut", "reset", "destroy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance(Record):
    """The desired state of an instance. `steps` are the pending tasks of the infrastructure."""

    affects_network_plan: ClassVar[bool] = True

    name: str
    hostname: str
    uuid: str = ""
    zone: str
    instance_type: str
    image_id: str
    vpc_id: str
    subnet_id: str
    interface_id: str = ""
    system_disk_id: str = ""
    key_ids: tuple[str, ...] = ()
    placement_group_id: str = ""
    project_id: int = 0
    charge_type: str = "POSTPAID_BY_HOUR"
    internet_charge_type: str = "TRAFFIC_POSTPAID_BY_HOUR"
    bandwidth_mbps: int = 0
    public_address: IPv4Address | None = None  # assigned at creation; not an EIP
    user_data: str = ""  # base64, as given
    cam_role_name: str = ""
    protected: bool = False  # DisableApiTermination
    state: str = "PENDING"
    stop_charging: bool = False
    steps: tuple[Step, ...] = ()
    steps_began: float = 0.0
    steps_delay_s: float = 0.0
    operation: str = "RunInstances"
    operation_id: str = ""
    operation_state: str = "OPERATING"  # SUCCESS, FAILED
    operation_error: str = ""

    @property
    def type(self) -> InstanceType:
        return INSTANCE_TYPES[self.instance_type]


_RUN_INSTANCES = documented("RunInstances", page=_RUN)
InstanceNotFound = rule(
    "InvalidInstanceId.NotFound",
    "InstanceId must identify an existing instance.",
    documented("StartInstances", page="213/15735"),
)
InstanceIdMalformed = rule(
    "InvalidInstanceId.Malformed",
    "An instance ID must be `ins-` followed by 8 letters or digits.",
    documented("DescribeInstances: IDs such as ins-xxxxxxxx", page="213/15728"),
)
InstanceQuota = rule(
    "LimitExceeded.InstanceQuota",
    "A zone can have at most 30 instances that are billed by the hour.",
    documented("CVM limits: 30 or 60 instances by the hour in each zone", page="213/15379"),
)
ZoneMismatch = rule(
    "InvalidZone.MismatchRegion", "The zone of an instance must be in the region of the request.", _RUN_INSTANCES
)
ImageNotFound = rule("InvalidImageId.NotFound", "ImageId must identify an existing image.", _RUN_INSTANCES)
ImageIdMalformed = rule("InvalidImageId.Malformed", "An image ID must begin with `img-`.", _RUN_INSTANCES)
InstanceTypeUnknown = rule(
    "InvalidParameterValue.InstanceTypeNotFound", "InstanceType must be a type of the catalog.", _RUN_INSTANCES
)
SubnetNotInVpc = rule(
    "InvalidParameterValue.VpcIdSubnetIdNotMatch",
    "The subnet of an instance must be in the VPC of the instance.",
    _PLACE,
)
SubnetInOtherZone = rule(
    "InvalidParameterValue.SubnetIdZoneIdNotMatch",
    "The subnet of an instance must be in the zone of the instance.",
    _PLACE,
)
SubnetNotExist = rule(
    "InvalidParameterValue.SubnetNotExist", "SubnetId of RunInstances must identify an existing subnet.", _PLACE
)
AddressNotInSubnet = rule(
    "VpcAddrNotInSubNet", "The private address of an instance must be an assignable address of its subnet.", _PLACE
)
AddressInUse = rule("VpcIpIsUsed", "The private address of an instance must not be in use by another resource.", _PLACE)
GroupNotFound = rule(
    "InvalidSecurityGroupId.NotFound", "The security groups of an instance must exist.", _RUN_INSTANCES
)
TooManyGroups = rule(
    "LimitExceeded.SingleUSGQuota",
    "An instance must have 1 to 5 security groups.",
    documented("CVM limits: 5 groups for each instance; code: RunInstances, 213/15739", page="213/15379"),
)
NoAddressLeft = rule(
    "FailedOperation.NoAvailableIpAddressCountInSubnet",
    "The subnet of a new instance must have a free address.",
    _RUN_INSTANCES,
)
InstanceProtected = rule(
    "UnsupportedOperation.InstancesProtected",
    "An instance with DisableApiTermination cannot be terminated.",
    documented("TerminateInstances", page="213/15723"),
)


def get(tx: Transaction, instance_id: str) -> Instance:
    """Return the instance. Raises: InstanceIdMalformed or InstanceNotFound."""
    if not re.fullmatch(r"ins-[0-9a-z]{8}", instance_id):
        raise InstanceIdMalformed(got=instance_id)
    return tx.get(Instance, instance_id, InstanceNotFound)


def check_image_id(image_id: str) -> None:
    """Raises: ImageIdMalformed."""
    if not image_id.startswith("img-"):
        raise ImageIdMalformed(got=image_id)


def image(tx: Transaction, image_id: str) -> Image:
    """Return the image. Raises: ImageIdMalformed or ImageNotFound."""
    check_image_id(image_id)
    for known in tx.images:
        if known.image_id == image_id:
            return known
    raise ImageNotFound(got=image_id)


def check_type(name: str) -> InstanceType:
    """Raises: InstanceTypeUnknown."""
    if name not in INSTANCE_TYPES:
        raise InstanceTypeUnknown(got=name)
    return INSTANCE_TYPES[name]


def check_place(tx: Transaction, vpc_id: str, subnet_id: str, zone: str, address: IPv4Address | None) -> subnet.Subnet:
    """Return the subnet of a new instance. Raises: the refusals that the service cvm has for an invalid subnet."""
    place = tx.find(subnet.Subnet, subnet_id)
    if place is None:
        raise SubnetNotExist(got=subnet_id)
    if place.vpc_id != vpc_id:
        raise SubnetNotInVpc(subnet_id=subnet_id, vpc_id=vpc_id)
    if place.zone != zone:
        raise SubnetInOtherZone(got=place.zone, subnet_id=subnet_id, other=zone)
    if address is not None:
        try:
            subnet.check_free(tx, place, address)
        except subnet.AddressOutsideSubnet:
            raise AddressNotInSubnet(address=address, subnet_id=subnet_id, cidr=place.cidr) from None
        except subnet.AddressTaken:
            user = next(taken.resource_id for taken in subnet.occupied(tx, subnet_id) if taken.address == address)
            raise AddressInUse(address=address, user=user) from None
    return place


def check_groups(tx: Transaction, group_ids: tuple[str, ...]) -> None:
    """Raises: TooManyGroups or GroupNotFound."""
    if not 1 <= len(group_ids) <= GROUPS_LIMIT:
        raise TooManyGroups(got=len(group_ids))
    for group_id in group_ids:
        if tx.find(security_group.SecurityGroup, group_id) is None:
            raise GroupNotFound(got=group_id)


def forget(tx: Transaction, deleted: Instance) -> None:
    """Delete the record of a destroyed instance and the resources that depend on it."""
    tx.delete(interface.get(tx, deleted.interface_id))
    for one in disk.of_instance(tx, deleted.id):
        if one.delete_with_instance:
            tag.delete(tx, one)
        else:
            tx.put(replace(one, instance_id="", state="UNATTACHED", delete_with_instance=False, step=None))
    references.release(tx, deleted)
    tag.delete(tx, deleted)


def power_changed(tx: Transaction, instance_id: str, state: Literal["RUNNING", "STOPPED"]) -> None:
    """Record that the instance was shut down from inside or powered on outside the API; `state` is the new one."""
    for found in tx.everywhere(Instance):
        if found.id == instance_id and found.state in {"RUNNING", "STOPPED"} - {state} and not found.steps:
            tx.put(replace(found, state=state))


@references.uses(key_pair.KeyPair)
def _with_key(tx: Transaction, key_id: str) -> list[str]:
    return [instance.id for instance in tx.all(Instance) if key_id in instance.key_ids]


@references.uses(placement.PlacementGroup)
def _in_placement_group(tx: Transaction, group_id: str) -> list[str]:
    return [instance.id for instance in tx.all(Instance) if instance.placement_group_id == group_id]


@public_pool.holds
def _public_addresses(tx: Transaction) -> list[IPv4Address]:
    return [instance.public_address for instance in tx.everywhere(Instance) if instance.public_address is not None]
