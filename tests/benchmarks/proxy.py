"""`make bench-proxy`: nginx as this program configures it, beside lecture 001's configuration, on the same node.

    python -m tests.benchmarks.proxy [--seconds 5] [--rounds 3] [--json FILE]

Both run as separate nginx processes on iam-a of a localcloud, on ports of their own, in front of the same two servers
that answer with 15 bytes. Client: wrk in the internet namespace, through the EIP. In each round both are measured one
after the other, in alternating order; figures are medians. Requires root, wrk and the packages of `localcloud doctor`.
Exits with 1 if a goal is missed, or if a response is an error.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.end_to_end.lab import ROOT, Lab, new_cloud, wait_until

NODE, PEER = "iam-a", "iam-b"
LECTURE = ROOT / "tests" / "seed" / "lecture-001" / "nginx"
BACKEND_PORT = 8100
# Ports of the two configurations: plain, TLS.
PORTS = {"lecture": (8101, 8102), "tandem": (8103, 8104)}
IDLE_CONNECTIONS = 10_000
_POLICY = ("Protocol", "Port", "CidrBlock", "SecurityGroupId", "Action", "PolicyDescription")
LEAST_TIMES = 3.0  # requests/s at 64 plain connections
MOST_OF_P99 = 0.5
_WRONG = "Non-2xx"  # in the report of wrk; nginx sends an error faster than the response of a server
_NEVER_WORSE = 0.95  # of a ratio, with the variation between two runs of the same configuration

_BACKEND = f"""
worker_processes 1; pid /run/bench-backend.pid; error_log /dev/null;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000;
    default_type application/json;
    server {{ listen {BACKEND_PORT} backlog=4096; location / {{ return 200 '{{"status":"ok"}}'; }} }}
}}
"""
_TLS = "ssl_certificate /etc/nginx/tls/api.pem; ssl_certificate_key /etc/nginx/tls/api.key;"


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of wrk."""

    rate: float  # requests/s
    p99_ms: float
    errors: str
    nginx_s: float  # processor time of that nginx during the run
    host_s: float  # and of all processes of this host: client, network, both nginx, servers behind


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with new_cloud("benchp") as lab:
        lab.up()
        bench = Bench(lab, options.seconds)
        bench.prepare()
        found = {kind: bench.measure(kind, options.rounds) for kind in KINDS}
        memory = {name: bench.idle_memory(name) for name in PORTS}
    if options.json:
        options.json.write_text(json.dumps({"requests": found, "idle": memory}, indent=2) + "\n")
    return report(found, memory)


# Scheme, connections, and whether each request opens a new connection.
KINDS: Mapping[str, tuple[str, int, bool]] = {
    "plain, 1 connection": ("http", 1, False),
    "plain, 64 connections": ("http", 64, False),
    "TLS, 1 connection": ("https", 1, False),
    "TLS, 64 connections": ("https", 64, False),
    "new TLS connections": ("https", 64, True),
}


