"""Measures time and memory of instances, with the `localcloud` command.

    python tests/benchmarks/instances.py [--counts 2 6] [--image img-debian12]

For each count: time of `localcloud up` (with cached images), time from the first request until the sshd of the last
instance responds, time of `down`, and, when idle, CPU use (100 % is one core) and memory. Memory of an instance:
  held   anonymous memory of its control group (`rss` of memory.stat): the cost of one more instance
  PSS    all pages of its processes, systemd-nspawn and the runner included; a shared page is divided by its users
  RSS    as PSS, without the division: the C library counts once for each process
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_TESTS / "localcloud"), str(_TESTS.parent)]

from machines.command import LocalCloud

_AT_REST_S = 20.0
_COLUMNS = {
    "up_s": "up s", "ready_s": "ready s", "held_mib": "held MiB", "pss_mib": "PSS MiB", "rss_mib": "RSS MiB",
    "daemon_mib": "daemon MiB", "cpu_instances": "instances CPU", "cpu_daemon": "daemon CPU", "down_s": "down s",
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[2, 6])
    parser.add_argument("--image", default="img-debian12")
    options = parser.parse_args()
    print("instances" + "".join(f"{title:>14}" for title in _COLUMNS.values()))
    for count in options.counts:
        found = _measure(count, options.image)
        shown = (f"{found[key]:>14.1%}" if key.startswith("cpu") else f"{found[key]:>14.1f}" for key in _COLUMNS)
        print(f"{count:<9}" + "".join(shown))
        print(json.dumps({"instances": count, **found}), file=sys.stderr)
    return 0


def _measure(count: int, image: str) -> dict[str, float]:
    cloud = LocalCloud("mbench")
    cloud.down()
    try:
        began = time.monotonic()
        cloud.up()
        up_s = time.monotonic() - began
        began = time.monotonic()
        cloud.pair(image, count)
        for number in range(count):
            while cloud.run("exec", "--", "python3", "-c", _BANNER, f"10.0.4.{20 + number}").returncode:
                time.sleep(0.05)
        ready_s = time.monotonic() - began
        time.sleep(10)
        before = _cpu_s(cloud)
        time.sleep(_AT_REST_S)
        cpu = {what: (spent - before[what]) / _AT_REST_S for what, spent in _cpu_s(cloud).items()}
        held = sum(instance["memory_mib"] for instance in cloud.status()["machines"]) / count
        pss, rss = (_mib(_of_instances(cloud), field) / count for field in ("Pss", "Rss"))
        daemon = _mib(_of_daemon(cloud), "Pss")
    finally:
        began = time.monotonic()
        cloud.down()
        down_s = time.monotonic() - began
    return {
        "up_s": up_s, "ready_s": ready_s, "held_mib": held, "pss_mib": pss, "rss_mib": rss, "daemon_mib": daemon,
        "cpu_instances": cpu["instances"], "cpu_daemon": cpu["daemon"], "down_s": down_s,
    }  # fmt: skip


_BANNER = """
import socket, sys
with socket.create_connection((sys.argv[1], 22), 1) as s: sys.exit(not s.recv(20).startswith(b"SSH-2.0"))
"""


def _of_daemon(cloud: LocalCloud) -> list[int]:
    return [pid for pid, line in cloud.processes().items() if "localcloud.daemon" in line]


def _of_instances(cloud: LocalCloud) -> list[int]:
    return [pid for pid, line in cloud.processes().items() if "localcloud.daemon" not in line]


def _cpu_s(cloud: LocalCloud) -> dict[str, float]:
    return {"daemon": _ticks(_of_daemon(cloud)) / 100, "instances": _ticks(_of_instances(cloud)) / 100}


def _ticks(pids: list[int]) -> int:
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks


def _mib(pids: list[int], field: str) -> float:
    kib = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        kib += sum(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
    return kib / 1024


if __name__ == "__main__":
    sys.exit(main())
