"""LVS: what the directors and the real servers need beside keepalived's virtual servers (docs/adr/0018)."""

from __future__ import annotations

from provisioning.deployment import Deployment, Node
from provisioning.kinds.base import Item, restart
from provisioning.kinds.file import File
from provisioning.kinds.unit import Unit
from provisioning.rendering import render
from provisioning.services.packages import packages

_DIRECTOR = "tandem-lvs-director"
_REAL_SERVER = "tandem-lvs-real-server"


def desired_of_director(deployment: Deployment) -> list[Item]:
    """The eligible nodes: `ipvsadm`, and forwarding if packets of the real servers return through them."""
    servers = deployment.keepalived.virtual_servers
    if not servers:
        return []
    items: list[Item] = [*packages(deployment, "ipvsadm")]
    if any(server.kind == "NAT" for server in servers):
        items += _unit(_DIRECTOR, "lvs/director.service.j2")
    return items


def desired_of_real_server(deployment: Deployment, node: Node) -> list[Item]:
    """A node that receives packets for a virtual IP accepts them, but never answers ARP requests for it."""
    mine = [
        server
        for server in deployment.keepalived.virtual_servers
        if server.kind != "NAT" and any(str(real.address) == node.private_address for real in server.real_servers)
    ]
    if not mine:
        return []
    addresses = sorted({str(server.address) for server in mine})
    tunnels = any(server.kind == "TUN" for server in mine)
    return _unit(_REAL_SERVER, "lvs/real-server.service.j2", addresses=addresses, tunnels=tunnels)


def _unit(name: str, template: str, **values: object) -> list[Item]:
    return [File(f"/etc/systemd/system/{name}.service", render(template, **values), after=(restart(name),)), Unit(name)]
