"""The available images. Another distribution (Ubuntu, TencentOS) is one more row here.

The attributes that the API returns for an image are in `rules/catalog.py`; a test checks that every image has them.

A row needs a codename that the servers of the host's package sources have, and a builder of its root file system
(`builder.py` has Debian's; TencentOS would need one that uses dnf).
"""

from __future__ import annotations

from dataclasses import dataclass

_DEBIAN_PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "openssh-server",
    "cloud-init",
    "sudo",
    "python3",
    "python3-apt",
    "iproute2",
    "iputils-ping",
    "iputils-arping",
    "nftables",
    "procps",
    "psmisc",
    "netbase",
    "ca-certificates",
    "curl",
    "openssl",
    "less",
    "nano",
    "e2fsprogs",
    "logrotate",
)

_SERVICE_PACKAGES = (
    "nginx",
    "libnginx-mod-stream",
    "keepalived",
    "mariadb-server",
    "redis-server",
    "python3-pymysql",
    "python3-redis",
    "python3-bcrypt",
    "python3-yaml",
    "python3-jwt",
    "python3-msgpack",
)


_SERVICE_UNITS = ("nginx.service", "keepalived.service", "mariadb.service", "redis-server.service")
BASE = "bookworm"  # the release of the host, whose sources have the other ones too


@dataclass(frozen=True, slots=True)
class Image:
    """The recipe of an image. `parent` is the image that a layer is built on, or None for a complete system."""

    image_id: str
    codename: str
    packages: tuple[str, ...]
    parent: str | None = None
    # Installed but not started at boot: the provisioning of the instance decides which of them run.
    disabled_units: tuple[str, ...] = ()


IMAGES: dict[str, Image] = {
    image.image_id: image
    for image in (
        Image("img-debian12", BASE, _DEBIAN_PACKAGES),
        Image(
            "img-services",
            BASE,
            _SERVICE_PACKAGES,
            parent="img-debian12",
            disabled_units=_SERVICE_UNITS,
        ),
        Image(
            "img-debian13", "trixie", (*_DEBIAN_PACKAGES, *_SERVICE_PACKAGES), disabled_units=_SERVICE_UNITS,
        ),
    )
}  # fmt: skip
ON_REQUEST = frozenset({"img-debian13"})  # built by `localcloud up --image` only


def lineage(image_id: str) -> tuple[Image, ...]:
    """Return the image and its ancestors, topmost first. Raises KeyError for an unknown image."""
    image = IMAGES[image_id]
    return (image, *lineage(image.parent)) if image.parent else (image,)
