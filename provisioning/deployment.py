"""The deployment as the manifests need it. Built from the settings only, so all of it is known in a preview."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from settings.data import DataLocation, DataSettings
from settings.distributions import DEFAULT, DISTRIBUTIONS, Distribution
from settings.iam import IamSettings
from settings.keepalived import KeepalivedSettings
from settings.nginx import NginxSettings
from settings.nodes import ELIGIBLE_NODES
from settings.notifications import NotificationsSettings
from settings.releases import Bundle, Release
from settings.sections import Settings
from settings.services import ServiceSettings
from settings.sites import bundle_key
from settings.system import SystemSettings

BASTION = "bastion"


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
class App:
    """One service of the user's own."""

    name: str  # in tandem:services
    settings: ServiceSettings
    bundle: Bundle  # its release

    @property
    def unit(self) -> str:
        """The name of its unit, directories and account. The prefix keeps it apart from those of packages."""
        return f"app-{self.name}"

    @property
    def user(self) -> str:
        return self.settings.user or self.unit


@dataclass(frozen=True, slots=True)
class Deployment:
    group: str  # project and stack: "tandem-local"
    nodes: tuple[Node, ...]  # in the order of the settings; eligible nodes first
    virtual_ips: tuple[str, ...]
    domains: Domains | None  # None: without the IAM services
    nginx: NginxSettings
    keepalived: KeepalivedSettings
    iam: IamSettings
    data: DataSettings
    release: Release | None  # of the IAM services; None: without them
    user: str = "debian"  # that logs in
    public_keys: tuple[str, ...] = ()  # that may log in as this user, besides the deployment key
    peer_ports: tuple[int, ...] = ()  # additional TCP ports that the nodes open to each other
    health_generation: str = "1"  # of the password of the account for health checks
    of_second_router: tuple[str, ...] = ()  # the virtual IPs that the second node prefers, in dual-master mode
    notifications: NotificationsSettings = field(default_factory=NotificationsSettings)
    apps: tuple[App, ...] = ()  # each after those that it depends on
    system: SystemSettings = field(default_factory=SystemSettings)
    # The files of sites by the site's name, then by node; "" stands for all nodes.
    content: Mapping[str, Mapping[str, Bundle]] = field(default_factory=dict[str, Mapping[str, Bundle]])
    trusted_certificates: frozenset[str] = frozenset()  # names of the certificates that clients trust without a CA
    distribution: Distribution = DISTRIBUTIONS[DEFAULT]
    bastion: bool = False  # the nodes are reached through it

    @property
    def eligible_nodes(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.eligible)

    @property
    def data_node(self) -> Node | None:
        """The node with the databases; None if they run outside the group, or without the IAM services."""
        return self.nodes[0] if self.iam.enabled and self.data.location is DataLocation.FIRST_NODE else None

    @property
    def backup_node(self) -> Node | None:
        """The node with the copies of the backups; None if the databases run outside the group."""
        return self.nodes[1] if self.data_node is not None else None

    def nodes_of(self, app: App) -> tuple[Node, ...]:
        """The nodes that run a service. A scheduled command needs an eligible node, or the only one that is named."""
        if app.settings.instances == "all":
            return self.nodes if app.settings.schedule is None else self.eligible_nodes
        return tuple(node for node in self.nodes if node.name in app.settings.instances)

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
    domains = settings.domains
    return Deployment(
        group=group,
        nodes=nodes,
        virtual_ips=tuple(str(address) for address in settings.virtual_ip.addresses),
        domains=Domains(api=domains.api, authz=domains.authz) if domains is not None else None,
        nginx=_nginx(settings),
        keepalived=settings.keepalived,
        iam=settings.iam,
        data=settings.data.model_copy(update={"username": _mariadb_account(settings)}),
        user=settings.nodes.user,
        public_keys=settings.access.public_keys,
        peer_ports=settings.nodes.peer_ports,
        trusted_certificates=settings.credentials.trusted_names(),
        of_second_router=tuple(str(address) for address in settings.virtual_ip.of_second_router),
        notifications=settings.notifications,
        release=settings.release,
        health_generation=settings.credentials.generation_of("healthPassword"),
        apps=_apps(settings),
        system=settings.system,
        distribution=DISTRIBUTIONS[settings.nodes.distribution],
        bastion=settings.access.mode == "bastion",
        content={
            site.name: {node: settings.bundles[bundle_key(site, node)] for node in site.sources}
            for site in settings.nginx.sites
            if site.sources
        },
    )


def _apps(settings: Settings) -> tuple[App, ...]:
    names = {name: service.depends_on for name, service in settings.services.items()}
    order = TopologicalSorter(names).static_order()
    return tuple(App(name, settings.services[name], settings.bundles[f"services.{name}"]) for name in order)


def _nginx(settings: Settings) -> NginxSettings:
    """With the version and the account of the distribution's package where the stack names none."""
    distribution = DISTRIBUTIONS[settings.nodes.distribution]
    package = {"version": distribution.nginx, "user": distribution.family.web_user}
    absent = package.keys() - settings.nginx.model_fields_set
    return settings.nginx.model_copy(update={name: package[name] for name in absent})


def _mariadb_account(settings: Settings) -> str:
    """The account of the services. Each generation of its password has its own, so that two are valid in a rotation."""
    generation = settings.credentials.generation_of("mariadbPassword")
    return settings.data.username if generation == "1" else f"{settings.data.username}_g{generation}"
