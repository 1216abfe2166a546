"""`make test-fresh`: README's two commands, typed on a Debian 12 machine that has nothing yet."""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.fresh.client_settings import read_client_settings
from tests.fresh.host import find_running_clouds, remove_leftovers
from tests.fresh.machine import FreshMachine
from tests.fresh.readme import README, find_commands
from tests.fresh.root import clone, make_root

REPOSITORY = README.parent
RESULTS = REPOSITORY / ".tandem" / "fresh"
# Part of every name that a localcloud gives to what the whole kernel shares, such as control groups.
CLOUD = "fresh"


def main() -> int:
    options = _parse(sys.argv[1:])
    if os.geteuid() != 0:
        return _refuse("this needs root: try `sudo make test-fresh`")
    clouds = find_running_clouds()
    if clouds and not options.beside:
        return _refuse(f"localcloud {', '.join(clouds)} runs on this host: `make down` first")
    # Not below /tmp: the disks of the nodes and the build of Pulumi need more than a tmpfs has.
    directory = Path(tempfile.mkdtemp(prefix="tandem-fresh-", dir="/var/tmp"))
    try:
        return _try(directory, options)
    finally:
        remove_leftovers(directory, CLOUD)
        if options.keep:
            print(f"kept: {directory}")
        else:
            shutil.rmtree(directory)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/test-fresh", description=__doc__)
    parser.add_argument("--only", metavar="TESTS", help="instead of `make test`: only these, as pytest takes them")
    parser.add_argument("--keep", action="store_true", help="keep the fresh machine's files")
    parser.add_argument("--beside", action="store_true", help="beside a running localcloud: figures mean nothing")
    return parser.parse_args(arguments)


def _try(directory: Path, options: argparse.Namespace) -> int:
    root = directory / "root"
    settings = read_client_settings(os.environ)
    print("fresh: making a minimal Debian 12 ...", flush=True)
    make_root(root, settings)
    commit = clone(REPOSITORY, root)
    commands = find_commands(README.read_text())
    if options.only is not None:
        commands = [f"{line} TESTS={shlex.quote(options.only)}" if line == "make test" else line for line in commands]
    log = directory / "log"
    log.write_text(
        f"fresh: commit {commit}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} CPUs, "
        f"Linux {platform.release()}\n"
    )
    code = FreshMachine(root, {**settings.environment, "LOCALCLOUD_NAME": CLOUD}).run(commands, log)
    RESULTS.mkdir(parents=True, exist_ok=True)
    result = RESULTS / f"{commit[:12]}.log"
    shutil.copyfile(log, result)
    print("\n".join(line for line in log.read_text(errors="replace").splitlines() if line.startswith("fresh: ")))
    print(f"log: {result}")
    return code


def _refuse(reason: str) -> int:
    print(f"test-fresh: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
