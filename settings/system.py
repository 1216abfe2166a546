"""`tandem:system`: the operating system of the nodes."""

from __future__ import annotations

import difflib
from importlib import resources
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from settings.base import FrozenModel, HostName


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


# One line. A number in YAML is converted to text.
SysctlValue = Annotated[
    str, BeforeValidator(_as_text), StringConstraints(pattern=r"^[!-~]([ -~\t]*[!-~])?$", max_length=1000)
]
SysctlName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+([./][A-Za-z0-9_*-]+)+$", max_length=200)]
# Reachable from every VPC without a public address (document 213/30392).
_CLOUD_TIME_SERVERS = tuple(f"time{number}.tencentyun.com" for number in range(1, 6))


def _is_a_time_zone(name: str) -> str:
    # The package's list instead of the operator's /usr/share/zoneinfo, which a slim image does not have.
    zones = resources.files("tzdata").joinpath("zones").read_text().split()
    if name not in zones:
        nearest = difflib.get_close_matches(name, zones, n=1)
        advice = f"did you mean {nearest[0]}?" if nearest else "`timedatectl list-timezones` lists the names"
        raise ValueError(f"must be a name of the time zone database such as Asia/Shanghai (got {name}); {advice}")
    return name


class SystemSettings(FrozenModel):
    time_servers: tuple[HostName, ...] = Field(
        default=_CLOUD_TIME_SERVERS,
        description="NTP servers of chrony, which replaces the image's time service. An empty list keeps it.",
    )
    time_zone: Annotated[str, AfterValidator(_is_a_time_zone)] | None = Field(
        default=None,
        description="Time zone such as `Asia/Shanghai`; `timedatectl list-timezones` lists the names. Running services "
        "use it after their next start. Default: that of the image.",
    )
    journal_max_mib: int = Field(
        default=1024, ge=16, le=1_048_576, description="Maximum size of the journal. Older entries are deleted."
    )
    journal_keep_days: int = Field(default=30, ge=1, le=3650, description="Retention of the journal.")
    harden_ssh: bool = Field(
        default=True,
        description="Accept SSH logins with a key only, and no outdated algorithms, on the nodes and the bastion.",
    )
    security_updates: bool = Field(
        default=False,
        description="Install the distribution's security updates on every second day, never on both eligible nodes on "
        "the same one, and never those of nginx, keepalived, MariaDB and Redis, which a restart interrupts.",
    )
    sysctls: dict[SysctlName, SysctlValue] = Field(
        default_factory=dict,
        description="Kernel parameters, for example `net.core.rmem_max: 8388608`, in addition to those for nginx "
        "(net.core.somaxconn, net.ipv4.tcp_max_syn_backlog and net.ipv4.tcp_migrate_req).",
    )
