"""Measures the time from power-on to a login by key, for one instance and for two in parallel.

    python tests/benchmarks/boot.py [--rounds 10] [--image img-debian12]

Each round is a first boot from a fresh disk, with cloud-init. Requires root, ssh and the images of `localcloud up`.
Exits with 1 when the worst time exceeds 3 s (one instance) or 4 s (the slower of two).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "localcloud"), str(Path(__file__).resolve().parents[2])]

from network.lab import PLACES, Lab

_LIMITS = {1: 3.0, 2: 4.0}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--image", default="img-debian12")
    options = parser.parse_args()
    lab = Lab(image=options.image, machines=("ann", "bob"))
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        try:
            lab.infrastructure.listen(lab)
            lab.infrastructure.open()
            lab.configure()
            for count, limit in _LIMITS.items():
                times = [max(_boot(lab, ("ann", "bob")[:count], key)) for _ in range(options.rounds)]
                missed += max(times) > limit
                shown = ", ".join(f"{each:.2f}" for each in times)
                found = f"median {statistics.median(times):.2f} s, worst {max(times):.2f} s"
                print(f"{count} in parallel: {found} until the slowest login ({shown}; limit {limit:g} s)")
        finally:
            lab.close()
    return 1 if missed else 0


def _boot(lab: Lab, names: tuple[str, ...], key: Path) -> list[float]:
    for name in names:
        lab.infrastructure.destroy_machine(PLACES[name].instance_id)
    times: list[float] = []

    def boot(name: str) -> None:
        began = time.monotonic()
        lab.infrastructure.start_machine(
            replace(lab.spec(name), public_keys=(key.with_suffix(".pub").read_text().strip(),))
        )
        command = ["ssh", "-i", str(key), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        command += ["-o", "BatchMode=yes", "-o", "ConnectTimeout=1", f"debian@{PLACES[name].address}", "true"]
        while lab.operator(*command).returncode:
            assert time.monotonic() - began < 60, f"{name}: no login within 60 s"
            time.sleep(0.02)
        times.append(time.monotonic() - began)

    threads = [threading.Thread(target=boot, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


if __name__ == "__main__":
    sys.exit(main())
