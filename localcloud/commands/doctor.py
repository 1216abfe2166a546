"""`localcloud doctor`: requirements that this host does not meet, and the command that installs them."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from localcloud.errors import HostError
from localcloud.host_tools import FILES, TOOLS
from localcloud.machines.distributions import BASE
from localcloud.package_sources import sources_for

_FREE_BYTES = 4 * 1024**3


@dataclass(frozen=True, slots=True)
class Problem:
    what: str
    remedy: str
    packages: tuple[str, ...] = ()


def doctor(
    *, install: Annotated[bool, typer.Option("--install", help="Install missing packages with apt-get.")] = False
) -> None:
    """List what this host lacks and the command that installs it. Exit code 1 if anything is missing."""
    problems = list(find_problems())
    packages = sorted({package for problem in problems for package in problem.packages})
    if install and packages:
        _install(packages)
        problems = list(find_problems())
    for problem in problems:
        typer.echo(f"missing: {problem.what}\n    {problem.remedy}")
    if problems:
        raise typer.Exit(1)
    typer.echo("this host meets all requirements of localcloud")


def require_tools() -> None:
    """Raises HostError, with all problems, before any file is created."""
    problems = list(find_problems())
    if problems:
        text = "".join(f"\n  {problem.what}\n      {problem.remedy}" for problem in problems)
        raise HostError(f"this host does not meet the requirements of localcloud:{text}")


def find_problems() -> Iterator[Problem]:
    """List all problems. Root comes first: other checks may fail without it."""
    if platform.system() != "Linux":
        yield Problem(f"Linux (this is {platform.system()})", "run it on a Linux host or in a virtual machine")
        return
    if os.geteuid() != 0:
        yield Problem("root", "run it with sudo")
    yield from _missing_packages()
    yield from _missing_kernel_features()
    if not Path("/etc/hosts").exists():
        yield Problem("/etc/hosts, which is the mount point of the API's names", "echo 127.0.0.1 localhost >/etc/hosts")
    try:
        sources_for(BASE)
    except (HostError, OSError) as error:
        yield Problem("package sources of Debian 12", str(error))
    place = next(path for path in (Path("/var/cache/localcloud"), Path("/var/cache"), Path("/")) if path.exists())
    free = shutil.disk_usage(place).free
    if free < _FREE_BYTES:
        yield Problem(f"disk space: {free / 1024**3:.1f} GiB free at {place}", "images and disks need 4 GiB")


def _missing_packages() -> Iterator[Problem]:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    missing: dict[str, list[str]] = {}
    for tool, package in TOOLS.items():
        if shutil.which(tool, path=path) is None:
            missing.setdefault(package, []).append(tool)
    for file, package in FILES.items():
        if not Path(file).exists():
            missing.setdefault(package, []).append(file)
    for package, parts in missing.items():
        yield Problem(f"{', '.join(parts)} (package {package})", f"apt-get install {package}", (package,))


def _missing_kernel_features() -> Iterator[Problem]:
    known = Path("/proc/filesystems").read_text().split()
    for kind in ("overlay", "ext4"):
        if kind not in known and _load(kind):
            yield Problem(f"{kind} file system in the kernel", f"modprobe {kind}")
    if not Path("/dev/loop-control").exists() and _load("loop"):
        yield Problem("loop devices (/dev/loop-control)", "modprobe loop")
    if not Path("/proc/self/ns/net").exists():
        yield Problem("network namespaces in the kernel", "use a kernel with CONFIG_NET_NS")
    if not Path("/proc/sys/net/bridge").exists() and _load("br_netfilter"):
        yield Problem("br_netfilter, which makes security groups stateful", "modprobe br_netfilter")


def _load(module: str) -> bool:
    """Load a kernel module. Returns True on failure."""
    modprobe = shutil.which("modprobe", path="/sbin:/usr/sbin:/bin:/usr/bin")
    return modprobe is None or subprocess.run([modprobe, module], check=False, capture_output=True).returncode != 0


def _install(packages: list[str]) -> None:
    if os.geteuid() != 0:
        raise HostError(f"installing {' '.join(packages)} requires root: run `sudo localcloud doctor --install`")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    typer.echo(f"installing {' '.join(packages)}")
    for command in (
        ["apt-get", "-q", "update"],
        ["apt-get", "-q", "-y", "--no-install-recommends", "install", *packages],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            tail = "\n  ".join((done.stdout + done.stderr).splitlines()[-10:])
            raise HostError(f"{' '.join(command)} exited with {done.returncode}:\n  {tail}")
