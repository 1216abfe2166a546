"""`tandem:alarms`: alarm policies and their receivers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from settings.base import FrozenModel

# The API accepts at most three callback URLs per notice.
_MAX_URLS = 3
CallbackUrl = Annotated[str, Field(pattern=r"^https://[^\s/]+(/\S*)?$", max_length=256)]
Percent = Annotated[int, Field(ge=1, le=100)]


class ReceiversSettings(FrozenModel):
    """Receivers of alarms. Users and groups are CAM users and groups of the account, by id."""

    user_ids: tuple[int, ...] = Field(default=(), description="Ids of CAM users.")
    group_ids: tuple[int, ...] = Field(default=(), description="Ids of CAM groups.")
    ways: tuple[Literal["EMAIL", "SMS", "WECHAT", "RTX"], ...] = Field(
        default=("EMAIL", "SMS"), min_length=1, description="Channels by which users and groups are notified."
    )
    urls: tuple[CallbackUrl, ...] = Field(
        default=(),
        max_length=_MAX_URLS,
        description="Callback URLs, at most 3. Must be https, because the cloud calls them over the internet.",
    )


class AlarmsSettings(FrozenModel):
    """Alarm policies of the cloud's monitoring service. A policy has no effect until it is bound to resources."""

    enabled: bool = Field(default=False, description="Create alarm policies.")
    receivers: ReceiversSettings = Field(default=ReceiversSettings(), description="Receivers of alarms.")
    language: Literal["zh-CN", "en-US"] = Field(default="zh-CN", description="Language of the messages.")
    cpu_percent: Percent = Field(
        default=90, description="Raise an alarm when the CPU usage of a node exceeds this for 5 minutes."
    )
    memory_percent: Percent = Field(
        default=90, description="Raise an alarm when the memory usage of a node exceeds this for 5 minutes."
    )
    disk_percent: Percent = Field(
        default=85, description="Raise an alarm when the disk usage of a node exceeds this for 5 minutes."
    )
    traffic_percent: Percent = Field(
        default=85,
        description="Raise an alarm when the outgoing traffic of a public address exceeds this part of its bandwidth "
        "limit for 5 minutes.",
    )
