"""What types, sizes and names disks may have."""

from __future__ import annotations

from localcloud.rules.refusal import Refusal, documented

NAME_LIMIT = 60  # bytes; of a disk that is created by itself
NAME_LIMIT_AT_BIRTH = 128  # characters; of a disk that RunInstances creates
STEP_GIB = 10

# GiB that each type may have as a data disk: least, most.
SIZES = {
    "CLOUD_BASIC": (10, 16000),
    "CLOUD_PREMIUM": (10, 32000),
    "CLOUD_BSSD": (20, 32000),
    "CLOUD_SSD": (100, 32000),
    "CLOUD_HSSD": (20, 32000),
    "CLOUD_TSSD": (20, 32000),
}
SYSTEM_SIZES = (20, 1024)
# Only with an instance (CreateDisks: DiskType, 362/16312).
_NOT_ALONE = frozenset({"CLOUD_BASIC", "CLOUD_TSSD"})
# A machine whose system disk has another type is neither resized nor reinstalled.
CHANGEABLE = frozenset({"CLOUD_BASIC", "CLOUD_PREMIUM", "CLOUD_SSD", "CLOUD_BSSD"})


class DiskSizeOutOfRange(Refusal):
    """A data disk's size lies in its type's range; a system disk has 20 to 1024 GiB."""

    code = "InvalidParameterValue"
    template = "The size {size} GiB of a {type} disk is not in [{low}, {high}]."
    source = documented("to 32000 GB; SSD from 100 GB (362/5744); 20 for BSSD, HSSD, TSSD: assumed", page="362/2353")


class SsdTooSmall(Refusal):
    """An SSD disk that an instance is created with has at least 100 GiB, unless it boots from it."""

    code = "InvalidParameterValue.CloudSsdDataDiskSizeTooSmall"
    template = "The size {size} GiB of a CLOUD_SSD data disk is less than 100."
    source = documented("RunInstances: InvalidParameterValue.CloudSsdDataDiskSizeTooSmall", page="213/15730")


class DiskSizeOutOfStep(Refusal):
    """A data disk's size is a multiple of 10 GiB."""

    code = "InvalidParameterValue"
    template = "The size {size} GiB is not a multiple of 10."
    source = documented("RunInstances: DataDisks.DiskSize in steps of 10 GiB", page="213/15730")


class DiskTypeUnknown(Refusal):
    """A disk that is created by itself has a type that is sold by itself."""

    code = "InvalidParameter.DiskConfigNotSupported"
    template = "The disk type `{type}` is not supported here."
    source = documented("CreateDisks: DiskType; InvalidParameter.DiskConfigNotSupported", page="362/16312")


class DiskUnavailable(Refusal):
    """A disk that an instance is born with has a type that is sold."""

    code = "ResourceInsufficient.CloudDiskUnavailable"
    template = "The disk type `{type}` is not supported here."
    source = documented("RunInstances: DiskType; ResourceInsufficient.CloudDiskUnavailable", page="213/15730")


class DiskNameTooLong(Refusal):
    """A disk's name has at most 60 bytes; one that an instance is created with, 128 characters."""

    code = "InvalidParameterValue"
    template = "The disk's name is longer than {limit}."
    source = documented("CreateDisks: DiskName at most 60 bytes; RunInstances: 128 characters", page="362/16312")


def check_system_size(size_gib: int) -> None:
    """Raises DiskSizeOutOfRange."""
    low, high = SYSTEM_SIZES
    if not low <= size_gib <= high:
        raise DiskSizeOutOfRange(size=size_gib, type="system", low=low, high=high)


def check_size(kind: str, size_gib: int) -> None:
    """Of a data disk. Raises DiskSizeOutOfRange or DiskSizeOutOfStep."""
    low, high = SIZES[kind]
    if not low <= size_gib <= high:
        raise DiskSizeOutOfRange(size=size_gib, type=kind, low=low, high=high)
    if size_gib % STEP_GIB:
        raise DiskSizeOutOfStep(size=size_gib)


def check_alone(kind: str, size_gib: int) -> None:
    """Of a disk that CreateDisks makes. Raises DiskTypeUnknown, or what check_size raises."""
    if kind not in SIZES or kind in _NOT_ALONE:
        raise DiskTypeUnknown(type=kind)
    check_size(kind, size_gib)


def check_name(name: str, limit: int) -> None:
    """Raises DiskNameTooLong. At birth characters are counted, later bytes."""
    if (len(name) if limit == NAME_LIMIT_AT_BIRTH else len(name.encode())) > limit:
        raise DiskNameTooLong(limit=limit)
