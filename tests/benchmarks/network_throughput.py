"""Compares the throughput of internet -> EIP -> HAVIP -> instance with a plain veth to the same nginx.

    python tests/benchmarks/network_throughput.py [--seconds 3] [--rounds 3] [--json FILE]

Requires root, wrk (apt-get install wrk) and the images of `localcloud up`. Exits with 1 below one of these shares of
the veth's rate: 80 % for new TLS connections, 55 % for new plain and for kept-alive ones; or when 1,000 rules lower
the rate by more than 10 %. The path through the cloud adds routing in two namespaces, conntrack twice (router: NAT;
bridge: security groups) and the bridge's rules. NAT and conntrack limit new plain connections to about 66 %.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import time
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "localcloud"), str(Path(__file__).resolve().parents[2])]

from network.lab import ANYWHERE, PLACES, PUBLIC, Lab

from localcloud.infrastructure import Rule, SecurityGroup
from localcloud.network import names
from localcloud.network.links import links_inside

_NEAR, _FAR = IPv4Address("198.51.100.129"), IPv4Address("198.51.100.130")
_SERVER = """
server {
  listen 80 default_server; listen 443 ssl default_server;
  ssl_certificate /etc/nginx/bench.pem; ssl_certificate_key /etc/nginx/bench.key;
  ssl_session_tickets off; ssl_session_cache off; access_log off; keepalive_requests 1000000;
  location / { return 200 "7 bytes"; }
}
"""
_KINDS = {
    "new plain": ("http", True),
    "new TLS": ("https", True),
    "kept-alive plain": ("http", False),
    "kept-alive TLS": ("https", False),
}
_LEAST = {"new plain": 0.55, "new TLS": 0.80, "kept-alive plain": 0.55, "kept-alive TLS": 0.55}
_LEAST_WITH_RULES = 0.90


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    lab = Lab(image="img-services", machines=("ann",))
    try:
        lab.open()
        _prepare(lab)
        found = _measure(lab, options.seconds, options.rounds)
    finally:
        lab.close()
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return _judge(found)


def _prepare(lab: Lab) -> None:
    lab.must("ann", "sh", "-c", "cat >/etc/nginx/sites-enabled/default", text=_SERVER)
    certificate = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 9 -subj /CN=bench "
        "-keyout /etc/nginx/bench.key -out /etc/nginx/bench.pem 2>/dev/null && systemctl restart nginx"
    )
    lab.must("ann", "sh", "-c", certificate)
    lab.configure(rules=(_group(()),), groups={"ann": ("sg-bench",)}, bandwidth_mbps=0)
    lab.announce("ann")
    # The reference path: one veth from the client to the instance that bypasses the emulated network.
    with links_inside(lab.infrastructure.namespaces, names.INTERNET) as links:
        links.ensure_pair(
            "plain", peer="plain", peer_namespace=lab.infrastructure.namespaces.path(PLACES["ann"].instance_id)
        )
        links.set_up("plain")
        links.add_address("plain", _NEAR, 30)
    with links_inside(lab.infrastructure.namespaces, PLACES["ann"].instance_id) as links:
        links.set_up("plain")
        links.add_address("plain", _FAR, 30)


def _group(before: tuple[Rule, ...]) -> SecurityGroup:
    web = Rule("ACCEPT", "TCP", ((80, 80), (443, 443)), (ANYWHERE,))
    return SecurityGroup("sg-bench", (*before, web), (Rule("ACCEPT", "ALL", (), (ANYWHERE,)),))


def _thousand() -> tuple[Rule, ...]:
    return tuple(
        Rule("DROP" if number % 2 else "ACCEPT", "TCP", ((2000 + number, 2000 + number),), (_network(number),))
        for number in range(999)
    )


def _network(number: int) -> IPv4Network:
    return IPv4Network((int(IPv4Address("11.0.0.0")) + (number << 12), 20))


def _measure(lab: Lab, seconds: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return the medians of all rounds. Paths are measured in succession, so other load on the host affects both."""
    rates: dict[str, dict[str, list[float]]] = {kind: {"veth": [], "cloud": [], "rules": []} for kind in _KINDS}
    for number in range(rounds):
        for kind in _KINDS:
            # Alternate the order, so that no path always runs with the remaining load of the same other one.
            for path in ("veth", "cloud", "rules")[:: -1 if number % 2 else 1]:
                before = _thousand() if path == "rules" else ()
                lab.configure(rules=(_group(before),), groups={"ann": ("sg-bench",)}, bandwidth_mbps=0)
                time.sleep(0.3)  # the kernel is still freeing the previous rules
                target = _FAR if path == "veth" else PUBLIC
                rates[kind][path].append(_rate(lab, kind, target, seconds))
    found: dict[str, dict[str, float]] = {}
    for kind, paths in rates.items():
        found[kind] = {path: statistics.median(each) for path, each in paths.items()}
        found[kind]["share"] = _median_share(paths["cloud"], paths["veth"])
        found[kind]["kept"] = _median_share(paths["rules"], paths["cloud"])
        found[kind]["worst share"] = min(_shares(paths["cloud"], paths["veth"]))
        found[kind]["worst kept"] = min(_shares(paths["rules"], paths["cloud"]))
    return found


def _median_share(parts: list[float], wholes: list[float]) -> float:
    return statistics.median(_shares(parts, wholes))


def _shares(parts: list[float], wholes: list[float]) -> list[float]:
    return [part / whole for part, whole in zip(parts, wholes, strict=True)]


def _rate(lab: Lab, kind: str, target: IPv4Address, seconds: int) -> float:
    scheme, new = _KINDS[kind]
    words = ["wrk", "-t1", "-c32", f"-d{seconds}s"]
    if new:
        words += ["-H", "Connection: close"]
    done = lab.client(*words, f"{scheme}://{target}/")
    match = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    if match is None or "Non-2xx" in done.stdout:
        message = f"wrk to {target}: {done.stdout}{done.stderr}"
        raise RuntimeError(message)
    return float(match[1])


def _judge(found: dict[str, dict[str, float]]) -> int:
    missed = 0
    heads = f"{'veth':>10}{'cloud':>10}{'share':>8}{'worst':>7}{'1,000 rules':>13}{'of cloud':>10}{'worst':>7}"
    print(f"{'requests/s':<18}{heads}")
    for kind, paths in found.items():
        share, kept = paths["share"], paths["kept"]
        fine = share >= _LEAST[kind] and kept >= _LEAST_WITH_RULES
        missed += not fine
        path = f"{kind:<18}{paths['veth']:>10.0f}{paths['cloud']:>10.0f}{share:>8.0%}{paths['worst share']:>7.0%}"
        row = f"{path}{paths['rules']:>13.0f}{kept:>10.0%}{paths['worst kept']:>7.0%}"
        print(row, "" if fine else f"  below {_LEAST[kind]:.0%} or {_LEAST_WITH_RULES:.0%}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
