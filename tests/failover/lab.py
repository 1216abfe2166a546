"""Two nodes with real nginx, keepalived, nftables and health daemons in network namespaces, without systemd.

A node is a network and a mount namespace with its own /run, /var/log, /var/lib/tandem and /etc; its processes are
children of the test and end with it. The test's namespace is the client. Nothing of it has a name on the host.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

PROGRAMS = Path(__file__).resolve().parents[2] / "provisioning" / "programs"
PYTHON = next((path for path in ("/usr/bin/python3",) if Path(path).exists()), sys.executable)
ADDRESSES = {"a": "10.0.4.20", "b": "10.0.4.21"}
CLIENT = "10.0.4.1"
VIRTUAL_IP = "10.0.4.99"
SETTINGS: dict[str, Any] = {
    "interval_s": 0.1, "patience_s": 0.25, "rise": 2, "fault": -254, "lowered": -10, "disk": "/var/lib/nginx",
    "upstreams": ["/etc/nginx/conf.d/upstreams.conf"], "services": [], "routers": [],
}  # fmt: skip
_PRIVATE = ("/run", "/var/log", "/var/lib/tandem", "/etc/nginx", "/etc/keepalived")
_HOLD = "for d in {private}; do mkdir -p $d; mount -t tmpfs none $d; done; mkdir -p /run/tandem /var/log/nginx; echo ready; exec sleep 600"  # noqa: E501 - one shell command


def wait_until(condition: Callable[[], Any], what: str, deadline_s: float = 5) -> float:
    """Wait for a condition. Returns the time that it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < deadline_s, f"{what}: not within {deadline_s} s"
        time.sleep(0.005)
    return time.monotonic() - began


class Namespace:
    """A network and a mount namespace, held by a process."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.programs: list[subprocess.Popen[bytes]] = []
        command = ["unshare", "--net", "--mount", "--propagation=private", "sh", "-c"]
        self._holder = subprocess.Popen(
            [*command, _HOLD.format(private=" ".join(_PRIVATE))],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        stack.callback(_kill, self._holder)
        assert self._holder.stdout is not None
        with self._holder.stdout as output:
            assert output.readline() == "ready\n"
        self.run("ip", "link", "set", "lo", "up")

    @property
    def pid(self) -> int:
        return self._holder.pid

    def command(self, *words: str) -> list[str]:
        return ["nsenter", "--target", str(self.pid), "--net", "--mount", "--", *words]

    def run(self, *words: str, text: str = "", check: bool = True) -> str:
        result = subprocess.run(
            self.command(*words), input=text, text=True, capture_output=True, check=False, timeout=30
        )
        assert not check or result.returncode == 0, f"{' '.join(words)}: {result.stderr}{result.stdout}"
        return result.stdout

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a program. It ends with the test."""
        output = None if "TANDEM_TEST_OUTPUT" in os.environ else subprocess.DEVNULL
        child = subprocess.Popen(self.command(*words), stdout=output, stderr=output, start_new_session=True)
        self._stack.callback(_kill, child)
        self.programs.append(child)
        return child

    def write(self, path: str, text: str) -> None:
        self.run("sh", "-c", f"mkdir -p $(dirname {path}); cat > {path}", text=text)

    def read(self, path: str) -> str:
        return self.run("cat", path, check=False).strip()


class Node(Namespace):
    def __init__(self, stack: ExitStack, name: str) -> None:
        super().__init__(stack)
        self.name, self.address = name, ADDRESSES[name]
        self.peer = next(address for other, address in ADDRESSES.items() if other != name)

    def value(self) -> str:
        return self.read("/run/tandem/nginx")

    def write_nginx(self, *servers: str) -> None:
        """Configure nginx: the page of the health checks, and what is given for the http block."""
        self.write("/etc/nginx/nginx.conf", f"""
worker_processes 2;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log info;
events {{ worker_connections 256; }}
http {{
    access_log off;
    server {{
        listen 80;
        location = /healthz {{ return 200 "ok\\n"; }}
        location = /healthz/able {{ alias /run/tandem/able; }}
    }}
    {" ".join(servers)}
}}
""")  # fmt: skip

    def set_able(self, *, able: bool) -> None:
        """What the node's own daemon tells those of its peers."""
        self.run("sh", "-c", "echo > /run/tandem/able" if able else "rm /run/tandem/able")

    def start_nginx(self) -> subprocess.Popen[bytes]:
        child = self.start("nice", "-n", "-5", "nginx", "-g", "daemon off;")
        wait_until(lambda: self.read("/run/nginx.pid"), "nginx")
        return child

    def nginx_pids(self) -> list[int]:
        main = int(self.read("/run/nginx.pid"))
        workers = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        return [main, *map(int, workers)]

    def signal_nginx(self, number: int) -> None:
        for pid in self.nginx_pids():
            os.kill(pid, number)

    def start_daemon(self, **settings: Any) -> subprocess.Popen[bytes]:
        self.write("/etc/nginx/health.json", json.dumps({**SETTINGS, "peers": [self.peer], **settings}))
        program = f"import sys; sys.path[0] = {str(PROGRAMS)!r}; from health_daemon.daemon import main; main()"
        return self.start("nice", "-n", "-10", PYTHON, "-BSEc", program, "/etc/nginx/health.json")


class Lab:
    def __init__(self, stack: ExitStack) -> None:
        """The network is a bridge; the client has an address on it."""
        self.net = Namespace(stack)
        self.net.run("ip", "link", "add", "br0", "type", "bridge")
        self.net.run("ip", "address", "add", f"{CLIENT}/24", "dev", "br0")
        self.net.run("ip", "link", "set", "br0", "up")
        self.a, self.b = (Node(stack, name) for name in ADDRESSES)
        for node in (self.a, self.b):
            port = f"p{node.name}"
            self.net.run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(node.pid))
            self.net.run("ip", "link", "set", port, "master", "br0", "up")
            node.run("ip", "address", "add", f"{node.address}/24", "dev", "eth0")
            node.run("ip", "link", "set", "eth0", "up")

    def unplug(self, node: Node) -> None:
        """Cut a node off, as a power-off does: nothing answers any more."""
        self.net.run("ip", "link", "set", f"p{node.name}", "down")

    def plug(self, node: Node) -> None:
        self.net.run("ip", "link", "set", f"p{node.name}", "up")


def _kill(child: subprocess.Popen[Any]) -> None:
    """Kill a program and its children: each has its own session."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait(10)


@contextmanager
def new_lab() -> Generator[Lab]:
    with ExitStack() as stack:
        yield Lab(stack)
