"""One deployment as the machines see it: built from settings alone, so a preview knows all of it."""

from __future__ import annotations

from dataclasses import dataclass

from settings.data import DataSettings
from settings.iam import IamSettings
from settings.keepalived import KeepalivedSettings
from settings.machines import ELIGIBLE_NODES
from settings.nginx import NginxSettings
from settings.releases import Release
from settings.sections import Settings


@dataclass(frozen=True, slots=True)
class Machine:
    name: str  # "iam-a"
    private_address: str
    holder: bool = True  # may hold the virtual IP
    primary: bool = False  # has the data, where data is on-primary


@dataclass(frozen=True, slots=True)
class Domains:
    """The names under which the two services are asked for."""

    api: str
    authz: str


@dataclass(frozen=True, slots=True)
class Deployment:
    group: str  # project and stack: "tandem-local"
    machines: tuple[Machine, ...]  # in order; the first holders take the address
    virtual_ips: tuple[str, ...]  # one, or two in dual-master mode
    domains: Domains
    nginx: NginxSettings
    keepalived: KeepalivedSettings
    iam: IamSettings
    data: DataSettings
    release: Release  # of the IAM services
    subnet_cidr: str
    admin_cidrs: tuple[str, ...] = ()
    peer_ports: tuple[int, ...] = ()  # further TCP ports that the machines offer to each other
    data_disk: bool = False  # the primary has a disk of its own for the data
    former_data: bool = False  # the data was on the first machine, and its disk goes from there

    @property
    def holders(self) -> tuple[Machine, ...]:
        return tuple(machine for machine in self.machines if machine.holder)

    @property
    def primary(self) -> Machine:
        """The machine with the data. Raises ValueError when none has it."""
        for machine in self.machines:
            if machine.primary:
                return machine
        raise ValueError(f"no machine of {self.group} has the data: one of {self.machines} must be primary")

    def peers(self, machine: Machine) -> tuple[Machine, ...]:
        """The other machines that may hold the address."""
        return tuple(other for other in self.holders if other.name != machine.name)


def make_deployment(settings: Settings, group: str) -> Deployment:
    """Built from settings alone, never from a resource's outputs: so a preview can show every line of every file."""
    machines = tuple(
        Machine(
            name=node.name,
            private_address=str(node.address),
            holder=position < ELIGIBLE_NODES,
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
