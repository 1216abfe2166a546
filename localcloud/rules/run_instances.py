"""RunInstances: the parameters for one instance, their validation, and the new records."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
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
from localcloud.rules.disk import Disk
from localcloud.rules.instance import Instance
from localcloud.rules.refusal import TooManyValues, documented, rule
from localcloud.rules.transaction import Transaction


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The parameters of RunInstances for one instance. The records lack only what `run_instance` determines."""

    instance: Instance
    address: IPv4Address | None
    group_ids: tuple[str, ...]
    system_disk: Disk
    data_disks: tuple[Disk, ...]
    public: bool
    tags: tag.Tags  # of the instance and its disks


PublicAddressWithoutBandwidth = rule(
    "InvalidParameterCombination",
    "An instance with a public address must have a bandwidth above 0.",
    documented("RunInstances: InternetAccessible.PublicIpAssigned", page="213/15730"),
)


def check(tx: Transaction, request: RunRequest, arriving: int = 1) -> subnet.Subnet:
    """Check the request, and the quotas for `arriving` such instances. Returns the subnet. Raises: a refusal."""
    new = request.instance
    if new.zone not in ZONES[tx.region]:
        raise instance.ZoneMismatch(got=new.zone, region=tx.region)
    instance.image(tx, new.image_id)
    instance.check_type(new.instance_type)
    _check_disks(request)
    instance_attributes.check(new)
    for key_id in new.key_ids:
        key_pair.get_for_instance(tx, key_id)
    if new.placement_group_id:
        placement.check_capacity(tx, placement.get_for_instance(tx, new.placement_group_id), arriving)
    if request.public and not new.bandwidth_mbps:
        raise PublicAddressWithoutBandwidth
    count = sum(one.zone == new.zone for one in tx.all(Instance)) + arriving
    if count > instance.QUOTA:
        raise instance.InstanceQuota(got=count)
    place = instance.check_place(tx, new.vpc_id, new.subnet_id, new.zone, request.address)
    instance.check_groups(tx, request.group_ids)
    if request.address is None and subnet.available(tx, place) < arriving:
        raise instance.NoAddressLeft(subnet_id=place.id)
    return place


def _check_disks(request: RunRequest) -> None:
    if len(request.data_disks) > disk.ATTACHED_LIMIT:
        raise TooManyValues(name="DataDisks", count=len(request.data_disks), limit=disk.ATTACHED_LIMIT)
    for requested in (request.system_disk, *request.data_disks):
        if requested.type not in disk_types.SIZES:
            raise disk_types.DiskUnavailable(got=requested.type)
        disk_types.check_name(requested.name, disk_types.NAME_LIMIT_AT_CREATION)
        disk_types.check_throughput(requested.type, requested.throughput)
    disk_types.check_system_size(request.system_disk.size_gib)
    for data in request.data_disks:
        if data.type == "CLOUD_SSD" and data.size_gib < disk_types.SIZES["CLOUD_SSD"][0]:
            raise disk_types.SsdTooSmall(got=data.size_gib)
        disk_types.check_size(data.type, data.size_gib)


def run_instance(tx: Transaction, request: RunRequest, operation_id: str) -> Instance:
    """Create an instance in state PENDING, which the infrastructure then boots."""
    place = check(tx, request)
    new, instance_id = request.instance, tx.new_id("ins")
    eni = interface.create(
        tx, instance_id=instance_id, place=place, requested=request.address, group_ids=request.group_ids
    )
    system, *_ = [
        disk.create(tx, replace(one, instance_id=instance_id, state="ATTACHED", zone=new.zone), request.tags)
        for one in (request.system_disk, *request.data_disks)
    ]
    made = replace(
        new,
        id=instance_id,
        region=tx.region,
        created=tx.now,
        hostname=new.hostname or _default_hostname(new.name, eni.address),
        uuid=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{tx.region}/{instance_id}")),
        interface_id=eni.id,
        system_disk_id=system.id,
        public_address=public_pool.free_address(tx) if request.public else None,
        steps=("start",),
        steps_began=tx.now,
        steps_delay_s=tx.timing.instance_start_s,
        operation_id=operation_id,
    )
    tag.attach(tx, instance_id, request.tags)
    return tx.put(made)


def _default_hostname(name: str, address: IPv4Address) -> str:
    """Return the instance name if it is a valid host name, or else a name such as VM-4-20-debian, as in real images."""
    try:
        instance_attributes.check_hostname(name)
    except instance_attributes.HostNameIllegal:
        octets = str(address).split(".")
        return f"VM-{octets[2]}-{octets[3]}-debian"
    return name
