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

    user_ids: Annotated[tuple[int, ...], Field(description="Ids of CAM users.")] = ()
    group_ids: Annotated[tuple[int, ...], Field(description="Ids of CAM groups.")] = ()
    ways: Annotated[
        tuple[Literal["EMAIL", "SMS", "WECHAT", "RTX"], ...],
        Field(min_length=1, description="How users and groups are told."),
    ] = ("EMAIL", "SMS")
    urls: Annotated[
        tuple[Annotated[str, Field(pattern=r"^https?://[^\s/]+(/\S*)?$", max_length=256)], ...],
        Field(max_length=_MOST_URLS, description="Call-back addresses, 3 at most."),
    ] = ()


class AlarmsSettings(FrozenModel):
    """Policies of the cloud's monitor, each bound to what it watches (a policy without a binding watches nothing)."""

    enabled: Annotated[bool, Field(description="Make alarm policies.")] = False
    receivers: Annotated[ReceiversSettings, Field(description="Who is told.")] = ReceiversSettings()
    language: Annotated[Literal["zh-CN", "en-US"], Field(description="Of the messages.")] = "zh-CN"
    cpu_percent: Annotated[Percent, Field(description="A node's CPU use above this, for 5 minutes.")] = 90
    memory_percent: Annotated[Percent, Field(description="A node's memory use above this, for 5 minutes.")] = 90
    disk_percent: Annotated[Percent, Field(description="A node's disk use above this.")] = 85
    traffic_percent: Annotated[
        Percent, Field(description="Outgoing traffic of a public address above this part of its bandwidth.")
    ] = 85
