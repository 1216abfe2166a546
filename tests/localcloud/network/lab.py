"""Two VPCs with real machines, created from hand-written plans: the infrastructure without the API.

VPC one, 10.0.0.0/16: subnet four 10.0.4.0/24 with ann .20, bob .21, cat .22, and fay .24 to hal .26 for benchmarks;
                      subnet five 10.0.5.0/24 with dan .20
VPC two, also 10.0.0.0/16: its subnet 10.0.4.0/24 with eve .23
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import subprocess
import textwrap
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from localcloud.infrastructure import (
    Disk,
    Interface,
    MachineSpec,
    NetworkPlan,
    PublicAddress,
    Rule,
    SecurityGroup,
    Subnet,
    VirtualAddress,
    Vpc,
)
from localcloud.machines.cgroups import Cgroup
from localcloud.machines.inside import ENVIRONMENT, command_inside
from localcloud.machines.linux_infrastructure import LinuxInfrastructure
from localcloud.machines.paths import Paths
from localcloud.machines.tear_down import tear_down
from localcloud.network import names

from .frames import gratuitous

ANYWHERE = IPv4Network("0.0.0.0/0")
HAVIP = IPv4Address("10.0.4.99")
OTHER_HAVIP = IPv4Address("10.0.4.98")
PUBLIC = IPv4Address("203.0.113.7")

OPEN = SecurityGroup("sg-open", (Rule("ACCEPT", "ALL", (), (ANYWHERE,)),), (Rule("ACCEPT", "ALL", (), (ANYWHERE,)),))


@dataclass(frozen=True)
class Place:
    """A machine of the lab and its place in the network."""

    name: str
    vpc: str
    subnet: str
    address: str
    number: int

    @property
    def instance_id(self) -> str:
        return f"ins-0000000{self.number}"

    @property
    def interface_id(self) -> str:
        return f"eni-0000000{self.number}"

    @property
    def mac(self) -> str:
        return f"52:54:00:00:00:0{self.number}"


_numbers = itertools.count(1)

PLACES = {
    place.name: place
    for place in (
        Place("ann", "one", "four", "10.0.4.20", 1),
        Place("bob", "one", "four", "10.0.4.21", 2),
        Place("cat", "one", "four", "10.0.4.22", 3),
        Place("dan", "one", "five", "10.0.5.20", 4),
        Place("eve", "two", "far", "10.0.4.23", 5),
        Place("fay", "one", "four", "10.0.4.24", 6),
        Place("gus", "one", "four", "10.0.4.25", 7),
        Place("hal", "one", "four", "10.0.4.26", 8),
    )
}
MACHINES = ("ann", "bob", "cat", "dan", "eve")
VPCS = {"one": "vpc-00000001", "two": "vpc-00000002"}
SUBNETS = {
    "four": ("subnet-00000004", "10.0.4.0/24"),
    "five": ("subnet-00000005", "10.0.5.0/24"),
    "far": ("subnet-00000006", "10.0.4.0/24"),
}


@dataclass(frozen=True)
class Configuration:
    """The network configuration of a test; by default open groups and one HAVIP that ann and bob may hold."""

    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # machine -> group ids; default sg-open
    rules: tuple[SecurityGroup, ...] = ()
    announcers: tuple[str, ...] = ("ann", "bob")
    public: Mapping[IPv4Address, IPv4Address] = field(default_factory=lambda: {PUBLIC: HAVIP})
    bandwidth_mbps: int = 1000
    nat: IPv4Address | None = None  # NAT address of subnet five

    def plan(self) -> NetworkPlan:
        return NetworkPlan(tuple(self._vpc(name) for name in VPCS), (OPEN, *self.rules))

    def _vpc(self, name: str) -> Vpc:
        public = tuple(
            PublicAddress(f"eip-{int(address)}", address, private, self.bandwidth_mbps)
            for address, private in self.public.items()
        )
        mine = [
            subnet
            for subnet in SUBNETS
            if any(place.vpc == name and place.subnet == subnet for place in PLACES.values())
        ]
        return Vpc(
            VPCS[name],
            (IPv4Network("10.0.0.0/16"),),
            tuple(self._subnet(subnet) for subnet in mine),
            public if name == "one" else (),
        )

    def _subnet(self, name: str) -> Subnet:
        identifier, cidr = SUBNETS[name]
        interfaces = tuple(self.interface(place) for place in PLACES.values() if place.subnet == name)
        havips = (
            (
                VirtualAddress("havip-00000001", HAVIP, tuple(PLACES[who].interface_id for who in self.announcers)),
                VirtualAddress("havip-00000002", OTHER_HAVIP, (PLACES["cat"].interface_id,)),
            )
            if name == "four"
            else ()
        )
        network = IPv4Network(cidr)
        return Subnet(identifier, network, network[1], interfaces, havips, self.nat if name == "five" else None)

    def interface(self, place: Place) -> Interface:
        groups = self.groups.get(place.name, ("sg-open",))
        return Interface(place.interface_id, place.instance_id, place.mac, IPv4Address(place.address), groups)


class Lab:
    """The running infrastructure. `configure` changes the network; every test begins with the default."""

    def __init__(self, *, image: str = "img-debian12", machines: tuple[str, ...] = MACHINES) -> None:
        self.cloud = f"t{os.getpid()}x{next(_numbers)}"
        self.paths = Paths(self.cloud)
        tear_down(self.paths, keep_state=False)
        self.infrastructure = LinuxInfrastructure(self.paths)
        self.announced: list[tuple[str, str]] = []
        self.announced_at = 0.0  # time of the last one, which is reported as soon as the router follows
        self.stopped: list[str] = []
        self.started: list[str] = []
        self._image = image
        self._names = machines
        self._configuration = Configuration()
        self._servers: list[subprocess.Popen[str]] = []

    def open(self) -> None:
        self.infrastructure.listen(self)
        self.infrastructure.open()
        self.infrastructure.apply_network(self._configuration.plan())
        threads = [
            threading.Thread(target=self.infrastructure.start_machine, args=(self.spec(name),)) for name in self._names
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name in self._names:
            self.wait_for_boot(name)

    def close(self) -> None:
        self.infrastructure.close()
        tear_down(self.paths, keep_state=False)
        for server in self._servers:
            server.communicate(timeout=5)

    def havip_announced(self, vpc_id: str, address: IPv4Address, instance_id: str) -> None:
        del vpc_id
        self.announced_at = time.monotonic()
        self.announced.append((str(address), instance_id))

    def machine_stopped(self, instance_id: str) -> None:
        self.stopped.append(instance_id)

    def machine_started(self, instance_id: str) -> None:
        self.started.append(instance_id)

    def spec(self, name: str) -> MachineSpec:
        place = PLACES[name]
        return MachineSpec(
            instance_id=place.instance_id,
            name=name,
            hostname=name,
            uuid=f"00000000-0000-4000-8000-00000000000{place.number}",
            region="ap-guangzhou",
            zone="ap-guangzhou-6",
            image_id=self._image,
            instance_type="S5.MEDIUM2",
            cpu=2,
            memory_mib=2048,
            system_disk=Disk(f"disk-0000000{place.number}", 10),
            data_disks=(),
            vpc_id=VPCS[place.vpc],
            subnet_id=SUBNETS[place.subnet][0],
            interface=self._configuration.interface(place),
            public_keys=("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGRvbid0IHVzZSB0aGlzIGtleSBmb3IgYW55dGhpbmcgISE= lab",),
            user_data=f"#cloud-config\nruncmd:\n  - echo {name} >/root/booted\n".encode(),
        )

    def configure(self, **changes: Any) -> None:
        """Apply the default network with these changes."""
        self._configuration = replace(Configuration(), **changes)
        self.infrastructure.apply_network(self._configuration.plan())

    # --- commands on machines and in the network

    def run(self, name: str, *command: str, text: str = "", timeout_s: float = 20) -> subprocess.CompletedProcess[str]:
        """Run a command on a machine, as root, in its control groups."""
        return subprocess.run(
            self._words(name, *command),
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env=ENVIRONMENT,
        )

    def start(self, name: str, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._words(name, *command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=ENVIRONMENT,
        )

    def cgroup(self, name: str) -> Cgroup:
        return self.infrastructure.get(name).cgroup

    def _words(self, name: str, *command: str) -> list[str]:
        pid = self.infrastructure.get(name).init_pid()
        assert pid is not None, f"{name} is not running"
        return command_inside(pid, self.cgroup(name).directories(), list(command))

    def python(self, name: str, code: str, *arguments: object) -> Any:
        """Run Python on a machine (or in `client`, `operator`); return the printed JSON."""
        words = ["python3", "-c", textwrap.dedent(_PRELUDE) + textwrap.dedent(code), *(str(each) for each in arguments)]
        if name in {"client", "operator"}:
            place = names.INTERNET if name == "client" else names.OPERATOR
            with self.infrastructure.namespaces.inside(place):
                done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
        else:
            done = self.run(name, *words)
        assert done.returncode == 0, f"on {name}: {done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def connect(self, name: str, address: object, port: int, *, timeout_s: float = 0.6, source: str = "") -> str:
        """Open a TCP connection; return its greeting ("hello from bob"), or "refused", "timeout", "unreachable"."""
        return self.python(name, "show(connect(*sys.argv[1:]))", address, port, timeout_s, source)

    def send(self, name: str, *frames: bytes) -> None:
        """Send raw Ethernet frames on the machine's eth0."""
        self.python(name, "send(sys.argv[1:])", *(frame.hex() for frame in frames))

    @contextmanager
    def listening(self, name: str, seconds: float = 0.5) -> Generator[list[bytes]]:
        """Collect the frames that reach a machine during the block and `seconds` longer."""
        seen: list[bytes] = []
        words = ["python3", "-c", textwrap.dedent(_PRELUDE) + "\nsniff(float(sys.argv[1]))", str(seconds)]
        process = self.start(name, *words)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        yield seen
        # The time starts after the block, so that a slow host does not end the capture too early.
        time.sleep(seconds)
        # The listener is a child process inside the machine: stop it there.
        self.run(name, "pkill", "-INT", "-f", r"sniff\(float")
        said, _ = process.communicate(timeout=5)
        seen += [bytes.fromhex(line) for line in said.split()]

    def serve(self, name: str, port: int, *, udp: bool = False) -> None:
        """Start a server that sends its host name, until the machine stops."""
        process = self.start(name, "python3", "-c", textwrap.dedent(_PRELUDE) + f"\nserve({port}, {udp})")
        assert process.stdout is not None
        self._servers.append(process)
        said = process.stdout.readline().strip()
        assert said == "ready", said

    @contextmanager
    def talking(self, name: str, code: str, *arguments: object) -> Generator[list[Any]]:
        """Run Python on a machine in parallel with the block, once it has printed `ready`; yields its later output, as
        JSON.
        """
        said: list[Any] = []
        words = ["python3", "-c", textwrap.dedent(_PRELUDE) + textwrap.dedent(code), *(str(each) for each in arguments)]
        process = self.start(name, *words)
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.strip() in {"ready", "talking"}, first
        yield said
        rest, _ = process.communicate(timeout=20)
        said += [json.loads(line) for line in rest.splitlines()]

    @contextmanager
    def internet_server(self, port: int = 9000) -> Generator[None]:
        """A server on the internet, which sends the client's address."""
        with self.infrastructure.namespaces.inside(names.INTERNET):
            server = socket.create_server((str(names.CLIENT_ADDRESS), port))
        server.settimeout(0.1)
        closing = threading.Event()

        def answer() -> None:
            while not closing.is_set():
                try:
                    connection, peer = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.sendall(f"hello from {peer[0]}".encode())

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield
        finally:
            closing.set()
            thread.join()
            server.close()

    def host_addresses(self) -> list[str]:
        """The host's addresses, which no machine may reach."""
        listed = subprocess.run(["ip", "-4", "-j", "address"], capture_output=True, text=True, check=True).stdout
        return [entry["local"] for link in json.loads(listed) if link["ifname"] != "lo" for entry in link["addr_info"]]

    def time_of_moves(self, who: Iterable[str]) -> list[float]:
        """Let machines take over the HAVIP in order; return the seconds from each announcement until the router
        follows.
        """
        took: list[float] = []
        for name in who:
            place = PLACES[name]
            code = "show([send([sys.argv[1]]), time.clock_gettime(time.CLOCK_MONOTONIC)][1])"
            self.run(name, "ip", "address", "replace", f"{HAVIP}/32", "dev", "eth0")
            sent = self.python(name, code, gratuitous(place.mac, HAVIP).hex())
            new = [(str(HAVIP), place.instance_id)]
            wait_until(lambda new=new: self.announced[-1:] == new, f"{name} holds it")
            took.append(self.announced_at - sent)
        return took

    def ensure_running(self, name: str) -> None:
        """Start the machine with the lab's spec, if it is not already running."""
        spec = self.spec(name)
        running = spec.instance_id in self.infrastructure.running()
        if running and self.infrastructure.get(name).spec.cpu == spec.cpu:
            return
        self.infrastructure.stop_machine(spec.instance_id, hard=True)
        self.infrastructure.start_machine(spec)
        wait_until(lambda: self.run(name, "systemctl", "is-active", "ssh").returncode == 0, f"{name} runs ssh", 30)
        self.stopped.clear()

    def ensure_server(self, name: str, port: int) -> None:
        if self.run(name, "sh", "-c", f"ss -Htln sport = :{port} | grep -q .").returncode != 0:
            self.serve(name, port)

    def must(self, name: str, *command: str, text: str = "") -> str:
        """Run a command on a machine; fail the test if it fails."""
        done = self.run(name, *command, text=text)
        assert done.returncode == 0, f"{name}: {' '.join(command)}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def client(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the internet."""
        with self.infrastructure.namespaces.inside(names.INTERNET):
            return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)

    def operator(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the operator's network."""
        with self.infrastructure.namespaces.inside(names.OPERATOR):
            return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)

    def announce(self, name: str, address: IPv4Address = HAVIP) -> None:
        """Take over a HAVIP as keepalived does: the address on the interface, and gratuitous ARP."""
        self.run(name, "ip", "address", "replace", f"{address}/32", "dev", "eth0")
        self.send(name, gratuitous(PLACES[name].mac, address))

    def release(self, name: str, address: IPv4Address = HAVIP) -> None:
        self.run(name, "ip", "address", "delete", f"{address}/32", "dev", "eth0")

    def wait_for_boot(self, name: str, timeout_s: float = 60) -> None:
        wait_until(
            lambda: self.run(name, "test", "-e", "/root/booted").returncode == 0, f"{name} has booted", timeout_s
        )

    def holder(self) -> str | None:
        return self.infrastructure.holders.holder("havip-00000001")


