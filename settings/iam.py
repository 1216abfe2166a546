"""Settings of the IAM services."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from settings.base import FrozenModel, HostPort

# The upstreams of the public services: what a location's `proxy` names.
APISERVER = "iam-apiserver"
AUTHZ_SERVER = "iam-authz-server"


STAND_IN = "stand-in"


class IamSettings(FrozenModel):
    enabled: bool = Field(
        default=True,
        description="Deploy the IAM services and their databases. With false, a stack has only sites and services of "
        "your own (docs/services.md).",
    )
    release: str = Field(
        default="",
        description="Path or URL of an IAM release (.tar.gz with bin/, sql/iam.sql and optionally VERSION). A URL, "
        "such as a presigned one of a COS bucket, is fetched once and needs `sha256`. `stand-in` is the stand-in in "
        "samples/iam, which is for tests. Default: `stand-in`; required in stack `prod` and with `protect: true`.",
    )
    sha256: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 checksum of the release, in lower case. A release with another checksum is refused.",
    )
    keep_releases: int = Field(
        default=2,
        ge=1,
        le=20,
        description="Number of previous releases that each node keeps for a rollback. Older ones are deleted.",
    )
    memory_mib: int = Field(
        default=1024,
        ge=128,
        le=1_048_576,
        description="Memory limit of each of the three services. One that exceeds it is killed and restarted.",
    )
    token_lifetime_s: int = Field(default=7200, ge=60, le=604_800, description="Lifetime of a login token.")
    token_refresh_s: int = Field(
        default=7200, ge=60, le=2_592_000, description="Time after the login in which a token can be renewed."
    )
    log_level: Literal["debug", "info", "warn", "error"] = Field(
        default="info", description="Minimum log level. Access log lines have level info."
    )
    metrics: bool = Field(
        default=False, description="Serve /metrics at the private addresses, to every client in the subnet."
    )
    audit_interval_s: int = Field(
        default=10, ge=1, le=3600, description="Interval at which iam-pump moves audit records out of Redis."
    )
    audit_keep_days: int = Field(
        default=30, ge=1, le=3650, description="Retention of the csv files with audit records. Older files are deleted."
    )
    audit_syslog: HostPort | None = Field(
        default=None,
        description="Address of a syslog server outside the group (HOST:PORT, UDP) that the pumps of all nodes send a "
        "copy of each audit record to, with facility 13 (log audit) and the tag iam-audit. The csv files stay.",
    )
    refresh_interval_s: int = Field(
        default=60,
        ge=10,
        le=86_400,
        description="Interval at which iam-authz-server reloads all policies, in case a change notification is lost.",
    )
