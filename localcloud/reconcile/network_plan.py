"""Derive the network plan from the records: a pure function."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import cast

from localcloud import infrastructure
from localcloud.reconcile.machine_spec import infrastructure_interface
from localcloud.rules import address, havip, instance, interface, nat, route_table, security_group, subnet, vpc
from localcloud.rules.ports import port_ranges
from localcloud.rules.transaction import Transaction

_EVERYWHERE = IPv4Network("0.0.0.0/0")


def plan(tx: Transaction) -> infrastructure.NetworkPlan:
    """Return the plan of all regions, in the order of ids: equal records give equal plans."""
    regions = sorted(
        {one.region for one in tx.everywhere(vpc.Vpc)}
        | {group.region for group in tx.everywhere(security_group.SecurityGroup)}
    )
    vpcs: list[infrastructure.Vpc] = []
    groups: list[infrastructure.SecurityGroup] = []
    for region in regions:
        view = tx.in_region(region)
        vpcs += [_vpc(view, one) for one in view.all(vpc.Vpc)]
        groups += [_group(view, group) for group in view.all(security_group.SecurityGroup)]
    return infrastructure.NetworkPlan(
        vpcs=tuple(sorted(vpcs, key=lambda one: one.vpc_id)), groups=tuple(sorted(groups, key=lambda one: one.group_id))
    )


def _vpc(tx: Transaction, one: vpc.Vpc) -> infrastructure.Vpc:
    return infrastructure.Vpc(
        vpc_id=one.id,
        cidrs=one.cidrs,
        subnets=tuple(_subnet(tx, place) for place in sorted(subnet.in_vpc(tx, one.id), key=lambda at: at.id)),
        public_addresses=_public_addresses(tx, one),
    )


def _subnet(tx: Transaction, place: subnet.Subnet) -> infrastructure.Subnet:
    enis = [eni for eni in tx.all(interface.Interface) if eni.subnet_id == place.id]
    virtual = [vip for vip in tx.all(havip.HaVip) if vip.subnet_id == place.id]
    return infrastructure.Subnet(
        subnet_id=place.id,
        cidr=place.cidr,
        gateway=place.gateway,
        interfaces=tuple(infrastructure_interface(eni) for eni in sorted(enis, key=lambda eni: eni.id)),
        virtual_addresses=tuple(_virtual(tx, one) for one in sorted(virtual, key=lambda one: one.id)),
        nat_public_address=_nat_address(tx, place),
    )


def _virtual(tx: Transaction, one: havip.HaVip) -> infrastructure.VirtualAddress:
    return infrastructure.VirtualAddress(
        havip_id=one.id,
        address=one.address,
        announcers=tuple(sorted(havip.announcers(tx, one))),
        holder=one.announcer_id or None,
    )


def _nat_address(tx: Transaction, place: subnet.Subnet) -> IPv4Address | None:
    """Outside address of the subnet's default route, if it leads through a NAT gateway that is ready."""
    for entry in route_table.get(tx, place.route_table_id).routes:
        if entry.enabled and entry.destination == _EVERYWHERE and entry.gateway_type == "NAT":
            return nat.public_address(tx, entry.gateway_id)
    return None


def _public_addresses(tx: Transaction, one: vpc.Vpc) -> tuple[infrastructure.PublicAddress, ...]:
    found: list[infrastructure.PublicAddress] = []
    homes = {eni.id: eni.vpc_id for eni in tx.all(interface.Interface)}
    homes |= {virtual.id: virtual.vpc_id for virtual in tx.all(havip.HaVip)}
    for eip in tx.all(address.Address):
        home = homes.get(eip.interface_id or eip.target_id)
        if home == one.id and eip.status == "BIND" and eip.private_address is not None:
            found.append(infrastructure.PublicAddress(eip.id, eip.ip, eip.private_address, _bandwidth(tx, eip)))
    for machine in tx.all(instance.Instance):
        if machine.vpc_id == one.id and machine.public_address is not None:
            private = interface.get(tx, machine.interface_id).address
            found.append(
                infrastructure.PublicAddress(machine.id, machine.public_address, private, machine.bandwidth_mbps)
            )
    return tuple(sorted(found, key=lambda entry: entry.address_id))


def _bandwidth(tx: Transaction, eip: address.Address) -> int:
    """The EIP's bandwidth, or with a traditional account that of the bound instance; 0 for no limit."""
    if eip.charge_type:
        return eip.bandwidth_mbps
    virtual = tx.find(havip.HaVip, eip.target_id)
    bound = tx.find(instance.Instance, virtual.announcer_id if virtual is not None else eip.target_id)
    return 0 if bound is None else bound.bandwidth_mbps


def _group(tx: Transaction, group: security_group.SecurityGroup) -> infrastructure.SecurityGroup:
    return infrastructure.SecurityGroup(
        group_id=group.id,
        ingress=tuple(_rule(tx, policy) for policy in group.ingress if not policy.ipv6_cidr),
        egress=tuple(_rule(tx, policy) for policy in group.egress if not policy.ipv6_cidr),
    )


def _rule(tx: Transaction, policy: security_group.Policy) -> infrastructure.Rule:
    return infrastructure.Rule(
        verdict="ACCEPT" if policy.action.upper() == "ACCEPT" else "DROP",
        # The handler has checked that a request's protocol is one of these.
        protocol=cast("infrastructure.IpProtocol", policy.protocol.upper()),
        ports=port_ranges(policy.port),
        peers=_peers(tx, policy),
    )


def _peers(tx: Transaction, policy: security_group.Policy) -> tuple[IPv4Network, ...]:
    if policy.cidr:
        return (IPv4Network(policy.cidr, strict=False),)
    if not policy.group_id:
        return (_EVERYWHERE,)
    members = [eni for eni in tx.all(interface.Interface) if policy.group_id in eni.group_ids]
    addresses = {eni.address for eni in members}
    ids = {eni.id for eni in members}
    # A member that holds a HAVIP also sends from that address.
    for vip in tx.all(havip.HaVip):
        if vip.check_associate and ids & set(havip.announcers(tx, vip)):
            addresses.add(vip.address)
    return tuple(IPv4Network(f"{found}/32") for found in sorted(addresses))
