"""The operating system of each node: time, kernel parameters, journal, SSH server, security updates."""

from __future__ import annotations

from provisioning.deployment import Deployment, Node
from provisioning.kinds.base import Item, restart
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File
from provisioning.kinds.hosts import Hosts
from provisioning.kinds.link import Link
from provisioning.kinds.selinux import Selinux
from provisioning.kinds.unit import Unit
from provisioning.rendering import render
from provisioning.services.packages import packages


def desired(deployment: Deployment, node: Node) -> list[Item]:
    system = deployment.system
    items: list[Item] = [
        Hosts(_names(deployment)),
        *_selinux(deployment),
        *_upgrades(deployment, node),
        Directory("/etc/systemd/journald.conf.d"),
        File(
            "/etc/systemd/journald.conf.d/tandem.conf",
            render("system/journald.conf.j2", system=system),
            after=(restart("systemd-journald"),),
        ),
        File(
            "/etc/sysctl.d/60-tandem.conf",
            render("system/sysctl.conf.j2", system=system),
            after=(restart("systemd-sysctl"),),
        ),
    ]
    if system.time_zone is not None:
        items += [
            # With a link to a missing file the node would use UTC without a message.
            Link(
                "/etc/localtime",
                f"/usr/share/zoneinfo/{system.time_zone}",
                must_exist=True,
                look_at="tandem:system.timeZone; use the present name, for example America/New_York instead of "
                "US/Eastern: the node's package tzdata must contain it",
            ),
            File("/etc/timezone", f"{system.time_zone}\n"),
        ]
    if system.time_servers:
        family = deployment.distribution.family
        chrony = family.chrony_unit
        items += [
            *packages(deployment, "chrony"),
            File(family.chrony_file, render("system/chrony.conf.j2", system=system), after=(restart(chrony),)),
            Unit(chrony),
        ]
    return items


def _names(deployment: Deployment) -> tuple[str, ...]:
    """So that programs on the nodes reach each other, and the services, without DNS."""
    names = [f"{node.private_address} {node.name}" for node in deployment.nodes]
    if deployment.domains is not None:
        names.append(f"{deployment.virtual_ips[0]} {deployment.domains.api} {deployment.domains.authz}")
    return tuple(names)


def _selinux(deployment: Deployment) -> list[Item]:
    domains = deployment.distribution.family.permissive
    return [*packages(deployment, "policycoreutils-python-utils"), Selinux(domains)] if domains else []


def _upgrades(deployment: Deployment, node: Node) -> list[Item]:
    if deployment.distribution.family.packages != "apt":
        return []  # settings refuse securityUpdates
    number = deployment.nodes.index(node)  # at most 16 nodes
    days = "Mon,Wed,Fri" if number % 2 == 0 else "Tue,Thu,Sat"
    time = File(
        "/etc/systemd/system/apt-daily-upgrade.timer.d/tandem.conf",
        render("system/apt-upgrade-time.conf.j2", days=days, hour=number),
    )
    if not deployment.system.security_updates:
        return [time]
    return [
        time,
        *packages(deployment, "unattended-upgrades"),
        File("/etc/apt/apt.conf.d/52tandem", render("system/unattended-upgrades.j2")),
    ]
