"""The real infrastructure: machines run by systemd-nspawn on a network of namespaces."""

from __future__ import annotations

import logging
import threading
from ipaddress import IPv4Address

from localcloud.errors import MachineError
from localcloud.infrastructure import Disk, InfrastructureEvents, Interface, MachineSpec, NetworkPlan, Subnet
from localcloud.machines import disks, metadata
from localcloud.machines.distributions import BASE
from localcloud.machines.machine import Machine
from localcloud.machines.paths import Paths
from localcloud.machines.store import ImageStore
from localcloud.machines.watch import Watch
from localcloud.network import mirror
from localcloud.network.announcements import AnnouncementWatch
from localcloud.network.holders import Holders
from localcloud.network.names import port
from localcloud.network.namespaces import Namespaces
from localcloud.network.network import Network
from localcloud.network.platform_servers import PlatformServers
from localcloud.package_sources import sources_for

_log = logging.getLogger(__name__)


class _NoEvents:
    """Before `listen`: events are dropped."""

    def havip_announced(self, vpc_id: str, address: IPv4Address, instance_id: str) -> None:
        del vpc_id, address, instance_id

    def machine_stopped(self, instance_id: str) -> None:
        del instance_id

    def machine_started(self, instance_id: str) -> None:
        del instance_id


class LinuxInfrastructure:
    """Implements `localcloud.infrastructure.Infrastructure`. Requires root; one object per cloud at a time.

    `takeover_delay_s`: how long a HAVIP's traffic takes to follow an announcement (a real HAVIP "may take 10 seconds").
    """

    def __init__(self, paths: Paths, *, takeover_delay_s: float = 0.0, images: ImageStore | None = None) -> None:
        self.paths = paths
        self.images = images or ImageStore()
        self.namespaces = Namespaces(paths.cloud)
        self.network = Network(self.namespaces)
        self._events: InfrastructureEvents = _NoEvents()
        self._lock = threading.RLock()
        self._machines: dict[str, Machine] = {}
        self._changing: dict[str, threading.RLock] = {}
        self._watch = Watch(self._ended)
        self.holders = Holders(self.network, self._announced, takeover_delay_s)
        self._announcements = AnnouncementWatch(self.namespaces, self.holders.on_announcement)
        package_mirror = mirror.Mirror(mirror.roots(sources_for(BASE)))
        self._servers = PlatformServers(
            self.namespaces,
            metadata=lambda vpc_id: metadata.make_handler(lambda address: self._find_by_address(vpc_id, address)),
            mirror=lambda _: mirror.make_handler(package_mirror),
        )

    def open(self) -> None:
        """Create the outer part of the network, and adopt the machines that a killed daemon has left running."""
        for directory in (self.paths.machines, self.paths.disks, self.paths.run):
            directory.mkdir(parents=True, exist_ok=True)
        self.network.open()
        for directory in sorted(self.paths.machines.iterdir()):
            machine = Machine.resume(directory, self.paths)
            if machine is None:
                continue
            self._machines[machine.instance_id] = machine
            if (pid := machine.find_runner()) is not None:
                self._watch.add(machine.instance_id, pid)

    def close(self) -> None:
        """Release all resources of this process; machines and network keep running."""
        self._servers.close()
        self._announcements.close()
        self._watch.close()

    def listen(self, events: InfrastructureEvents) -> None:
        self._events = events

    # --- network

    def apply_network(self, plan: NetworkPlan) -> None:
        self.network.apply(plan)
        self.holders.follow(plan)
        subnets = {subnet.subnet_id for vpc in plan.vpcs for subnet in vpc.subnets}
        self._announcements.keep(frozenset(subnets))
        self._servers.keep(frozenset(vpc.vpc_id for vpc in plan.vpcs))

    def set_takeover_delay(self, seconds: float) -> None:
        """Set how long a HAVIP's traffic takes to follow an announcement."""
        self.holders.set_delay(seconds)

    def _announced(self, vpc_id: str, address: IPv4Address, instance_id: str) -> None:
        self._events.havip_announced(vpc_id, address, instance_id)

    def _find_by_address(self, vpc_id: str, address: IPv4Address) -> tuple[MachineSpec, IPv4Address | None] | None:
        for machine in list(self._machines.values()):
            spec = machine.spec
            if spec.vpc_id == vpc_id and spec.interface.address == address:
                return spec, self._public_address(vpc_id, address)
        return None

    def _public_address(self, vpc_id: str, private: IPv4Address) -> IPv4Address | None:
        for vpc in self.network.plan.vpcs:
            for eip in vpc.public_addresses:
                if vpc.vpc_id == vpc_id and eip.private == private:
                    return eip.public
        return None

    # --- machines

    def machines(self) -> list[Machine]:
        with self._lock:
            return sorted(self._machines.values(), key=lambda machine: (machine.spec.name, machine.instance_id))

    def get(self, name: str) -> Machine:
        """Find a machine by name, host name or instance id. Raises MachineError if none or several match."""
        found = [
            machine
            for machine in self.machines()
            if name in {machine.spec.name, machine.spec.hostname, machine.instance_id}
        ]
        if len(found) == 1:
            return found[0]
        known = ", ".join(f"{machine.spec.hostname} ({machine.instance_id})" for machine in self.machines()) or "none"
        what = "no instance is" if not found else f"{len(found)} instances are"
        raise MachineError(f"{what} named {name!r}; known: {known}")

    def start_machine(self, spec: MachineSpec) -> None:
        with self._lock_of(spec.instance_id):
            machine = self._known(spec)
            # Before any preparation: a runner that is still starting would lose its network and its disk.
            machine.await_runner()
            if machine.is_running():
                if (pid := machine.find_runner()) is not None:
                    self._watch.add(spec.instance_id, pid)
                return
            machine.spec = spec
            interface, subnet = self.interface_of(spec)
            machine.prepare()
            self.network.set_live(interface, subnet, live=True)
            try:
                pid = machine.start(self.images.layers(spec.image_id), interface, subnet)
            except BaseException:
                self.network.set_live(interface, subnet, live=False)
                raise
            self._watch.add(spec.instance_id, pid)

    def power_on(self, machine: Machine) -> None:
        """Start the machine as it was, and report it: a machine that powered itself off is recorded as stopped."""
        self.start_machine(machine.spec)
        self._events.machine_started(machine.instance_id)

    def stop_machine(self, instance_id: str, *, hard: bool) -> None:
        with self._lock_of(instance_id):
            machine = self._machines.get(instance_id)
            if machine is None:
                return
            # This also stops a machine that a killed daemon's runner is starting, or that is just ending.
            machine.await_runner()
            if not (machine.is_running() or machine.cgroup.exists()):
                return
            self._watch.forget(instance_id)
            if hard:
                self._cut(machine)
                machine.kill()
            else:
                machine.shut_down()
                self._cut(machine)

    def destroy_machine(self, instance_id: str) -> None:
        self.stop_machine(instance_id, hard=True)
        with self._lock_of(instance_id), self._lock:
            machine = self._machines.pop(instance_id, None)
            if machine is not None:
                machine.remove()

    def reset_machine(self, spec: MachineSpec) -> None:
        self.destroy_machine(spec.instance_id)
        self.start_machine(spec)

    def set_link(self, machine: Machine, *, up: bool) -> str:
        """Set the machine's bridge port up or down, which acts like pulling its cable; return the port's name."""
        interface, subnet = self.interface_of(machine.spec)
        if not machine.is_running():
            raise MachineError(f"{machine.spec.hostname} ({machine.instance_id}) is not running and has no link")
        self.network.set_port(interface, subnet, up=up)
        return port(interface.interface_id)

    def link_is_down(self, machine: Machine) -> bool:
        interface, subnet = self.interface_of(machine.spec)
        return not self.network.port_is_up(interface, subnet)

    def attach_disk(self, disk: Disk, instance_id: str) -> None:
        path = self.paths.disks / f"{disk.disk_id}.img"
        disks.ensure_data_disk(path, disk.size_gib)
        with self._lock_of(instance_id):
            machine = self._machines.get(instance_id)
            if machine is not None:
                machine.attach(disk)

    def detach_disk(self, disk_id: str) -> None:
        for machine in self.machines():
            with self._lock_of(machine.instance_id):
                machine.detach(disk_id)

    def grow_disk(self, disk: Disk) -> None:
        path = self.paths.disks / f"{disk.disk_id}.img"
        disks.ensure_data_disk(path, disk.size_gib)
        disks.follow_size(path)

    def destroy_disk(self, disk_id: str) -> None:
        self.detach_disk(disk_id)
        (self.paths.disks / f"{disk_id}.img").unlink(missing_ok=True)

    def running(self) -> frozenset[str]:
        return frozenset(machine.instance_id for machine in self.machines() if machine.is_running())

    def console(self, instance_id: str) -> str:
        machine = self._machines.get(instance_id)
        return machine.console() if machine else ""

    def interface_of(self, spec: MachineSpec) -> tuple[Interface, Subnet]:
        """The interface according to the present plan. Raises MachineError if the plan does not contain it."""
        for vpc in self.network.plan.vpcs:
            for subnet in vpc.subnets:
                for interface in subnet.interfaces:
                    if interface.interface_id == spec.interface.interface_id:
                        return interface, subnet
        raise MachineError(f"{spec.instance_id}: interface {spec.interface.interface_id} is not in the network plan")

    def _known(self, spec: MachineSpec) -> Machine:
        with self._lock:
            machine = self._machines.get(spec.instance_id)
            if machine is None:
                machine = Machine(spec, self.paths)
                self._machines[spec.instance_id] = machine
            return machine

    def _lock_of(self, instance_id: str) -> threading.RLock:
        """One lock per machine: calls for different machines run in parallel."""
        with self._lock:
            return self._changing.setdefault(instance_id, threading.RLock())

    def _cut(self, machine: Machine) -> None:
        """Shut the port first: a powered-off machine must not answer, but the kernel of its namespace would."""
        try:
            interface, subnet = self.interface_of(machine.spec)
        except MachineError:
            return
        self.network.set_live(interface, subnet, live=False)

    def _ended(self, instance_id: str) -> None:
        """A runner ended without a request: the machine powered itself off, or was killed."""
        with self._lock_of(instance_id):
            machine = self._machines.get(instance_id)
            if machine is None or machine.is_running():
                return
            self._cut(machine)
            machine.kill()
        self._events.machine_stopped(instance_id)
