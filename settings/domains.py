"""`tandem:domains` and `tandem:dns`: the public host names, and their DNS records."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from settings.base import FrozenModel

# Labels of 1 to 63 characters (RFC 1035, 2.3.1), at least two of them.
_DOMAIN = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
Domain = Annotated[str, Field(pattern=_DOMAIN, max_length=253)]


class DomainsSettings(FrozenModel):
    """The names that clients ask for."""

    api: Domain = Field(description="Of iam-apiserver.")
    authz: Domain = Field(description="Of iam-authz-server.")


class DnsSettings(FrozenModel):
    """A records in DNSPod, one per domain and public address."""

    zone: Domain | None = Field(
        default=None, description="The DNSPod domain that both names are in; none = no records."
    )
    ttl_s: int = Field(
        default=600,
        ge=1,
        le=604800,
        description="How long resolvers may keep a record; DNSPod's free plan takes 600 at least.",
    )
    line: str = Field(default="默认", min_length=1, description="DNSPod's line; `默认` is the default one.")
