"""Settings of keepalived: who holds the virtual IP, and how quickly that changes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from settings.base import FrozenModel

NotifyUrl = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9._~:/?#@!$&()*+,;=%\[\]-]+$")]
ProfileName = Literal["fast", "balanced", "seed"]
Mode = Literal["non-preempt", "preempt", "dual-master"]


class KeepalivedSettings(FrozenModel):
    profile: ProfileName = Field(
        default="balanced",
        description="fast: sub-second, for networks that move the address at once; balanced: for a HAVIP, which itself "
        "may take 10 s; seed: exactly the lecture's timing, to compare with",
    )
    mode: Mode = Field(
        default="non-preempt",
        description="non-preempt: a node that comes back stays backup; preempt: the first node takes the address "
        "back; dual-master: two addresses, each node holds one",
    )
    interface: str = Field(default="eth0", pattern=r"^[a-z][a-z0-9._-]{0,14}$", description="carries the virtual IP")
    virtual_router_id: int = Field(
        default=51, ge=1, le=255, description="VRID, unique within the VPC; dual-master uses the next one too"
    )
    preempt_delay_s: int = Field(default=0, ge=0, le=1000, description="preempt: wait this long before taking back")
    drain_s: int = Field(
        default=2, ge=0, le=300, description="before a planned hand-over: how long clients are asked to go"
    )

    priority_step: int = Field(
        default=10,
        ge=1,
        le=100,
        description="preempt, dual-master: how far each next node comes after the first",
    )
    drain_weight: int = Field(
        default=-20, ge=-200, le=-1, description="preempt, dual-master: a planned hand-over lowers the priority by this"
    )
    notify_urls: tuple[NotifyUrl, ...] = Field(
        default=(), max_length=3, description="told by POST (group, node, state) of each change of master"
    )

    @model_validator(mode="after")
    def _reverse_the_order_by_a_drain(self) -> KeepalivedSettings:
        if self.mode != "non-preempt" and -self.drain_weight <= self.priority_step:
            raise ValueError(
                f"drainWeight {self.drain_weight} does not reverse an order of steps of {self.priority_step}; "
                f"use {-self.priority_step - 1} or less"
            )
        return self

    @model_validator(mode="after")
    def _need_room_for_a_second_router(self) -> KeepalivedSettings:
        if self.mode == "dual-master" and self.virtual_router_id == 255:  # noqa: PLR2004 - the last VRID (RFC 5798, 5.2.3)
            raise ValueError("virtualRouterId 255 leaves no next one for the second address; use 1 to 254")
        if self.mode != "non-preempt" and self.profile == "seed":
            raise ValueError(f"profile seed is the lecture's non-preemptive pair; mode {self.mode} needs another")
        return self
