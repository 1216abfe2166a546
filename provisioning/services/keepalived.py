"""keepalived, which assigns the virtual IP to an eligible node. Profiles define the failover times."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from importlib import resources

from provisioning import placeholders
from provisioning.deployment import Deployment, Node
from provisioning.kinds.absent import Absent
from provisioning.kinds.base import Item, Phase, reload, restart
from provisioning.kinds.check import Check
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File
from provisioning.kinds.package import Package
from provisioning.kinds.unit import Unit
from provisioning.kinds.vrrp import Vrrp
from provisioning.rendering import render
from settings.keepalived import KeepalivedSettings, ProfileName

SETTINGS = "provisioning/templates/keepalived/ and the stack's tandem:keepalived"
SWITCHOVER_FILE = "/etc/tandem/switchover.json"  # read by the agent during a switchover
_HIGHEST = 250
_SEED_HIGHEST = 100
_SEED_STEP = 50


@dataclass(frozen=True, slots=True)
class Profile:
    """The times of one profile, in seconds, and the values of its track_file."""

    name: ProfileName
    advert_s: float
    restart_s: float  # delay before systemd restarts a killed keepalived
    probe_s: float = 0.0  # interval and timeout of the health daemon; 0: no health daemon
    fall: int = 3  # consecutive failed probes before a fault
    garp_refresh_s: int = 0
    drain: int = -10
    fault: int = -254

    @property
    def master_down_s(self) -> float:
        """The maximum time before a backup takes over from a silent master.

        RFC 5798, 6.1; keepalived 2.2.7 calculates the skew of VRRPv2 in the same way.
        """
        return 4 * self.advert_s


# Based on measurements with keepalived 2.2.7. `restart_s` is longer than the time in which the peer takes over.
PROFILES: dict[ProfileName, Profile] = {
    "fast": Profile("fast", advert_s=0.1, restart_s=0.5, probe_s=0.1),
    # Tencent's guide requires garp_master_refresh 5. A node that stalls for one second must not cause two masters.
    "balanced": Profile("balanced", advert_s=0.5, restart_s=2.5, probe_s=0.3, garp_refresh_s=5),
    "seed": Profile("seed", advert_s=1, restart_s=5, garp_refresh_s=5),
}


@dataclass(frozen=True, slots=True)
class VirtualRouter:
    """One VRRP virtual router: a virtual IP and the priority of this node for it."""

    name: str
    virtual_router_id: int
    address: str
    priority: int


def profile_of(settings: KeepalivedSettings) -> Profile:
    profile = PROFILES[settings.profile]
    if settings.mode == "non-preempt":
        return profile

    return dataclasses.replace(profile, drain=settings.drain_weight)


def virtual_routers(deployment: Deployment, node: Node) -> list[VirtualRouter]:
    """One virtual router for each virtual IP. In dual-master mode each node is the preferred master of one."""
    settings = deployment.keepalived
    position = [each.name for each in deployment.eligible_nodes].index(node.name)
    routers: list[VirtualRouter] = []
    for number, address in enumerate(deployment.virtual_ips):
        # With equal priorities no node preempts another.
        behind = 0 if settings.mode == "non-preempt" else (position - number) % len(deployment.eligible_nodes)
        routers.append(
            VirtualRouter(
                f"VI_{number + 1}",
                settings.virtual_router_id + number,
                address,
                _HIGHEST - settings.priority_step * behind,
            )
        )
    return routers


def preferred_addresses(deployment: Deployment, node: Node) -> list[str]:
    """The virtual IPs that this node gets back from a healthy peer when it recovers."""
    if deployment.keepalived.mode == "non-preempt":
        return []
    return [router.address for router in virtual_routers(deployment, node) if router.priority == _HIGHEST]


def desired(deployment: Deployment, node: Node) -> list[Item]:
    if not node.eligible:
        return []
    settings, profile = deployment.keepalived, profile_of(deployment.keepalived)
    peers = [peer.private_address for peer in deployment.peers(node)]
    switchover = {"virtual_ips": list(deployment.virtual_ips), "peers": peers, "drain": profile.drain,
                  "fault": profile.fault, "drain_s": settings.drain_s, "tracked": profile.probe_s > 0,
                  "preferred": preferred_addresses(deployment, node)}  # fmt: skip
    items: list[Item] = [
        Package("keepalived"),
        Directory("/etc/keepalived"),
        File("/etc/logrotate.d/keepalived", render("keepalived/logrotate.j2")),
        Check("keepalived", ("keepalived", "-t"), ("/etc/keepalived",), look_at=SETTINGS),
        # `keepalived -t` accepts an interface that does not exist; a backup would stop at the reload.
        Check(
            "the interface of keepalived",
            ("ip", "link", "show", "dev", settings.interface),
            ("/etc/keepalived",),
            look_at="tandem:keepalived.interface",
        ),
        File(SWITCHOVER_FILE, json.dumps(switchover, indent=2) + "\n"),
        *(_health_daemon(profile, peers) if profile.probe_s else _no_health_daemon()),
        _script("/etc/keepalived/keepalived_notify.sh", "keepalived_notify.sh.j2"),
        _configuration(deployment, node, profile),
        # No restart: it would move the virtual IP, and these options only matter at the next start.
        File(
            "/etc/systemd/system/keepalived.service.d/tandem.conf",
            render("keepalived/restart.conf.j2", profile=profile),
        ),
        *([_script("/etc/keepalived/check_nginx.sh", "check_nginx.sh.j2")] if profile.name == "seed" else []),
        Unit("keepalived"),
    ]
    together = tuple(item.label for item in items if item.phase is Phase.COMMIT)
    return [*items, Vrrp(_shared_settings(deployment), together)]


def _shared_settings(deployment: Deployment) -> str:
    """What all eligible nodes must share; with different values two nodes become master."""
    settings = deployment.keepalived
    return json.dumps(
        {
            "profile": settings.profile,
            "mode": settings.mode,
            "virtual_router_id": settings.virtual_router_id,
            "virtual_ips": list(deployment.virtual_ips),
            "nodes": [node.private_address for node in deployment.eligible_nodes],
            # Only VRRPv2 has a password.
            "password": placeholders.placeholder(placeholders.VRRP_PASSWORD) if settings.profile == "seed" else "",
        }
    )


def _configuration(deployment: Deployment, node: Node, profile: Profile) -> File:
    settings = deployment.keepalived
    peers = deployment.peers(node)
    if profile.name == "seed":
        position = [each.name for each in deployment.eligible_nodes].index(node.name)
        text = render(
            "keepalived/seed.conf.j2",
            keepalived=settings,
            node=node,
            peers=peers,
            address=deployment.virtual_ips[0],
            priority=max(1, _SEED_HIGHEST - _SEED_STEP * position),
            password=placeholders.placeholder(placeholders.VRRP_PASSWORD),
        )
    else:
        text = render(
            "keepalived/keepalived.conf.j2",
            keepalived=settings,
            profile=profile,
            node=node,
            peers=peers,
            instances=virtual_routers(deployment, node),
        )
    # Never a restart, which would remove the virtual IP. Mode 0640, since the file contains the VRRP password.
    return File("/etc/keepalived/keepalived.conf", text, mode=0o640, after=(reload("keepalived"),))


def _health_daemon(profile: Profile, peers: list[str]) -> list[Item]:
    settings = {"interval_s": profile.probe_s, "timeout_s": profile.probe_s, "fall": profile.fall,
                "fault": profile.fault, "drain": profile.drain, "peers": peers}  # fmt: skip
    program = resources.files("provisioning.programs").joinpath("health_daemon.py").read_text(encoding="utf-8")
    changed = (restart("tandem-health"),)
    return [
        File("/usr/local/lib/tandem/health_daemon.py", program, after=changed),
        File("/etc/tandem/health.json", json.dumps(settings, indent=2) + "\n", after=changed),
        _script("/usr/local/lib/tandem/nginx-stopped", "nginx-stopped.j2", profile=profile),
        File("/etc/systemd/system/tandem-health.service", render("health/tandem-health.service.j2"), after=changed),
        Unit("tandem-health"),
    ]


def _no_health_daemon() -> list[Item]:
    return [
        Unit("tandem-health", enabled=False, running=False),
        Absent("/etc/systemd/system/tandem-health.service"),
        Absent("/usr/local/lib/tandem/nginx-stopped"),
    ]


def _script(path: str, template: str, **values: object) -> File:
    return File(path, render(f"keepalived/{template}", **values), mode=0o755)
