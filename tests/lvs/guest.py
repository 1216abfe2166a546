"""Runs inside the virtual machine: two directors, two real servers and a client as network namespaces.

Prints one line of JSON for each observation. Standard library only. Argument: the folder with the configurations.
"""

from __future__ import annotations

import itertools
import json
import shlex
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

BUSYBOX = "/bin/busybox"
VIP = "10.0.4.99"
DIRECTORS = {"iam-a": "10.0.4.20", "iam-b": "10.0.4.21"}
REAL_SERVERS = {"iam-c": "10.0.4.22", "iam-d": "10.0.4.23"}
CLIENT = {"client": "10.0.4.50"}
PORTS = {"rr": 80, "wrr": 81, "persistent": 82}
_SERVE = """
import socketserver, sys
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(sys.argv[1].encode())
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
import threading
for port in sys.argv[2:]:
    threading.Thread(target=Server(("", int(port)), Handler).serve_forever).start()
"""


def say(name: str, value: object) -> None:
    print(f"OBSERVED {json.dumps({name: value})}", flush=True)


def call(*arguments: str) -> str:
    return subprocess.run(arguments, stdout=subprocess.PIPE, text=True, check=True).stdout


def inside(name: str, *arguments: str) -> list[str]:
    return ["ip", "netns", "exec", name, *arguments]


def wait_until(condition: Callable[[], object], deadline_s: float) -> float | None:
    """Return the time that it took, or None if the condition did not become true."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > deadline_s:
            return None
        time.sleep(0.1)
    return round(time.monotonic() - began, 1)


def make_network() -> None:
    for module in ("veth", "bridge", "ip_vs", "ip_vs_rr", "ip_vs_wrr"):
        call(BUSYBOX, "modprobe", module)
    call("ip", "link", "add", "br0", "type", "bridge")
    call("ip", "link", "set", "br0", "up")
    for name, address in {**DIRECTORS, **REAL_SERVERS, **CLIENT}.items():
        call("ip", "netns", "add", name)
        call("ip", "link", "add", f"p-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
        call("ip", "link", "set", f"p-{name}", "master", "br0", "up")
        call("ip", "-n", name, "link", "set", "lo", "up")
        call("ip", "-n", name, "address", "add", f"{address}/24", "dev", "eth0")
        call("ip", "-n", name, "link", "set", "eth0", "up")


def set_up_real_server(name: str, unit: Path) -> None:
    """Run the commands of the rendered unit."""
    for line in unit.read_text().splitlines():
        if line.startswith("ExecStart="):
            call(*inside(name, *shlex.split(line.removeprefix("ExecStart="))))


def serve(name: str) -> subprocess.Popen[bytes]:
    ports = [str(port) for port in PORTS.values()]
    return subprocess.Popen(inside(name, sys.executable, "-c", _SERVE, name, *ports))


def start_keepalived(name: str, folder: Path) -> subprocess.Popen[bytes]:
    root = folder / name
    command = ["keepalived", "--dont-fork", "--log-console", "--log-detail"]
    for option, path in {"-f": "etc/keepalived/keepalived.conf", "-p": "pid", "-r": "vrrp", "-c": "checkers"}.items():
        command += [option, str(root / path)]
    with (root / "log").open("ab") as log:
        return subprocess.Popen(inside(name, *command), stdout=log, stderr=subprocess.STDOUT)


def holds(name: str) -> bool:
    return VIP in call("ip", "-n", name, "-4", "address", "show", "dev", "eth0")


def real_servers(name: str, port: int) -> int:
    """How many real servers the kernel of a director has for a virtual server."""
    count, mine = 0, False
    for line in call(*inside(name, "cat", "/proc/net/ip_vs")).splitlines():
        if line.startswith("TCP"):
            mine = line.split()[1].endswith(f":{port:04X}")
        count += mine and line.lstrip().startswith("->") and "Route" in line and line.split()[3] != "0"
    return count


def ask(port: int) -> str:
    """The name of the real server that answers, or "" if none does."""
    try:
        with socket.create_connection((VIP, port), 2) as connection:
            return connection.recv(100).decode()
    except OSError:
        return ""


def ask_from_client(port: int, count: int, pause_s: float = 0.0) -> list[tuple[float, str]]:
    """Ask from the client's namespace. Returns the time and the answer of each request."""
    script = f"""
import sys, time; sys.path.insert(0, {str(Path(__file__).parent)!r})
from guest import ask
for _ in range({count}):
    print(time.monotonic(), ask({port}), flush=True); time.sleep({pause_s})
"""
    lines = call(*inside("client", sys.executable, "-c", script)).splitlines()
    return [(float(line.split(" ")[0]), line.partition(" ")[2]) for line in lines]


def main(folder: Path) -> None:
    make_network()
    say("kernel", call("uname", "-r").strip())
    for name in REAL_SERVERS:
        set_up_real_server(name, folder / f"{name}.service")
    servers = {name: serve(name) for name in REAL_SERVERS}
    for name in DIRECTORS:
        start_keepalived(name, folder)
        (folder / name / "run/tandem/nginx").write_text("0\n")
        if name == "iam-a":
            say("iam-a becomes master", wait_until(lambda: holds("iam-a"), 60))
    ready = all(
        wait_until(lambda port=port: real_servers("iam-a", port) == 2, 60) is not None for port in PORTS.values()
    )
    say("real servers are there", ready)
    wait_until(lambda: real_servers("iam-b", PORTS["rr"]) == 2, 60)

    say("rr", Counter(answer for _, answer in ask_from_client(PORTS["rr"], 20)))
    say("wrr", Counter(answer for _, answer in ask_from_client(PORTS["wrr"], 40)))
    say("persistent", Counter(answer for _, answer in ask_from_client(PORTS["persistent"], 10)))
    neighbours = json.loads(call("ip", "-n", "client", "-j", "neighbour", "show", VIP))
    (link,) = json.loads(call("ip", "-n", "iam-a", "-j", "link", "show", "eth0"))
    say("the client knows the MAC address of the director", neighbours[0]["lladdr"] == link["address"])

    servers["iam-d"].kill()
    say("a dead real server is removed", wait_until(lambda: real_servers("iam-a", PORTS["rr"]) == 1, 60))
    say("after its removal", Counter(answer for _, answer in ask_from_client(PORTS["rr"], 10)))
    servers["iam-d"] = serve("iam-d")
    say("it returns", wait_until(lambda: real_servers("iam-a", PORTS["rr"]) == 2, 60))

    with subprocess.Popen(
        inside("client", sys.executable, "-c", _KEEP_ASKING.format(path=str(Path(__file__).parent), port=PORTS["rr"])),
        stdout=subprocess.PIPE, text=True,
    ) as asking:  # fmt: skip
        time.sleep(5)
        call("ip", "link", "set", "p-iam-a", "down")
        say("the other director takes over", wait_until(lambda: holds("iam-b"), 60))
        lines = (asking.communicate()[0] or "").splitlines()
    answered = [float(line.split(" ")[0]) for line in lines if line.partition(" ")[2]]
    say("longest time without an answer", round(max(b - a for a, b in itertools.pairwise(answered)), 1))
    say("answers at the end", len(lines[-5:]) == 5 and all(line.partition(" ")[2] for line in lines[-5:]))


_KEEP_ASKING = """
import sys, time; sys.path.insert(0, {path!r})
from guest import ask
until = time.monotonic() + 30
while time.monotonic() < until:
    print(time.monotonic(), ask({port}), flush=True); time.sleep(0.1)
"""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
