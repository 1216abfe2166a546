"""`tandem:domains` and `tandem:dns`: the public host names and their DNS records."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from settings.base import FrozenModel

# At least two labels of 1 to 63 characters (RFC 1035, 2.3.1).
_DOMAIN = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
Domain = Annotated[str, Field(pattern=_DOMAIN, max_length=253)]


class DomainsSettings(FrozenModel):
    """The public host names of the services."""

    api: Domain = Field(description="Public host name of iam-apiserver.")
    authz: Domain = Field(description="Public host name of iam-authz-server. Must differ from `api`.")


class DnsSettings(FrozenModel):
    """A records in DNSPod, one for each domain and public address."""

    zone: Domain | None = Field(
        default=None,
        description="DNSPod domain that contains both host names. The free plan of DNSPod allows at most three labels "
        "before it. Default: no records are created.",
    )
    ttl_s: int = Field(
        default=600,
        ge=1,
        le=604800,
        description="TTL of the records. DNSPod's free plan requires at least 600.",
    )
    line: str = Field(
        default="默认", min_length=1, description="DNSPod line of the records. `默认` is the default line."
    )
