"""HAVIPs: private addresses that move to the instance that last announced them by gratuitous ARP."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import ClassVar

from localcloud.rules import instance, interface, references, subnet, tag
from localcloud.rules.records import Record
from localcloud.rules.refusal import assumed, check_bytes, documented, rule
from localcloud.rules.transaction import Transaction

NAME_LIMIT = 60
MAX_PER_VPC = 10
MAX_ASSOCIATIONS = 10
MAX_PER_INTERFACE = 5


@dataclass(frozen=True, slots=True)
class Association:
    """An instance (CVM) or an interface (ENI) that can announce the address."""

    target_id: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HaVip(Record):
    """A HAVIP. `announcer_id` is the instance that last announced it, or empty."""

    affects_network_plan: ClassVar[bool] = True

    name: str
    vpc_id: str
    subnet_id: str
    address: IPv4Address = subnet.UNASSIGNED
    check_associate: bool
    associations: tuple[Association, ...] = ()
    announcer_id: str = ""
    announced: float = 0.0


_ASSOCIATE_HA_VIP_INSTANCE = documented("AssociateHaVipInstance", page="215/118882")
HaVipNotFound = rule(
    "ResourceNotFound",
    "HaVipId must identify an existing HAVIP.",
    documented("DeleteHaVip and other actions on HAVIPs", page="215/30651"),
)
HaVipQuota = rule(
    "LimitExceeded",
    "A VPC can have at most 10 HAVIPs.",
    documented("VPC limits: 10 HAVIPs for each VPC", page="215/537"),
)
HaVipInUse = rule(
    "UnsupportedOperation",
    "A HAVIP cannot be deleted while it has an EIP or an association.",
    documented("DeleteHaVip (the provider interprets it as `still bound`)", page="215/30651"),
)
AssociationExists = rule(
    "InvalidParameterValue.DuplicatedHaVipAssociations",
    "An instance can be associated with a HAVIP only once.",
    _ASSOCIATE_HA_VIP_INSTANCE,
)
AssociationNotFound = rule(
    "ResourceNotFound",
    "An association to remove must exist.",
    documented("DisassociateHaVipInstance", page="215/118881"),
)
TargetNotFound = rule(
    "ResourceNotFound", "The instance or interface to associate with a HAVIP must exist.", _ASSOCIATE_HA_VIP_INSTANCE
)
AssociationQuota = rule(
    "LimitExceeded",
    "A HAVIP can be associated with at most 10 instances or interfaces.",
    documented("CreateHaVip, AssociateHaVipInstance (215/118882): at most 10", page="215/30652"),
)
TooManyHaVips = rule(
    "LimitExceeded", "An interface can be associated with at most 5 HAVIPs.", assumed("no public page gives the limit")
)
TargetInOtherSubnet = rule(
    "InvalidParameterValue.ParameterMismatch",
    "A HAVIP can be associated only with instances and interfaces in its subnet.",
    documented("HAVIP overview: instances of the same subnet; code: 215/118882", page="intl:215/31817"),
)
TargetKindUnknown = rule(
    "InvalidParameterValue",
    "The InstanceType of an association must be CVM or ENI and must match its InstanceId.",
    documented("AssociateHaVipInstance: InstanceType CVM or ENI", page="215/118882"),
)


def get(tx: Transaction, havip_id: str) -> HaVip:
    return tx.get(HaVip, havip_id, HaVipNotFound)


def create(tx: Transaction, requested: HaVip, address: IPv4Address | None, tags: tag.Tags) -> HaVip:
    """Create a HAVIP with the given address, or the lowest free one, that no instance has announced."""
    check_bytes("HaVipName", requested.name, NAME_LIMIT)
    place = subnet.get_in_vpc(tx, requested.subnet_id, requested.vpc_id)
    if sum(vip.vpc_id == place.vpc_id for vip in tx.all(HaVip)) >= MAX_PER_VPC:
        raise HaVipQuota(vpc_id=place.vpc_id)
    if address is not None:
        subnet.check_free(tx, place, address)
    return tag.create(tx, "havip", replace(requested, address=address or subnet.free_address(tx, place)), tags)


def change(tx: Transaction, changed: HaVip) -> None:
    check_bytes("HaVipName", changed.name, NAME_LIMIT)
    tx.put(changed)


def delete(tx: Transaction, havip_id: str) -> None:
    """Delete an unbound HAVIP. Raises: HaVipInUse."""
    found = get(tx, havip_id)
    for user in (*references.users(tx, found), *(at.target_id for at in found.associations)):
        raise HaVipInUse(havip_id=havip_id, user=user)
    tag.delete(tx, found)


def _eni_of(tx: Transaction, target: Association) -> interface.Interface:
    if target.type == "CVM" and target.target_id.startswith("ins-"):
        owner = tx.find(instance.Instance, target.target_id)
        eni_id = "" if owner is None else owner.interface_id
    elif target.type == "ENI" and target.target_id.startswith("eni-"):
        eni_id = target.target_id
    else:
        raise TargetKindUnknown(got=target.type, target_id=target.target_id)
    eni = tx.find(interface.Interface, eni_id)
    if eni is None:
        raise TargetNotFound(got=target.target_id)
    return eni


def associate(tx: Transaction, havip_id: str, target: Association) -> None:
    """Permit an instance or interface to announce the HAVIP."""
    found = get(tx, havip_id)
    eni = _eni_of(tx, target)
    if eni.subnet_id != found.subnet_id:
        raise TargetInOtherSubnet(target_id=target.target_id, subnet_id=found.subnet_id, havip_id=havip_id)
    if any(at.target_id == target.target_id for at in found.associations):
        raise AssociationExists(havip_id=havip_id, target_id=target.target_id)
    if len(found.associations) >= MAX_ASSOCIATIONS:
        raise AssociationQuota(havip_id=havip_id)
    others = [vip for vip in tx.all(HaVip) if eni.id in {_eni_of(tx, at).id for at in vip.associations}]
    if len(others) >= MAX_PER_INTERFACE:
        raise TooManyHaVips(interface_id=eni.id)
    tx.put(replace(found, associations=(*found.associations, target)))


def disassociate(tx: Transaction, havip_id: str, target_id: str) -> None:
    """Remove an association. With CheckAssociate, the instance loses the address."""
    found = get(tx, havip_id)
    if all(at.target_id != target_id for at in found.associations):
        raise AssociationNotFound(havip_id=havip_id, target_id=target_id)
    changed = replace(found, associations=tuple(at for at in found.associations if at.target_id != target_id))
    able = {interface.get(tx, eni_id).instance_id for eni_id in announcers(tx, changed)}
    tx.put(replace(changed, announcer_id=found.announcer_id if found.announcer_id in able else ""))


def announcers(tx: Transaction, found: HaVip) -> tuple[str, ...]:
    """Return the IDs of the interfaces that can announce it: the associated ones, or all of the subnet without
    CheckAssociate.
    """
    if not found.check_associate:
        return tuple(eni.id for eni in tx.all(interface.Interface) if eni.subnet_id == found.subnet_id)
    return tuple(_eni_of(tx, target).id for target in found.associations)


def announced(tx: Transaction, vpc_id: str, address: IPv4Address, instance_id: str) -> None:
    for found in tx.everywhere(HaVip):
        if found.vpc_id == vpc_id and found.address == address and found.announcer_id != instance_id:
            tx.put(replace(found, announcer_id=instance_id, announced=tx.now))


@subnet.occupies
def _addresses(tx: Transaction, subnet_id: str) -> list[subnet.Occupied]:
    return [subnet.Occupied(vip.address, "HAVIP", vip.id) for vip in tx.all(HaVip) if vip.subnet_id == subnet_id]


@references.on_release(instance.Instance)
def _instance_deleted(tx: Transaction, deleted: Record) -> None:
    for found in tx.all(HaVip):
        kept = tuple(at for at in found.associations if at.target_id != deleted.id)
        announcer_id = "" if found.announcer_id == deleted.id else found.announcer_id
        if (kept, announcer_id) != (found.associations, found.announcer_id):
            tx.put(replace(found, associations=kept, announcer_id=announcer_id))
