"""Settings of the IAM services."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from settings.base import FrozenModel


class IamSettings(FrozenModel):
    release: str = Field(
        default="",
        description="path of a release (.tar.gz with bin/, sql/iam.sql, VERSION); empty = the stand-in of samples/iam",
    )
    token_lifetime_s: int = Field(default=7200, ge=60, le=604_800, description="how long a login lasts")
    token_refresh_s: int = Field(
        default=7200, ge=60, le=2_592_000, description="how long after the login a token can still be renewed"
    )
    log_level: Literal["debug", "info", "warn", "error"] = Field(
        default="info", description="least level that is logged; access log lines are of level info"
    )
    metrics: bool = Field(
        default=False, description="offer /metrics on the private addresses (anyone in the subnet can read it)"
    )
    audit_interval_s: int = Field(
        default=10, ge=1, le=3600, description="how often audit records are moved from Redis to the csv files"
    )
    audit_keep_days: int = Field(default=30, ge=1, le=3650, description="csv files older than this are deleted")
    refresh_interval_s: int = Field(
        default=60,
        ge=10,
        le=86_400,
        description="how long a change of policies can stay unseen at most, should its notice get lost",
    )
