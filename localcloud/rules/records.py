"""What every record has in common. A record is a frozen value; a change puts a new value in its place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import ClassVar

_BEIJING = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One resource. `region` is empty for what belongs to no region (DNS records, alarm policies)."""

    # Kinds whose change can alter the network plan say so.
    shapes_network: ClassVar[bool] = False

    id: str
    region: str
    created: float  # seconds since the epoch


def kinds() -> dict[str, type[Record]]:
    """Every kind of record that has been defined, by name."""
    return {kind.__name__: kind for kind in Record.__subclasses__()}


def beijing_time(seconds: float) -> str:
    """As the services vpc, cbs and monitor write a time: "2026-11-20 22:08:46", in Beijing's zone."""
    return datetime.fromtimestamp(seconds, _BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def iso_time(seconds: float) -> str:
    """As the service cvm writes a time: "2026-11-20T22:09:04Z"."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
