"""Time and memory of machines, by the command, as a person sees them.

    python tests/benchmarks/machines.py [--counts 2 6] [--image img-debian12]

For each count: time of `localcloud up` (images there), from the first request until the last machine's sshd answers,
time of `down`, and, at rest, processor use (100 % is one core) and memory. A machine's memory is given three ways:
  held   what its control group holds that is no file's page (`rss` of memory.stat): what another machine costs
  PSS    all pages of its processes, systemd-nspawn and the runner included, a shared page divided by those who share it
  RSS    the same without dividing: the C library counts once for each process
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
    "daemon_mib": "daemon MiB", "cpu_machines": "machines CPU", "cpu_daemon": "daemon CPU", "down_s": "down s",
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[2, 6])
    parser.add_argument("--image", default="img-debian12")
    options = parser.parse_args()
    print("machines" + "".join(f"{title:>14}" for title in _COLUMNS.values()))
    for count in options.counts:
        found = _measure(count, options.image)
        shown = (f"{found[key]:>14.1%}" if key.startswith("cpu") else f"{found[key]:>14.1f}" for key in _COLUMNS)
        print(f"{count:<8}" + "".join(shown))
        print(json.dumps({"machines": count, **found}), file=sys.stderr)
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
        held = sum(machine["memory_mib"] for machine in cloud.status()["machines"]) / count
        pss, rss = (_mib(_of_machines(cloud), field) / count for field in ("Pss", "Rss"))
        daemon = _mib(_of_daemon(cloud), "Pss")
    finally:
        began = time.monotonic()
        cloud.down()
        down_s = time.monotonic() - began
    return {
        "up_s": up_s, "ready_s": ready_s, "held_mib": held, "pss_mib": pss, "rss_mib": rss, "daemon_mib": daemon,
        "cpu_machines": cpu["machines"], "cpu_daemon": cpu["daemon"], "down_s": down_s,
    }  # fmt: skip


_BANNER = """
import socket, sys
with socket.create_connection((sys.argv[1], 22), 1) as s: sys.exit(not s.recv(20).startswith(b"SSH-2.0"))
"""


def _of_daemon(cloud: LocalCloud) -> list[int]:
    return [pid for pid, line in cloud.processes().items() if "localcloud.daemon" in line]


def _of_machines(cloud: LocalCloud) -> list[int]:
    return [pid for pid, line in cloud.processes().items() if "localcloud.daemon" not in line]


def _cpu_s(cloud: LocalCloud) -> dict[str, float]:
    return {"daemon": _ticks(_of_daemon(cloud)) / 100, "machines": _ticks(_of_machines(cloud)) / 100}


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
