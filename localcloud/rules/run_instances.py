"""RunInstances: the parameters for one instance, their validation, and the new records."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from ipaddress import IPv4Address

from localcloud.rules import (
    disk,
    disk_types,
    instance,
    instance_attributes,
    interface,
    key_pair,
    placement,
    public_pool,
    subnet,
    tag,
)
from localcloud.rules.catalog import ZONES
from localcloud.rules.instance import Instance
from localcloud.rules.refusal import Refusal, TooManyValues, documented
from localcloud.rules.transaction import Transaction


@dataclass(frozen=True, slots=True)
class DiskRequest:
    """The parameters of RunInstances for one disk."""

    type: str
    size_gib: int
    name: str = ""
    delete_with_instance: bool = True
    encrypted: bool = False
    throughput: int = 0


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The parameters of RunInstances for one instance."""

    name: str
    hostname: str
    zone: str
    instance_type: str
    image_id: str
    vpc_id: str
    subnet_id: str
    address: IPv4Address | None
    group_ids: tuple[str, ...]
    key_ids: tuple[str, ...]
    system_disk: DiskRequest
    data_disks: tuple[DiskRequest, ...]
    placement_group_id: str
    project_id: int
    charge_type: str
    internet_charge_type: str
    bandwidth_mbps: int
    public: bool
    user_data: str
    cam_role_name: str
    protected: bool
    tags: tag.Tags  # of the instance and its disks


class PublicAddressWithoutBandwidth(Refusal):
    """An instance with a public address must have a bandwidth above 0."""

    code = "InvalidParameterCombination"
    template = "InternetMaxBandwidthOut must be above 0 if PublicIpAssigned is true."
    source = documented("RunInstances: InternetAccessible.PublicIpAssigned", page="213/15730")


def _check(tx: Transaction, request: RunRequest) -> subnet.Subnet:
    if request.zone not in ZONES[tx.region]:
        raise instance.ZoneMismatch(zone=request.zone, region=tx.region)
    instance.image(tx, request.image_id)
    instance.check_type(request.instance_type)
    instance_attributes.check_name(request.name)
    if len(request.data_disks) > disk.ATTACHED_LIMIT:
        raise TooManyValues(name="DataDisks", count=len(request.data_disks), limit=disk.ATTACHED_LIMIT)
    for requested in (request.system_disk, *request.data_disks):
        if requested.type not in disk_types.SIZES:
            raise disk_types.DiskUnavailable(type=requested.type)
        disk_types.check_name(requested.name, disk_types.NAME_LIMIT_AT_CREATION)
    for data in request.data_disks:
        if data.type == "CLOUD_SSD" and data.size_gib < disk_types.SIZES["CLOUD_SSD"][0]:
            raise disk_types.SsdTooSmall(size=data.size_gib)
        disk_types.check_size(data.type, data.size_gib)
    if request.hostname:
        instance_attributes.check_hostname(request.hostname)
    instance_attributes.check_user_data(request.user_data)
    instance_attributes.check_role(request.cam_role_name)
    for key_id in request.key_ids:
        key_pair.get_for_instance(tx, key_id)
    if request.placement_group_id:
        placement.check_capacity(tx, placement.get_for_instance(tx, request.placement_group_id), 1)
    if request.public and not request.bandwidth_mbps:
        raise PublicAddressWithoutBandwidth
    count = sum(one.zone == request.zone for one in tx.all(Instance)) + 1
    if count > instance.QUOTA:
        raise instance.InstanceQuota(count=count, limit=instance.QUOTA)
    place = instance.check_place(tx, request.vpc_id, request.subnet_id, request.zone, request.address)
    instance.check_groups(tx, request.group_ids)
    if request.address is None and subnet.available(tx, place) < 1:
        raise instance.NoAddressLeft(subnet_id=place.id)
    return place


def run_instance(tx: Transaction, request: RunRequest, operation_id: str) -> Instance:
    """Create an instance in state PENDING, which the infrastructure then boots."""
    place = _check(tx, request)
    instance_id = tx.new_id("ins")
    eni = interface.create(
        tx, instance_id=instance_id, place=place, requested=request.address, group_ids=request.group_ids
    )
    system = disk.create_system(
        tx,
        kind=request.system_disk.type,
        size_gib=request.system_disk.size_gib,
        zone=request.zone,
        instance_id=instance_id,
        name=request.system_disk.name,
    )
    tag.attach(tx, system.id, request.tags)
    for data in request.data_disks:
        _give_data_disk(tx, request, data, instance_id)
    made = tx.put(
        Instance(
            id=instance_id,
            region=tx.region,
            created=tx.now,
            name=request.name,
            hostname=request.hostname or _default_hostname(request.name, eni.address),
            uuid=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{tx.region}/{instance_id}")),
            zone=request.zone,
            instance_type=request.instance_type,
            image_id=request.image_id,
            vpc_id=request.vpc_id,
            subnet_id=request.subnet_id,
            interface_id=eni.id,
            system_disk_id=system.id,
            key_ids=request.key_ids,
            placement_group_id=request.placement_group_id,
            project_id=request.project_id,
            charge_type=request.charge_type,
            internet_charge_type=request.internet_charge_type,
            bandwidth_mbps=request.bandwidth_mbps,
            public_address=public_pool.free_address(tx) if request.public else None,
            user_data=request.user_data,
            cam_role_name=request.cam_role_name,
            protected=request.protected,
            steps=("start",),
            steps_began=tx.now,
            steps_delay_s=tx.timing.instance_start_s,
            operation_id=operation_id,
        )
    )
    tag.attach(tx, instance_id, request.tags)
    return made


def _give_data_disk(tx: Transaction, request: RunRequest, data: DiskRequest, instance_id: str) -> None:
    made = disk.create(
        tx,
        name=data.name,
        kind=data.type,
        size_gib=data.size_gib,
        zone=request.zone,
        encrypted=data.encrypted,
        throughput=data.throughput,
        project_id=request.project_id,
        tags=request.tags,
    )
    disk.create_attached(tx, made, instance_id, delete_with_instance=data.delete_with_instance)


def _default_hostname(name: str, address: IPv4Address) -> str:
    """Return the instance name if it is a valid host name, or else a name such as VM-4-20-debian, as in real images."""
    try:
        instance_attributes.check_hostname(name)
    except instance_attributes.HostNameIllegal:
        octets = str(address).split(".")
        return f"VM-{octets[2]}-{octets[3]}-debian"
    return name
