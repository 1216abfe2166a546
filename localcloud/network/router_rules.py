"""The nftables rules of a VPC's router: public addresses, NAT gateways, and permitted routes."""

from __future__ import annotations

from localcloud.infrastructure import Vpc
from localcloud.network import names, nft
from localcloud.network.bridge_rules import to_platform
from localcloud.network.nft import ACCEPT, DROP, Statement, Table


def router_rules(vpc: Vpc) -> list[Statement]:
    """Return both tables of one router: addresses (`nat`) and permitted routes (`filter`)."""
    return [*_nat(vpc), *_filter(vpc)]


def _nat(vpc: Vpc) -> list[Statement]:
    table = Table.new("ip", "nat")
    bound = vpc.public_addresses
    inward = table.map("eip_in", "ipv4_addr", "ipv4_addr", [(str(eip.public), str(eip.private)) for eip in bound])
    outward = table.map("eip_out", "ipv4_addr", "ipv4_addr", [(str(eip.private), str(eip.public)) for eip in bound])
    table.base_chain("prerouting", "prerouting", -100, kind="nat")
    from_internet = nft.match(nft.meta("iifname"), names.WAN)
    public = nft.lookup(nft.field("ip", "daddr"), inward)
    table.rule("prerouting", from_internet, {"dnat": {"addr": public}})
    table.base_chain("postrouting", "postrouting", 100, kind="nat")
    to_internet = nft.match(nft.meta("oifname"), names.WAN)
    table.rule("postrouting", to_internet, {"snat": {"addr": nft.lookup(nft.field("ip", "saddr"), outward)}})
    for subnet in vpc.subnets:
        if subnet.nat_public_address is not None:
            source = nft.match(nft.field("ip", "saddr"), nft.network(subnet.cidr))
            table.rule("postrouting", to_internet, source, {"snat": {"addr": str(subnet.nat_public_address)}})
    return table.replace()


def _filter(vpc: Vpc) -> list[Statement]:
    """Without an EIP or a NAT gateway the internet cannot be reached.

    Subnets of one VPC reach each other (groups filter).
    """
    table = Table.new("ip", "filter")
    table.base_chain("forward", "forward", 0, policy="drop")
    state = nft.ct("state")
    table.rule("forward", nft.among(state, ["established", "related"]), ACCEPT)
    table.rule("forward", nft.match(state, "invalid", "in"), DROP)
    from_wan = nft.match(nft.meta("iifname"), names.WAN)
    to_wan = nft.match(nft.meta("oifname"), names.WAN)
    inside = [names.subnet_link(subnet.subnet_id) for subnet in vpc.subnets]
    table.rule("forward", from_wan, nft.match(nft.ct("status"), "dnat", "in"), ACCEPT)
    if not inside:
        return table.replace()
    from_inside = nft.among(nft.meta("iifname"), inside)
    to_inside = nft.among(nft.meta("oifname"), inside)
    table.rule("forward", from_inside, to_inside, ACCEPT)
    table.rule("forward", nft.match(nft.meta("iifname"), names.LINE), to_inside, ACCEPT)
    sources: list[nft.Expression] = [str(eip.private) for eip in vpc.public_addresses]
    if sources:
        table.rule("forward", from_inside, to_wan, nft.among(nft.field("ip", "saddr"), sources), ACCEPT)
    for subnet in vpc.subnets:
        if subnet.nat_public_address is not None:
            source = nft.match(nft.field("ip", "saddr"), nft.network(subnet.cidr))
            table.rule("forward", from_inside, to_wan, source, ACCEPT)
    # The platform's services are sockets of the router; apart from them it only answers pings to the gateway.
    table.base_chain("input", "input", 0, policy="drop")
    table.rule("input", nft.among(state, ["established", "related"]), ACCEPT)
    for platform in to_platform():
        table.rule("input", from_inside, *platform, ACCEPT)
    table.rule("input", from_inside, nft.match(nft.field("icmp", "type"), "echo-request"), ACCEPT)
    return table.replace()
