"""The fixed catalog: regions, zones, instance types and images."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Image:
    """A public image. `user` is the user account to which cloud-init adds the keys."""

    image_id: str
    name: str
    os_name: str
    platform: str
    size_gib: int
    description: str = ""


@dataclass(frozen=True, slots=True)
class InstanceType:
    name: str
    cpu: int
    memory_gib: int


IMAGES = (
    Image("img-debian12", "Debian 12", "Debian 12.0 64bit", "Debian", 10, "plain Debian 12"),
    Image("img-services", "Debian 12 with services", "Debian 12.0 64bit", "Debian", 10, "with the services' packages"),
    Image("img-debian13", "Debian 13 with services", "Debian 13.0 64bit", "Debian", 10, "with the services' packages"),
)

ZONES: dict[str, tuple[str, ...]] = {
    "ap-guangzhou": ("ap-guangzhou-3", "ap-guangzhou-4", "ap-guangzhou-6", "ap-guangzhou-7"),
    "ap-shanghai": ("ap-shanghai-2", "ap-shanghai-3", "ap-shanghai-4", "ap-shanghai-5"),
    "ap-beijing": ("ap-beijing-3", "ap-beijing-5", "ap-beijing-6", "ap-beijing-7"),
}

# Size: cores, GiB.
_SIZES = {
    "SMALL1": (1, 1),
    "SMALL2": (1, 2),
    "SMALL4": (1, 4),
    "MEDIUM2": (2, 2),
    "MEDIUM4": (2, 4),
    "MEDIUM8": (2, 8),
    "LARGE8": (4, 8),
    "LARGE16": (4, 16),
    "2XLARGE16": (8, 16),
    "2XLARGE32": (8, 32),
}
INSTANCE_TYPES = {
    f"{family}.{size}": InstanceType(f"{family}.{size}", *figures)
    for family in ("S5", "SA2", "S6")
    for size, figures in _SIZES.items()
}
