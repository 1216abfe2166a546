"""`tandem:nginx.upstreams`: groups of servers that sites and streams send requests to."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from settings.base import FrozenModel, HostName
from settings.texts import refuse_lone_dollars

UpstreamName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*([-.][a-z0-9]+)*$", max_length=60)]
# Text and variables of nginx. Quotes, `;` and braces would end the directive, # would begin a comment.
Expression = Annotated[
    str,
    StringConstraints(pattern=r"^[^\s\"'{};\\#][^\s\"'{};\\]*$", max_length=200),
    AfterValidator(refuse_lone_dollars),
]
Method = Literal["round-robin", "least-conn", "ip-hash", "url-hash", "hash", "random"]
# nginx 1.22 accepts 31 servers in 64 KiB and 72 in 128 KiB; each is in its list twice (provisioning/upstreams.py).
_KIB_FOR_ALL, _KIB_FOR_EACH = 2, 2
_WITHOUT_BACKUP: tuple[Method, ...] = ("ip-hash", "url-hash", "hash", "random")


# Variables of nginx's stream modules.
_OF_STREAMS = re.compile(
    r"\$\{?(binary_remote_addr|bytes_(received|sent)|connection|hostname|msec|nginx_version|pid|protocol|"
    r"proxy_protocol_\w+|realip_remote_(addr|port)|remote_(addr|port)|server_(addr|port)|session_time|ssl_\w+|status|"
    r"time_(iso8601|local)|upstream_\w+)\b"
)
_VARIABLE = re.compile(r"\$\{?\w+\}?")


def find_http_variable(expression: str) -> str | None:
    """Return the first variable that nginx's stream modules do not have, or None."""
    return next((each for each in _VARIABLE.findall(expression) if not _OF_STREAMS.match(each)), None)


class ServerSettings(FrozenModel):
    address: HostName = Field(
        description="IPv4 address, host name, or name of a node. nginx resolves a host name at start."
    )
    port: int = Field(ge=1, le=65535, description="Port of the server.")
    weight: int = Field(default=1, ge=1, le=1000, description="Share of the requests, relative to the other servers.")
    backup: bool = Field(
        default=False,
        description="Use this server only when no other one is available. Not with ip-hash, url-hash, hash or random.",
    )
    down: bool = Field(default=False, description="Send no requests to this server.")
    max_conns: int = Field(
        default=0, ge=0, le=1_000_000, description="Maximum number of concurrent connections. 0: no limit."
    )
    max_fails: int | None = Field(
        default=None, ge=0, le=100, description="Default: `nginx.maxFails`. 0: the server is never considered failed."
    )
    fail_timeout_s: int | None = Field(default=None, ge=1, le=600, description="Default: `nginx.failTimeoutS`.")
    slow_start: str | None = Field(default=None, description="Refused: only the commercial nginx has it.")

    @field_validator("slow_start")
    @classmethod
    def _not_in_open_source_nginx(cls, value: str | None) -> str | None:
        if value is not None:
            raise ValueError(
                "cannot be set: slow_start exists only in the commercial nginx; give the server a smaller weight "
                "and increase it with the next `up`"
            )
        return value


class UpstreamSettings(FrozenModel):
    servers: tuple[ServerSettings, ...] = Field(min_length=1, max_length=100, description="The servers.")
    method: Method = Field(
        default="round-robin",
        description="Load balancing method. `url-hash` hashes the request URI, `hash` the value of `hashKey`.",
    )
    hash_key: Expression | None = Field(
        default=None, description="Key of the method `hash`, for example `$cookie_session` or `$arg_user`."
    )
    consistent: bool = Field(
        default=True,
        description="Consistent hashing with `url-hash` and `hash`: a removed server only moves its own keys.",
    )
    keepalive: int | None = Field(
        default=None,
        ge=0,
        le=1024,
        description="Idle connections that each worker process keeps open. Default: `nginx.upstreamKeepalive`. "
        "0: a connection for each request.",
    )
    zone_kib: int = Field(
        default=256,
        ge=64,
        le=65536,
        description="Shared memory of the workers for the state of the servers. Each server needs 2 KiB.",
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> UpstreamSettings:
        if (self.method == "hash") != (self.hash_key is not None):
            raise ValueError("hashKey must be set with method hash, and only with it")
        if self.method in _WITHOUT_BACKUP and any(server.backup for server in self.servers):
            raise ValueError(f"servers cannot be backup with method {self.method}: nginx does not support it")
        if all(server.backup or server.down for server in self.servers):
            raise ValueError("servers must contain one that is neither backup nor down")
        count = len(self.servers)
        if self.zone_kib < (needed := _KIB_FOR_ALL + _KIB_FOR_EACH * count):
            raise ValueError(f"zoneKib must be at least {needed} with {count} servers (got {self.zone_kib})")
        return self
