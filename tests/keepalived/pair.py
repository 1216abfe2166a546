"""Two nodes as network namespaces on a bridge, with the real keepalived and the agent's own drain."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provisioning.agent.calls import answer
from provisioning.agent.node import Node, Result
from provisioning.deployment import Deployment
from provisioning.inventory import Inventory, RemoteNode
from provisioning.services.vrrp import preferred_addresses
from provisioning.ssh.agent_calls import to_exception
from provisioning.traffic.out_of_service import Surroundings
from provisioning.traffic.switchover import Switchover, return_preferred
from tests.keepalived.configurations import NODES, write

# Part of the names of namespaces, so that runs beside each other do not meet.
_RUN = f"tkp{os.getpid()}"
_ADDRESSES = {"iam-a": "10.0.4.20", "iam-b": "10.0.4.21"}
_IGNORED = ("systemctl", "systemd-run", "nft", "nginx")  # commands of the agent that concern other programs
_ACTIVE = "Id={}.service\nLoadState=loaded\nActiveState=active\nSubState=running\nNRestarts=0\nUnitFileState=enabled"


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True).stdout


@contextmanager
def in_namespace(name: str) -> Generator[str]:
    """A network namespace with eth0."""
    namespace = f"{_RUN}-{name}"
    _ip("netns", "add", namespace)
    try:
        _ip("-n", namespace, "link", "set", "lo", "up")
        _ip("-n", namespace, "link", "add", "eth0", "type", "veth", "peer", "name", "other")
        _ip("-n", namespace, "link", "set", "other", "up")
        _ip("-n", namespace, "link", "set", "eth0", "up")
        yield namespace
    finally:
        _ip("netns", "delete", namespace)


@dataclass
class Machine:
    """One node: its namespace, its files below `root`, and its keepalived."""

    name: str
    root: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def namespace(self) -> str:
        return f"{_RUN}-{self.name}"

    def start(self) -> None:
        command = ["ip", "netns", "exec", self.namespace, "keepalived", "--dont-fork", "--log-console", "--log-detail"]
        files = {"-f": "etc/keepalived/keepalived.conf", "-p": "pid", "-r": "vrrp.pid", "-c": "checkers.pid"}
        for option, path in files.items():
            command += [option, str(self.root / path)]
        with (self.root / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            self.process.kill()
            self.process = None

    def held(self) -> set[str]:
        links = json.loads(_ip("-n", self.namespace, "-j", "-4", "address", "show", "dev", "eth0"))
        return {each["local"] for each in links[0]["addr_info"]} - {_ADDRESSES[self.name]}

    def report(self, value: int, file: str = "nginx") -> None:
        """Write a track file, as the health daemon does."""
        path = self.root / "run/tandem" / file
        new = path.with_name(f"{file}.new")
        new.write_text(f"{value}\n")
        new.replace(path)

    def run(self, argv: list[str], *, text: str = "", timeout_s: float = 60, env: object = None) -> Result:
        """The commands of the agent, in this node's namespace."""
        del env
        if argv[:2] == ["systemctl", "show"]:
            return Result(0, "\n\n".join(_ACTIVE.format(name) for name in argv[4:]) + "\n", "")
        if Path(argv[0]).name in _IGNORED:
            return Result(0, "", "")
        command = ["ip", "netns", "exec", self.namespace, *argv]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=timeout_s)
        return Result(done.returncode, done.stdout, done.stderr)


class AgentConnection:
    """Calls the agent in this process."""

    def __init__(self, machine: Machine, node: RemoteNode) -> None:
        self.machine, self.node = machine, node

    def call(self, operations: Sequence[dict[str, Any]], **_options: object) -> list[Any]:
        node = Node(root=str(self.machine.root), runner=self.machine.run, probe=lambda _url: "200",
                    program=lambda: b"", sync=lambda _handle: None)  # fmt: skip
        response = answer(node, {"token": "t", "operations": [dict(each) for each in operations]})
        if "error" in response:
            raise to_exception(self.node, response["error"])
        return response["results"]

    def close(self) -> None:
        pass


