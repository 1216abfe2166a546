"""Build images: a Debian tree by mmdebstrap, or a layer of packages on top of another image.

Each build runs in a temporary directory and a private mount namespace; the last rename publishes the image. A build
that is killed leaves one stale directory, which the next build removes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from localcloud.errors import ImageError
from localcloud.machines.distributions import BASE, Image
from localcloud.machines.image_files import MASKED_UNITS, base_files
from localcloud.package_sources import apt_options, sources_for

Report = Callable[[str], None]

# Part of every recipe: increase it when this file builds something different from the same packages.
RECIPE_VERSION = 1
_PROGRESS_S = 10.0

_UNSHARED = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc")

# Documentation and translations take 90 MiB of an image and are not used.
_DPKG_OPTIONS = (
    "force-unsafe-io",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/info/*",
)

_LAYER_SCRIPT = r"""
set -eu
root=$1
mount -t overlay overlay -o "lowerdir=$2,upperdir=$3,workdir=$4" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom tty; do
  touch "$root/dev/$node"; mount --bind "/dev/$node" "$root/dev/$node"
done
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root/tmp/apt/lists/partial" "$root/tmp/apt/archives/partial"
cp "$5" "$root/tmp/apt/sources.list"
cp "$6" "$root/tmp/apt/apt.conf"
for shared in /etc/resolv.conf /etc/hosts /usr/share/keyrings /etc/ssl/certs; do
  if [ -e "$shared" ] && [ -e "$root$shared" ]; then mount --bind -o ro "$shared" "$root$shared"; fi
done
if [ -e /etc/resolv.conf ] && [ ! -e "$root/etc/resolv.conf" ]; then
  cat /etc/resolv.conf >"$root/etc/resolv.conf"; made_resolv=1
