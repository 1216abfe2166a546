"""The node's own packet filter: what the nodes of the group may ask of each other.

A security group has no word for VRRP (protocol 112), so it opens everything between the addresses of those that may
hold the virtual IP, and every TCP port to the others (`components/firewall.py`); this says which ports are meant.
Everybody else is the security group's to judge: a second opinion here could only lock the operator out while access
changes (docs/adr/0005).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from provisioning.deployment import Deployment, Node
from provisioning.kinds.base import Thing, reload
from provisioning.kinds.check import Check
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File
from provisioning.kinds.package import Package
from provisioning.kinds.unit import Unit
from provisioning.rendering import render
from provisioning.services.data import MARIADB_PORT, REDIS_PORT
from provisioning.services.iam import APISERVER_PORT, AUTHZ_PORT

UNIT = "tandem-firewall"
RULES = "/etc/tandem/firewall/rules.nft"
_HTTP_PORT = 80
_HTTPS_PORT = 443


@dataclass(frozen=True, slots=True)
class Offer:
    """A TCP port that this node offers to others of the group."""

    port: int
    to: Literal["eligible", "nodes"]
    what: str


def offers(deployment: Deployment, node: Node) -> list[Offer]:
    """What the other nodes need of this one, and nothing else."""
    found = [
        Offer(APISERVER_PORT, "eligible", "iam-apiserver, behind nginx"),
        Offer(AUTHZ_PORT, "eligible", "iam-authz-server, behind nginx"),
    ]
    if node.eligible:
        found += [
            Offer(_HTTP_PORT, "nodes", "nginx; the peer's health daemon"),
            Offer(_HTTPS_PORT, "nodes", "nginx"),
        ]
    if node == deployment.data_node:
        found += [Offer(MARIADB_PORT, "nodes", "MariaDB"), Offer(REDIS_PORT, "nodes", "Redis")]
    return [*found, *(Offer(port, "nodes", "nodes.peerPorts") for port in deployment.peer_ports)]


def desired(deployment: Deployment, node: Node) -> list[Thing]:
    others = [other for other in deployment.nodes if other.name != node.name]
    rules = render(
        "firewall/rules.nft.j2",
        nodes=others,
        eligible_nodes=[other for other in others if other.eligible],
        eligible=node.eligible,
        offers=offers(deployment, node),
    )
    return [
        Package("nftables"),
        Directory("/etc/tandem/firewall"),
        Check("nftables", ("nft", "--check", "--file", RULES), ("/etc/tandem/firewall",), look_at=__name__),
        File(RULES, rules, after=(reload(UNIT),)),
        File(f"/etc/systemd/system/{UNIT}.service", render("firewall/tandem-firewall.service.j2", rules=RULES)),
        Unit(UNIT),
    ]
