"""Types, sizes and names of disks."""

from __future__ import annotations

from localcloud.rules.refusal import documented, rule

NAME_LIMIT = 60  # bytes; in CreateDisks
NAME_LIMIT_AT_CREATION = 128  # characters; in RunInstances
STEP_GIB = 10

# Minimum and maximum size of a data disk of each type in GiB.
SIZES = {
    "CLOUD_BASIC": (10, 16000),
    "CLOUD_PREMIUM": (10, 32000),
    "CLOUD_BSSD": (20, 32000),
    "CLOUD_SSD": (100, 32000),
    "CLOUD_HSSD": (20, 32000),
    "CLOUD_TSSD": (20, 32000),
}
SYSTEM_SIZES = (20, 1024)
# Only for system disks and data disks of a new instance (CreateDisks: DiskType, 362/16312).
_WITH_INSTANCE_ONLY = frozenset({"CLOUD_BASIC", "CLOUD_TSSD"})
# System disk types of instances that can be resized and reinstalled.
CHANGEABLE = frozenset({"CLOUD_BASIC", "CLOUD_PREMIUM", "CLOUD_SSD", "CLOUD_BSSD"})
DiskSizeOutOfRange = rule(
    "InvalidParameterValue",
    "The size of a data disk must be in the range of its type; a system disk must have 20 to 1024 GiB.",
    documented("to 32000 GB; SSD from 100 GB (362/5744); 20 for BSSD, HSSD, TSSD: assumed", page="362/2353"),
)
SsdTooSmall = rule(
    "InvalidParameterValue.CloudSsdDataDiskSizeTooSmall",
    "An SSD data disk of a new instance must have at least 100 GiB.",
    documented("RunInstances", page="213/15730"),
)
DiskSizeOutOfStep = rule(
    "InvalidParameterValue",
    "The size of a data disk must be a multiple of 10 GiB.",
    documented("RunInstances: DataDisks.DiskSize in steps of 10 GiB", page="213/15730"),
)
DiskTypeUnknown = rule(
    "InvalidParameter.DiskConfigNotSupported",
    "The type of a disk must be one that CreateDisks supports.",
    documented("CreateDisks: DiskType", page="362/16312"),
)
DiskUnavailable = rule(
    "ResourceInsufficient.CloudDiskUnavailable",
    "The type of a disk of a new instance must be available.",
    documented("RunInstances: DiskType", page="213/15730"),
)
DiskNameTooLong = rule(
    "InvalidParameterValue",
    "A disk name must not exceed 60 bytes, or 128 characters in RunInstances.",
    documented("CreateDisks: DiskName at most 60 bytes; RunInstances: 128 characters", page="362/16312"),
)
ThroughputNotSupported = rule(
    "InvalidParameterValue",
    "Extra throughput is only for disks of type CLOUD_HSSD and CLOUD_TSSD.",
    documented("CreateDisks, RunInstances (213/15730): ThroughputPerformance", page="362/16312"),
)


def check_throughput(kind: str, throughput: int) -> None:
    """Raises: ThroughputNotSupported."""
    if throughput and kind not in {"CLOUD_HSSD", "CLOUD_TSSD"}:
        raise ThroughputNotSupported(got=throughput, type=kind)


def check_system_size(size_gib: int) -> None:
    """Raises: DiskSizeOutOfRange."""
    low, high = SYSTEM_SIZES
    if not low <= size_gib <= high:
        raise DiskSizeOutOfRange(got=size_gib, type="system", low=low, high=high)


def check_size(kind: str, size_gib: int) -> None:
    """Check the size of a data disk. Raises: DiskSizeOutOfRange or DiskSizeOutOfStep."""
    low, high = SIZES[kind]
    if not low <= size_gib <= high:
        raise DiskSizeOutOfRange(got=size_gib, type=kind, low=low, high=high)
    if size_gib % STEP_GIB:
        raise DiskSizeOutOfStep(got=size_gib)


def check_new(kind: str, size_gib: int) -> None:
    """Check a disk of CreateDisks. Raises: DiskTypeUnknown, DiskSizeOutOfRange or DiskSizeOutOfStep."""
    if kind not in SIZES or kind in _WITH_INSTANCE_ONLY:
        raise DiskTypeUnknown(got=kind)
    check_size(kind, size_gib)


def check_name(name: str, limit: int) -> None:
    """Raises: DiskNameTooLong. RunInstances counts characters, other actions bytes."""
    if (len(name) if limit == NAME_LIMIT_AT_CREATION else len(name.encode())) > limit:
        raise DiskNameTooLong
