"""`tandem:alarms`: what is watched, and who is told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from settings.base import FrozenModel

# The API takes at most three call-back addresses in one notice.
_MOST_URLS = 3
Percent = Annotated[int, Field(ge=1, le=100)]


class ReceiversSettings(FrozenModel):
    """Who is told. Users and groups are those of the account (CAM), by id."""

    user_ids: tuple[int, ...] = Field(default=(), description="Ids of CAM users.")
    group_ids: tuple[int, ...] = Field(default=(), description="Ids of CAM groups.")
    ways: tuple[Literal["EMAIL", "SMS", "WECHAT", "RTX"], ...] = Field(
        default=("EMAIL", "SMS"), min_length=1, description="How users and groups are told."
    )
    urls: tuple[Annotated[str, Field(pattern=r"^https?://[^\s/]+(/\S*)?$", max_length=256)], ...] = Field(
        default=(), max_length=_MOST_URLS, description="Call-back addresses, 3 at most."
    )


class AlarmsSettings(FrozenModel):
    """Policies of the cloud's monitor, each bound to what it watches (a policy without a binding watches nothing)."""

    enabled: bool = Field(default=False, description="Make alarm policies.")
    receivers: ReceiversSettings = Field(default=ReceiversSettings(), description="Who is told.")
    language: Literal["zh-CN", "en-US"] = Field(default="zh-CN", description="Of the messages.")
    cpu_percent: Percent = Field(default=90, description="A node's CPU use above this, for 5 minutes.")
    memory_percent: Percent = Field(default=90, description="A node's memory use above this, for 5 minutes.")
    disk_percent: Percent = Field(default=85, description="A node's disk use above this.")
    traffic_percent: Percent = Field(
        default=85, description="Outgoing traffic of a public address above this part of its bandwidth."
    )
