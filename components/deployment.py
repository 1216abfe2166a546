"""From settings to what the machines see of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.machines import HOLDERS
from provisioning.deployment import Deployment, Domains, Machine

if TYPE_CHECKING:
    from settings.sections import Settings


def make_deployment(settings: Settings, group: str) -> Deployment:
    """Built from settings alone, never from a resource's outputs: so a preview can show every line of every file."""
    machines = tuple(
        Machine(
            name=node.name,
            private_address=str(node.address),
            holder=position < HOLDERS,
            primary=position == 0 and settings.has_local_data,
        )
        for position, node in enumerate(settings.machines.nodes)
    )
    return Deployment(
        group=group,
        machines=machines,
        virtual_ips=tuple(str(address) for address in settings.virtual_ip.addresses),
        domains=Domains(api=settings.domains.api, authz=settings.domains.authz),
        nginx=settings.nginx,
        keepalived=settings.keepalived,
        iam=settings.iam,
        data=settings.data,
        subnet_cidr=str(settings.network.subnet_cidr),
        admin_cidrs=tuple(str(cidr) for cidr in settings.access.admin_cidrs),
        peer_ports=settings.machines.peer_ports,
        data_disk=settings.has_local_data,
        former_data=settings.has_former_data,
        release=settings.release,
    )