@dataclass
class Pair:
    machines: dict[str, Machine]
    preferred: dict[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])

    @property
    def a(self) -> Machine:
        return self.machines["iam-a"]

    @property
    def b(self) -> Machine:
        return self.machines["iam-b"]

    def write(self, of: Deployment) -> None:
        for name, machine in self.machines.items():
            write(of, name, machine.root)
            self.preferred |= {node.name: preferred_addresses(of, node) for node in of.nodes if node.name == name}

    def start(self, of: Deployment) -> None:
        """Start keepalived on healthy nodes: on the second one when the first one is master."""
        self.write(of)
        self.start_in_order()

    def start_in_order(self) -> None:
        for machine in self.machines.values():
            machine.report(0)
            machine.start()
            if machine is self.a:
                wait_until(lambda: bool(self.a.held()), 15, lambda: "iam-a does not become master")

    def masters(self) -> dict[str, str]:
        """The holders of each virtual IP, such as "iam-a" or "iam-a iam-b"."""
        found: dict[str, list[str]] = {}
        for name, machine in self.machines.items():
            for address in machine.held():
                found.setdefault(address, []).append(name)
        return {address: " ".join(names) for address, names in found.items()}

    def isolate(self, *, isolated: bool) -> None:
        """Cut the nodes off from each other only: isolated ports of a bridge reach all others."""
        for machine in self.machines.values():
            link = ["link", "set", f"port-{machine.name[-1]}", "type", "bridge_slave"]
            _ip("-n", f"{_RUN}-switch", *link, "isolated", "on" if isolated else "off")

    def wait_for(self, masters: dict[str, str], deadline_s: float = 15) -> float:
        return wait_until(lambda: self.masters() == masters, deadline_s, lambda: f"{self.masters()}, not {masters}")

    def balance(self, around: Surroundings) -> tuple[Switchover, ...]:
        """Return each virtual IP to its preferred node. The address is announced once both nodes know each other."""
        wait_until(lambda: "BACKUP" in (self.b.root / "log").read_text(), 10, lambda: "iam-b has not started")
        preferred = [(each, self.preferred.get(each.node.name, ())) for each in (around.leaving, *around.others)]
        return return_preferred(preferred, around.virtual_ips, around.confirm, around.report)

    def surroundings(self, leaving: str, virtual_ips: tuple[str, ...]) -> Surroundings:
        """The pair as the operator's side sees it. The agent's change lock is taken."""
        nodes = {
            name: RemoteNode(name, f"ins-{name}", address, address, "debian", (), eligible=True)
            for name, address in _ADDRESSES.items()
        }
        connections = {name: AgentConnection(self.machines[name], node) for name, node in nodes.items()}
        for connection in connections.values():
            owner = {"user": "test", "host": "test", "pid": os.getpid()}
            connection.call([{"do": "lock", "owner": owner, "ttl_s": 600}])
        others = tuple(each for name, each in connections.items() if name != leaving)
        inventory = Inventory("test", tuple(nodes.values()), virtual_ips, "key")
        return Surroundings(
            connections[leaving], others, (), inventory.virtual_ips, lambda _address, _node: "seen", lambda _line: None
        )  # fmt: skip


def wait_until(condition: Callable[[], bool], deadline_s: float, describe: Callable[[], str]) -> float:
    """Wait until a condition is true. Returns the time that it took, in seconds."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > deadline_s:
            raise AssertionError(f"after {deadline_s} s: {describe()}")
        time.sleep(0.02)
    return time.monotonic() - began


@contextmanager
def new_pair(folder: Path) -> Generator[Pair]:
    """Two namespaces with eth0 on one bridge, and eth1 that is connected to nothing."""
    switch = f"{_RUN}-switch"
    pair = Pair({name: Machine(name, folder / name) for name in NODES})
    namespaces = [switch, *(machine.namespace for machine in pair.machines.values())]
    try:
        for namespace in namespaces:
            _ip("netns", "add", namespace)
        _ip("-n", switch, "link", "add", "br0", "type", "bridge")
        _ip("-n", switch, "link", "set", "br0", "up")
        for machine in pair.machines.values():
            own, port = ["-n", machine.namespace, "link"], f"port-{machine.name[-1]}"
            machine.root.mkdir(parents=True)
            _ip(*own, "set", "lo", "up")
            _ip(*own, "add", "eth0", "type", "veth", "peer", "name", port, "netns", switch)
            _ip("-n", switch, "link", "set", port, "master", "br0", "up")
            _ip("-n", machine.namespace, "address", "add", f"{_ADDRESSES[machine.name]}/24", "dev", "eth0")
            _ip(*own, "set", "eth0", "up")
            _ip(*own, "add", "eth1", "type", "veth", "peer", "name", "other1")
            _ip(*own, "set", "other1", "up")
            _ip(*own, "set", "eth1", "up")
        yield pair
    finally:
        for machine in pair.machines.values():
            machine.stop()
        existing = set(re.findall(r"^\S+", _ip("netns", "list"), flags=re.MULTILINE))
        for namespace in namespaces:
            if namespace in existing:
                _ip("netns", "delete", namespace)


@contextmanager
def running(machine: Machine, script: str, output: Path) -> Generator[None]:
    """Run a Python script on a node. It prints "ready" first."""
    command = ["ip", "netns", "exec", machine.namespace, sys.executable, "-c", script]
    with output.open("wb") as file, subprocess.Popen(command, stdout=file) as process:
        wait_until(lambda: output.read_bytes().startswith(b"ready"), 10, lambda: "the script does not start")
        try:
            yield
        finally:
            process.terminate()


@contextmanager
def announcements(address: str, folder: Path) -> Generator[Callable[[], list[float]]]:
    """Record the gratuitous ARP packets for an address on the bridge. The result is their times."""
    target = folder / "announcements"
    command = ["ip", "netns", "exec", f"{_RUN}-switch", sys.executable, "-c", _RECORD, address]
    with target.open("wb") as file, subprocess.Popen(command, stdout=file) as process:
        wait_until(lambda: target.read_bytes().startswith(b"ready"), 10, lambda: "the recorder does not start")
        try:
            yield lambda: [float(line) for line in target.read_text().splitlines()[1:]]
        finally:
            process.terminate()


_RECORD = """
import socket, sys, time
wanted = socket.inet_aton(sys.argv[1])
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as packets:
    packets.bind(("br0", 0x0806))
    print("ready", flush=True)
    while True:
        frame = packets.recv(2048)
        if frame[28:32] == wanted == frame[38:42]:
            print(time.monotonic(), flush=True)
"""


def lines_of(path: Path) -> Iterator[str]:
    if path.exists():
        yield from path.read_text().splitlines()