@contextmanager
def in_a_loop() -> Generator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """An event loop in a separate thread; yields a function that runs coroutines in it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 5.0) -> float:
    """Wait for the condition; return the seconds it took. Raises AssertionError after `timeout_s`."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < timeout_s, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.01)
    return time.monotonic() - began


_PRELUDE = """
import json, select, signal, socket, struct, sys, time
def show(value): print(json.dumps(value))
def send(frames):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind(("eth0", 0))
        for frame in frames:
            raw.send(bytes.fromhex(frame))
def sniff(seconds):
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    raw.bind(("eth0", 3))
    seen = []
    def end(*_):
        for frame in seen: print(frame.hex())
        sys.stdout.flush(); raise SystemExit
    signal.signal(signal.SIGINT, end)
    print("ready", flush=True)
    while True:
        frame, where = raw.recvfrom(65535)
        if where[2] != socket.PACKET_OUTGOING: seen.append(frame)
def connect(address, port, timeout, source=""):
    with socket.socket() as s:
        s.settimeout(float(timeout))
        try:
            if source: s.bind((source, 0))
            s.connect((address, int(port)))
            return s.recv(200).decode() or "closed"
        except ConnectionRefusedError: return "refused"
        except TimeoutError: return "timeout"
        except OSError as error: return "unreachable" if error.errno in (101, 113) else str(error)
def serve(port, udp):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", port))
    if not udp: s.listen(50)
    print("ready", flush=True)
    name = socket.gethostname()
    while True:
        if udp:
            data, peer = s.recvfrom(65535)
            s.sendto(f"hello from {name}, {len(data)} bytes from {peer[0]}".encode(), peer)
        else:
            c, peer = s.accept()
            try: c.sendall(f"hello from {name} to {peer[0]}".encode()); c.close()
            except OSError: pass
"""
