"""The packets that a subnet accepts, as nftables rules: the guard against false addresses, and the security groups.

Stateful, and new rules apply immediately: documented (Tencent's product/213/18197). Flows that were established before
a change continue: assumed (as with connection tracking). A group without rules drops all packets: documented there too.

A pure function of the plan. Constraints, measured with Linux 6.18 and nft 1.0.6:
- `ct` is not allowed in a bridge table, so br_netfilter's conntrack sets a mark in table `inet`, at prerouting, and the
  bridge's chains with a priority above 0 (br_netfilter's) read it;
- nft cannot compare two fields, so "the sender's address belongs to its MAC and port" is a set of triples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network

from localcloud.infrastructure import Interface, SecurityGroup, Subnet
from localcloud.network import names, nft
from localcloud.network.nft import ACCEPT, DROP, RETURN, Statement, Table
from localcloud.network.security_groups import Accepted, Box, accepted

ESTABLISHED = 0x1
INVALID = 0x2

_ANYONE = Box(IPv4Address(0), IPv4Address(2**32 - 1), ((0, 65535),))


def state_rules() -> list[Statement]:
    """Mark every bridged packet with the conntrack state of its flow."""
    table = Table.new("inet", "state")
    table.base_chain("prerouting", "prerouting", -150)
    known = nft.among(nft.ct("state"), ["established", "related"])
    table.rule("prerouting", known, nft.set_mark(ESTABLISHED))
    table.rule("prerouting", nft.match(nft.ct("state"), "invalid", "in"), nft.set_mark(INVALID))
    return table.replace()


def isolation_rules(subnet: Subnet, isolated: Iterable[frozenset[Interface]]) -> list[Statement]:
    """A fault: drop all packets between pairs of machines, in this subnet or with one end in another.

    Each rule names its pair, so that the daemon that succeeds a killed one can read them (`isolated_pairs`).
    """
    table = Table.new("bridge", "faults")
    table.base_chain("forward", "forward", -10)
    here = {interface.interface_id for interface in subnet.interfaces}
    for pair in isolated:
        pair_name = " ".join(sorted(interface.interface_id for interface in pair))
        for near in pair:
            (far,) = pair - {near}
            if near.interface_id not in here:
                continue
            sent, heard = (nft.match(nft.meta(end), names.port(near.interface_id)) for end in ("iifname", "oifname"))
            if far.interface_id in here:
                packets = [(sent, nft.match(nft.meta("oifname"), names.port(far.interface_id)))]
            else:
                packets = [
                    (sent, nft.match(nft.field("ip", "daddr"), str(far.address))),
                    (heard, nft.match(nft.field("ip", "saddr"), str(far.address))),
                ]
            for statements in packets:
                table.rule("forward", *statements, DROP, comment=pair_name)
    return table.replace()


def isolated_pairs(comments: Iterable[str], known: Mapping[str, Interface]) -> set[frozenset[Interface]]:
    """Return the pairs that the loaded isolation rules name."""
    pairs = [comment.split() for comment in comments]
    return {frozenset(known[end] for end in pair) for pair in pairs if set(pair) <= known.keys()}


def bridge_rules(
    subnet: Subnet, groups: Mapping[str, SecurityGroup], held: Mapping[str, str | None] | None = None
) -> list[Statement]:
    """Return the whole table of one subnet. `held` maps HAVIP to instance: only the holder may send from that HAVIP."""
    table = Table.new("bridge", "vpc")
    _add_guard(table, subnet)
    table.base_chain("forward", "forward", 10)
    # First, because most packets belong to known flows, and the chains below would accept them too.
    table.rule("forward", nft.match(nft.meta("mark"), ESTABLISHED), ACCEPT)
    if held is not None and subnet.virtual_addresses:
        _add_holders(table, subnet, held)
    _add_groups(table, subnet, groups)
    return table.replace()


def _add_guard(table: Table, subnet: Subnet) -> None:
    """Before br_netfilter: drop frames whose sender address does not belong to the sending interface."""
    own = [(interface, interface.address) for interface in subnet.interfaces]
    by_id = {interface.interface_id: interface for interface in subnet.interfaces}
    virtual = [
        (by_id[announcer], havip.address)
        for havip in subnet.virtual_addresses
        for announcer in havip.announcers
        if announcer in by_id
    ]
    triples = [
        nft.concat(names.port(interface.interface_id), interface.mac, str(address))
        for interface, address in own + virtual
    ]
    kinds = ["ifname", "ether_addr", "ipv4_addr"]
    sources = table.set("own_addresses", kinds, triples)
    macs = table.set(
        "own_macs",
        ["ifname", "ether_addr"],
        [nft.concat(names.port(interface.interface_id), interface.mac) for interface in subnet.interfaces],
    )
    for chain in ("arp_guard", "ip_guard"):
        table.chain(chain)
    sender = nft.concat(nft.meta("iifname"), nft.field("ether", "saddr"))

    table.base_chain("prerouting", "prerouting", -300)
    table.rule("prerouting", nft.match(nft.meta("iifname"), names.UPLINK), ACCEPT)
    table.rule("prerouting", nft.set_mark(0))
    table.rule("prerouting", nft.match(nft.field("ether", "type"), "ip"), nft.goto("ip_guard"))
    table.rule("prerouting", nft.match(nft.field("ether", "type"), "arp"), nft.goto("arp_guard"))
    table.rule("prerouting", DROP)  # IPv6, VLANs and all other protocols, which this VPC does not have.

    table.rule("arp_guard", nft.match(nft.meta("pkttype"), "multicast"), DROP)
    table.rule("arp_guard", nft.match(sender, macs, "!="), DROP)
    table.rule("arp_guard", nft.match(nft.field("arp", "htype"), 1, "!="), DROP)
    table.rule("arp_guard", nft.match(nft.field("arp", "ptype"), 0x0800, "!="), DROP)
    announced = nft.concat(nft.meta("iifname"), nft.field("arp", "saddr ether"), nft.field("arp", "saddr ip"))
    table.rule("arp_guard", nft.match(announced, sources), ACCEPT)
    # A duplicate-address probe claims no address.
    probe = nft.match(nft.field("arp", "saddr ip"), str(IPv4Address(0)))
    table.rule("arp_guard", probe, nft.match(nft.field("arp", "operation"), "request"), ACCEPT)
    table.rule("arp_guard", DROP)

    table.rule("ip_guard", nft.among(nft.meta("pkttype"), ["broadcast", "multicast"]), DROP)
    nowhere = [nft.network(IPv4Network("224.0.0.0/3")), str(subnet.cidr.broadcast_address)]
    table.rule("ip_guard", nft.among(nft.field("ip", "daddr"), nowhere), DROP)
    used = nft.concat(nft.meta("iifname"), nft.field("ether", "saddr"), nft.field("ip", "saddr"))
    table.rule("ip_guard", nft.match(used, sources), ACCEPT)
    table.rule("ip_guard", DROP)


def _add_holders(table: Table, subnet: Subnet, held: Mapping[str, str | None]) -> None:
    """Only when forwarding: the bridge, where announcements are read, receives all frames that passed the guard."""
    ports = {interface.instance_id: names.port(interface.interface_id) for interface in subnet.interfaces}
    holding = [
        nft.concat(ports[holder], str(havip.address))
        for havip in subnet.virtual_addresses
        if (holder := held.get(havip.havip_id)) in ports
    ]
    known = table.set("holding", ["ifname", "ipv4_addr"], holding)
    sender = nft.field("arp", "saddr ip")
    table.rule(
        "forward",
        nft.among(sender, [str(havip.address) for havip in subnet.virtual_addresses]),
        nft.match(nft.concat(nft.meta("iifname"), sender), known, "!="),
        DROP,
    )


def _add_groups(table: Table, subnet: Subnet, groups: Mapping[str, SecurityGroup]) -> None:
    """After br_netfilter: accept packets of known flows; apply the groups to new flows, egress and ingress."""
    outward: list[tuple[nft.Expression, Statement]] = []
    inward: list[tuple[nft.Expression, Statement]] = []
    made: set[str] = set()
    for interface in subnet.interfaces:
        chain = _chain_name(interface)
        if chain not in made:
            made.add(chain)
            present = [groups[group_id] for group_id in interface.group_ids if group_id in groups]
            egress = accepted([rule for group in present for rule in group.egress])
            ingress = accepted([rule for group in present for rule in group.ingress])
            _add_chain(table, f"out_{chain}", egress, "daddr")
            _add_chain(table, f"in_{chain}", ingress, "saddr")
        name = names.port(interface.interface_id)
        outward.append((name, nft.jump(f"out_{chain}")))
        inward.append((name, nft.jump(f"in_{chain}")))

    table.rule("forward", nft.match(nft.field("ether", "type"), "arp"), ACCEPT)
    for platform in to_platform():
        table.rule("forward", nft.match(nft.meta("oifname"), names.UPLINK), *platform, ACCEPT)
    if outward:
        table.rule("forward", nft.verdicts(nft.meta("iifname"), outward))
        table.rule("forward", nft.verdicts(nft.meta("oifname"), inward))


def to_platform() -> list[list[Statement]]:
    """Metadata, DNS and packages belong to the platform: no group blocks them (assumed: not documented)."""
    address = nft.field("ip", "daddr")
    web = nft.among(address, [str(names.METADATA), str(names.MIRROR)])
    names_asked = nft.among(address, [str(server) for server in names.NAME_SERVERS])
    return [
        [web, nft.match(nft.field("tcp", "dport"), 80)],
        *([names_asked, nft.match(nft.field(protocol, "dport"), 53)] for protocol in ("udp", "tcp")),
    ]


def _add_chain(table: Table, chain: str, passes: Accepted, far_end: str) -> None:
    """`return` accepts for this end only: the chain of the other end is evaluated next."""
    table.chain(chain)
    table.rule(chain, nft.match(nft.meta("mark"), INVALID), DROP)
    address = nft.field("ip", far_end)
    classes: tuple[tuple[str, tuple[Box, ...]], ...] = (
        ("tcp", passes.tcp),
        ("udp", passes.udp),
        ("icmp", passes.icmp),
        ("gre", passes.gre),
    )
    for protocol, boxes in classes:
        here = nft.match(nft.meta("l4proto"), protocol)
        if boxes == (_ANYONE,):
            table.rule(chain, here, RETURN)
        elif boxes and protocol in {"tcp", "udp"}:
            _look_up_ports(table, chain, protocol, address, boxes)
        elif boxes:
            known = table.set(f"{chain}_{protocol}", ["ipv4_addr"], _spans(boxes), interval=True)
            table.rule(chain, here, nft.match(address, known), RETURN)
        table.rule(chain, here, DROP)
    if passes.other == (_ANYONE,):
        table.rule(chain, RETURN)
    elif passes.other:
        known = table.set(f"{chain}_other", ["ipv4_addr"], _spans(passes.other), interval=True)
        table.rule(chain, nft.match(address, known), RETURN)
    table.rule(chain, DROP)


def _look_up_ports(table: Table, chain: str, protocol: str, address: nft.Expression, boxes: tuple[Box, ...]) -> None:
    destination = nft.field(protocol, "dport")
    if len(boxes) == 1 and (boxes[0].low, boxes[0].high) == (_ANYONE.low, _ANYONE.high):
        # The usual case, a web server: all sources, some ports.
        table.rule(chain, nft.among(destination, [nft.span(*ports) for ports in boxes[0].ports]), RETURN)
        return
    elements = [nft.concat(nft.span(box.low, box.high), nft.span(*ports)) for box in boxes for ports in box.ports]
    known = table.set(f"{chain}_{protocol}", ["ipv4_addr", "inet_service"], elements, interval=True)
    table.rule(chain, nft.match(nft.concat(address, destination), known), RETURN)


def _spans(boxes: Iterable[Box]) -> list[nft.Expression]:
    return [nft.span(box.low, box.high) for box in boxes]


def _chain_name(interface: Interface) -> str:
    """Name of the chain: interfaces with the same groups in the same order share one."""
    return hashlib.sha256(" ".join(interface.group_ids).encode()).hexdigest()[:10]
