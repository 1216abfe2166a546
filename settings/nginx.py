"""`tandem:nginx`: the reverse proxy and load balancer on the eligible nodes."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from settings.base import FrozenModel
from settings.upstreams import UpstreamName, UpstreamSettings

Size = Annotated[str, StringConstraints(pattern=r"^[0-9]+[kmg]?$")]
Origin = Annotated[str, StringConstraints(pattern=r"^(\*|https?://[A-Za-z0-9.-]+(:[0-9]+)?)$")]


class GzipSettings(FrozenModel):
    enabled: bool = Field(default=True, description="Compress responses with gzip.")
    min_length: int = Field(default=1024, ge=0, description="Minimum size of a compressed response, in bytes.")
    level: int = Field(default=3, ge=1, le=9, description="Compression level, from 1 (fastest) to 9 (smallest).")


class CorsSettings(FrozenModel):
    allow_origins: tuple[Origin, ...] = Field(
        default=(), description="Origins that may call the services. Default: no CORS headers are sent."
    )
    allow_credentials: bool = Field(
        default=False, description="Allow these origins to send credentials. Not with the origin `*`."
    )

    @model_validator(mode="after")
    def _credentials_need_named_origins(self) -> CorsSettings:
        # Browsers reject the combination (Fetch standard, 3.2.5), and reflecting any origin would be insecure.
        if self.allow_credentials and "*" in self.allow_origins:
            raise ValueError("allowOrigins cannot contain * with allowCredentials; list the origins instead")
        return self


class NginxSettings(FrozenModel):
    user: str = Field(
        default="www-data",
        pattern=r"^[a-z_][a-z0-9_-]*$",
        description="User that the worker processes run as. Must not be root.",
    )
    worker_processes: Literal["auto"] | Annotated[int, Field(ge=1, le=512)] = Field(
        default="auto", description="Number of worker processes. `auto` starts one for each CPU core."
    )
    worker_connections: int = Field(
        default=4096, ge=64, le=1_000_000, description="Maximum number of connections of a worker process."
    )
    client_max_body_size: Size = Field(
        default="5m", description="Maximum size of a request body. Larger requests are rejected with status 413."
    )
    keepalive_timeout_s: int = Field(
        default=65, ge=1, le=3600, description="Time after which an idle client connection is closed."
    )
    balance: Literal["round-robin", "least-conn", "ip-hash"] = Field(
        default="round-robin", description="Load balancing method."
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
        default=60, ge=1, le=3600, description="Timeout between two reads of a response from a service."
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
        "used while another one is available.",
    )
    hsts_max_age_s: int = Field(
        default=63_072_000,
        ge=0,
        description="`max-age` of the Strict-Transport-Security header. Default: two years, as Mozilla recommends. "
        "0 disables the header.",
    )
    login_rate_per_s: int = Field(
        default=5,
        ge=1,
        le=1000,
        description="Requests to /login per second and client address. Each costs the service 50 ms of CPU time.",
    )
    login_burst: int = Field(
        default=10,
        ge=0,
        le=1000,
        description="Requests to /login above `loginRatePerS` that are accepted before nginx responds with status 429.",
    )
    open_registration: bool = Field(
        default=False,
        description="Accept POST /v1/users from all clients. The service creates users, including administrators, "
        "without a login.",
    )
    registration_cidrs: tuple[IPv4Network, ...] = Field(
        default=(), description="Networks from which POST /v1/users is accepted when `openRegistration` is false."
    )
    upstreams: dict[UpstreamName, UpstreamSettings] = Field(
        default_factory=dict, description="Groups of servers by name, for locations and streams."
    )
    gzip: GzipSettings = Field(default_factory=GzipSettings, description="Compression of responses.")
    cors: CorsSettings = Field(default_factory=CorsSettings, description="Cross-origin resource sharing (CORS).")

    @field_validator("user")
    @classmethod
    def _not_root(cls, user: str) -> str:
        if user == "root":
            raise ValueError("must be an unprivileged user such as www-data (got root)")
        return user
