"""`tandem:virtualIp`: the virtual IP and its public address."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Literal

from pydantic import Field

from settings.base import Address, FrozenModel

# CreateHaVip: at most 5 HAVIPs for each network interface (assumed; the page gives no number).
MAX_VIRTUAL_IPS = 5


class AdditionalVirtualIp(FrozenModel):
    address: Address = Field(description="The HAVIP. Must be inside the subnet.")
    router: Literal[1, 2] = Field(
        default=1,
        description="Moves together with `virtualIp.address` (1) or, with `keepalived.mode: dual-master`, with "
        "`virtualIp.secondAddress` (2).",
    )


class VirtualIpSettings(FrozenModel):
    """The address that the first two nodes share, and the public address in front of it."""

    address: Address = Field(default=IPv4Address("10.0.4.99"), description="The HAVIP. Must be inside the subnet.")
    second_address: Address | None = Field(
        default=None, description="A second HAVIP. Only with `keepalived.mode: dual-master`, and required there."
    )
    additional: tuple[AdditionalVirtualIp, ...] = Field(
        default=(),
        max_length=MAX_VIRTUAL_IPS - 1,
        description="Further HAVIPs, each with its own public address; 5 HAVIPs in all.",
    )
    bandwidth_mbps: int = Field(
        default=10,
        ge=1,
        le=2000,
        description="Bandwidth limit of each public address. The maximum is 100, and 2000 in a bandwidth package.",
    )
    charge_type: Literal["TRAFFIC_POSTPAID_BY_HOUR", "BANDWIDTH_POSTPAID_BY_HOUR", "BANDWIDTH_PACKAGE"] = Field(
        default="TRAFFIC_POSTPAID_BY_HOUR",
        description="Billing of the public address: by traffic, by bandwidth, or in a bandwidth package. "
        "A change replaces the address.",
    )
    bandwidth_package_id: str | None = Field(
        default=None,
        pattern=r"^bwp-[0-9a-z]{4,}$",
        description="Id of the bandwidth package. Only with `chargeType: BANDWIDTH_PACKAGE`.",
    )

    @property
    def addresses(self) -> tuple[IPv4Address, ...]:
        """All virtual IPs; the preferred one of the first node comes first, then that of the second node."""
        first = (self.address,) if self.second_address is None else (self.address, self.second_address)
        return (*first, *(each.address for each in self.additional))

    @property
    def of_second_router(self) -> tuple[IPv4Address, ...]:
        """The virtual IPs of the second virtual router, in dual-master mode."""
        second = () if self.second_address is None else (self.second_address,)
        return (*second, *(each.address for each in self.additional if each.router == 2))  # noqa: PLR2004 - the second
