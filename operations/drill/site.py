"""How a drill reaches the deployed group: nodes over SSH, faults of the network through localcloud, and the client."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from operations.drill.faults import Action, OnCloud, OnNode
from operations.drill.result import Result, read_records
from operations.errors import OperationError
from provisioning.change_lock import locked
from provisioning.errors import ProvisioningError
from provisioning.health.checks import Group
from provisioning.health.public_checks import Service
from provisioning.ssh.agent_calls import Connection
from provisioning.ssh.connections import Connect, ask_each
from provisioning.traffic.serving import NodeState, read_states

SCRIPT_DEADLINE_S = 60.0
CLIENT_END_S = 30.0
ROOT = Path(__file__).resolve().parents[2]
_AT = re.compile(r"(\d\d):(\d\d):(\d\d\.\d+) ")


class DrillError(OperationError):
    """A fault could not be inflicted or undone, or the client could not run."""


@dataclass(frozen=True, slots=True)
class Site:
    """A deployed group and the commands that reach it. Tests pass their own."""

    group: Group
    connect: Connect
    # Runs `localcloud fault ARGUMENTS` and returns its output; None on a real stack.
    cloud: Callable[[Sequence[str]], str] | None
    # Turns a command into one that runs on a client on the internet side.
    client: Callable[[Sequence[str]], Sequence[str]]
    now: Callable[[], float] = time.time

    def states(self) -> list[NodeState]:
        inventory = self.group.inventory
        return read_states(inventory.nodes, self.connect, inventory.virtual_ips)

    def apply(self, action: Action, node: str) -> float:
        """Inflict or undo a fault. Returns the time at which it began, in seconds since the epoch.

        Raises DrillError or ProvisioningError.
        """
        if isinstance(action, OnNode):
            return self.run(action.script, node)
        assert isinstance(action, OnCloud)
        if self.cloud is None:
            raise DrillError(f"{' '.join(action.words)} is only possible on localcloud")
        words = [self.peer(node) if word == "PEER" else word for word in action.words]
        return _time_of(self.cloud([node, *words]))

    def run(self, script: str, node: str) -> float:
        """Run a script on a node, under its change lock. Returns the time at which it began."""
        connection = self.connect(self.group.inventory.get(node))
        try:
            with locked([connection]) as lock:
                operation = {"do": "run_script", "script": script, "deadline_s": SCRIPT_DEADLINE_S}
                began = self.now()
                done = lock.on(connection).call([operation], deadline_s=SCRIPT_DEADLINE_S + 30)[0]
                ended = self.now()
        finally:
            connection.close()
        if done["code"] != 0:
            raise DrillError(f"{node}: `{script}` ended with exit code {done['code']}\n  {done['out']}")
        return float(done["at"]) - ahead_s(done["at"], began, ended - done["took_s"])

    def journals(self, since: float) -> dict[str, list[list[Any]]]:
        """The log lines of each node since a time; none from a node that cannot be reached."""

        def read(connection: Connection) -> list[list[Any]]:
            began = self.now()
            answer = connection.call([{"do": "journal", "for_s": began - since}])[0]
            ahead = ahead_s(answer["at"], began, self.now())
            return [[at - ahead, unit, text] for at, unit, text in answer["lines"] if at - ahead >= since]

        nodes = self.group.inventory.nodes
        found = ask_each(nodes, self.connect, read)
        return {
            node.name: [] if isinstance(lines, ProvisioningError) else lines
            for node, lines in zip(nodes, found, strict=True)
        }

    def peer(self, node: str) -> str:
        return next(each.name for each in self.group.inventory.nodes if each.eligible and each.name != node)

    def sources(self) -> list[str]:
        """The addresses of the client that requests come from in turn; on a real stack the computer's own one."""
        if self.cloud is None:
            return []
        command = self.client(["ip", "-j", "-4", "address", "show", "dev", "lo", "scope", "global"])
        done = subprocess.run(command, text=True, capture_output=True, check=False)
        if done.returncode != 0:
            raise DrillError(
                f"the client's addresses cannot be read: {done.stderr.strip()}\n  look at: localcloud status"
            )
        found = [each for link in json.loads(done.stdout) for each in link.get("addr_info", [])]
        return [each["local"] for each in found if each]  # `ip -j` prints {} for those that do not match

    @contextmanager
    def load(self, scale: float, folder: Path) -> Generator[Result]:
        """Send requests from the client while the block runs. The result is complete afterwards. Raises DrillError."""
        public, out = self.group.public, folder / "requests.jsonl"
        domains = {service.name: service.domain for service in public.services}
        service = choose_service(public.services)
        settings: Mapping[str, Any] = {
            "address": public.addresses[0].ip, "ca_certificate": service.ca, "out": str(out), "scale": scale,
            "api": service.domain, "path": service.path, "any_answer": not service.iam,
            "authz": domains.get("authz", ""), "password": public.password, "sources": self.sources(),
        }  # fmt: skip
        result = Result()
        command = self.client([sys.executable, "-m", "operations.drill.client"])
        log = folder / "client.log"
        with (
            log.open("w", encoding="utf-8") as errors,
            subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            ) as process,
        ):
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(settings) + "\n")
            process.stdin.flush()
            if process.stdout.readline() != "ready\n":
                process.kill()
                process.wait()
                raise DrillError(f"the client did not start: {_last_line(log)}\n  look at: tandem health")
            try:
                yield result
            finally:
                _end(process)
        if process.returncode != 0:  # what it has recorded would show fewer lost requests than there were
            seen = _last_line(log) or f"exit code {process.returncode}"
            raise DrillError(f"the client ended during the load: {seen}\n  look at: dmesg")
        result.records = read_records(out)


def ahead_s(clock: float, began: float, ended: float) -> float:
    """How far a node's clock, read between `began` and `ended`, is ahead, in seconds; 0 if it lies between them.

    Synchronised clocks differ by less than the duration of a call; the node's own times are then the most exact ones.
    """
    return 0.0 if began <= clock <= ended else clock - (began + ended) / 2


def _end(process: subprocess.Popen[str]) -> None:
    """End the load."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(timeout=CLIENT_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_line(log: Path) -> str:
    return (log.read_text(encoding="utf-8").strip().splitlines() or [""])[-1]


def choose_service(services: Sequence[Service]) -> Service:
    """The service that the load is sent to: iam-apiserver, or the first site with HTTPS. Raises DrillError."""
    secure = [service for service in services if service.https]
    if not secure:
        raise DrillError("the drill needs a site with HTTPS to send requests to\n  look at: tandem:nginx.sites")
    return next((service for service in secure if service.name == "api"), secure[0])


def _time_of(output: str) -> float:
    """The local time that `localcloud fault` prints, in seconds since the epoch."""
    now = datetime.now().astimezone()
    found = _AT.match(output)
    if found is None:
        return time.time()
    seconds = float(found[3])
    at = now.replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0).timestamp() + seconds
    return at if at <= now.timestamp() + 60 else at - 86400  # before midnight
