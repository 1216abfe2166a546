"""Time and memory of machines, by the command, as a person sees them.

    python tests/benchmarks/machines.py [--counts 2 6] [--image img-debian12]

For each count: time of `localcloud up` (images there), from RunInstances until all log in by key, memory of the
machines (resident, without page cache) and of the daemon, processor use of all of it at rest, time of `down`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_TESTS / "localcloud"), str(_TESTS.parent)]

from machines.command import LocalCloud  # noqa: E402

_AT_REST_S = 20.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[2, 6])
    parser.add_argument("--image", default="img-debian12")
    options = parser.parse_args()
    print(
        f"{'machines':<10}{'up s':>8}{'ready s':>9}{'MiB each':>10}{'daemon MiB':>12}{'CPU at rest':>13}{'down s':>8}"
    )
    for count in options.counts:
        found = _measure(count, options.image)
        print(
            f"{count:<10}{found['up_s']:>8.1f}{found['ready_s']:>9.1f}{found['machine_mib']:>10.0f}"
            f"{found['daemon_mib']:>12.0f}{found['cpu_share']:>13.1%}{found['down_s']:>8.1f}"
        )
        print(json.dumps({"machines": count, **found}), file=sys.stderr)
    return 0


def _measure(count: int, image: str) -> dict[str, float]:
    cloud = LocalCloud("bench")
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
        cpu_share = (_cpu_s(cloud) - before) / _AT_REST_S
        machines = [machine["memory_mib"] for machine in cloud.status()["machines"]]
        daemon = _daemon_mib(cloud)
    finally:
        began = time.monotonic()
        cloud.down()
        down_s = time.monotonic() - began
    return {
        "up_s": up_s, "ready_s": ready_s, "machine_mib": sum(machines) / count, "daemon_mib": daemon,
        "cpu_share": cpu_share, "down_s": down_s,
    }  # fmt: skip


_BANNER = """
import socket, sys
with socket.create_connection((sys.argv[1], 22), 1) as s: sys.exit(not s.recv(20).startswith(b"SSH-2.0"))
"""


def _cpu_s(cloud: LocalCloud) -> float:
    ticks = 0
    for pid in cloud.processes():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / 100


def _daemon_mib(cloud: LocalCloud) -> float:
    (pid,) = [pid for pid, line in cloud.processes().items() if "localcloud.daemon" in line]
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


if __name__ == "__main__":
    sys.exit(main())
