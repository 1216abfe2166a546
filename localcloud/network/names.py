"""Names inside namespaces, and the platform's addresses."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

INTERNET = "inet"  # the internet: its clients, and the link between public addresses
OPERATOR = "ops"
API = "api"

CLIENT_ADDRESS = IPv4Address("198.51.100.10")
MORE_CLIENTS = tuple(CLIENT_ADDRESS + number for number in range(1, 8))  # for clients with different addresses
OPERATOR_ADDRESS = IPv4Address("198.51.100.20")
API_ADDRESS = IPv4Address("198.51.100.30")
PUBLIC_POOL = IPv4Network("203.0.113.0/24")

# Private line between operator and VPC, like a VPN.
LINE_OPERATOR = IPv4Address("172.31.255.2")
LINE_ROUTER = IPv4Address("172.31.255.1")

# The platform's services; the same addresses in every VPC.
METADATA = IPv4Address("169.254.0.23")
MIRROR = IPv4Address("169.254.0.3")
NAME_SERVERS = (IPv4Address("183.60.83.19"), IPv4Address("183.60.82.98"))

# Links between namespaces that only route; their addresses are not visible to instances.
TRANSIT_ROUTER = IPv4Address("169.254.255.2")
TRANSIT_INTERNET = IPv4Address("169.254.255.1")

BRIDGE = "br0"
UPLINK = "up"  # a subnet's link to its router
WAN = "wan"  # a router's link to the internet
LINE = "line"  # a router's private line to the operator

# Destination of a HAVIP's packets before its first announcement: a locally administered MAC that no machine has.
UNCLAIMED_MAC = "02:00:00:00:00:00"


def suffix(identifier: str) -> str:
    """`subnet-1a2b3c4d` -> `1a2b3c4d`: interface names are limited to 15 characters."""
    return identifier.rpartition("-")[2]


def port(interface_id: str) -> str:
    """The bridge's end of a machine's interface."""
    return f"p-{suffix(interface_id)}"


def subnet_link(subnet_id: str) -> str:
    """The router's end of the link to a subnet; has the gateway address."""
    return f"s-{suffix(subnet_id)}"


def vpc_link(vpc_id: str) -> str:
    """The internet's or the operator's end of the link to a VPC's router."""
    return f"v-{suffix(vpc_id)}"


def gateway_mac(subnet_id: str) -> str:
    """A fixed MAC for a subnet's gateway, which still matches the machines' ARP tables after the cloud is resumed."""
    digits = suffix(subnet_id).encode().hex()[-6:].rjust(6, "0")
    return f"fe:ee:0b:{digits[0:2]}:{digits[2:4]}:{digits[4:6]}"