class Bench:
    def __init__(self, lab: Lab, seconds: int) -> None:
        self._lab, self._seconds = lab, seconds
        self._public = lab.outputs()["public_ip"]

    def prepare(self) -> None:
        """Start both configurations on the master, and the servers behind them on both nodes."""
        wait_until(
            lambda: self._lab.masters("10.0.4.99", [NODE, PEER]), [NODE].__eq__, deadline_s=20, what=f"{NODE} is master"
        )
        self._open_ports()
        for node in (NODE, PEER):
            self._start(node, "backend", {"nginx.conf": _BACKEND})
        self._start(NODE, "lecture", lecture_files())
        self._start(NODE, "tandem", tandem_files(self._read_product()))

    def _read_product(self) -> dict[str, str]:
        names = ("nginx.conf", "conf.d/upstreams.conf", "conf.d/iam-apiserver.conf")
        return {name: self._lab.on(NODE, f"cat /etc/nginx/{name}") for name in names}

    def _start(self, node: str, name: str, files: Mapping[str, str]) -> None:
        folder = f"/etc/bench-{name}"
        for path, text in files.items():
            self._lab.on(node, f"mkdir -p $(dirname {folder}/{path}) && cat > {folder}/{path} <<'END'\n{text}\nEND\n")
        # A unit of its own: the processor time is read from its control group.
        self._lab.on(
            node,
            f"systemd-run --quiet --collect --unit=bench-{name} -p CPUAccounting=yes -p LimitNOFILE=65536 "
            f"nginx -c {folder}/nginx.conf -g 'daemon off;' && sleep 0.5 && systemctl is-active bench-{name}",
        )

    def _open_ports(self) -> None:
        """Open the ports of the benchmark in the nodes' security group and packet filter."""
        groups = json.loads(self._lab.operator("tccli", "vpc", "DescribeSecurityGroups").stdout)["SecurityGroupSet"]
        rule = {"Protocol": "TCP", "Port": "8101-8104", "CidrBlock": "0.0.0.0/0", "Action": "ACCEPT"}
        for group in groups:
            chosen = ("--SecurityGroupId", group["SecurityGroupId"])
            shown = self._lab.operator("tccli", "vpc", "DescribeSecurityGroupPolicies", *chosen).stdout
            policies = {
                direction: [
                    {name: value for name, value in each.items() if name in _POLICY and value} for each in found
                ]
                for direction, found in json.loads(shown)["SecurityGroupPolicySet"].items()
                if direction in ("Ingress", "Egress")
            }
            policies["Ingress"].insert(0, rule)
            given = ("--SecurityGroupPolicySet", json.dumps(policies))
            self._lab.operator("tccli", "vpc", "ModifySecurityGroupPolicies", *chosen, *given)
        for node in (NODE, PEER):
            self._lab.on(node, f"nft insert rule inet tandem from_nodes tcp dport {BACKEND_PORT} accept")

    def measure(self, kind: str, rounds: int) -> dict[str, dict[str, Any]]:
        runs: dict[str, list[Measured]] = {name: [] for name in PORTS}
        for number in range(rounds):
            for name in list(PORTS)[:: -1 if number % 2 else 1]:
                runs[name].append(self._wrk(kind, name))
        return {
            name: {
                "rate": statistics.median(run.rate for run in each),
                "p99_ms": statistics.median(run.p99_ms for run in each),
                "cores": statistics.median(run.nginx_s / self._seconds for run in each),
                "nginx_us": statistics.median(1e6 * run.nginx_s / run.rate / self._seconds for run in each),
                "host_us": statistics.median(1e6 * run.host_s / run.rate / self._seconds for run in each),
                "errors": " ".join(sorted({run.errors for run in each if run.errors})),
            }
            for name, each in runs.items()
        }

    def _wrk(self, kind: str, name: str) -> Measured:
        scheme, connections, new = KINDS[kind]
        port = PORTS[name][scheme == "https"]
        host = "iam.api.marmotedu.com" if name == "lecture" else "iam.api.example.com"
        words = ["wrk", "-t1", f"-c{connections}", f"-d{self._seconds}s", "--latency", "-H", f"Host: {host}"]
        words += ["-H", "Connection: close"] if new else []
        before, host_before = self._processor_s(name), busy_s()
        output = self._lab.client(*words, f"{scheme}://{self._public}:{port}/healthz").stdout
        host_s = busy_s() - host_before
        return parse_wrk(output, self._processor_s(name) - before, host_s)

    def _processor_s(self, name: str) -> float:
        shown = self._lab.on(NODE, f"systemctl show --property=CPUUsageNSec --value bench-{name}").strip()
        if shown.isdigit():
            return int(shown) / 1e9
        # Without accounting in this hierarchy: the times of the unit's processes, in ticks of 10 ms.
        script = (
            f"main=$(systemctl show --property=MainPID --value bench-{name}); "
            "for pid in $main $(pgrep -P $main); do cut -d' ' -f14,15 /proc/$pid/stat; done"
        )
        return sum(int(ticks) for ticks in self._lab.on(NODE, script).split()) / 100

    def idle_memory(self, name: str) -> dict[str, float]:
        """Memory of nginx's processes (PSS) for idle plain connections, as many as the configuration accepts."""
        before = self._memory_kib(name)
        client = (
            "import socket, sys, time, resource\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))\n"
            "kept = []\n"
            "for number in range(int(sys.argv[3])):\n"
            "    try:\n"
            "        new = socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)\n"
            "        new.sendall(b'GET /healthz HTTP/1.1\\r\\nHost: ' + sys.argv[4].encode() + b'\\r\\n\\r\\n')\n"
            "        if not new.recv(64).startswith(b'HTTP/1.1 200'): break\n"
            "        kept.append(new)\n"
            "    except OSError: break\n"
            "print(len(kept), flush=True)\n"
            "sys.stdin.readline()\n"
        )
        host = "iam.api.marmotedu.com" if name == "lecture" else "iam.api.example.com"
        command = [
            str(Path(sys.executable).with_name("localcloud")), "client", "--", sys.executable, "-c", client,
            self._public, str(PORTS[name][0]), str(IDLE_CONNECTIONS), host,
        ]  # fmt: skip
        environment = {"LOCALCLOUD_NAME": self._lab.name, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        ) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            opened = int(process.stdout.readline())
            after = self._memory_kib(name)
            process.stdin.close()
        return {"connections": opened, "before_mib": before / 1024, "after_mib": after / 1024}

    def _memory_kib(self, name: str) -> int:
        script = (
            f"main=$(systemctl show --property=MainPID --value bench-{name}); "
            "for pid in $main $(pgrep -P $main); do grep ^Pss: /proc/$pid/smaps_rollup; done"
        )
        return sum(int(line.split()[1]) for line in self._lab.on(NODE, script).splitlines())


