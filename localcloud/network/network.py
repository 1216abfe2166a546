"""Applies a NetworkPlan: the links of wiring.py, and the rules for packets.

Each rule set is replaced completely, in one transaction.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Address

from pyroute2.netlink.exceptions import NetlinkError

from localcloud.errors import NetworkError
from localcloud.infrastructure import Interface, NetworkPlan, Subnet, Vpc
from localcloud.network import nft
from localcloud.network.bridge_rules import bridge_rules, isolated_pairs, isolation_rules
from localcloud.network.namespaces import Namespaces
from localcloud.network.router_rules import router_rules
from localcloud.network.shaping import shape
from localcloud.network.wiring import Wiring


class Network:
    """The network of one cloud. Thread-safe: a lock serialises all methods."""

    def __init__(self, namespaces: Namespaces) -> None:
        self.namespaces = namespaces
        self._wiring = Wiring(namespaces)
        self._lock = threading.RLock()
        self._loaded: dict[str, list[nft.Statement]] = {}
        self._plan = NetworkPlan()
        self._isolated: set[frozenset[Interface]] = set()
        # HAVIP -> instance, where only the holder may send from it
        self._holder_by_havip: dict[str, str | None] | None = None

    @property
    def plan(self) -> NetworkPlan:
        return self._plan

    def open(self) -> None:
        with self._lock:
            self._wiring.open()

    def apply(self, plan: NetworkPlan) -> None:
        """Apply the plan. Returns when rules and addresses are in force."""
        with self._lock:
            groups = {group.group_id: group for group in plan.groups}
            before = {_structure(vpc) for vpc in self._plan.vpcs}
            after = [_structure(vpc) for vpc in plan.vpcs]
            restructured = before != set(after)
            if restructured:
                self._wiring.remove_ports(plan)
            for vpc, structure in zip(plan.vpcs, after, strict=True):
                # A changed rule must apply immediately, so links are only checked if the plan's links have changed.
                same = structure in before
                if not same:
                    with _naming(f"the router of {vpc.vpc_id}"):
                        self._wiring.ensure_router(vpc)
                for subnet in vpc.subnets:
                    if not same:
                        with _naming(f"the bridge and links of {subnet.subnet_id}"):
                            self._wiring.ensure_subnet(vpc, subnet)
                    self._load(subnet.subnet_id, "vpc", bridge_rules(subnet, groups, self._holder_by_havip))
                self._load(vpc.vpc_id, "router", router_rules(vpc))
                if not same:
                    with _naming(f"the routes and bandwidths of {vpc.vpc_id}"):
                        self._wiring.remove_subnet_links(vpc)
                        self._wiring.route_public_addresses(vpc)
                        shape(self.namespaces, vpc)
            if not self._plan.vpcs:
                self._recall_isolation(plan)
            self._plan = plan
            if restructured:
                self._forget_rules(self._wiring.remove_unplanned(plan))

    def set_live(self, interface: Interface, subnet: Subnet, *, live: bool) -> None:
        """Renew the machine's network and open its port (at a start), or shut the port."""
        with self._lock:
            self._wiring.set_live(interface, subnet, self._plan, live=live)

    def set_port(self, interface: Interface, subnet: Subnet, *, up: bool) -> None:
        """Set the bridge's end of a machine's link up or down.

        Raises NetworkError if the machine has deleted the link.
        """
        with self._lock:
            self._wiring.set_port(interface, subnet, up=up)

    def port_is_up(self, interface: Interface, subnet: Subnet) -> bool:
        with self._lock:
            return self._wiring.port_is_up(interface, subnet)

    def set_holder(self, vpc: Vpc, subnet: Subnet, address: IPv4Address, mac: str) -> None:
        self._wiring.set_holder(vpc, subnet, address, mac)

    def announce(self, subnet: Subnet, address: IPv4Address, mac: str) -> None:
        """Announce the address to the subnet's machines, as its holder would."""
        self._wiring.announce(subnet, address, mac)

    def isolate(self, one: Interface, other: Interface) -> None:
        """Drop all packets between the two, on their subnets' bridges."""
        with self._lock:
            self._isolated.add(frozenset({one, other}))
            self._load_isolation()

    def rejoin(self, interface: Interface) -> bool:
        """Remove the isolation of an instance; return True if it was isolated from any other."""
        with self._lock:
            ids = {interface.interface_id}
            cut = {pair for pair in self._isolated if ids & {each.interface_id for each in pair}}
            self._isolated -= cut
            self._load_isolation()
            return bool(cut)

    def _recall_isolation(self, plan: NetworkPlan) -> None:
        """Adopt the isolation that an earlier daemon of this cloud has set up; it is still active and can be healed."""
        subnets = [subnet for vpc in plan.vpcs for subnet in vpc.subnets]
        known = {interface.interface_id: interface for subnet in subnets for interface in subnet.interfaces}
        for subnet in subnets:
            names_of_pairs = nft.comments(self.namespaces, subnet.subnet_id, "bridge", "faults")
            self._isolated |= isolated_pairs(names_of_pairs, known)

    def _load_isolation(self) -> None:
        for vpc in self._plan.vpcs:
            for subnet in vpc.subnets:
                self._load(subnet.subnet_id, "faults", isolation_rules(subnet, self._isolated))

    def guard_holders(self, held: dict[str, str | None] | None) -> None:
        """Let only the holder of a HAVIP send from it in its subnet; None: all instances that may announce it."""
        with self._lock:
            self._holder_by_havip = held
            groups = {group.group_id: group for group in self._plan.groups}
            for vpc in self._plan.vpcs:
                for subnet in vpc.subnets:
                    self._load(subnet.subnet_id, "vpc", bridge_rules(subnet, groups, held))

    def _forget_rules(self, removed: frozenset[str]) -> None:
        for key in [key for key in self._loaded if key.partition("/")[0] in removed]:
            del self._loaded[key]

    def _load(self, what: str, table: str, commands: list[nft.Statement]) -> None:
        """Load a rule set unless it is already loaded, which would reset its counters."""
        key = f"{what}/{table}"
        if self._loaded.get(key) != commands:
            nft.load(self.namespaces, what, commands)
            self._loaded[key] = commands


@contextmanager
def _naming(part: str) -> Generator[None]:
    """Name the part of the network in errors of the kernel, which contain only a number and its text."""
    try:
        yield
    except (NetlinkError, OSError) as error:
        raise NetworkError(f"{part} could not be set up: {type(error).__name__}: {error}") from error


def _structure(vpc: Vpc) -> Vpc:
    """The part of a VPC that determines namespaces, links, addresses and routes: all but rules and HAVIP announcers."""
    subnets = tuple(
        replace(
            subnet,
            interfaces=tuple(replace(interface, group_ids=()) for interface in subnet.interfaces),
            virtual_addresses=tuple(replace(havip, announcers=(), holder=None) for havip in subnet.virtual_addresses),
        )
        for subnet in vpc.subnets
    )
    return replace(vpc, subnets=subnets)
