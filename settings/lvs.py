"""`tandem:keepalived.virtualServers`: layer-4 load balancing in the kernel (LVS), configured by keepalived."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from settings.base import Address, FrozenModel

# Without what keepalived reads as a comment (# and !), a block, a quote or a definition ($).
_PATH = r"^/[A-Za-z0-9._~%&=?/:@+,;-]*$"
CheckType = Literal["TCP_CHECK", "HTTP_GET", "UDP_CHECK"]


class RealServerCheck(FrozenModel):
    """How keepalived finds out that a real server is dead, and removes it."""

    type: CheckType | None = Field(
        default=None,
        description="`TCP_CHECK` connects, `HTTP_GET` sends a GET request, `UDP_CHECK` sends a datagram and fails if "
        "the real server rejects it (ICMP port unreachable). Default: the check of `protocol`.",
    )
    path: str = Field(default="/", pattern=_PATH, description="Path of the request, with `HTTP_GET`.")
    status_code: int = Field(default=200, ge=100, le=599, description="Expected status, with `HTTP_GET`.")
    connect_timeout_s: int = Field(default=2, ge=1, le=60, description="Time limit of one attempt.")
    retries: int = Field(default=2, ge=0, le=10, description="Further attempts before the server is removed.")
    delay_before_retry_s: int = Field(default=3, ge=1, le=60, description="Time between two attempts.")


class RealServer(FrozenModel):
    address: Address = Field(description="Private address of the real server.")
    port: int = Field(ge=1, le=65535, description="Port of the real server.")
    weight: int = Field(default=1, ge=1, le=1000, description="Share of the connections, with `wrr` and `wlc`.")


class VirtualServer(FrozenModel):
    """One virtual IP and port whose connections LVS distributes to real servers."""

    address: Address = Field(description="One of the virtual IPs.")
    port: int = Field(ge=1, le=65535, description="Port of the virtual server.")
    protocol: Literal["TCP", "UDP"] = Field(default="TCP", description="Protocol.")
    method: Literal["rr", "wrr", "lc", "wlc", "sh"] = Field(
        default="rr",
        description="`rr` (in turn), `wrr` (by weight), `lc` and `wlc` (fewest connections), `sh` (by source).",
    )
    kind: Literal["NAT", "DR", "TUN"] = Field(
        default="DR",
        description="How packets reach a real server: with its address (`NAT`), to its MAC address (`DR`), or in a "
        "tunnel (`TUN`).",
    )
    persistence_timeout_s: int = Field(
        default=0, ge=0, le=86400, description="Time during which a client stays with its real server; 0: not at all."
    )
    delay_loop_s: int = Field(default=6, ge=1, le=3600, description="Time between two checks of a real server.")
    check: RealServerCheck = Field(default=RealServerCheck(), description="Check of the real servers.")
    real_servers: tuple[RealServer, ...] = Field(min_length=1, max_length=64, description="The real servers.")

    @property
    def check_type(self) -> CheckType:
        """The type of the check, in keepalived's words."""
        return self.check.type or ("UDP_CHECK" if self.protocol == "UDP" else "TCP_CHECK")

    @model_validator(mode="after")
    def _check_fits_the_protocol(self) -> VirtualServer:
        # A server of UDP does not listen on the TCP port of the same number, so a TCP check would remove it.
        if (self.check_type == "UDP_CHECK") != (self.protocol == "UDP"):
            allowed = "UDP_CHECK" if self.protocol == "UDP" else "TCP_CHECK or HTTP_GET"
            raise ValueError(f"check.type must be {allowed} with protocol {self.protocol} (got {self.check_type})")
        return self

    @model_validator(mode="after")
    def _ports_stay_without_address_translation(self) -> VirtualServer:
        for number, server in enumerate(self.real_servers):
            if self.kind != "NAT" and server.port != self.port:
                raise ValueError(
                    f"realServers[{number}].port must be {self.port} with kind {self.kind}, which does not change "
                    f"packets (got {server.port})"
                )
        return self

    @model_validator(mode="after")
    def _weights_have_an_effect(self) -> VirtualServer:
        for number, server in enumerate(self.real_servers):
            if self.method in {"rr", "lc"} and server.weight != 1:
                raise ValueError(
                    f"realServers[{number}].weight cannot be set with method {self.method}, which ignores weights "
                    f"(got {server.weight}); use w{self.method}"
                )
        return self

    @model_validator(mode="after")
    def _real_servers_differ(self) -> VirtualServer:
        pairs = [(server.address, server.port) for server in self.real_servers]
        for number, pair in enumerate(pairs):
            if pair in pairs[:number]:
                raise ValueError(f"realServers[{number}] must be unique (got {pair[0]}:{pair[1]} twice)")
        return self
