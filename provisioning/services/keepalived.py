"""keepalived, which assigns the virtual IP to an eligible node. Profiles define the failover times."""

from __future__ import annotations

import json

from provisioning import placeholders
from provisioning.deployment import Deployment, Node
from provisioning.kinds.base import Item, Phase, reload, restart
from provisioning.kinds.check import Check
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File
from provisioning.kinds.unit import Unit
from provisioning.kinds.vrrp import Vrrp
from provisioning.rendering import render
from provisioning.services import health, lvs
from provisioning.services.packages import packages
from provisioning.services.vrrp import Profile, preferred_addresses, profile_of, virtual_routers

SETTINGS = "provisioning/templates/keepalived/ and the stack's tandem:keepalived"
SWITCHOVER_FILE = "/etc/tandem/switchover.json"  # read by the agent during a switchover
_SEED_HIGHEST = 100
_SEED_STEP = 50


def desired(deployment: Deployment, node: Node) -> list[Item]:
    if not node.eligible:
        return lvs.desired_of_real_server(deployment, node)
    settings, profile = deployment.keepalived, profile_of(deployment.keepalived)
    family = deployment.distribution.family
    items: list[Item] = [
        *packages(deployment, "keepalived"),
        Directory("/etc/keepalived"),
        File(
            "/etc/logrotate.d/keepalived", render("keepalived/logrotate.j2", daemon_log=settings.daemon_log == "file")
        ),
        Check("keepalived", ("keepalived", "-t"), ("/etc/keepalived",), look_at=SETTINGS),
        # `keepalived -t` accepts an interface that does not exist; a backup would stop at the reload.
        Check(
            "the interface of keepalived",
            ("ip", "link", "show", "dev", settings.interface),
            ("/etc/keepalived",),
            look_at="tandem:keepalived.interface",
        ),
        File(SWITCHOVER_FILE, _switchover(deployment, node, profile)),
        *health.desired(deployment, node, profile),
        _configuration(deployment, node, profile),
        # No restart: it would move the virtual IP, and these options only matter at the next start.
        File(
            "/etc/systemd/system/keepalived.service.d/tandem.conf",
            render("keepalived/restart.conf.j2", profile=profile, to_file=settings.daemon_log == "file", family=family),
        ),
        *(
            [File(family.keepalived_file, f'{family.keepalived_options}="-D"\n')]
            if family.keepalived_type == "forking"
            else []
        ),
        *([_script("/etc/keepalived/check_nginx.sh", "check_nginx.sh.j2")] if profile.name == "seed" else []),
        *(_daemon_log(deployment) if settings.daemon_log == "file" else []),
        *lvs.desired_of_director(deployment),
        Unit("keepalived"),
    ]
    together = tuple(item.label for item in items if item.phase is Phase.COMMIT)
    preferred = tuple(preferred_addresses(deployment, node))
    return [*items, Vrrp(_shared_settings(deployment), together, preferred)]


def _shared_settings(deployment: Deployment) -> str:
    """What all eligible nodes must share; with different values two nodes become master."""
    settings = deployment.keepalived
    with_password = settings.profile == "seed" or settings.authentication != "none"
    routers = virtual_routers(deployment, deployment.eligible_nodes[0])
    return json.dumps(
        {
            "profile": settings.profile,
            "mode": settings.mode,
            "version": settings.vrrp_version,
            "authentication": settings.authentication,
            "routers": {str(each.virtual_router_id): [one.address for one in each.addresses] for each in routers},
            "nodes": [node.private_address for node in deployment.eligible_nodes],
            "password": placeholders.placeholder(placeholders.VRRP_PASSWORD) if with_password else "",
        }
    )


def _switchover(deployment: Deployment, node: Node, profile: Profile) -> str:
    """What the agent on the node needs to know for a switchover, as JSON."""
    routers = virtual_routers(deployment, node)
    values = {
        "routers": {router.name: [each.address for each in router.addresses] for router in routers},
        "together": deployment.keepalived.sync_group,
        "drain": profile.drain,
        "fault": profile.fault,
        "drain_s": deployment.keepalived.drain_s,
        "tracked": profile.probe_s > 0,
        "preferred": preferred_addresses(deployment, node),
    }
    return json.dumps(values, indent=2) + "\n"


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
            routers=virtual_routers(deployment, node),
            password=placeholders.placeholder(placeholders.VRRP_PASSWORD),
        )
    # Never a restart, which would remove the virtual IP. Mode 0640, since the file contains the VRRP password.
    return File("/etc/keepalived/keepalived.conf", text, mode=0o640, after=(reload("keepalived"),))


def _daemon_log(deployment: Deployment) -> list[Item]:
    """The lecture's separate log file: keepalived writes to local6, and rsyslog to the file."""
    return [
        *packages(deployment, "rsyslog"),
        File("/etc/rsyslog.d/30-keepalived.conf", render("keepalived/rsyslog.conf.j2"), after=(restart("rsyslog"),)),
        Unit("rsyslog"),
    ]


def _script(path: str, template: str) -> File:
    return File(path, render(f"keepalived/{template}"), mode=0o755)
