"""The namespaces, links, addresses and routes of a cloud's network: a bridge per subnet, a router per VPC.

internet (clients, 198.51.100.10) -- router of each VPC -- bridge of each subnet -- machines
operator (198.51.100.20) -- internet, and a private line to each router;  API -- internet

Every step checks first and creates only what is missing, so a plan may be applied repeatedly, also by a daemon that
succeeds a killed one. network.py decides which packets pass.
"""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address, IPv4Network

from pyroute2.netlink.exceptions import NetlinkError

from localcloud.errors import NetworkError
from localcloud.infrastructure import Interface, NetworkPlan, Subnet, Vpc
from localcloud.network import names, nft
from localcloud.network.bridge_rules import state_rules
from localcloud.network.links import Links, links_inside, set_sysctls
from localcloud.network.namespaces import Namespaces
from localcloud.network.shaping import unshape

_QUIET: dict[str, str | int] = {"net.ipv6.conf.all.disable_ipv6": 1, "net.ipv6.conf.default.disable_ipv6": 1}
_ROUTING: dict[str, str | int] = {
    **_QUIET,
    "net.ipv4.ip_forward": 1,
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv4.conf.default.rp_filter": 0,
    "net.ipv4.conf.all.send_redirects": 0,
    "net.ipv4.conf.default.send_redirects": 0,
    "net.ipv4.conf.all.accept_redirects": 0,
}


