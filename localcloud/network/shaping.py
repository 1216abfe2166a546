"""Bandwidth of public addresses: a class for each, on both ends of a VPC's way to the internet.

nftables writes the class into the packet (`meta priority`), HTB obeys it: this kernel has HTB, but neither police nor
flower. Outgoing is limited to the address's bandwidth; incoming to the same, but not below 10 Mbit/s (documented for
public bandwidth of CVM). What belongs to no address is not limited.
"""

from __future__ import annotations

from localcloud.infrastructure import PublicAddress, Vpc
from localcloud.network import names, nft
from localcloud.network.links import links_inside
from localcloud.network.namespaces import Namespaces
from localcloud.network.nft import Statement, Table

_INCOMING_LEAST_MBPS = 10
_MAJOR = 0x10000


def shape(namespaces: Namespaces, vpc: Vpc) -> None:
    """Give every public address of the VPC its bandwidth, in both directions."""
    limited = [eip for eip in vpc.public_addresses if eip.bandwidth_mbps > 0]
    going = {_class(eip): eip.bandwidth_mbps for eip in limited}
    coming = {_class(eip): max(eip.bandwidth_mbps, _INCOMING_LEAST_MBPS) for eip in limited}
    link = names.vpc_link(vpc.vpc_id)
    for what, device, classes in ((vpc.vpc_id, names.WAN, going), (names.INTERNET, link, coming)):
        with links_inside(namespaces, what) as links:
            links.set_classes(device, classes)
    nft.load(
        namespaces, vpc.vpc_id, _marks("shape", names.WAN, "saddr", {str(eip.private): _class(eip) for eip in limited})
    )
    incoming = _marks(f"shape-{link}", link, "daddr", {str(eip.public): _class(eip) for eip in limited})
    nft.load(namespaces, names.INTERNET, incoming)


def unshape(namespaces: Namespaces, link: str) -> None:
    """Forget a VPC that is gone: its rules on the internet's side (its own went with its namespace)."""
    table = {"table": {"family": "ip", "name": f"shape-{link}"}}
    nft.load(namespaces, names.INTERNET, [{"add": table}, {"delete": table}])


def _class(eip: PublicAddress) -> int:
    """The pool is a /24: its last octet is a number that no other address has."""
    return _MAJOR | (0x100 + eip.public.packed[-1])


def _marks(name: str, device: str, end: str, classes: dict[str, int]) -> list[Statement]:
    """Before NAT, so that going out the private address is still seen."""
    table = Table.new("ip", name)
    if not classes:
        return table.replace()  # an empty table: no packet pays for limits that nobody has
    known = table.map(
        "classes", "ipv4_addr", "classid", [(address, _handle(number)) for address, number in classes.items()]
    )
    table.base_chain("postrouting", "postrouting", -150)
    value = nft.lookup(nft.field("ip", end), known)
    table.rule(
        "postrouting",
        nft.match(nft.meta("oifname"), device),
        {"mangle": {"key": nft.meta("priority"), "value": value}},
    )
    return table.replace()


def _handle(number: int) -> str:
    return f"{number >> 16:x}:{number & 0xFFFF:x}"
