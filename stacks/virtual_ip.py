"""`tandem:virtualIp`, `tandem:domains`, `tandem:dns`: how the service is reached."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Annotated, Literal

from pydantic import Field

from provisioning.settings.base import FrozenModel
from stacks.addresses import Address

# Labels of 1 to 63 characters (RFC 1035, 2.3.1), at least two of them.
_DOMAIN = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
Domain = Annotated[str, Field(pattern=_DOMAIN, max_length=253)]


class VirtualIpSettings(FrozenModel):
    """The address that the first two machines share, and the public address in front of it."""

    address: Annotated[Address, Field(description="The HAVIP, inside the subnet.")] = IPv4Address("10.0.4.99")
    second_address: Annotated[
        Address | None, Field(description="A second HAVIP, with `keepalived.mode: dual-master` and only then.")
    ] = None
    bandwidth_mbps: Annotated[int, Field(ge=1, le=2000, description="Limit of each public address.")] = 10
    charge_type: Annotated[
        Literal["TRAFFIC_POSTPAID_BY_HOUR", "BANDWIDTH_POSTPAID_BY_HOUR"],
        Field(description="What the public address costs by: traffic or bandwidth."),
    ] = "TRAFFIC_POSTPAID_BY_HOUR"

    @property
    def addresses(self) -> tuple[IPv4Address, ...]:
        """One address, or two."""
        return (self.address,) if self.second_address is None else (self.address, self.second_address)


class DomainsSettings(FrozenModel):
    """The names that clients ask for."""

    api: Annotated[Domain, Field(description="Of iam-apiserver.")]
    authz: Annotated[Domain, Field(description="Of iam-authz-server.")]


class DnsSettings(FrozenModel):
    """A records in DNSPod, one per domain and public address."""

    zone: Annotated[
        Domain | None, Field(description="The DNSPod domain that both names are in; none = no records.")
    ] = None
    ttl_s: Annotated[int, Field(ge=1, le=604800, description="How long resolvers may keep a record.")] = 600
    line: Annotated[str, Field(min_length=1, description="DNSPod's line; `默认` is the default one.")] = "默认"
