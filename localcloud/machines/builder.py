"""Builds images: a Debian tree by mmdebstrap, or a layer of packages upon another image.

Everything is built in a directory that only its last rename makes an image; mounts live in a mount namespace of
their own. So a build that is killed at any point leaves one stale directory, which the next build removes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from localcloud.errors import ImageError
from localcloud.machines.distributions import Image
from localcloud.machines.image_files import MASKED_UNITS, base_files
from localcloud.package_sources import apt_options, sources_for

Report = Callable[[str], None]

# Part of every recipe: raise it when this file makes something else of the same packages.
RECIPE_VERSION = 1
_PROGRESS_S = 10.0

_UNSHARED = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc")

# Documentation and translations are 90 MiB of an image that nobody reads.
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
# invoke-rc.d asks this file whether it may start a service: not while an image is made.
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
    """Make `target`/root: the image's tree, or its layer above `lower` (top first).

    Raises:
        ImageError: a step failed; its output's end is in the message.
    """
    sources = sources_for(image.codename)
    root = target / "root"
    root.mkdir(parents=True)
    listing = target / "sources.list"
    listing.write_text("".join(source.line() + "\n" for source in sources))
    if image.parent is None:
        report(f"{image.image_id}: fetching and unpacking {len(image.packages)} packages and what they need")
        _build_system(image, root, listing, report)
        _write_files(root, base_files(image.codename))
        for unit in MASKED_UNITS:
            _mask(root, unit)
        report(f"{image.image_id}: tidying up")
    else:
        report(f"{image.image_id}: adding {len(image.packages)} packages to {image.parent}")
        _build_layer(image, target, lower, listing, report)
        for unit in image.disabled_units:
            _disable(root, lower, unit)
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
        # The archives are left in a place that goes away with the build.
        'Dir::Cache "/tmp/apt";',
        'Dir::State::lists "/tmp/apt/lists";',
        # _apt may not enter a directory of root's; there is nobody else in here.
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
    """Run one step; every `progress_s` say how long it has been running and its last line. Raises ImageError."""
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
            f"image {image.image_id} was not built: {command[len(_UNSHARED)]} ended with {code}\n  {tail}\n"
            f"  look at: this host's package sources (`apt-get update` must work), free disk space; then try again"
        )


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").replace("\r", "\n").split("\n")
    return next((line.strip()[:80] for line in reversed(lines) if line.strip()), "")


def _as_statement(option: str) -> str:
    key, _, value = option.partition("=")
    return f'{key} "{value}"'


def _write_files(root: Path, files: dict[str, str]) -> None:
    for leftover in root.glob("etc/apt/sources.list.d/*"):
        leftover.unlink()  # the host's sources: a machine reaches the mirror in its VPC alone
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


def _disable(root: Path, lower: list[Path], unit: str) -> None:
    """Take the unit out of every target's wants; its aliases go as well, as `systemctl disable` does it."""
    del lower  # the links were made by the packages of this very layer
    system = root / "etc/systemd/system"
    for link in list(system.rglob("*")):
        if link.is_symlink() and link.readlink().name == unit and link.parent != system / "sockets.target.wants":
            link.unlink()


def _remove_identity(root: Path) -> None:
    """What must not be the same on two machines, and what building has left behind."""
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
