"""The times of a profile, and the virtual routers of a node with their priorities. Pure."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from ipaddress import IPv4Address

from provisioning.deployment import Deployment, Node
from settings.keepalived import KeepalivedSettings, ProfileName

# Of a healthy node, with all checks. Above 254 keepalived ignores what a check adds, and what a drain takes away.
_HIGHEST = 250
_LABEL_LENGTH = 15  # of an address: IFNAMSIZ - 1


@dataclass(frozen=True, slots=True)
class Profile:
    """The times of one profile, in seconds, and the values of its track files."""

    name: ProfileName
    advert_s: float
    restart_s: float  # delay before systemd restarts a killed keepalived
    probe_s: float = 0.0  # interval of the health daemon's probes; 0: no health daemon
    down_adverts: int = 3  # missing advertisements after which a backup takes over; RFC 5798: 3
    # Tencent's guide requires 5. Without it the HAVIP stays at the wrong node after a split that ends on one node
    # first: that node becomes backup, and the master never hears its advertisement.
    garp_refresh_s: int = 5
    all_refresh: bool = True  # False: not the node that loses every election, which would move the HAVIP in a split
    drain: int = -10
    fault: int = -254

    @property
    def patience_s(self) -> float:
        """The age at which an unanswered probe is a failure: after that time two others are unanswered, too."""
        return 2.5 * self.probe_s

    @property
    def master_down_s(self) -> float:
        """The maximum time before a backup takes over from a silent master.

        RFC 5798, 6.1; keepalived 2.2.7 calculates the skew of VRRPv2 in the same way.
        """
        return (self.down_adverts + 1) * self.advert_s


# Based on measurements with keepalived 2.2.7. `restart_s` is longer than the time in which the peer takes over.
PROFILES: dict[ProfileName, Profile] = {
    # A backup takes over 120 to 140 ms after the last advertisement of a dead master. A master that stalls for 120 ms
    # stays; with 3 longer intervals in the same time it would be 95 ms.
    "fast": Profile("fast", advert_s=0.02, restart_s=0.5, probe_s=0.1, down_adverts=7, all_refresh=False),
    # A node that stalls for one second must not cause two masters.
    "balanced": Profile("balanced", advert_s=0.5, restart_s=2.5, probe_s=0.3),
    "seed": Profile("seed", advert_s=1, restart_s=5),
}


@dataclass(frozen=True, slots=True)
class VirtualAddress:
    """A virtual IP of a virtual router."""

    address: str
    label: str = ""  # "eth0:1"


@dataclass(frozen=True, slots=True)
class VirtualRouter:
    """One VRRP virtual router: its virtual IPs, and the priority of this node for them."""

    name: str
    virtual_router_id: int
    addresses: tuple[VirtualAddress, ...]
    priority: int
    preferred: bool  # no other node has a higher priority
    loses: bool  # the election against each other node: by priority, then by address (RFC 5798, 6.4.3)


def profile_of(settings: KeepalivedSettings) -> Profile:
    profile = PROFILES[settings.profile]
    changes: dict[str, object] = {}
    if settings.vrrp_version == 2:  # noqa: PLR2004 - the version of VRRP
        changes |= {"advert_s": 1, "restart_s": PROFILES["seed"].restart_s}
    if settings.garp.master_refresh_s is not None:
        changes |= {"garp_refresh_s": settings.garp.master_refresh_s, "all_refresh": True}
    if settings.sync_group:
        # keepalived 2.2.7 ignores weights in a sync group: any value but 0 is a fault.
        changes["drain"] = profile.fault
    elif settings.mode != "nopreempt":
        changes["drain"] = settings.drain_weight
    return dataclasses.replace(profile, **changes) if changes else profile


def virtual_routers(deployment: Deployment, node: Node) -> list[VirtualRouter]:
    """The virtual routers of a node. In dual-master mode each node is the preferred master of one."""
    settings = deployment.keepalived
    eligible = deployment.eligible_nodes
    labels = {
        address: f"{settings.interface}:{number}"[-_LABEL_LENGTH:] if settings.address_labels else ""
        for number, address in enumerate(deployment.virtual_ips, start=1)
    }
    routers: list[VirtualRouter] = []
    for number, addresses in enumerate(_addresses_of_routers(deployment)):
        priorities = _priorities(deployment, number)
        last = min(eligible, key=lambda each: (priorities[each.name], IPv4Address(each.private_address)))
        routers.append(
            VirtualRouter(
                f"VI_{number + 1}",
                settings.virtual_router_id + number,
                tuple(VirtualAddress(address, labels[address]) for address in addresses),
                priorities[node.name],
                preferred=priorities[node.name] == max(priorities.values()),
                loses=last.name == node.name and len(eligible) > 1,
            )
        )
    return routers


def _priorities(deployment: Deployment, number: int) -> dict[str, int]:
    """The priority of each eligible node for a virtual router. With equal priorities no node preempts another."""
    settings, eligible = deployment.keepalived, deployment.eligible_nodes
    step = 0 if settings.mode == "nopreempt" else settings.priority_step
    return {
        node.name: _HIGHEST - settings.track.raised - step * ((position - number) % len(eligible))
        for position, node in enumerate(eligible)
    }


def _addresses_of_routers(deployment: Deployment) -> list[tuple[str, ...]]:
    if deployment.keepalived.sync_group:
        return [(address,) for address in deployment.virtual_ips]
    if deployment.keepalived.mode != "dual-master":
        return [deployment.virtual_ips]
    second = deployment.of_second_router
    return [tuple(address for address in deployment.virtual_ips if address not in second), second]


def preferred_addresses(deployment: Deployment, node: Node) -> list[str]:
    """The virtual IPs that this node gets back from a healthy peer when it recovers."""
    if deployment.keepalived.mode == "nopreempt":
        return []
    return [
        each.address for router in virtual_routers(deployment, node) if router.preferred for each in router.addresses
    ]
