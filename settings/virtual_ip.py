"""`tandem:virtualIp`: the virtual IP and its public address."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Annotated, Literal

from pydantic import Field

from settings.base import Address, FrozenModel


class VirtualIpSettings(FrozenModel):
    """The address that the first two nodes share, and the public address in front of it."""

    address: Annotated[Address, Field(description="The HAVIP, inside the subnet.")] = IPv4Address("10.0.4.99")
    second_address: Annotated[
        Address | None, Field(description="A second HAVIP, with `keepalived.mode: dual-master` and only then.")
    ] = None
    bandwidth_mbps: Annotated[
        int,
        Field(
            ge=1,
            le=2000,
            description="Limit of each public address. The maximum is 100, and 2000 in a bandwidth package.",
        ),
    ] = 10
    charge_type: Annotated[
        Literal["TRAFFIC_POSTPAID_BY_HOUR", "BANDWIDTH_POSTPAID_BY_HOUR", "BANDWIDTH_PACKAGE"],
        Field(
            description="Billing of the public address: by traffic, by bandwidth, or in a bandwidth package. "
            "A change replaces the address."
        ),
    ] = "TRAFFIC_POSTPAID_BY_HOUR"
    bandwidth_package_id: Annotated[
        str | None,
        Field(
            pattern=r"^bwp-[0-9a-z]{4,}$",
            description="Id of the package. Only with `chargeType: BANDWIDTH_PACKAGE`.",
        ),
    ] = None

    @property
    def addresses(self) -> tuple[IPv4Address, ...]:
        """One address, or two."""
        return (self.address,) if self.second_address is None else (self.address, self.second_address)
