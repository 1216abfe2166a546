"""Upstreams of nginx: groups of servers that sites and streams send requests to.

`provisioning/services/upstreams.py` collects those of the settings, of IAM and of services.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

UPSTREAMS_FILE = "/etc/nginx/conf.d/upstreams.conf"
STREAM_UPSTREAMS_FILE = "/etc/nginx/stream.d/upstreams.conf"
Method = Literal["round-robin", "least-conn", "ip-hash", "url-hash", "hash", "random"]


@dataclass(frozen=True, slots=True)
class Server:
    address: str  # IPv4 address or host name
    port: int
    weight: int = 1
    backup: bool = False
    down: bool = False
    max_conns: int = 0  # 0: no limit
    max_fails: int = 1
    fail_timeout_s: int = 10
    comment: str = ""  # in the configuration, the name of the node


@dataclass(frozen=True, slots=True)
class Upstream:
    name: str  # a location's `proxy`
    servers: tuple[Server, ...]
    method: Method = "round-robin"
    hash_key: str = ""  # of the method "hash"
    consistent: bool = True  # of the methods that hash
    keepalive: int = 32  # idle connections of each worker process
    zone_kib: int = 256
    look_at: str = ""  # the setting that defines it

    @property
    def supports_backup(self) -> bool:
        return self.method in ("round-robin", "least-conn")

    @property
    def last_resort(self) -> tuple[Server, ...]:
        """The servers again, as `backup` servers that never count as failed; () if nginx has no use for them.

        nginx answers every request with 502 for `fail_timeout` once all servers have failed, also if each failed only
        once. With these it tries them instead. A single server is never considered failed.
        """
        usable = tuple(server for server in self.servers if not server.down)
        # nginx counts the connections of a backup server separately, which would double `max_conns`.
        taken = any(server.backup or server.max_conns for server in self.servers)
        return usable if self.supports_backup and len(usable) > 1 and not taken else ()
