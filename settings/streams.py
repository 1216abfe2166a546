"""`tandem:nginx.streams`: layer 4 load balancing of TCP and UDP."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from settings.base import FrozenModel, Network
from settings.sites import SiteHost, name_of
from settings.upstreams import UpstreamName
from settings.web import ExtraConfig


class StreamTlsSettings(FrozenModel):
    certificate: str | None = Field(
        default=None,
        description="Name of a certificate in `credentials.certificates`. Default: one of the stack's CA for `host`.",
    )
    host: SiteHost | None = Field(default=None, description="Host name of the certificate of the stack's CA.")

    @property
    def certificate_name(self) -> str:
        """Name of the certificate in placeholders and files."""
        return f"given.{self.certificate}" if self.certificate else f"stream.{name_of(str(self.host))}"

    @model_validator(mode="after")
    def _has_one(self) -> StreamTlsSettings:
        if (self.certificate is None) == (self.host is None):
            raise ValueError("must have either certificate or host")
        return self


class StreamSettings(FrozenModel):
    port: int = Field(ge=1, le=65535, description="Port on the virtual IP.")
    protocol: Literal["tcp", "udp"] = Field(default="tcp", description="Transport protocol.")
    upstream: UpstreamName | None = Field(
        default=None, description="Upstream or service that receives the connections."
    )
    server_names: dict[SiteHost, UpstreamName] = Field(
        default_factory=dict,
        description="TLS pass-through: upstream by the host name in the client's TLS greeting (SNI). Other names use "
        "`upstream`; without it they are refused.",
    )
    tls: StreamTlsSettings | None = Field(default=None, description="Terminate TLS; the upstream receives plain TCP.")
    connect_timeout_s: int | None = Field(default=None, ge=1, le=60, description="Default: `nginx.connectTimeoutS`.")
    timeout_s: int = Field(
        default=600, ge=1, le=86_400, description="A connection without data, or a UDP session, ends after this time."
    )
    udp_responses: int | None = Field(
        default=None, ge=0, le=1000, description="Datagrams of a response, for example 1 with DNS. Default: unlimited."
    )
    max_connections: int | None = Field(default=None, ge=1, le=65_535, description="Connections per client address.")
    allow: tuple[Network, ...] = Field(default=(), description="Networks that are served. Default: all.")
    deny: tuple[Network, ...] = Field(
        default=(), description="Networks that are not served. If both lists match, the most specific network decides."
    )
    extra_config: ExtraConfig = Field(default="", description="Further directives for the server, as a last resort.")

    @property
    def access(self) -> tuple[tuple[str, Network], ...]:
        """`allow` and `deny`, the most specific network first: nginx uses the first rule that matches."""
        allow, deny = ((("allow", cidr) for cidr in self.allow), (("deny", cidr) for cidr in self.deny))
        return tuple(sorted((*allow, *deny), key=lambda rule: -rule[1].prefixlen))

    @model_validator(mode="after")
    def _is_consistent(self) -> StreamSettings:
        if self.upstream is None and not self.server_names:
            raise ValueError("must have an upstream or serverNames: the target is missing")
        if self.protocol == "udp" and (self.tls or self.server_names):
            raise ValueError("tls and serverNames cannot be set with protocol udp: nginx has no DTLS")
        if self.tls is not None and self.server_names:
            raise ValueError("tls cannot be set with serverNames: with pass-through the upstream terminates TLS")
        for number, cidr in enumerate(self.allow):
            if cidr in self.allow[:number]:
                raise ValueError(f"allow must contain each network once (got {cidr} twice)")
            if cidr in self.deny:
                raise ValueError(f"allow and deny must differ (got {cidr} in both)")
        if self.udp_responses is not None and self.protocol != "udp":
            raise ValueError("udpResponses can only be set with protocol udp")
        return self
