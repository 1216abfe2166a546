"""Settings of nginx: the reverse proxy and load balancer on every node that may hold the address."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from settings.base import FrozenModel

Size = Annotated[str, StringConstraints(pattern=r"^[0-9]+[kmg]?$")]
Origin = Annotated[str, StringConstraints(pattern=r"^(\*|https?://[A-Za-z0-9.-]+(:[0-9]+)?)$")]


class GzipSettings(FrozenModel):
    enabled: bool = Field(default=True, description="compress answers")
    min_length: int = Field(default=1024, ge=0, description="smaller answers are sent as they are, in bytes")
    level: int = Field(default=3, ge=1, le=9, description="1 = quick, 9 = small")


class CorsSettings(FrozenModel):
    allow_origins: tuple[Origin, ...] = Field(
        default=(), description="origins whose pages may call the services; empty = no CORS headers at all"
    )
    allow_credentials: bool = Field(default=False, description="let those pages send cookies")

    @model_validator(mode="after")
    def _refuse_credentials_for_everyone(self) -> CorsSettings:
        # Browsers refuse the pair (Fetch standard, 3.2.5); echoing any origin instead would be a hole.
        if self.allow_credentials and "*" in self.allow_origins:
            raise ValueError("allowOrigins * together with allowCredentials: name the origins instead")
        return self


class NginxSettings(FrozenModel):
    user: str = Field(default="www-data", pattern=r"^[a-z_][a-z0-9_-]*$", description="the workers run as this user")
    worker_processes: Literal["auto"] | Annotated[int, Field(ge=1, le=512)] = Field(
        default="auto", description="auto = one for each core"
    )
    worker_connections: int = Field(default=4096, ge=64, le=1_000_000, description="connections of one worker")
    client_max_body_size: Size = Field(default="5m", description="larger requests are refused with 413")
    keepalive_timeout_s: int = Field(default=65, ge=1, le=3600, description="how long an idle client may stay")
    balance: Literal["round-robin", "least-conn", "ip-hash"] = Field(
        default="round-robin", description="how requests are spread over the nodes"
    )
    upstream_keepalive: int = Field(
        default=32, ge=1, le=1024, description="idle connections that each worker keeps to the services"
    )
    connect_timeout_s: int = Field(
        default=1, ge=1, le=10, description="a dead node costs a request at most this; nginx's own default is 60"
    )
    read_timeout_s: int = Field(default=60, ge=1, le=3600, description="longest silence of a service in an answer")
    max_fails: int = Field(default=1, ge=0, le=100, description="failures after which a node is left out")
    fail_timeout_s: int = Field(default=10, ge=1, le=600, description="for how long, and within which time")
    hsts_max_age_s: int = Field(
        default=63_072_000, ge=0, description="Strict-Transport-Security; two years as Mozilla advises; 0 = no header"
    )
    login_rate_per_s: int = Field(default=5, ge=1, le=1000, description="/login of one address; each costs 50 ms")
    login_burst: int = Field(default=10, ge=0, le=1000, description="how many may come at once before 429")
    open_registration: bool = Field(
        default=False, description="let anybody POST /v1/users: the service asks for no login, administrators included"
    )
    registration_cidrs: tuple[IPv4Network, ...] = Field(
        default=(), description="addresses from which users may be created while registration is closed"
    )
    gzip: GzipSettings = Field(default_factory=GzipSettings)
    cors: CorsSettings = Field(default_factory=CorsSettings)

    @field_validator("user")
    @classmethod
    def _refuse_root(cls, user: str) -> str:
        if user == "root":
            raise ValueError("workers that run as root hand the node to whoever breaks one; use www-data")
        return user
