"""`make test-fresh`: README's two commands, typed on a Debian 12 machine that has nothing yet."""

from __future__ import annotations

import argparse
import fcntl
import os
import platform
import re
import shlex
import shutil
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from operations.cli import find_cli
from tests.fresh.client_settings import read_client_settings
from tests.fresh.host import find_running_clouds, remove_leftovers
from tests.fresh.machine import FreshMachine
from tests.fresh.readme import README, find_commands
from tests.fresh.root import clone, make_root, warm

REPOSITORY = README.parent
RESULTS = REPOSITORY / ".tandem" / "fresh"
# Part of every name that a localcloud gives to what the whole kernel shares, such as control groups.
CLOUD = "fresh"
LOCK = Path("/run/tandem-test-fresh.lock")


def main() -> int:
    options = _parse(sys.argv[1:])
    if os.geteuid() != 0:
        return _refuse("this needs root: try `sudo make test-fresh`")
    clouds = find_running_clouds()
    if clouds and not options.beside:
        return _refuse(f"localcloud {', '.join(clouds)} runs on this host: `make down` first")
    lock = LOCK.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _refuse("another one runs on this host")
    signal.signal(signal.SIGTERM, _stop)
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


def _stop(number: int, frame: object) -> NoReturn:
    """End as by Ctrl-C, so that what the run has on this host is removed."""
    del frame
    sys.exit(128 + number)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/test-fresh", description=__doc__)
    parser.add_argument("--only", metavar="TESTS", help="instead of `make test`: only these, as pytest takes them")
    parser.add_argument("--warm", action="store_true", help="with this host's pulumi and images: a quick try")
    parser.add_argument("--keep", action="store_true", help="keep the fresh machine's files")
    parser.add_argument("--beside", action="store_true", help="beside a running localcloud: figures mean nothing")
    return parser.parse_args(arguments)


def _try(directory: Path, options: argparse.Namespace) -> int:
    root = directory / "root"
    settings = read_client_settings(os.environ)
    print("fresh: making a minimal Debian 12 ...", flush=True)
    make_root(root, settings)
    commit = clone(REPOSITORY, root)
    if options.warm:
        warm(root, find_cli(os.environ) / "pulumi")
    commands = find_commands(README.read_text())
    if options.only is not None:
        commands = [f"{line} TESTS={shlex.quote(options.only)}" if line == "make test" else line for line in commands]
    log = directory / "log"
    began = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} CPUs, Linux {platform.release()}"
    log.write_text(f"fresh: commit {commit}{' (warm)' if options.warm else ''}, {began}\n")
    code = FreshMachine(root, {**settings.environment, "LOCALCLOUD_NAME": CLOUD}).run(commands, log)
    RESULTS.mkdir(parents=True, exist_ok=True)
    result = RESULTS / f"{commit[:12]}.log"
    shutil.copyfile(log, result)
    print("\n".join(_summary(log.read_text(errors="replace"))))
    print(f"log: {result}")
    return code


def _summary(log: str) -> list[str]:
    """What a page of measurements needs: commit, host, seconds of each command and pytest's own count."""
    return [line for line in log.splitlines() if re.match(r"fresh: |(=+ )?\d+ (passed|failed)", line)]


def _refuse(reason: str) -> int:
    print(f"test-fresh: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