def lecture_files() -> dict[str, str]:
    """The lecture's files with the ports and paths of the benchmark, and the least lines for TLS."""
    plain, tls = PORTS["lecture"]
    main = (LECTURE / "nginx.conf").read_text().replace("/etc/nginx/conf.d", "/etc/bench-lecture/conf.d")
    main = main.replace("127.0.0.1:8080", f"127.0.0.1:{BACKEND_PORT}").replace(
        "10.0.4.21:8080", f"10.0.4.21:{BACKEND_PORT}"
    )
    site = (LECTURE / "conf.d" / "iam-apiserver.conf").read_text()
    listens = f"listen {plain};\n    listen {tls} ssl;\n    {_TLS}"
    return {
        "nginx.conf": f"pid /run/bench-lecture.pid;\n{main}",
        "conf.d/iam-apiserver.conf": re.sub(r"listen +80;", listens, site),
    }


def tandem_files(product: Mapping[str, str]) -> dict[str, str]:
    """The product's files with the ports and paths of the benchmark; its server for TLS also listens without TLS."""
    plain, tls = PORTS["tandem"]
    main = product["nginx.conf"].replace("/etc/nginx/conf.d", "/etc/bench-tandem/conf.d")
    site = product["conf.d/iam-apiserver.conf"]
    # The first server only redirects from http to https.
    maps, *parts = site.split("\nserver {")
    servers = [f"server {{{part}" for part in parts]
    serving = next(server for server in servers if "listen 443" in server)
    serving = re.sub(r"listen 443 ssl[^;]*;", f"listen {plain}; listen {tls} ssl http2;", serving)
    return {
        "nginx.conf": re.sub(r"^pid .*;", "pid /run/bench-tandem.pid;", main, flags=re.MULTILINE),
        "conf.d/upstreams.conf": re.sub(r":8080\b", f":{BACKEND_PORT}", product["conf.d/upstreams.conf"]),
        "conf.d/iam-apiserver.conf": f"{maps}\n{serving}",
    }


def busy_s() -> float:
    """The processor time that this host has used since its boot."""
    user, nice, system, _idle, _waiting, irq, soft_irq, *_ = Path("/proc/stat").read_text().split()[1:]
    return sum(map(int, (user, nice, system, irq, soft_irq))) / os.sysconf("SC_CLK_TCK")


def parse_wrk(output: str, nginx_s: float, host_s: float) -> Measured:
    """Raises RuntimeError if wrk measured nothing."""
    rate, p99 = re.search(r"Requests/sec:\s+([\d.]+)", output), re.search(r"99%\s+([\d.]+)(us|ms|s)", output)
    if rate is None or p99 is None or float(rate[1]) == 0:
        raise RuntimeError(f"wrk must report a rate (got {output!r})")
    unit = {"us": 0.001, "ms": 1.0, "s": 1000.0}[p99[2]]
    errors = re.findall(r"Socket errors:.*|Non-2xx.*", output)
    return Measured(float(rate[1]), float(p99[1]) * unit, "; ".join(errors), nginx_s, host_s)


def report(found: Mapping[str, Mapping[str, Mapping[str, Any]]], memory: Mapping[str, Mapping[str, float]]) -> int:
    """Print the table. Returns the exit code."""
    print(f"{'':<24}{'lecture 001':>30}{'this program':>30}{'rate':>8}{'p99':>8}")
    missed = 0
    for kind, paths in found.items():
        lecture, tandem = paths["lecture"], paths["tandem"]
        rate, p99 = tandem["rate"] / lecture["rate"], tandem["p99_ms"] / lecture["p99_ms"]
        fine = rate >= LEAST_TIMES and p99 <= MOST_OF_P99 if kind == "plain, 64 connections" else rate >= _NEVER_WORSE
        fine = fine and not any(_WRONG in each["errors"] for each in paths.values())
        missed += not fine
        cells = "".join(
            f"{each['rate']:>10.0f}/s {each['p99_ms']:>7.2f} ms {each['cores']:>5.2f} c" for each in (lecture, tandem)
        )
        print(f"{kind:<24}{cells}{rate:>7.2f}x{p99:>7.2f}x{'' if fine else '  MISSED'}")
        for name, each in paths.items():
            if each["errors"]:
                print(f"  {name}: {each['errors']}")
    for name, each in memory.items():
        print(
            f"{name}: {each['connections']:.0f} of {IDLE_CONNECTIONS} idle connections, "
            f"{each['before_mib']:.1f} -> {each['after_mib']:.1f} MiB"
        )
    print("c: cores that nginx used\nprocessor time per request, of nginx and of this host in all:")
    for kind, paths in found.items():
        most = paths["lecture"]["host_us"] / paths["tandem"]["host_us"]
        cells = "".join(f"{each['nginx_us']:>14.0f} of {each['host_us']:>4.0f} us" for each in paths.values())
        print(f"{kind:<24}{cells}   on cores that all share at most {most:.2f}x")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
