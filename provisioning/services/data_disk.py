"""The databases' own disk: it outlives its node, and brings its data to the next one.

The disk is mounted once, and each database's directory on it is bound to where the package expects it: so no
configuration, and nobody who looks for the files, has to know of the disk.
"""

from __future__ import annotations

from provisioning import placeholders
from provisioning.deployment import Deployment, Node
from provisioning.kinds.base import Thing, restart
from provisioning.kinds.file import File
from provisioning.kinds.file_system import FileSystem
from provisioning.kinds.first_content import FirstContent
from provisioning.kinds.package import Package
from provisioning.kinds.unit import Unit
from provisioning.rendering import render
from settings.data import DataLocation

MOUNT_POINT = "/srv/tandem"
# (package, unit, where it keeps its files)
DATABASES = (("mariadb-server", "mariadb", "/var/lib/mysql"), ("redis-server", "redis-server", "/var/lib/redis"))


def desired(deployment: Deployment, node: Node) -> list[Thing]:
    if node != deployment.data_node:
        return []
    device = f"/dev/disk/by-id/virtio-{placeholders.placeholder(placeholders.DATA_DISK_ID)}"
    things: list[Thing] = [
        FileSystem(device),
        File("/etc/systemd/system/tandem-disk.service", render("data_disk/tandem-disk.service.j2", device=device)),
        *_mount(MOUNT_POINT, device, kind="ext4", options="noatime"),
    ]
    for package, unit, path in DATABASES:
        on_disk = f"{MOUNT_POINT}/{unit}"
        things += [
            Package(package),
            FirstContent(on_disk, path, unit),
            File(
                f"/etc/systemd/system/{unit}.service.d/data-disk.conf",
                render("data_disk/needs.conf.j2", path=path),
                after=(restart(unit),),
            ),
            *_mount(path, on_disk, kind="none", options="bind"),
        ]
    return things


def mount_unit(where: str) -> str:
    """The name that systemd wants, made of the path (systemd.mount); none of ours has a character to escape."""
    return where.strip("/").replace("/", "-") + ".mount"


def _mount(where: str, what: str, *, kind: str, options: str) -> list[Thing]:
    unit = mount_unit(where)
    below = "" if what.startswith("/dev/") else MOUNT_POINT
    text = render("data_disk/mount.j2", where=where, what=what, type=kind, options=options, below=below)
    return [File(f"/etc/systemd/system/{unit}", text), Unit(unit)]


def desired_after_move(deployment: Deployment, node: Node) -> list[Thing]:
    """The databases stop before their directories are unmounted, and these before the disk that they are bound to.

    Their packages and files stay: `data.location: first-node` finds them again.
    """
    if deployment.data.location is not DataLocation.MOVED or node != deployment.nodes[0]:
        return []
    return [
        *(_off(unit) for _, unit, _ in DATABASES),
        *(_off(mount_unit(path)) for _, _, path in DATABASES),
        _off(mount_unit(MOUNT_POINT)),
    ]


def _off(unit: str) -> Unit:
    return Unit(unit, enabled=False, running=False)
