"""How an instance is born: what RunInstances wishes for, and what the wish is checked against."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from ipaddress import IPv4Address

from localcloud.state import disk, instance, interface, key_pair, placement, public_pool, subnet, tag
from localcloud.state.catalog import ZONES
from localcloud.state.instance import Instance
from localcloud.state.store import Transaction


@dataclass(frozen=True, slots=True)
class DiskWish:
    """A disk that RunInstances asks for."""

    type: str
    size_gib: int
    name: str = ""
    delete_with_instance: bool = True
    encrypted: bool = False
    throughput: int = 0


@dataclass(frozen=True, slots=True)
class Wish:
    """Everything that RunInstances says about one instance."""

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
    system_disk: DiskWish
    data_disks: tuple[DiskWish, ...]
    placement_group_id: str
    project_id: int
    charge_type: str
    internet_charge_type: str
    bandwidth_mbps: int
    public: bool
    user_data: str
    cam_role_name: str
    protected: bool
    tags: tag.Tags
    disk_tags: tag.Tags


def _check(tx: Transaction, wish: Wish) -> subnet.Subnet:
    if wish.zone not in ZONES[tx.region]:
        raise instance.ZoneMismatch(zone=wish.zone, region=tx.region)
    instance.image(tx, wish.image_id)
    instance.check_type(wish.instance_type)
    instance.check_name(wish.name)
    for wanted in (wish.system_disk, *wish.data_disks):
        if wanted.type not in disk.SIZES:
            raise disk.DiskUnavailable(type=wanted.type)
    if wish.hostname:
        instance.check_hostname(wish.hostname)
    instance.check_user_data(wish.user_data)
    for key_id in wish.key_ids:
        key_pair.get(tx, key_id)
    if wish.placement_group_id:
        placement.check_room(tx, placement.get(tx, wish.placement_group_id), 1)
    count = len(tx.all(Instance)) + 1
    if count > instance.QUOTA:
        raise instance.InstanceQuota(count=count, limit=instance.QUOTA)
    place = instance.check_place(tx, wish.vpc_id, wish.subnet_id, wish.zone, wish.address)
    instance.check_groups(tx, wish.group_ids)
    if wish.address is None and subnet.available(tx, place) < 1:
        raise instance.NoAddressLeft(subnet_id=place.id)
    return place


def run(tx: Transaction, wish: Wish, operation_id: str) -> Instance:
    """A new instance, PENDING; the world boots it."""
    place = _check(tx, wish)
    instance_id = tx.new_id("ins")
    primary = interface.create_primary(
        tx, instance_id=instance_id, place=place, wanted=wish.address, group_ids=wish.group_ids
    )
    system = disk.create_system(
        tx,
        kind=wish.system_disk.type,
        size_gib=wish.system_disk.size_gib,
        zone=wish.zone,
        instance_id=instance_id,
        name=wish.system_disk.name,
    )
    tag.attach(tx, system.id, wish.disk_tags)
    for data in wish.data_disks:
        _give_data_disk(tx, wish, data, instance_id)
    made = tx.put(
        Instance(
            id=instance_id,
            region=tx.region,
            created=tx.now,
            name=wish.name,
            hostname=wish.hostname or _default_hostname(wish.name, primary.address),
            uuid=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{tx.region}/{instance_id}")),
            zone=wish.zone,
            instance_type=wish.instance_type,
            image_id=wish.image_id,
            vpc_id=wish.vpc_id,
            subnet_id=wish.subnet_id,
            interface_id=primary.id,
            system_disk_id=system.id,
            key_ids=wish.key_ids,
            placement_group_id=wish.placement_group_id,
            project_id=wish.project_id,
            charge_type=wish.charge_type,
            internet_charge_type=wish.internet_charge_type,
            bandwidth_mbps=wish.bandwidth_mbps,
            public_address=public_pool.free_address(tx) if wish.public and wish.bandwidth_mbps > 0 else None,
            user_data=wish.user_data,
            cam_role_name=wish.cam_role_name,
            protected=wish.protected,
            steps=("start",),
            steps_began=tx.now,
            steps_delay_s=tx.timing.instance_start_s,
            operation_id=operation_id,
        )
    )
    tag.attach(tx, instance_id, wish.tags)
    return made


def _give_data_disk(tx: Transaction, wish: Wish, data: DiskWish, instance_id: str) -> None:
    made = disk.create(
        tx,
        name=data.name,
        kind=data.type,
        size_gib=data.size_gib,
        zone=wish.zone,
        encrypted=data.encrypted,
        throughput=data.throughput,
        project_id=wish.project_id,
        tags=wish.disk_tags,
    )
    disk.born_attached(tx, made, instance_id, delete_with_instance=data.delete_with_instance)


def _default_hostname(name: str, address: IPv4Address) -> str:
    """The name where it may be one, else as the real images do it: VM-4-20-debian."""
    try:
        instance.check_hostname(name)
    except instance.HostNameIllegal:
        octets = str(address).split(".")
        return f"VM-{octets[2]}-{octets[3]}-debian"
    return name
