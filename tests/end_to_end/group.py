"""The group of nodes that the tests share. It is restored after a failed test."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from operations.drill.result import Result
from tests.end_to_end.lab import BIN, ROOT, Lab, wait_until
from tests.load.result import load

NODES = ("iam-a", "iam-b")
VIRTUAL_IP = "10.0.4.99"
_BOOT_S = 60


def drain_windows(lab: Lab) -> list[tuple[float, float]]:
    """The times around each move of a virtual IP and around each reload of nginx, in seconds since the epoch.

    nginx closes its idle client connections when it reloads, also one on which a request arrives at that moment.
    """
    found: list[tuple[float, float]] = []
    for name in NODES:
        for line in lab.on(name, "grep notify_master /var/log/keepalived.log; true").splitlines():
            at = datetime.strptime(line[1:20], "%Y-%m-%d %H:%M:%S").astimezone().timestamp()
            found.append((at - 1, at + 2))
        reloads = "journalctl -u nginx -o short-unix --no-pager | grep 'Reload'; true"
        for line in lab.on(name, reloads).splitlines():
            at = float(line.split()[0])
            found.append((at - 1.5, at + 1.5))
    return found


@contextmanager
def under_load(lab: Lab, folder: Path, *, scale: float = 0.25, sources: Sequence[str] = ()) -> Generator[Result]:
    """Send all streams of requests from a client on the emulated internet, from these addresses in turn."""

    def client(*command: str) -> list[str]:
        return [str(BIN / "localcloud"), "client", "--name", lab.name, "--", *command]

    outputs = lab.outputs()
    with load(
        client, outputs, folder, scale=scale, sources=sources, admin_password=outputs["admin_password"]
    ) as result:
        yield result


def request_healthz(lab: Lab, domain: str, public_ip: str, *, times: int = 1) -> list[str]:
    """Return the responses to a client on the internet, with a new connection for each request."""
    curl = f"curl --silent --insecure --max-time 3 --connect-to ::{public_ip} https://{domain}/healthz; echo"
    return lab.client("sh", "-c", f"for n in $(seq {times}); do {curl}; done", check=False).stdout.splitlines()


def requests_seen(lab: Lab, node: str, service: str) -> int:
    """Count the /healthz requests in the journal of the service."""
    return int(lab.on(node, f"journalctl --output cat --unit {service} | grep -c 'GET /healthz' || true").strip() or 0)


@dataclass
class Group:
    """The deployed group with the settings of the current tests."""

    lab: Lab
    settings: Path | None = None  # None: the settings of the stack
    failed: bool = field(default=False, init=False)  # a test has failed since the group was last known to be healthy

    def up(self) -> str:
        return self.lab.up(*(("--config-file", str(self.settings)) if self.settings else ()))

    @contextmanager
    def changed_to(self, settings: Path) -> Generator[Lab]:
        """Deploy other settings, and the settings of the stack again afterwards."""
        self.settings = settings
        try:
            self.up()
            yield self.lab
        finally:
            self.settings = None
            for node in NODES:
                self.lab.on(node, "systemctl start nginx keepalived")
            self.up()

    def restore(self) -> None:
        """Power-cycle the nodes and apply the settings; deploy on a new cloud if that fails.

        Changes that a test makes to a running node (stopped services, packet rules, a split pair) are lost at boot.
        """
        try:
            self._power_cycle()
            self._deploy()
        except (AssertionError, subprocess.TimeoutExpired) as error:
            print(f"Deploying the group on a new cloud: {error}")
            self.lab.localcloud("down")
            shutil.rmtree(ROOT / ".tandem" / self.lab.name, ignore_errors=True)
            self.lab.localcloud("up", timeout_s=900)
            self._deploy()
        self.failed = False

    def _power_cycle(self) -> None:
        for node in NODES:
            self.lab.localcloud("fault", node, "heal")
            self.lab.localcloud("fault", node, "power-off")
        for node in NODES:
            self.lab.localcloud("fault", node, "power-on")
        for node in NODES:
            wait_until(
                lambda node=node: self.lab.on(node, "systemctl is-system-running", check=False).strip(),
                {"running", "degraded"}.__contains__,
                deadline_s=_BOOT_S,
                what=f"boot of {node}",
            )

    def _deploy(self) -> None:
        self.up()
        wait_until(
            lambda: self.lab.masters(VIRTUAL_IP, list(NODES)),
            lambda masters: len(masters) == 1,
            deadline_s=30,
            what=f"one node holds {VIRTUAL_IP}",
        )
        self.lab.operator("tandem", "health", "--stack", "local")
