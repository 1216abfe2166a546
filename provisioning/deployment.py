"""The deployment as the manifests need it. Built from the settings only, so all of it is known in a preview."""

from __future__ import annotations

from dataclasses import dataclass

from settings.data import DataLocation, DataSettings
from settings.iam import IamSettings
from settings.keepalived import KeepalivedSettings
from settings.nginx import NginxSettings
from settings.nodes import ELIGIBLE_NODES
from settings.releases import Release
from settings.sections import Settings


@dataclass(frozen=True, slots=True)
class Node:
    """One node as described in the settings."""

    name: str  # "iam-a"
    private_address: str
    eligible: bool = True  # may hold the virtual IP


@dataclass(frozen=True, slots=True)
class Domains:
    """The public host names of the two services."""

    api: str
    authz: str


@dataclass(frozen=True, slots=True)
class Deployment:
    group: str  # project and stack: "tandem-local"
    nodes: tuple[Node, ...]  # in the order of the settings; eligible nodes first
    virtual_ips: tuple[str, ...]  # one, or two in dual-master mode
    domains: Domains
    nginx: NginxSettings
    keepalived: KeepalivedSettings
    iam: IamSettings
    data: DataSettings
    release: Release  # of the IAM services
    user: str = "debian"  # that logs in
    peer_ports: tuple[int, ...] = ()  # additional TCP ports that the nodes open to each other
    health_generation: str = "1"  # of the password of the account for health checks

    @property
    def eligible_nodes(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.eligible)

    @property
    def data_node(self) -> Node | None:
        """The node with the databases; None if they run outside the group."""
        return self.nodes[0] if self.data.location is DataLocation.FIRST_NODE else None

    @property
    def backup_node(self) -> Node | None:
        """The node with the copies of the backups; None if the databases run outside the group."""
        return self.nodes[1] if self.data_node is not None else None

    def peers(self, node: Node) -> tuple[Node, ...]:
        """The other eligible nodes."""
        return tuple(other for other in self.eligible_nodes if other.name != node.name)


def make_deployment(settings: Settings, group: str) -> Deployment:
    """Build the deployment from the settings. It uses no resource outputs, so a preview can show all files."""
    nodes = tuple(
        Node(
            name=node.name,
            private_address=str(node.address),
            eligible=position < ELIGIBLE_NODES,
        )
        for position, node in enumerate(settings.nodes.members)
    )
    return Deployment(
        group=group,
        nodes=nodes,
        virtual_ips=tuple(str(address) for address in settings.virtual_ip.addresses),
        domains=Domains(api=settings.domains.api, authz=settings.domains.authz),
        nginx=settings.nginx,
        keepalived=settings.keepalived,
        iam=settings.iam,
        data=settings.data.model_copy(update={"username": _mariadb_account(settings)}),
        user=settings.nodes.user,
        peer_ports=settings.nodes.peer_ports,
        release=settings.release,
        health_generation=settings.credentials.generation_of("healthPassword"),
    )


def _mariadb_account(settings: Settings) -> str:
    """The account of the services. Each generation of its password has its own, so that two are valid in a rotation."""
    generation = settings.credentials.generation_of("mariadbPassword")
    return settings.data.username if generation == "1" else f"{settings.data.username}_g{generation}"
