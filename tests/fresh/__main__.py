"""`make test-fresh`: run the two commands of the README on a minimal Debian 12 system."""

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
from tests.fresh.readme import README, find_commands
from tests.fresh.root import clone, make_root, warm
from tests.fresh.system import FreshSystem

REPOSITORY = README.parent
RESULTS = REPOSITORY / ".tandem" / "fresh"
# localcloud uses this name for resources that are shared by the kernel, such as control groups.
CLOUD = "fresh"
LOCK = Path("/run/tandem-test-fresh.lock")


def main() -> int:
    options = _parse(sys.argv[1:])
    if os.geteuid() != 0:
        return _refuse("must run as root: try `sudo make test-fresh`")
    clouds = find_running_clouds()
    if clouds and not options.beside:
        return _refuse(f"localcloud {', '.join(clouds)} is running on this host: run `make down` first")
    lock = LOCK.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _refuse("another test-fresh is running on this host")
    signal.signal(signal.SIGTERM, _stop)
    # /tmp may be a tmpfs, which is too small for the disks of the nodes and the build of Pulumi.
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
    """End as by Ctrl-C, so that the run removes what it created on this host."""
    del frame
    sys.exit(128 + number)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/test-fresh", description=__doc__)
    parser.add_argument("--only", metavar="TESTS", help="run only these tests (pytest arguments) instead of all")
    parser.add_argument("--warm", action="store_true", help="copy pulumi and the images of this host, to save time")
    parser.add_argument("--keep", action="store_true", help="keep the files of the fresh system")
    parser.add_argument("--beside", action="store_true", help="allow a running localcloud; the times are not valid")
    return parser.parse_args(arguments)


def _try(directory: Path, options: argparse.Namespace) -> int:
    root = directory / "root"
    settings = read_client_settings(os.environ)
    print("fresh: creating a minimal Debian 12 system ...", flush=True)
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
    code = FreshSystem(root, {**settings.environment, "LOCALCLOUD_NAME": CLOUD}).run(commands, log)
    RESULTS.mkdir(parents=True, exist_ok=True)
    result = RESULTS / f"{commit[:12]}.log"
    shutil.copyfile(log, result)
    print("\n".join(_summary(log.read_text(errors="replace"))))
    print(f"log: {result}")
    return code


def _summary(log: str) -> list[str]:
    """Return the lines for docs/measurements.md: commit, host, time of each command, and the number of tests."""
    return [line for line in log.splitlines() if re.match(r"fresh: |(=+ )?\d+ (passed|failed)", line)]


def _refuse(reason: str) -> int:
    print(f"test-fresh: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
