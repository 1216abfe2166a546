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
    """The size and limits of an instance."""

    name: str
    cpu: int
    memory_gib: int
    interfaces: int = 2  # maximum number of ENIs, including the primary one
    private_addresses: int = 6  # for each ENI

    @property
    def family(self) -> str:
        """`S5` of `S5.MEDIUM4`."""
        return self.name.partition(".")[0]


IMAGES = (
    Image("img-debian12", "Debian 12", "Debian 12.0 64bit", "Debian", 10, "plain Debian 12"),
    Image(
        "img-services",
        "Debian 12 with services",
        "Debian 12.0 64bit",
        "Debian",
        10,
        "Debian 12, nginx, keepalived, MariaDB, Redis",
    ),
)

ZONES: dict[str, tuple[str, ...]] = {
    "ap-guangzhou": ("ap-guangzhou-3", "ap-guangzhou-4", "ap-guangzhou-6", "ap-guangzhou-7"),
    "ap-shanghai": ("ap-shanghai-2", "ap-shanghai-3", "ap-shanghai-4", "ap-shanghai-5"),
    "ap-beijing": ("ap-beijing-3", "ap-beijing-5", "ap-beijing-6", "ap-beijing-7"),
}
REGION_NAMES = {
    "ap-guangzhou": "South China (Guangzhou)",
    "ap-shanghai": "East China (Shanghai)",
    "ap-beijing": "North China (Beijing)",
}

# Size: cores, GiB, ENIs, addresses for each ENI (576/18527: equal for S5 and SA2; assumed for S6).
_SIZES = {
    "SMALL1": (1, 1, 2, 6),
    "SMALL2": (1, 2, 2, 6),
    "SMALL4": (1, 4, 2, 6),
    "MEDIUM2": (2, 2, 4, 10),
    "MEDIUM4": (2, 4, 4, 10),
    "MEDIUM8": (2, 8, 4, 10),
    "LARGE8": (4, 8, 4, 10),
    "LARGE16": (4, 16, 4, 10),
    "2XLARGE16": (8, 16, 6, 20),
    "2XLARGE32": (8, 32, 6, 20),
}
INSTANCE_TYPES = {
    f"{family}.{size}": InstanceType(f"{family}.{size}", *figures)
    for family in ("S5", "SA2", "S6")
    for size, figures in _SIZES.items()
}


def zone_ids(region: str) -> dict[str, str]:
    """Return the numeric ID of each zone as a string: `ap-guangzhou-6` has `100006`."""
    base = {"ap-guangzhou": 100000, "ap-shanghai": 200000, "ap-beijing": 800000}[region]
    return {zone: str(base + int(zone.rpartition("-")[2])) for zone in ZONES[region]}
