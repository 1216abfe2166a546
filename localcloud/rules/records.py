"""The base class of records. A record is immutable; a change replaces it with a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, ClassVar, Protocol, TypeVar

_BEIJING = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One resource. `region` is empty for resources without a region (DNS records, alarm policies)."""

    # True for kinds that the network plan is computed from.
    affects_network_plan: ClassVar[bool] = False

    # Empty in a requested record.
    id: str = ""
    region: str = ""
    created: float = 0.0  # seconds since the epoch


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


R = TypeVar("R", bound=_Dataclass)


def changed(record: R, attributes: Mapping[str, object]) -> R:
    """Return the record, or a part of one, with the given attributes; None leaves an attribute unchanged."""
    return replace(record, **{name: value for name, value in attributes.items() if value is not None})


def kinds() -> dict[str, type[Record]]:
    """Return all kinds of records by name."""
    return {kind.__name__: kind for kind in Record.__subclasses__()}


def beijing_time(seconds: float) -> str:
    """Format a time as the services vpc, cbs and monitor do: "2026-11-20 22:08:46", Beijing time."""
    return datetime.fromtimestamp(seconds, _BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def iso_time(seconds: float) -> str:
    """Format a time as the service cvm does: "2026-11-20T22:09:04Z"."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
