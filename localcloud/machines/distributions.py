"""Which images there are. Another distribution (Ubuntu, TencentOS) would be one more row here.

What the API says of an image is beside its other prices, in `state/catalog.py`: a test tells when one has no other.

A row needs: a codename that the host's package sources carry, and a builder that makes a root file system of it
(`builder.py` knows Debian's; TencentOS would bring a dnf one beside it).
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


@dataclass(frozen=True, slots=True)
class Image:
    """How to make an image. `parent` is the image whose files it adds to (a layer), or None for a whole system."""

    image_id: str
    title: str
    codename: str
    packages: tuple[str, ...]
    parent: str | None = None
    # Installed but not running at boot: which of them a machine runs is for whoever sets the machine up to say.
    disabled_units: tuple[str, ...] = ()


IMAGES: dict[str, Image] = {
    image.image_id: image
    for image in (
        Image("img-debian12", "Debian Server 12 64bit", "bookworm", _DEBIAN_PACKAGES),
        Image(
            "img-services",
            "Debian Server 12 64bit with nginx, keepalived, MariaDB and Redis",
            "bookworm",
            _SERVICE_PACKAGES,
            parent="img-debian12",
            disabled_units=("nginx.service", "keepalived.service", "mariadb.service", "redis-server.service"),
        ),
    )
}


def lineage(image_id: str) -> tuple[Image, ...]:
    """The image and what it stands on, top first. Raises KeyError for an unknown image."""
    image = IMAGES[image_id]
    return (image, *lineage(image.parent)) if image.parent else (image,)
