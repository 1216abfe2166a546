"""The `localcloud` command as an operator runs it, and a check for what it leaves on the host."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_REPOSITORY = Path(__file__).resolve().parents[3]
_PAIR = Path(__file__).with_name("pair.py")


_CALL = """
import json, os, sys
from tencentcloud.common import credential
from tencentcloud.common.common_client import CommonClient
service, version, action, parameters = sys.argv[1:]
identity = credential.Credential(os.environ["TENCENTCLOUD_SECRET_ID"], os.environ["TENCENTCLOUD_SECRET_KEY"])
client = CommonClient(service, version, identity, os.environ["TENCENTCLOUD_REGION"])
print(json.dumps(client.call_json(action, json.loads(parameters))["Response"]))
"""


@dataclass(frozen=True)
class LocalCloud:
    """One cloud with a separate name."""

    name: str

    def run(self, *words: str, timeout_s: float = 120, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.words(*words),
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env=self.env(),
        )

    def words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "localcloud.main", *words]

    def env(self) -> dict[str, str]:
        return {**os.environ, "LOCALCLOUD_NAME": self.name, "PYTHONPATH": str(_REPOSITORY)}

    def must(self, *words: str, timeout_s: float = 120) -> str:
        done = self.run(*words, timeout_s=timeout_s)
        assert done.returncode == 0, f"localcloud {' '.join(words)}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def up(self, *words: str) -> str:
        return self.must("up", *words)

    def down(self, *words: str) -> str:
        return self.must("down", *words)

    def status(self) -> dict[str, Any]:
        return json.loads(self.must("status", "--json"))

    def pair(self, image: str = "img-debian12", count: int = 2) -> dict[str, Any]:
        return json.loads(self.must("exec", "--", sys.executable, str(_PAIR), image, str(count)))

    def call(self, service: str, version: str, action: str, **parameters: Any) -> dict[str, Any]:
        """Send one request with the official SDK, as the operator."""
        words = ("exec", "--", sys.executable, "-c", _CALL, service, version, action, json.dumps(parameters))
        return json.loads(self.must(*words))

    def on(self, node: str, *command: str) -> str:
        return self.must("ssh", node, "--", *command)

    def processes(self) -> dict[int, str]:
        """All processes of this cloud: by cgroup, by name in the command line, by namespace."""
        found: dict[int, str] = {}
        own = {path.stat().st_ino for path in Path("/run/netns").glob(f"lc-{self.name}-*")}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                groups = (entry / "cgroup").read_text()
                network = (entry / "ns/net").stat().st_ino
            except OSError:
                continue
            daemon = f"localcloud.daemon {self.name} " in line
            if daemon or f"/localcloud/{self.name}/" in groups or f"/{self.name}/machines/" in line or network in own:
                found[int(entry.name)] = line[:120]
        return found

    def kill_everything(self) -> None:
        """Kill all processes of the cloud, as the host's out-of-memory killer might."""
        while found := self.processes():
            for pid in found:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue

    def left(self) -> dict[str, list[str]]:
        """Everything of this cloud on the host; empty after `down`."""
        # A copy of a mount in another mount namespace keeps the mounted object alive too.
        mounts = {line for path in Path("/proc").glob("[0-9]*/mountinfo") for line in _lines(path)}
        loops = subprocess.run(
            ["losetup", "--noheadings", "--output", "BACK-FILE"], capture_output=True, text=True, check=True
        )
        return {
            "processes": [f"{pid} {line}" for pid, line in self.processes().items()],
            "namespaces": [str(path) for path in Path("/run/netns").glob(f"lc-{self.name}-*")],
            "mounts": sorted(line for line in mounts if f"lc-{self.name}-" in line or f"/{self.name}/machines" in line),
            "cgroups": [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/localcloud/{self.name}")],
            "loops": [line for line in loops.stdout.splitlines() if f"/localcloud/{self.name}/" in line],
            "run": [
                str(path) for name in (self.name, f"{self.name}.lock") for path in Path("/run/localcloud").glob(name)
            ],
            "state": [str(path) for path in Path("/var/lib/localcloud").glob(self.name)],
        }


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []  # the process has ended


# Of files in memory and of the kernel. That of processes is left out: LocalCloud.left lists the cloud's own, and the
# memory of others on this host varies by gigabytes.
_HELD = {"Shmem", "SUnreclaim", "Percpu"}


def held_mib() -> float:
    """Memory of this host that cannot be reclaimed and belongs to no process."""
    rows = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return sum(int(row[1]) for row in rows if row[0].rstrip(":") in _HELD) / 1024


def host_network() -> tuple[str, str]:
    """The links and rules of the host's network, which the cloud must not change."""
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    names = "\n".join(sorted(line.split(": ")[1] for line in links.splitlines()))
    return names, subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout


NOTHING: dict[str, list[str]] = {
    kind: [] for kind in ("processes", "namespaces", "mounts", "cgroups", "loops", "run", "state")
}
