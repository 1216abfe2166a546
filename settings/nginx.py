"""`tandem:nginx`: the reverse proxy and load balancer on the eligible nodes."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from settings.base import FrozenModel, Network
from settings.distributions import DEFAULT, DISTRIBUTIONS, NginxVersion
from settings.sites import SiteSettings
from settings.streams import StreamSettings
from settings.upstreams import UpstreamName, UpstreamSettings
from settings.web import CorsSettings, ExtraConfig, Size

# A list of words, so without a charset.
GzipType = Annotated[str, StringConstraints(pattern=r"^[a-z]+/[A-Za-z0-9.+-]+$")]
_GZIP_TYPES = (
    "text/plain", "text/css", "text/javascript", "application/javascript", "application/json", "application/xml",
    "image/svg+xml",
)  # fmt: skip


class GzipSettings(FrozenModel):
    enabled: bool = Field(default=True, description="Compress responses with gzip.")
    min_length: int = Field(
        default=1024, ge=0, le=1_000_000_000, description="Minimum size of a compressed response, in bytes."
    )
    level: int = Field(default=3, ge=1, le=9, description="Compression level, from 1 (fastest) to 9 (smallest).")
    types: tuple[GzipType, ...] = Field(
        default=_GZIP_TYPES, min_length=1, description="Compressed types, in addition to text/html."
    )

    @field_validator("types")
    @classmethod
    def _are_not_compressed_already(cls, types: tuple[str, ...]) -> tuple[str, ...]:
        for each in types:
            if each == "text/html":
                raise ValueError("cannot contain text/html: nginx always compresses it")
            if each.startswith(("image/", "video/", "audio/", "font/")) and each not in {"image/svg+xml", "font/ttf"}:
                raise ValueError(f"cannot contain {each}, which is compressed already: gzip would only cost CPU time")
        return types


class AccessLogSettings(FrozenModel):
    format: Literal["json", "text"] = Field(
        default="json",
        description="`json`: one object a line, with the request id and the times of the upstream. `text`: as in the "
        "lectures, with the same facts.",
    )
    keep_files: int = Field(
        default=14,
        ge=1,
        le=3650,
        description="Number of rotated log files that are kept: one a day, more if one exceeds 200 MB.",
    )


class TrustedProxiesSettings(FrozenModel):
    """Proxies in front of nginx, such as a CDN or a CLB, whose header names the client."""

    cidrs: tuple[Network, ...] = Field(default=(), description="Networks of the proxies. Default: none is trusted.")
    header: Literal["X-Forwarded-For", "X-Real-IP", "CF-Connecting-IP"] = Field(
        default="X-Forwarded-For", description="Header with the address of the client."
    )

    @field_validator("cidrs")
    @classmethod
    def _does_not_contain_every_address(cls, cidrs: tuple[IPv4Network, ...]) -> tuple[IPv4Network, ...]:
        for cidr in cidrs:
            if cidr.prefixlen == 0:
                raise ValueError(f"cannot contain {cidr}: every client could choose its address")
        return cidrs


class NginxSettings(FrozenModel):
    version: NginxVersion = Field(
        default=DISTRIBUTIONS[DEFAULT].nginx,
        description="Version of the nodes' nginx package; 1.22 stands for 1.24 too. Without it, that of "
        "`nodes.distribution`.",
    )
    user: str = Field(
        default="www-data",
        pattern=r"^[a-z_][a-z0-9_-]*$",
        description="User that the worker processes run as. Must not be root. Without it, that of the package of "
        "`nodes.distribution`.",
    )
    worker_processes: Literal["auto"] | Annotated[int, Field(ge=1, le=512)] = Field(
        default="auto", description="Number of worker processes. `auto` starts one for each CPU core."
    )
    worker_connections: int = Field(
        default=4096,
        ge=64,
        le=500_000,
        description="Maximum number of connections of a worker process. A proxied request takes two.",
    )
    client_max_body_size: Size = Field(
        default="5m",
        description="Maximum size of a request body, such as `512k` or `10m`. Larger requests get status 413.",
    )
    authz_max_body_size: Size = Field(
        default="64k",
        description="Maximum size of a request body for iam-authz-server, which stores it in Redis.",
    )
    header_buffer_kib: int = Field(
        default=16, ge=4, le=128, description="Maximum size of a request line or header, and of the response headers."
    )
    keepalive_timeout_s: int = Field(
        default=65, ge=1, le=3600, description="Time after which an idle client connection is closed."
    )
    balance: Literal["round-robin", "least-conn", "ip-hash"] = Field(
        default="round-robin", description="Load balancing method of the IAM services."
    )
    upstream_keepalive: int = Field(
        default=32, ge=1, le=1024, description="Idle connections to the services that each worker process keeps open."
    )
    connect_timeout_s: int = Field(
        default=1,
        ge=1,
        le=10,
        description="Timeout of a connection to a service, and so the delay that a failed node adds to a request. "
        "The default of nginx is 60.",
    )
    read_timeout_s: int = Field(
        default=15,
        ge=1,
        le=3600,
        description="Timeout between two reads of a response, and so the delay that a hung service adds to a request. "
        "An IAM service waits up to 10 s for Redis. The default of nginx is 60.",
    )
    max_fails: int = Field(
        default=1,
        ge=0,
        le=100,
        description="Failed attempts within `failTimeoutS` before nginx stops using an upstream server.",
    )
    fail_timeout_s: int = Field(
        default=10,
        ge=1,
        le=600,
        description="Period in which failed attempts are counted, and time for which a failed upstream server is not "
        "used while another one is available. After it one request tries the server.",
    )
    hsts_max_age_s: int | None = Field(
        default=None,
        ge=0,
        description="`max-age` of the Strict-Transport-Security header. Default: two years, as Mozilla recommends, for "
        "sites whose certificate clients trust, otherwise no header. 0 disables the header.",
    )
    login_rate_per_s: int = Field(
        default=5,
        ge=1,
        le=1000,
        description="Logins per second and client address: requests to /login, and requests with a password to any "
        "other path of iam-apiserver. Each costs the service 50 ms of CPU time.",
    )
    login_burst: int = Field(
        default=10,
        ge=0,
        le=1000,
        description="Logins above `loginRatePerS` that are accepted before nginx responds with status 429.",
    )
    open_registration: bool = Field(
        default=False,
        description="Accept POST /v1/users from all clients. The service creates users, including administrators, "
        "without a login.",
    )
    registration_cidrs: tuple[Network, ...] = Field(
        default=(), description="Networks from which POST /v1/users is accepted when `openRegistration` is false."
    )
    gzip: GzipSettings = Field(default_factory=GzipSettings, description="Compression of responses.")
    cors: CorsSettings = Field(
        default_factory=CorsSettings, description="Cross-origin resource sharing (CORS) of the IAM services."
    )
    access_log: AccessLogSettings = Field(default_factory=AccessLogSettings, description="The access log.")
    trusted_proxies: TrustedProxiesSettings = Field(
        default_factory=TrustedProxiesSettings,
        description="Proxies in front of nginx. Limits, logs and services then see the address of the client.",
    )
    sites: tuple[SiteSettings, ...] = Field(
        default=(), max_length=200, description="Sites beside those of the IAM services (docs/nginx.md)."
    )
    upstreams: dict[UpstreamName, UpstreamSettings] = Field(
        default_factory=dict, description="Groups of servers by name, for locations and streams."
    )
    streams: tuple[StreamSettings, ...] = Field(
        default=(), max_length=100, description="Layer 4 load balancing of TCP and UDP."
    )
    extra_config: ExtraConfig = Field(
        default="", description="Further directives of nginx's http block, as a last resort. `nginx -t` checks them."
    )

    def signed_certificates(self) -> dict[str, tuple[str, ...]]:
        """The host names of the certificates that the stack's CA signs, by the name of the certificate."""
        sites = {each.certificate_name: each.hosts for each in self.sites if each.https and not each.certificate}
        tls = [each.tls for each in self.streams if each.tls and each.tls.host]
        return {**sites, **{each.certificate_name: (each.host,) for each in tls if each.host}}

    def udp_ports(self) -> tuple[int, ...]:
        """The ports of upstream servers that receive UDP."""
        names = self.udp_upstreams() & self.upstreams.keys()
        return tuple(sorted({server.port for name in names for server in self.upstreams[name].servers}))

    def udp_upstreams(self) -> set[str]:
        """The upstreams that receive UDP."""
        return {stream.upstream for stream in self.streams if stream.protocol == "udp" and stream.upstream}

    def only_udp(self) -> set[str]:
        """The upstreams that receive UDP and nothing else."""
        tcp = [stream for stream in self.streams if stream.protocol == "tcp"]
        others = {name for stream in tcp for name in (stream.upstream, *stream.server_names.values())}
        others |= {location.proxy for site in self.sites for location in site.locations}
        return self.udp_upstreams() - others

    @field_validator("user")
    @classmethod
    def _not_root(cls, user: str) -> str:
        if user == "root":
            raise ValueError("must be an unprivileged user such as www-data (got root)")
        return user
