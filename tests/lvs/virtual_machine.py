"""Runs a command on a Debian kernel under QEMU, with this host's files below a writable layer. Needs no KVM.

For what the kernel of the host does not have, such as IPVS.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

BUSYBOX = "/bin/busybox"  # of busybox-static
_QEMU = "qemu-system-x86_64"
_KERNEL_PACKAGE = "linux-image-amd64"
_ROOT_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
_MEMORY_MIB = 768

# The root file system of the host, which the guest cannot write to, below a layer in memory.
_INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /host /layer /new
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
for module in {modules}; do /bin/busybox insmod /modules/$module; done
/bin/busybox mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 host /host
/bin/busybox mount -t tmpfs layer /layer
/bin/busybox mkdir -p /layer/upper /layer/work
/bin/busybox mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work overlay /new
/bin/busybox mount -t proc proc /new/proc
/bin/busybox mount -t sysfs sys /new/sys
/bin/busybox mount -t devtmpfs dev /new/dev
/bin/busybox mount -t tmpfs run /new/run
/bin/busybox mount -t tmpfs tmp /new/var/tmp
/bin/busybox mkdir -p /new/lib/modules
/bin/busybox mount --bind /new{kernel}/lib/modules /new/lib/modules
echo /modprobe > /proc/sys/kernel/modprobe
/bin/busybox chroot /new {command}
/bin/busybox poweroff -f
"""

# The kernel calls it when a module needs another one, outside the changed root.
_MODPROBE = """#!/bin/busybox sh
exec /bin/busybox chroot /new /bin/busybox modprobe "$@"
"""


def kernel(cache: Path) -> Path:
    """The folder with Debian's kernel and its modules. Downloads the package if the cache has none."""
    found = sorted(cache.glob("*/boot/vmlinuz-*"))
    if found:
        return found[-1].parents[1]
    cache.mkdir(parents=True, exist_ok=True)
    shown = subprocess.run(["apt-cache", "depends", _KERNEL_PACKAGE], capture_output=True, text=True, check=True).stdout
    package = next(name for name in re.findall(r"linux-image-[0-9]\S+", shown))
    subprocess.run(["apt-get", "download", "-qq", package], cwd=cache, check=True)
    (archive,) = cache.glob(f"{package}_*.deb")
    folder = cache / package
    subprocess.run(["dpkg-deb", "--extract", str(archive), str(folder)], check=True)
    archive.unlink()
    (modules,) = (folder / "lib/modules").iterdir()
    subprocess.run([BUSYBOX, "depmod", "-b", str(folder), modules.name], check=True)
    return folder


def run(command: str, kernel_folder: Path, work: Path, timeout_s: float) -> str:
    """Boot, run a command as root, and power off. Returns what the console showed."""
    image = work / "initramfs"
    _write_initramfs(image, kernel_folder, command)
    (boot,) = kernel_folder.glob("boot/vmlinuz-*")
    arguments = [
        _QEMU, "-m", str(_MEMORY_MIB), "-smp", "2", "-accel", "tcg,thread=multi", "-cpu", "max", "-nographic",
        "-no-reboot", "-nodefaults", "-serial", "stdio", "-net", "none", "-kernel", str(boot), "-initrd", str(image),
        "-append", "console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off random.trust_cpu=on",
        "-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap",
    ]  # fmt: skip
    done = subprocess.run(
        arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=True,
        timeout=timeout_s,
    )  # fmt: skip
    return done.stdout


def _write_initramfs(image: Path, kernel_folder: Path, command: str) -> None:
    root = image.with_suffix(".d")
    (root / "bin").mkdir(parents=True)
    (root / "modules").mkdir()
    shutil.copy(BUSYBOX, root / "bin/busybox")
    (modules,) = (kernel_folder / "lib/modules").iterdir()
    names: list[str] = []
    for path in _in_order(modules):
        shutil.copy(modules / path, root / "modules")
        names.append(Path(path).name)
    init = _INIT.format(modules=" ".join(names), kernel=kernel_folder, command=command)
    for name, text in {"init": init, "modprobe": _MODPROBE}.items():
        (root / name).write_text(text)
        (root / name).chmod(0o755)
    files = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    with image.open("wb") as target:
        subprocess.run(
            [BUSYBOX, "cpio", "-o", "-H", "newc"], cwd=root, input=files.encode(), stdout=target,
            stderr=subprocess.DEVNULL, check=True,
        )  # fmt: skip


def _in_order(modules: Path) -> list[str]:
    """The files of the modules that the root file system needs, each after those that it depends on."""
    known: dict[str, list[str]] = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, needed = line.partition(":")
        known[Path(path).name.partition(".")[0].replace("-", "_")] = [*reversed(needed.split()), path]
    found = [path for name in _ROOT_MODULES for path in known.get(name, [])]  # others are compiled in
    return list(dict.fromkeys(found))


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tandem" / "kernel"