fi
# invoke-rc.d runs this file to check whether it may start a service; exit code 101 forbids it during the build.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"; chmod 755 "$root/usr/sbin/policy-rc.d"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 APT_CONFIG=/tmp/apt/apt.conf
chroot "$root" apt-get -q update
shift 6
chroot "$root" apt-get -q -y --no-install-recommends install "$@"
chroot "$root" apt-get -q clean
rm -f "$root/usr/sbin/policy-rc.d"
if [ "${made_resolv:-}" ]; then rm -f "$root/etc/resolv.conf"; fi
"""


def build(image: Image, target: Path, lower: list[Path], report: Report) -> None:
    """Build the image's tree, or its layer on top of `lower` (topmost first), in `target`/root.

    Raises:
        ImageError: a step failed; the message contains the end of its output.
    """
    sources = [replace(each, suite=each.suite.replace(BASE, image.codename)) for each in sources_for(BASE)]
    root = target / "root"
    root.mkdir(parents=True)
    listing = target / "sources.list"
    listing.write_text("".join(source.line() + "\n" for source in sources))
    if image.parent is None:
        report(f"{image.image_id}: fetching and unpacking {len(image.packages)} packages and their dependencies")
        _build_system(image, root, listing, report)
        _write_files(root, base_files(image.codename))
        for unit in MASKED_UNITS:
            _mask(root, unit)
        report(f"{image.image_id}: removing build leftovers")
    else:
        report(f"{image.image_id}: adding {len(image.packages)} packages to {image.parent}")
        _build_layer(image, target, lower, listing, report)
    for unit in image.disabled_units:
        _disable(root, unit)
    _remove_identity(root)
    for leftover in ("work", "merged", "sources.list", "apt.conf"):
        path = target / leftover
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _build_system(image: Image, root: Path, listing: Path, report: Report) -> None:
    root.rmdir()
    command = [
        *_UNSHARED,
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        "--format=directory",
        f"--include={','.join(image.packages)}",
        '--aptopt=Acquire::Languages "none"',
        "--aptopt=APT::Install-Recommends false",
        *(f"--aptopt={_as_statement(option)}" for option in apt_options()),
        *(f"--dpkgopt={option}" for option in _DPKG_OPTIONS),
        image.codename,
        str(root),
        str(listing),
    ]
    run(command, root.parent / "build.log", image, report)


def _build_layer(image: Image, target: Path, lower: list[Path], listing: Path, report: Report) -> None:
    settings = [
        'Dir::Etc::sourcelist "/tmp/apt/sources.list";',
        'Dir::Etc::sourceparts "-";',
        'Acquire::Languages "none";',
        # The archives are downloaded to a directory that is removed with the build.
        'Dir::Cache "/tmp/apt";',
        'Dir::State::lists "/tmp/apt/lists";',
        # The user _apt cannot read a directory of root's; the build has no other users to protect.
        'APT::Sandbox::User "root";',
        'Dpkg::Options { "--force-unsafe-io"; };',
        *(f"{_as_statement(option)};" for option in apt_options()),
    ]
    configuration = target / "apt.conf"
    configuration.write_text("\n".join(settings) + "\n")
    work = target / "work"
    merged = target / "merged"
    work.mkdir()
    merged.mkdir()
    command = [
        *_UNSHARED, "sh", "-c", _LAYER_SCRIPT, "build-layer",
        str(merged), ":".join(str(path) for path in lower), str(target / "root"), str(work), str(listing),
        str(configuration), *image.packages,
    ]  # fmt: skip
    run(command, target / "build.log", image, report)


def run(command: list[str], log: Path, image: Image, report: Report, *, progress_s: float = _PROGRESS_S) -> None:
    """Run one step; report its duration and last output line every `progress_s`. Raises ImageError."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "TMPDIR": str(log.parent)}
    began = time.monotonic()
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)
        try:
            while True:
                try:
                    code = process.wait(timeout=progress_s)
                except subprocess.TimeoutExpired:
                    report(f"{image.image_id}: {time.monotonic() - began:.0f} s so far: {_last_line(log)}")
                else:
                    break
        except BaseException:
            process.kill()
            process.wait()
            raise
    if code:
        tail = "\n  ".join(log.read_text(errors="replace").splitlines()[-12:])
        raise ImageError(
            f"build of {image.image_id} failed: {command[len(_UNSHARED)]} exited with {code}\n  {tail}\n"
            f"  check this host's package sources (`apt-get update` must work) and free disk space, then try again"
        )


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").replace("\r", "\n").split("\n")
    return next((line.strip()[:80] for line in reversed(lines) if line.strip()), "")


def _as_statement(option: str) -> str:
    key, _, value = option.partition("=")
    return f'{key} "{value}"'


def _write_files(root: Path, files: dict[str, str]) -> None:
    for leftover in root.glob("etc/apt/sources.list.d/*"):
        leftover.unlink()  # the host's sources: an instance can only reach the mirror in its VPC
    for name, text in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name in ("/etc/resolv.conf", "/etc/hostname"):
        (root / name.lstrip("/")).unlink(missing_ok=True)


def _mask(root: Path, unit: str) -> None:
    link = root / "etc/systemd/system" / unit
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to("/dev/null")


def _disable(root: Path, unit: str) -> None:
    """Remove the unit from every target's wants, and its aliases, as `systemctl disable` does."""
    system = root / "etc/systemd/system"
    for link in list(system.rglob("*")):
        if link.is_symlink() and link.readlink().name == unit and link.parent != system / "sockets.target.wants":
            link.unlink()


def _remove_identity(root: Path) -> None:
    """Remove host keys, machine id and other unique files, and the leftovers of the build."""
    for pattern in (
        "etc/ssh/ssh_host_*",
        "var/log/*.log",
        "var/log/apt/*",
        "var/lib/apt/lists/*_*",
        "var/cache/apt/*.bin",
    ):
        for path in root.glob(pattern):
            if path.is_file():
                path.unlink()
    machine_id = root / "etc/machine-id"
    if machine_id.exists() or not (root / "etc/systemd").exists():
        machine_id.parent.mkdir(parents=True, exist_ok=True)
        machine_id.write_text("")
    dbus_id = root / "var/lib/dbus/machine-id"
    if dbus_id.is_file() and not dbus_id.is_symlink():
        dbus_id.unlink()
