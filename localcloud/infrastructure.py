"""The interface between the records and the machines and networks that implement them.

`localcloud.rules` decides how the records change; an `Infrastructure` makes machines and networks match them. Every
method is idempotent and can be repeated after a crash. There are two implementations: LinuxInfrastructure
(localcloud.machines: root, real machines), and NoInfrastructure below (`localcloud api` and API tests: no root).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Literal, Protocol

Verdict = Literal["ACCEPT", "DROP"]
IpProtocol = Literal["TCP", "UDP", "ICMP", "ICMPV6", "GRE", "ALL"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a security group, with references resolved (a group is replaced by its members' addresses)."""

    verdict: Verdict
    protocol: IpProtocol
    ports: tuple[tuple[int, int], ...]  # inclusive ranges; empty = all ports
    peers: tuple[IPv4Network, ...]  # source of ingress, destination of egress; empty = none


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """Ordered rules: the first match decides; no match = DROP."""

    group_id: str
    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Interface:
    """An elastic network interface (ENI), which the machine has as eth0, eth1 ..."""

    interface_id: str  # eni-xxxxxxxx
    instance_id: str
    mac: str  # 52:54:00:...
    address: IPv4Address
    group_ids: tuple[str, ...]  # in order of precedence
    device_index: int = 0


@dataclass(frozen=True, slots=True)
class VirtualAddress:
    """A HAVIP: the last of `announcers` that announced it by gratuitous ARP holds it."""

    havip_id: str
    address: IPv4Address
    announcers: tuple[str, ...]  # ids of the interfaces that may announce it
    holder: str | None = None  # last known holder (instance id), restored after a restart


@dataclass(frozen=True, slots=True)
class Subnet:
    subnet_id: str
    cidr: IPv4Network
    gateway: IPv4Address
    interfaces: tuple[Interface, ...]
    virtual_addresses: tuple[VirtualAddress, ...]
    nat_public_address: IPv4Address | None = None  # of the NAT gateway of its default route


@dataclass(frozen=True, slots=True)
class PublicAddress:
    """An EIP bound one-to-one to a private address (an interface's or a HAVIP's)."""

    address_id: str
    public: IPv4Address
    private: IPv4Address
    bandwidth_mbps: int


@dataclass(frozen=True, slots=True)
class Vpc:
    vpc_id: str
    cidrs: tuple[IPv4Network, ...]
    subnets: tuple[Subnet, ...]
    public_addresses: tuple[PublicAddress, ...]


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """The complete network according to the records. A value: compare two plans to find changes."""

    vpcs: tuple[Vpc, ...] = ()
    groups: tuple[SecurityGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class Disk:
    disk_id: str
    size_gib: int


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """The complete specification of a machine. `metadata` is served at 169.254.0.23 as Tencent's tree."""

    instance_id: str
    name: str
    hostname: str
    uuid: str
    region: str
    zone: str
    image_id: str
    instance_type: str
    cpu: int  # cores
    memory_mib: int
    system_disk: Disk
    data_disks: tuple[Disk, ...]
    vpc_id: str
    subnet_id: str
    interface: Interface
    public_keys: tuple[str, ...]  # OpenSSH public keys for the image's default user
    user_data: bytes = b""
    metadata: dict[str, str] = field(default_factory=dict)  # additional paths below /latest/meta-data/


class InfrastructureEvents(Protocol):
    """Events that the infrastructure reports to the records; called from any thread."""

    def havip_announced(self, vpc_id: str, address: IPv4Address, instance_id: str) -> None: ...
    def machine_stopped(self, instance_id: str) -> None:
        """The machine powered itself off (the infrastructure handles a reboot from inside, and does not report it)."""

    def machine_started(self, instance_id: str) -> None:
        """The machine was powered on at the infrastructure: it runs without a request through the API."""


class Infrastructure(Protocol):
    def listen(self, events: InfrastructureEvents) -> None: ...

    def apply_network(self, plan: NetworkPlan) -> None:
        """Apply the plan. Returns when rules and addresses are in force (within 200 ms for a rule change)."""

    def start_machine(self, spec: MachineSpec) -> None:
        """Boot the machine; return when its PID 1 runs. Does nothing if it is already running."""

    def stop_machine(self, instance_id: str, *, hard: bool) -> None:
        """Shut down (or cut the power). Its disks are kept. Does nothing if it is stopped."""

    def destroy_machine(self, instance_id: str) -> None:
        """Stop hard and delete the system disk."""

    def reset_machine(self, spec: MachineSpec) -> None:
        """Reinstall the system disk from the spec's image and boot."""

    def attach_disk(self, disk: Disk, instance_id: str) -> None: ...
    def detach_disk(self, disk_id: str) -> None: ...
    def grow_disk(self, disk: Disk) -> None:
        """Grow the disk to the size in its specification, also while it is attached to a running machine."""

    def destroy_disk(self, disk_id: str) -> None: ...

    def running(self) -> frozenset[str]:
        """Return the instance ids whose PID 1 runs now."""
        ...

    def console(self, instance_id: str) -> str:
        """Return the last 64 KiB of the console."""
        ...


class NoInfrastructure:
    """An infrastructure without machines: every boot succeeds immediately, and no traffic flows."""

    def __init__(self) -> None:
        self._running: set[str] = set()

    def listen(self, events: InfrastructureEvents) -> None:
        del events

    def apply_network(self, plan: NetworkPlan) -> None:
        del plan

    def start_machine(self, spec: MachineSpec) -> None:
        self._running.add(spec.instance_id)

    def stop_machine(self, instance_id: str, *, hard: bool) -> None:
        del hard
        self._running.discard(instance_id)

    def destroy_machine(self, instance_id: str) -> None:
        self._running.discard(instance_id)

    def reset_machine(self, spec: MachineSpec) -> None:
        self._running.add(spec.instance_id)

    def attach_disk(self, disk: Disk, instance_id: str) -> None:
        del disk, instance_id

    def detach_disk(self, disk_id: str) -> None:
        del disk_id

    def grow_disk(self, disk: Disk) -> None:
        del disk

    def destroy_disk(self, disk_id: str) -> None:
        del disk_id

    def running(self) -> frozenset[str]:
        return frozenset(self._running)

    def console(self, instance_id: str) -> str:
        del instance_id
        return ""