class Wiring:
    """Not thread-safe except `set_holder` and `announce`: `Network` holds a lock for the other calls."""

    def __init__(self, namespaces: Namespaces) -> None:
        self.namespaces = namespaces
        self._order: dict[str, int] = {}  # VPC -> number of VPCs created before it

    def open(self) -> None:
        """Create the part that does not depend on a VPC: internet, operator, API."""
        for what in (names.INTERNET, names.OPERATOR, names.API):
            self.namespaces.ensure(what)
            set_sysctls(self.namespaces, what, _ROUTING if what == names.INTERNET else _QUIET)
        with links_inside(self.namespaces, names.INTERNET) as links:
            links.set_up("lo")
            for address in (names.CLIENT_ADDRESS, *names.MORE_CLIENTS):
                links.add_address("lo", address, 32)
            # A public address that is not bound discards all packets, as on the internet.
            links.ensure_void("nowhere")
            links.add_route(names.PUBLIC_POOL, name="nowhere")
        self._connect_to_internet(names.OPERATOR, names.OPERATOR_ADDRESS)
        self._connect_to_internet(names.API, names.API_ADDRESS)
        with links_inside(self.namespaces, names.OPERATOR) as links:
            links.add_address("lo", names.LINE_OPERATOR, 32)

    def _connect_to_internet(self, what: str, address: IPv4Address) -> None:
        with links_inside(self.namespaces, names.INTERNET) as links:
            links.ensure_pair(f"to-{what}", peer=names.WAN, peer_namespace=self.namespaces.path(what))
            links.set_up(f"to-{what}")
        with links_inside(self.namespaces, what) as links:
            links.set_up("lo")
            links.set_up(names.WAN)
            links.add_address(names.WAN, address, 32)
            links.add_route(
                IPv4Network("0.0.0.0/0"), name=names.WAN, gateway=names.CLIENT_ADDRESS, source=address, onlink=True
            )
        with links_inside(self.namespaces, names.INTERNET) as links:
            links.add_route(IPv4Network(f"{address}/32"), name=f"to-{what}")

    def ensure_router(self, vpc: Vpc) -> None:
        is_new = self.namespaces.ensure(vpc.vpc_id)
        if is_new:
            set_sysctls(self.namespaces, vpc.vpc_id, _ROUTING)
        link = names.vpc_link(vpc.vpc_id)
        ways = ((names.INTERNET, names.WAN), (names.OPERATOR, names.LINE))
        for far, near in ways:
            with links_inside(self.namespaces, far) as links:
                if is_new:  # a link to a namespace of this name that was deleted from outside, but is still in use
                    links.delete(link)
                links.ensure_pair(link, peer=near, peer_namespace=self.namespaces.path(vpc.vpc_id))
                links.set_up(link)
                if far == names.INTERNET:
                    links.add_address(link, names.TRANSIT_INTERNET, 32)
        with links_inside(self.namespaces, vpc.vpc_id) as links:
            links.set_up("lo")
            for address in (names.METADATA, names.MIRROR, *names.NAME_SERVERS):
                links.add_address("lo", address, 32)
            links.set_up(names.WAN)
            links.add_address(names.WAN, names.TRANSIT_ROUTER, 32)
            links.add_route(IPv4Network("0.0.0.0/0"), name=names.WAN, gateway=names.TRANSIT_INTERNET, onlink=True)
            links.set_up(names.LINE)
            links.add_address(names.LINE, names.LINE_ROUTER, 32)
            links.add_route(IPv4Network(f"{names.LINE_OPERATOR}/32"), name=names.LINE)
        with links_inside(self.namespaces, names.OPERATOR) as links:
            metric = 100 + self._order.setdefault(vpc.vpc_id, len(self._order))
            for cidr in vpc.cidrs:
                # Two VPCs may have the same addresses: the one that was created first remains reachable.
                links.delete_route(cidr, name=link)
                links.add_route(
                    cidr, name=link, gateway=names.LINE_ROUTER, source=names.LINE_OPERATOR, onlink=True, metric=metric
                )

    def ensure_subnet(self, vpc: Vpc, subnet: Subnet) -> None:
        is_new = self.namespaces.ensure(subnet.subnet_id)
        if is_new:
            set_sysctls(self.namespaces, subnet.subnet_id, _QUIET)
            nft.load(self.namespaces, subnet.subnet_id, state_rules())
        link = names.subnet_link(subnet.subnet_id)
        with links_inside(self.namespaces, vpc.vpc_id) as links:
            if is_new:
                links.delete(link)
            links.ensure_pair(
                link,
                peer=names.UPLINK,
                peer_namespace=self.namespaces.path(subnet.subnet_id),
                mac=names.gateway_mac(subnet.subnet_id),
            )
            links.set_up(link)
            links.add_address(link, subnet.gateway, subnet.cidr.prefixlen)
            self._keep_neighbours(links, link, subnet)
        with links_inside(self.namespaces, subnet.subnet_id) as links:
            links.ensure_bridge(names.BRIDGE)
            links.set_up("lo")
            links.set_master(names.UPLINK, names.BRIDGE)
            links.set_up(names.UPLINK)
        for interface in subnet.interfaces:
            self._ensure_interface(subnet, interface)

    def _keep_neighbours(self, links: Links, link: str, subnet: Subnet) -> None:
        """Drop packets to HAVIPs that no instance has announced; remove the entries of deleted HAVIPs."""
        present = links.permanent_neighbours(link)
        planned = {str(havip.address): havip for havip in subnet.virtual_addresses}
        macs = {interface.instance_id: interface.mac for interface in subnet.interfaces}
        for address in present - set(planned):
            links.delete_neighbour(link, IPv4Address(address))
        for address in set(planned) - present:
            holder = planned[address].holder
            links.set_neighbour(link, IPv4Address(address), macs.get(holder or "", names.UNCLAIMED_MAC))

    def _ensure_interface(self, subnet: Subnet, interface: Interface) -> None:
        if self.namespaces.ensure(interface.instance_id):
            set_sysctls(self.namespaces, interface.instance_id, _QUIET)
        port = names.port(interface.interface_id)
        with links_inside(self.namespaces, subnet.subnet_id) as links:
            try:
                created = links.ensure_pair(
                    port,
                    peer=f"eth{interface.device_index}",
                    peer_namespace=self.namespaces.path(interface.instance_id),
                    peer_mac=interface.mac,
                )
            except NetlinkError as error:
                if error.code != errno.EEXIST:
                    raise
                # The machine has deleted its link and created one of the same name. It stays disconnected until the
                # next power-on, so that the plan still applies to all other machines.
                return
            if created:
                links.set_master(port, names.BRIDGE)
                links.bind_port(port, interface.mac)

    def set_live(self, interface: Interface, subnet: Subnet, plan: NetworkPlan, *, live: bool) -> None:
        """Set the machine's interface up in a new network stack and open its port, or shut the port.

        The namespace outlives the machine, and its kernel would still answer ARP for the machine's addresses. A start
        removes all changes that the machine made in it: rules, routes, a renamed or deleted link.
        """
        device = f"eth{interface.device_index}"
        port = names.port(interface.interface_id)
        if not live:
            with links_inside(self.namespaces, subnet.subnet_id) as links:
                if links.find(port) is not None:
                    links.set_down(port)
        if live:
            self._renew(interface.instance_id, plan)
        if not self.namespaces.path(interface.instance_id).exists():
            return
        with links_inside(self.namespaces, interface.instance_id) as links:
            if links.find(device) is None:
                return
            links.set_down(device)
            links.flush_addresses(device)
            if live:
                links.set_up("lo")
                links.set_mac(device, interface.mac)
                links.set_up(device)
                links.add_address(device, interface.address, subnet.cidr.prefixlen)
                links.add_route(IPv4Network("0.0.0.0/0"), name=device, gateway=subnet.gateway)
        if live:
            with links_inside(self.namespaces, subnet.subnet_id) as links:
                links.set_up(port)

    def _renew(self, instance_id: str, plan: NetworkPlan) -> None:
        """Replace the machine's namespace by a new one, with the links of the plan."""
        mine = [
            (subnet, interface)
            for vpc in plan.vpcs
            for subnet in vpc.subnets
            for interface in subnet.interfaces
            if interface.instance_id == instance_id
        ]
        for subnet, interface in mine:
            with links_inside(self.namespaces, subnet.subnet_id) as links:
                links.delete(names.port(interface.interface_id))
        self.namespaces.remove(instance_id)
        for subnet, interface in mine:
            self._ensure_interface(subnet, interface)

    def set_port(self, interface: Interface, subnet: Subnet, *, up: bool) -> None:
        """Set the bridge's end of a machine's link up or down."""
        port = names.port(interface.interface_id)
        with links_inside(self.namespaces, subnet.subnet_id) as links:
            if links.find(port) is None:
                raise NetworkError(f"{interface.instance_id} has deleted its link; power it off and on to restore it")
            (links.set_up if up else links.set_down)(port)

    def port_is_up(self, interface: Interface, subnet: Subnet) -> bool:
        port = names.port(interface.interface_id)
        with links_inside(self.namespaces, subnet.subnet_id) as links:
            return links.find(port) is None or links.is_up(port)

    def set_holder(self, vpc: Vpc, subnet: Subnet, address: IPv4Address, mac: str) -> None:
        """From now on, route the HAVIP's packets to this MAC."""
        with links_inside(self.namespaces, vpc.vpc_id) as links:
            links.set_neighbour(names.subnet_link(subnet.subnet_id), address, mac)

    def announce(self, subnet: Subnet, address: IPv4Address, mac: str) -> None:
        """Announce the address to the subnet's machines, as its holder would."""
        sender = bytes.fromhex(mac.replace(":", ""))
        frame = b"\xff" * 6 + sender + bytes.fromhex("0806 0001 0800 06 04 0001")
        frame += sender + address.packed + b"\0" * 6 + address.packed
        with self.namespaces.inside(subnet.subnet_id), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind((names.BRIDGE, 0))
            raw.send(frame.ljust(60, b"\0"))

    def route_public_addresses(self, vpc: Vpc) -> None:
        link = names.vpc_link(vpc.vpc_id)
        planned = {f"{eip.public}/32" for eip in vpc.public_addresses}
        planned |= {f"{subnet.nat_public_address}/32" for subnet in vpc.subnets if subnet.nat_public_address}
        with links_inside(self.namespaces, names.INTERNET) as links:
            present = links.routes(link)
            for destination in planned - present:
                links.add_route(
                    IPv4Network(destination),
                    name=link,
                    gateway=names.TRANSIT_ROUTER,
                    source=names.CLIENT_ADDRESS,
                    onlink=True,
                )
            for destination in present - planned:
                links.delete_route(IPv4Network(destination), name=link)

    def remove_ports(self, plan: NetworkPlan) -> None:
        """Remove unplanned ports first, on all bridges: an interface that moves to another subnet keeps its name."""
        planned = {
            subnet.subnet_id: {names.port(interface.interface_id) for interface in subnet.interfaces}
            for vpc in plan.vpcs
            for subnet in vpc.subnets
        }
        for what in self.namespaces.present():
            if what.startswith("subnet-") and self.namespaces.is_made(what):
                with links_inside(self.namespaces, what) as links:
                    for name in links.names():
                        if name.startswith("p-") and name not in planned.get(what, set()):
                            links.delete(name)

    def remove_subnet_links(self, vpc: Vpc) -> None:
        planned = {names.subnet_link(subnet.subnet_id) for subnet in vpc.subnets}
        with links_inside(self.namespaces, vpc.vpc_id) as links:
            for name in links.names():
                if name.startswith("s-") and name not in planned:
                    links.delete(name)

    def remove_unplanned(self, plan: NetworkPlan) -> frozenset[str]:
        """Remove namespaces and links that the plan does not contain. Returns the namespaces' names."""
        planned = {names.INTERNET, names.OPERATOR, names.API}
        planned_links: set[str] = set()
        for vpc in plan.vpcs:
            planned.add(vpc.vpc_id)
            planned_links.add(names.vpc_link(vpc.vpc_id))
            for subnet in vpc.subnets:
                planned.add(subnet.subnet_id)
                planned |= {interface.instance_id for interface in subnet.interfaces}
        removed = self.namespaces.present() - planned
        for what in removed:
            self.namespaces.remove(what)
        for far in (names.INTERNET, names.OPERATOR):
            with links_inside(self.namespaces, far) as links:
                for name in links.names():
                    if name.startswith("v-") and name not in planned_links:
                        links.delete(name)
                        if far == names.INTERNET:
                            unshape(self.namespaces, name)
        return removed
