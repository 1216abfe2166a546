"""The packet filter on each node: the ports that nodes of the group open to each other.

A security group cannot select VRRP (protocol 112). It therefore allows all traffic between eligible nodes and every
TCP port to the other nodes (`components/firewall.py`); this filter restricts that to the required ports. It does not
filter other sources, for which the security group is responsible: a second filter could lock the operator out while
access changes (docs/adr/0005).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from provisioning.deployment import Deployment, Node
from provisioning.kinds.base import Item, reload
from provisioning.kinds.check import Check
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File
from provisioning.kinds.unit import Unit
from provisioning.rendering import render
from provisioning.services.data import MARIADB_PORT, REDIS_PORT
from provisioning.services.packages import packages
from provisioning.services.upstreams import upstreams

UNIT = "tandem-firewall"
RULES = "/etc/tandem/firewall/rules.nft"
_SSH_PORT = 22
_HTTP_PORT = 80
_HTTPS_PORT = 443


@dataclass(frozen=True, slots=True)
class Offer:
    """A port that a node opens to other nodes of the group."""

    port: int
    to: Literal["eligible", "nodes", "data"]
    what: str
    match: str = "tcp dport"


def offers(deployment: Deployment, node: Node) -> list[Offer]:
    """The ports that this node opens to the other nodes."""
    found = _behind_nginx(deployment, node)
    if node.eligible:
        found += [
            Offer(_HTTP_PORT, "nodes", "nginx; the peer's health daemon"),
            Offer(_HTTPS_PORT, "nodes", "nginx"),
            *(Offer(each.port, "nodes", "nginx", f"{each.protocol} dport") for each in deployment.nginx.streams),
            # Without connection tracking, an answer over UDP is only known by its source port.
            *(Offer(port, "nodes", "answers to nginx", "udp sport") for port in deployment.nginx.udp_ports()),
        ]
    if node == deployment.data_node:
        found += [Offer(MARIADB_PORT, "nodes", "MariaDB"), Offer(REDIS_PORT, "nodes", "Redis")]
    mongodb = deployment.data.mongodb
    if mongodb is not None and mongodb.address.startswith(f"{node.private_address}:"):
        found.append(Offer(int(mongodb.address.rpartition(":")[2]), "nodes", "MongoDB, from iam-pump"))
    if node == deployment.backup_node:
        found.append(Offer(_SSH_PORT, "data", "backups of the databases"))
    return [*found, *(Offer(port, "nodes", "nodes.peerPorts") for port in deployment.peer_ports)]


def _behind_nginx(deployment: Deployment, node: Node) -> list[Offer]:
    """The ports of upstream servers on this node."""
    udp, only_udp = deployment.nginx.udp_upstreams(), deployment.nginx.only_udp()
    found: dict[tuple[str, int], Offer] = {}
    for upstream in upstreams(deployment):
        for server in upstream.servers:
            if server.address == node.private_address:
                protocols = ["udp"] * (upstream.name in udp) + ["tcp"] * (upstream.name not in only_udp)
                for match in (f"{protocol} dport" for protocol in protocols):
                    offer = Offer(server.port, "eligible", f"{upstream.name}, behind nginx", match)
                    found.setdefault((match, server.port), offer)
    return list(found.values())


def desired(deployment: Deployment, node: Node) -> list[Item]:
    others = [other for other in deployment.nodes if other.name != node.name]
    rules = render(
        "firewall/rules.nft.j2",
        nodes=others,
        eligible_nodes=[other for other in others if other.eligible],
        eligible=node.eligible,
        data_node=deployment.data_node if node == deployment.backup_node else None,
        offers=offers(deployment, node),
    )
    return [
        *packages(deployment, "nftables"),
        Directory("/etc/tandem/firewall"),
        Check("nftables", ("nft", "--check", "--file", RULES), ("/etc/tandem/firewall",), look_at=__name__),
        File(RULES, rules, after=(reload(UNIT),)),
        File(f"/etc/systemd/system/{UNIT}.service", render("firewall/tandem-firewall.service.j2", rules=RULES)),
        Unit(UNIT),
    ]
