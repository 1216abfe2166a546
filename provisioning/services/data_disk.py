"""The data disk of the databases. It is kept when its node is replaced, and attached to the new node.

The disk is mounted once, and the directory of each database is bind-mounted at the path of its package. The
configuration of the databases therefore does not depend on the disk.
"""

from __future__ import annotations

from provisioning import placeholders
from provisioning.deployment import Deployment, Node
from provisioning.kinds.base import Item, restart
from provisioning.kinds.file import File
from provisioning.kinds.file_system import FileSystem
from provisioning.kinds.first_content import FirstContent
from provisioning.kinds.unit import Unit
from provisioning.rendering import render
from provisioning.services.packages import packages
from settings.data import DataLocation

MOUNT_POINT = "/srv/tandem"


def databases(deployment: Deployment) -> tuple[tuple[str, str, str], ...]:
    """The package of each database, its unit, and the directory of its files."""
    redis = deployment.distribution.family.redis_unit
    return ("mariadb-server", "mariadb", "/var/lib/mysql"), ("redis-server", redis, "/var/lib/redis")


def desired(deployment: Deployment, node: Node) -> list[Item]:
    if node != deployment.data_node:
        return []
    device = f"/dev/disk/by-id/virtio-{placeholders.placeholder(placeholders.DATA_DISK_ID)}"
    items: list[Item] = [
        FileSystem(device),
        File("/etc/systemd/system/tandem-disk.service", render("data_disk/tandem-disk.service.j2", device=device)),
        *_mount(MOUNT_POINT, device, kind="ext4", options="noatime"),
    ]
    for package, unit, path in databases(deployment):
        on_disk = f"{MOUNT_POINT}/{unit}"
        items += [
            *packages(deployment, package),
            FirstContent(on_disk, path, unit),
            File(
                f"/etc/systemd/system/{unit}.service.d/data-disk.conf",
                render("data_disk/needs.conf.j2", path=path),
                after=(restart(unit),),
            ),
            *_mount(path, on_disk, kind="none", options="bind"),
        ]
    return items


def mount_unit(where: str) -> str:
    """The unit name that systemd requires for a mount point (systemd.mount(5)). These paths need no escaping."""
    return where.strip("/").replace("/", "-") + ".mount"


def _mount(where: str, what: str, *, kind: str, options: str) -> list[Item]:
    unit = mount_unit(where)
    below = "" if what.startswith("/dev/") else MOUNT_POINT
    text = render("data_disk/mount.j2", where=where, what=what, type=kind, options=options, below=below)
    return [File(f"/etc/systemd/system/{unit}", text), Unit(unit)]


def desired_after_move(deployment: Deployment, node: Node) -> list[Item]:
    """Stop the databases after the data has moved, then unmount their directories, then the disk.

    Packages and files are kept, so `data.location: first-node` can use them again.
    """
    if deployment.data.location is not DataLocation.MOVED or node != deployment.nodes[0]:
        return []
    return [
        *(_off(unit) for _, unit, _ in databases(deployment)),
        *(_off(mount_unit(path)) for _, _, path in databases(deployment)),
        _off(mount_unit(MOUNT_POINT)),
    ]


def _off(unit: str) -> Unit:
    return Unit(unit, enabled=False, running=False)
