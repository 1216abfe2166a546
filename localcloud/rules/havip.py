"""HAVIPs: private addresses that move to the instance that last announced them by gratuitous ARP."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import ClassVar

from localcloud.rules import instance, interface, references, subnet, tag
from localcloud.rules.records import Record
from localcloud.rules.refusal import Refusal, assumed, check_bytes, documented
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
    """A HAVIP. `holder` is the ID of the instance that last announced it, or empty."""

    affects_network_plan: ClassVar[bool] = True

    name: str
    vpc_id: str
    subnet_id: str
    address: IPv4Address
    check_associate: bool
    associations: tuple[Association, ...] = ()
    holder: str = ""
    announced: float = 0.0


class HaVipNotFound(Refusal):
    """HaVipId must identify an existing HAVIP."""

    code = "ResourceNotFound"
    template = "HaVipId must identify an existing HAVIP (got `{havip_id}`)."
    source = documented("DeleteHaVip and other actions on HAVIPs: ResourceNotFound", page="215/30651")


class HaVipQuota(Refusal):
    """A VPC can have at most 10 HAVIPs."""

    code = "LimitExceeded"
    template = "The VPC `{vpc_id}` cannot have more than {limit} HAVIPs."
    source = documented("VPC limits: 10 HAVIPs for each VPC", page="215/537")


class HaVipInUse(Refusal):
    """A HAVIP cannot be deleted while it has an EIP or an association."""

    code = "UnsupportedOperation"
    template = "The HAVIP `{havip_id}` cannot be deleted while it is bound to `{user}`."
    source = documented(
        "DeleteHaVip: UnsupportedOperation (the provider interprets it as `still bound`)",
        page="215/30651",
    )


class AssociationExists(Refusal):
    """An instance can be associated with a HAVIP only once."""

    code = "InvalidParameterValue.DuplicatedHaVipAssociations"
    template = "The HAVIP `{havip_id}` must not already be associated with `{target_id}`."
    source = documented("AssociateHaVipInstance: InvalidParameterValue.DuplicatedHaVipAssociations", page="215/118882")


class AssociationNotFound(Refusal):
    """An association to remove must exist."""

    code = "ResourceNotFound"
    template = "The HAVIP `{havip_id}` must be associated with `{target_id}`."
    source = documented("DisassociateHaVipInstance: ResourceNotFound", page="215/118881")


class TargetNotFound(Refusal):
    """The instance or interface to associate with a HAVIP must exist."""

    code = "ResourceNotFound"
    template = "InstanceId must identify an existing instance or interface (got `{target_id}`)."
    source = documented("AssociateHaVipInstance: ResourceNotFound", page="215/118882")


class AssociationQuota(Refusal):
    """A HAVIP can be associated with at most 10 instances or interfaces."""

    code = "LimitExceeded"
    template = "The HAVIP `{havip_id}` cannot be associated with more than 10 instances or interfaces."
    source = documented("CreateHaVip, AssociateHaVipInstance (215/118882): at most 10; LimitExceeded", page="215/30652")


class TooManyHaVips(Refusal):
    """An interface can be associated with at most 5 HAVIPs."""

    code = "LimitExceeded"
    template = "The network interface `{interface_id}` cannot have more than {limit} HAVIPs."
    source = assumed("no public page gives the limit")


class TargetInOtherSubnet(Refusal):
    """A HAVIP can be associated only with instances and interfaces in its subnet."""

    code = "InvalidParameterValue.ParameterMismatch"
    template = "`{target_id}` must be in subnet `{subnet_id}` of HAVIP `{havip_id}`."
    source = documented(
        "HAVIP overview: only instances in the same subnet can announce it (code of 215/118882)",
        page="intl:215/31817",
    )


class TargetKindUnknown(Refusal):
    """The InstanceType of an association must be CVM or ENI and must match its InstanceId."""

    code = "InvalidParameterValue"
    template = "InstanceType must be CVM or ENI and must match InstanceId `{target_id}` (got {type})."
    source = documented("AssociateHaVipInstance: InstanceType CVM or ENI; InvalidParameterValue", page="215/118882")


def get(tx: Transaction, havip_id: str) -> HaVip:
    """Return the HAVIP. Raises: HaVipNotFound."""
    found = tx.find(HaVip, havip_id)
    if found is None:
        raise HaVipNotFound(havip_id=havip_id)
    return found


def create(
    tx: Transaction,
    *,
    name: str,
    vpc_id: str,
    place: subnet.Subnet,
    address: IPv4Address | None,
    check_associate: bool,
    tags: tag.Tags,
) -> HaVip:
    """Create a HAVIP that no instance has announced."""
    check_bytes("HaVipName", name, NAME_LIMIT)
    if sum(one.vpc_id == vpc_id for one in tx.all(HaVip)) >= MAX_PER_VPC:
        raise HaVipQuota(vpc_id=vpc_id, limit=MAX_PER_VPC)
    if address is not None:
        subnet.check_free(tx, place, address)
    made = tx.put(
        HaVip(
            id=tx.new_id("havip"),
            region=tx.region,
            created=tx.now,
            name=name,
            vpc_id=vpc_id,
            subnet_id=place.id,
            address=address or subnet.free_address(tx, place),
            check_associate=check_associate,
        )
    )
    tag.attach(tx, made.id, tags)
    return made


def modify(tx: Transaction, havip_id: str, *, name: str | None) -> None:
    """Rename a HAVIP."""
    found = get(tx, havip_id)
    check_bytes("HaVipName", name or "", NAME_LIMIT)
    tx.put(replace(found, name=found.name if name is None else name))


def delete(tx: Transaction, havip_id: str) -> None:
    """Delete an unbound HAVIP. Raises: HaVipInUse."""
    found = get(tx, havip_id)
    for user in (*references.users(tx, found), *(one.target_id for one in found.associations)):
        raise HaVipInUse(havip_id=havip_id, user=user)
    tag.detach_all(tx, havip_id)
    tx.delete(found)


def _eni_of(tx: Transaction, target: Association) -> interface.Interface:
    if target.type == "CVM" and target.target_id.startswith("ins-"):
        owner = tx.find(instance.Instance, target.target_id)
        eni_id = "" if owner is None else owner.interface_id
    elif target.type == "ENI" and target.target_id.startswith("eni-"):
        eni_id = target.target_id
    else:
        raise TargetKindUnknown(type=target.type, target_id=target.target_id)
    eni = tx.find(interface.Interface, eni_id)
    if eni is None:
        raise TargetNotFound(target_id=target.target_id)
    return eni


def associate(tx: Transaction, havip_id: str, target: Association) -> None:
    """Permit an instance or interface to announce the HAVIP."""
    found = get(tx, havip_id)
    eni = _eni_of(tx, target)
    if eni.subnet_id != found.subnet_id:
        raise TargetInOtherSubnet(target_id=target.target_id, subnet_id=found.subnet_id, havip_id=havip_id)
    if any(one.target_id == target.target_id for one in found.associations):
        raise AssociationExists(havip_id=havip_id, target_id=target.target_id)
    if len(found.associations) >= MAX_ASSOCIATIONS:
        raise AssociationQuota(havip_id=havip_id)
    others = [one for one in tx.all(HaVip) if eni.id in {_eni_of(tx, at).id for at in one.associations}]
    if len(others) >= MAX_PER_INTERFACE:
        raise TooManyHaVips(interface_id=eni.id, limit=MAX_PER_INTERFACE)
    tx.put(replace(found, associations=(*found.associations, target)))


def disassociate(tx: Transaction, havip_id: str, target_id: str) -> None:
    """Remove an association. With CheckAssociate, the instance loses the address."""
    found = get(tx, havip_id)
    if all(one.target_id != target_id for one in found.associations):
        raise AssociationNotFound(havip_id=havip_id, target_id=target_id)
    changed = replace(found, associations=tuple(one for one in found.associations if one.target_id != target_id))
    able = {interface.get(tx, eni_id).instance_id for eni_id in announcers(tx, changed)}
    tx.put(replace(changed, holder=found.holder if found.holder in able else ""))


def announcers(tx: Transaction, found: HaVip) -> tuple[str, ...]:
    """Return the IDs of the interfaces that can announce it: the associated ones, or all of the subnet without
    CheckAssociate.
    """
    if not found.check_associate:
        return tuple(eni.id for eni in tx.all(interface.Interface) if eni.subnet_id == found.subnet_id)
    return tuple(_eni_of(tx, target).id for target in found.associations)


def announced(tx: Transaction, vpc_id: str, address: IPv4Address, instance_id: str) -> None:
    """Record the instance that announced the address."""
    for found in tx.everywhere(HaVip):
        if found.vpc_id == vpc_id and found.address == address and found.holder != instance_id:
            tx.put(replace(found, holder=instance_id, announced=tx.now))


@subnet.occupies
def _addresses(tx: Transaction, subnet_id: str) -> list[subnet.Occupied]:
    return [subnet.Occupied(one.address, "HAVIP", one.id) for one in tx.all(HaVip) if one.subnet_id == subnet_id]


@references.on_release(instance.Instance)
def _instance_deleted(tx: Transaction, deleted: Record) -> None:
    for found in tx.all(HaVip):
        kept = tuple(one for one in found.associations if one.target_id != deleted.id)
        holder = "" if found.holder == deleted.id else found.holder
        if (kept, holder) != (found.associations, found.holder):
            tx.put(replace(found, associations=kept, holder=holder))
