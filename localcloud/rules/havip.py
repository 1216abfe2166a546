"""HAVIPs: private addresses that move to whoever announces them by gratuitous ARP."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import ClassVar

from localcloud.rules import instance, interface, references, subnet, tag
from localcloud.rules.records import Record
from localcloud.rules.refusal import Refusal, assumed, check_bytes, documented
from localcloud.rules.transaction import Transaction

NAME_LIMIT = 60
PER_VPC = 10
ASSOCIATIONS = 10
PER_INTERFACE = 5


@dataclass(frozen=True, slots=True)
class Association:
    """An instance (CVM) or an interface (ENI) that may announce the address."""

    target_id: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HaVip(Record):
    """`holder` is the instance that last announced it, or empty."""

    shapes_network: ClassVar[bool] = True

    name: str
    vpc_id: str
    subnet_id: str
    address: IPv4Address
    check_associate: bool
    associations: tuple[Association, ...] = ()
    holder: str = ""
    announced: float = 0.0


class HaVipNotFound(Refusal):
    """A HAVIP that a request names must exist."""

    code = "ResourceNotFound"
    template = "The HAVIP `{havip_id}` does not exist."
    source = documented("DeleteHaVip and the other actions on HAVIPs: ResourceNotFound", page="215/30651")


class HaVipQuota(Refusal):
    """A VPC holds at most 10 HAVIPs."""

    code = "LimitExceeded"
    template = "The number of HAVIPs in VPC `{vpc_id}` has reached the limit {limit}."
    source = documented("VPC limits: 10 HAVIPs for a VPC", page="215/537")


class HaVipInUse(Refusal):
    """A HAVIP with an EIP or with associated instances is not deleted."""

    code = "UnsupportedOperation"
    template = "The HAVIP `{havip_id}` is bound to `{user}`."
    source = documented("DeleteHaVip: UnsupportedOperation (the provider takes it for `still bound`)", page="215/30651")


class AssociationExists(Refusal):
    """An instance is associated with a HAVIP once."""

    code = "InvalidParameterValue.DuplicatedHaVipAssociations"
    template = "The HAVIP `{havip_id}` is already associated with `{target_id}`."
    source = documented("AssociateHaVipInstance: InvalidParameterValue.DuplicatedHaVipAssociations", page="215/118882")


class AssociationNotFound(Refusal):
    """An association that is removed must exist."""

    code = "ResourceNotFound"
    template = "The HAVIP `{havip_id}` is not associated with `{target_id}`."
    source = documented("DisassociateHaVipInstance: ResourceNotFound", page="215/118881")


class TargetNotFound(Refusal):
    """An instance or interface that a HAVIP is associated with must exist."""

    code = "ResourceNotFound"
    template = "`{target_id}` does not exist."
    source = documented("AssociateHaVipInstance: ResourceNotFound", page="215/118882")


class AssociationQuota(Refusal):
    """A HAVIP is associated with at most 10 instances or interfaces."""

    code = "LimitExceeded"
    template = "The HAVIP `{havip_id}` can't be associated with more than 10 instances."
    source = documented("CreateHaVip, AssociateHaVipInstance (215/118882): at most 10; LimitExceeded", page="215/30652")


class TooManyHaVips(Refusal):
    """One interface announces at most 5 HAVIPs."""

    code = "LimitExceeded"
    template = "The network interface `{interface_id}` can't have more than {limit} HAVIPs."
    source = assumed("no page gives a figure")


class TargetInOtherVpc(Refusal):
    """A HAVIP is associated with instances of its own VPC and subnet."""

    code = "InvalidParameterValue.ParameterMismatch"
    template = "`{target_id}` is not in subnet `{subnet_id}` of HAVIP `{havip_id}`."
    source = documented(
        "HAVIP overview: only instances of its own subnet announce it (code of 215/118882)", page="intl:215/31817"
    )


class TargetKindUnknown(Refusal):
    """An association's InstanceType is CVM or ENI, and its InstanceId fits."""

    code = "InvalidParameterValue"
    template = "The InstanceType `{type}` of `{target_id}` is not CVM or ENI, or does not fit."
    source = documented("AssociateHaVipInstance: InstanceType CVM or ENI; InvalidParameterValue", page="215/118882")


