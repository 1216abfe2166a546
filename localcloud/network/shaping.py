"""Bandwidth limits of public addresses: one class per address, at both ends of a VPC's link to the internet.

nftables writes the class into the packet (`meta priority`), and HTB enforces it: this kernel has HTB, but neither
police nor flower. The outgoing limit is the address's bandwidth; the incoming limit is the same, but at least 10 Mbit/s
(documented for public bandwidth of CVM). Packets of no public address are not limited.
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
    """Limit every public address of the VPC to its bandwidth, in both directions."""
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
    """Remove a deleted VPC's rules on the internet's side (those on its own side disappeared with its namespace)."""
    table = {"table": {"family": "ip", "name": f"shape-{link}"}}
    nft.load(namespaces, names.INTERNET, [{"add": table}, {"delete": table}])


def _class(eip: PublicAddress) -> int:
    """The pool is a /24, so the last octet identifies the address."""
    return _MAJOR | (0x100 + eip.public.packed[-1])


def _marks(name: str, device: str, end: str, classes: dict[str, int]) -> list[Statement]:
    """Before NAT, so that outgoing packets still have the private address."""
    table = Table.new("ip", name)
    if not classes:
        return table.replace()  # an empty table, so that packets without limits have no extra cost
    known = table.map(
        "classes", "ipv4_addr", "classid", [(address, _handle(number)) for address, number in classes.items()]
    )
    table.base_chain("postrouting", "postrouting", -150)
    value = nft.lookup(nft.field("ip", end), known)
    table.rule(
        "postrouting", nft.match(nft.meta("oifname"), device), {"mangle": {"key": nft.meta("priority"), "value": value}}
    )
    return table.replace()


def _handle(number: int) -> str:
    return f"{number >> 16:x}:{number & 0xFFFF:x}"