def get(tx: Transaction, havip_id: str) -> HaVip:
    """The HAVIP. Raises HaVipNotFound."""
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
    """A new HAVIP that nobody holds."""
    check_bytes("HaVipName", name, NAME_LIMIT)
    if sum(one.vpc_id == vpc_id for one in tx.all(HaVip)) >= PER_VPC:
        raise HaVipQuota(vpc_id=vpc_id, limit=PER_VPC)
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
    """Give it another name."""
    found = get(tx, havip_id)
    check_bytes("HaVipName", name or "", NAME_LIMIT)
    tx.put(replace(found, name=found.name if name is None else name))


def delete(tx: Transaction, havip_id: str) -> None:
    """Remove a HAVIP that is bound to nothing."""
    found = get(tx, havip_id)
    for user in (*references.users(tx, found), *(one.target_id for one in found.associations)):
        raise HaVipInUse(havip_id=havip_id, user=user)
    tag.detach_all(tx, havip_id)
    tx.delete(found)


def _card_of(tx: Transaction, target: Association) -> interface.Interface:
    if target.type == "CVM" and target.target_id.startswith("ins-"):
        owner = tx.find(instance.Instance, target.target_id)
        card_id = "" if owner is None else owner.interface_id
    elif target.type == "ENI" and target.target_id.startswith("eni-"):
        card_id = target.target_id
    else:
        raise TargetKindUnknown(type=target.type, target_id=target.target_id)
    card = tx.find(interface.Interface, card_id)
    if card is None:
        raise TargetNotFound(target_id=target.target_id)
    return card


def associate(tx: Transaction, havip_id: str, target: Association) -> None:
    """Let an instance or interface announce it."""
    found = get(tx, havip_id)
    card = _card_of(tx, target)
    if card.subnet_id != found.subnet_id:
        raise TargetInOtherVpc(target_id=target.target_id, subnet_id=found.subnet_id, havip_id=havip_id)
    if any(one.target_id == target.target_id for one in found.associations):
        raise AssociationExists(havip_id=havip_id, target_id=target.target_id)
    if len(found.associations) >= ASSOCIATIONS:
        raise AssociationQuota(havip_id=havip_id)
    others = [one for one in tx.all(HaVip) if card.id in {_card_of(tx, at).id for at in one.associations}]
    if len(others) >= PER_INTERFACE:
        raise TooManyHaVips(interface_id=card.id, limit=PER_INTERFACE)
    tx.put(replace(found, associations=(*found.associations, target)))


def disassociate(tx: Transaction, havip_id: str, target_id: str) -> None:
    """Forbid it again; with CheckAssociate a holder loses the address."""
    found = get(tx, havip_id)
    if all(one.target_id != target_id for one in found.associations):
        raise AssociationNotFound(havip_id=havip_id, target_id=target_id)
    changed = replace(found, associations=tuple(one for one in found.associations if one.target_id != target_id))
    able = {interface.get(tx, card_id).instance_id for card_id in announcers(tx, changed)}
    tx.put(replace(changed, holder=found.holder if found.holder in able else ""))


def announcers(tx: Transaction, found: HaVip) -> tuple[str, ...]:
    """Ids of the interfaces that may announce it: the associated ones, or without CheckAssociate the whole subnet's."""
    if not found.check_associate:
        return tuple(card.id for card in tx.all(interface.Interface) if card.subnet_id == found.subnet_id)
    return tuple(_card_of(tx, target).id for target in found.associations)


def announced(tx: Transaction, vpc_id: str, address: IPv4Address, instance_id: str) -> None:
    """The infrastructure has seen an instance take the address over."""
    for found in tx.everywhere(HaVip):
        if found.vpc_id == vpc_id and found.address == address and found.holder != instance_id:
            tx.put(replace(found, holder=instance_id, announced=tx.now))


@subnet.occupies
def _addresses(tx: Transaction, subnet_id: str) -> list[subnet.Occupied]:
    return [subnet.Occupied(one.address, "HAVIP", one.id) for one in tx.all(HaVip) if one.subnet_id == subnet_id]


@references.on_release(instance.Instance)
def _instance_gone(tx: Transaction, gone: Record) -> None:
    for found in tx.all(HaVip):
        kept = tuple(one for one in found.associations if one.target_id != gone.id)
        holder = "" if found.holder == gone.id else found.holder
        if (kept, holder) != (found.associations, found.holder):
            tx.put(replace(found, associations=kept, holder=holder))
